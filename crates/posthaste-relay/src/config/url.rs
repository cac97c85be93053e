//! Where events go: `us`, `eu`, or a URL that requests can go to. What may be secret in a URL is never shown.

use posthaste::{
    Region,
    dispatch::{EndPoint, EndPointProblem},
};

use super::{
    kinds::{Kind, Wanted},
    upstream_url,
    value::Value,
};

pub(super) struct Upstream;

impl Kind for Upstream {
    type Of = String;

    /// Whether it is a URL is looked at later: what is wrong with it is said without its password.
    fn read(value: &Value) -> Result<String, Wanted> {
        let given = value.as_text().filter(|text| !text.trim().is_empty());
        given.map(str::to_owned).ok_or_else(|| "give us, eu, or a whole URL".to_owned())
    }

    fn write(of: &String) -> Value {
        Value::text(shown(of))
    }
}

/// What is wrong with it, if anything is, and what to do.
pub(super) fn problem(upstream: &str) -> Option<String> {
    let error = EndPoint::check(&upstream_url(upstream)).err()?;
    if error.problem() == EndPointProblem::UserInfo {
        return Some(format!(
            "{:?} is no address for events: it holds a user name or a password, which is not sent; leave that out (or \
             give us or eu)",
            error.url()
        ));
    }
    Some(format!("{error} (or give us or eu)"))
}

/// As it may be shown: a query may hold a token.
pub fn shown(upstream: &str) -> String {
    if Region::parse(upstream).is_some() {
        return upstream.to_owned();
    }
    match EndPoint::check(upstream) {
        Ok(_) => match upstream.split_once('?') {
            Some((before, _)) => format!("{before}?***"),
            None => upstream.to_owned(),
        },
        Err(error) => error.url().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_hidden() {
        for (given, seen) in [
            ("us", "us"),
            ("https://a.example/v1/events", "https://a.example/v1/events"),
            ("https://a.example/v1/events?key=secret", "https://a.example/v1/events?***"),
            ("https://me:secret@a.example/", "https://***@a.example/"),
        ] {
            assert_eq!(shown(given), seen);
        }
    }

    #[test]
    fn what_no_request_can_go_to_is_told() {
        for upstream in ["us", "EU", "http://localhost:8080/v1/events", "https://[::1]/"] {
            assert_eq!(problem(upstream), None, "{upstream}");
        }
        for upstream in ["usa", "ftp://a/", "http://me:secret@a/", "http://a:0/", "a.example", "http://"] {
            let problem = problem(upstream).unwrap();
            assert!(problem.contains("us or eu") && !problem.contains("secret"), "{problem}");
            // No option of the relay's is a builder.
            assert!(!problem.contains("builder"), "{problem}");
        }
    }
}
