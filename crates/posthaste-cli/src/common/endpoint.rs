//! Where to send to: whether it is a URL that requests can go to.
//!
//! Clap says what is wrong with other arguments, and quotes them. A URL may hold a password, which is not to be quoted.

use axum::http::Uri;

use super::exit::Failure;

/// Refuses an end point before anything is read or sent.
pub(crate) fn check(endpoint: Option<&str>) -> Result<(), Failure> {
    let Some(text) = endpoint else { return Ok(()) };
    fault(text).map_or(Ok(()), |fault| {
        Err(Failure::Usage(format!("--endpoint {:?} is wrong: {fault}", without_password(text))))
    })
}

/// What is wrong with it.
fn fault(text: &str) -> Option<&'static str> {
    let Ok(url) = text.parse::<Uri>() else { return Some(EXAMPLE) };
    let Some(authority) = url.authority() else { return Some(EXAMPLE) };
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Some("the URL has to begin with http:// or https://");
    }
    if authority.as_str().contains('@') {
        return Some("a user and a password in the URL would not be sent; leave them out");
    }
    if authority.host().is_empty() {
        return Some(EXAMPLE);
    }
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (!is_fine).then_some("a port is a number from 1 to 65535")
}

const EXAMPLE: &str = "give a whole URL, such as https://logx.optimizely.com/v1/events";

/// Hides rather too much than too little.
fn without_password(text: &str) -> String {
    let (user, rest) = text.rsplit_once('@').unwrap_or(("", text));
    let scheme = user.find("://").map_or(0, |at| at + 3);
    let colon = user.get(scheme..).and_then(|user| user.find(':')).map(|at| scheme + at);
    match colon.and_then(|at| user.get(..at)) {
        Some(name) => format!("{name}:***@{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_requests_can_go_to_are_taken() {
        for text in [
            "http://h",
            "https://h/v1/events",
            "http://h:1/",
            "http://[::1]:65535/x?y=z",
            "http://h/a@b",
            "HTTP://h",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
        for text in [
            "",
            "h",
            "h:80",
            "/v1",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://h:99999/",
            "http://h:0/",
            "http://h:/",
            "http://h:x/",
            "http://h:-1/",
            "http://u:p@h/",
            "http://u@h/",
            "http://a b/",
            "u:p@h",
        ] {
            assert!(fault(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("http://h/", "http://h/"),
            ("http://u@h/", "http://u@h/"),
            ("http://u:secret@h:99999/x", "http://u:***@h:99999/x"),
            ("u:secret@h", "u:***@h"),
            ("http://u:sec/ret@h", "http://u:***@h"),
            ("http://u:se@c:ret@h", "http://u:***@h"),
            ("http://:secret@h", "http://:***@h"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
