//! Which proxy a request goes through, if any: as the builder says, or else the environment.
//!
//! Every proxy is checked when the client is built. One that cannot be used is an error, and never a request that goes
//! straight, or HTTP spoken to what is no HTTP proxy.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::dispatch::{
    EndPointProblem, HttpSetupError,
    end_point::{check_text, host_and_port, shown},
};

/// Where SOCKS proxies listen unless their URL says otherwise (RFC 1928).
const SOCKS_PORT: u16 = 1_080;
/// Bytes of a SOCKS5 user name and password together: hyper-util's handshake has room for these and a host's name.
const SOCKS_AUTH_BYTES_MAX: usize = 200;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// What the builder was told.
#[derive(Debug, Clone, Default)]
pub(super) enum ProxyChoice {
    #[default]
    Environment,
    Never,
    Always(String),
}

/// The proxies, all of them good.
#[derive(Debug)]
pub(super) struct Proxies {
    pub(super) matcher: Matcher,
    /// Whether one of them is spoken to over TLS.
    pub(super) are_encrypted: bool,
}

impl ProxyChoice {
    pub(super) fn proxies(&self) -> Result<Proxies, HttpSetupError> {
        match self {
            // The one place where the environment is read. What is not Unicode is no proxy's URL, and is told so.
            Self::Environment => Proxies::by_variables(|name| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            }),
            Self::Never => Ok(Proxies { matcher: Matcher::builder().build(), are_encrypted: false }),
            Self::Always(url) => {
                let url = checked("the builder's proxy", url)?;
                let are_encrypted = url.starts_with("https:");
                Ok(Proxies { matcher: Matcher::builder().all(url).build(), are_encrypted })
            }
        }
    }
}

impl Proxies {
    /// As curl reads them. An empty variable is as none.
    fn by_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HttpSetupError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let proxy = |names: &[&str]| -> Result<String, HttpSetupError> {
            let found = names.iter().find_map(|name| Some((*name, set(name)?)));
            found.map_or(Ok(String::new()), |(name, url)| checked(name, url.trim()))
        };
        // In a CGI program HTTP_PROXY is the request's header `Proxy`: whatever a stranger wrote (httpoxy).
        let is_cgi = set("REQUEST_METHOD").is_some();
        let http = proxy(if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] })?;
        let https = proxy(&["HTTPS_PROXY", "https_proxy"])?;
        let all = proxy(&["ALL_PROXY", "all_proxy"])?;
        let are_encrypted = [&http, &https, &all].iter().any(|url| url.starts_with("https:"));
        let no = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
        Ok(Self {
            matcher: Matcher::builder().http(http).https(https).all(all).no(no).build(),
            are_encrypted,
        })
    }
}

/// The proxy's URL in the form that the matcher understands, with its port.
fn checked(named_by: &str, url: &str) -> Result<String, HttpSetupError> {
    whole(url).map_err(|problem| HttpSetupError::Proxy {
        named_by: named_by.to_owned(),
        url: shown(url),
        problem,
    })
}

fn whole(url: &str) -> Result<String, String> {
    check_text(url).map_err(told)?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = scheme.to_ascii_lowercase();
    if !SCHEMES.contains(&&*scheme) {
        return Err(format!("its scheme is none of {}", SCHEMES.join(", ")));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user_info, place) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let (host, port) = host_and_port(place).map_err(told)?;
    let port = port.unwrap_or(default_port(&scheme));
    let whole = format!("{scheme}://{user_info}{host}:{port}");
    check_auth(&whole, &scheme, !user_info.is_empty())?;
    Ok(whole)
}

fn told(problem: EndPointProblem) -> String {
    match problem {
        EndPointProblem::Empty | EndPointProblem::NoHost => {
            "it names no host; give a URL such as http://proxy:3128 or socks5h://proxy:1080".to_owned()
        }
        problem => problem.to_string(),
    }
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "http" => 80,
        "https" => 443,
        _ => SOCKS_PORT,
    }
}

/// Whether the matcher understands the URL, and what connects can send its user name and password.
fn check_auth(whole: &str, scheme: &str, has_user_info: bool) -> Result<(), String> {
    let anywhere = Uri::from_static("http://anywhere.invalid/");
    let proxy = Matcher::builder().all(whole).build().intercept(&anywhere);
    let Some(proxy) = proxy.filter(|_| whole.matches('@').count() <= 1) else {
        return Err("it is malformed; percent-encode its user name and password".to_owned());
    };
    if has_user_info && scheme.starts_with("socks4") {
        return Err("SOCKS4 knows no password; leave out what stands before the @, or use socks5h".to_owned());
    }
    let auth_bytes = proxy.raw_auth().map_or(0, |(user, password)| user.len() + password.len());
    if auth_bytes > SOCKS_AUTH_BYTES_MAX {
        return Err(format!("user name and password together have more than {SOCKS_AUTH_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, HttpSetupError> {
        Proxies::by_variables(|name| {
            variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        })
    }

    /// The proxy for `url`, if any.
    fn proxy_of(variables: &[(&str, &str)], url: &'static str) -> Option<String> {
        let proxy = proxies(variables).unwrap().matcher.intercept(&Uri::from_static(url))?;
        Some(proxy.uri().to_string())
    }

    #[test]
    fn each_variable_in_either_case_names_the_proxy_of_its_scheme() {
        for (name, for_http, for_https) in
            [("http_proxy", true, false), ("https_proxy", false, true), ("all_proxy", true, true)]
        {
            for name in [name.to_owned(), name.to_uppercase()] {
                for (value, expected) in [
                    ("p", "http://p:80/"),
                    ("p:3128", "http://p:3128/"),
                    (" http://p:3128/ ", "http://p:3128/"),
                    ("HTTPS://p", "https://p:443/"),
                    ("https://u:w@p/", "https://p:443/"),
                    ("socks5://p", "socks5://p:1080/"),
                    ("socks5h://u:p%40w@p:9", "socks5h://p:9/"),
                    ("SOCKS4://127.0.0.1", "socks4://127.0.0.1:1080/"),
                    ("socks4a://[::1]:1081", "socks4a://[::1]:1081/"),
                ] {
                    let found = |url| proxy_of(&[(&name, value)], url);
                    assert_eq!(found("http://h/"), for_http.then(|| expected.to_owned()), "{name}={value}");
                    assert_eq!(found("https://h/"), for_https.then(|| expected.to_owned()), "{name}={value}");
                }
            }
        }
    }

    #[test]
    fn the_nearer_variable_wins_and_an_empty_one_is_as_none() {
        let all = ("ALL_PROXY", "socks5://a");
        assert_eq!(proxy_of(&[all, ("HTTP_PROXY", "b")], "http://h/").unwrap(), "http://b:80/");
        assert_eq!(proxy_of(&[all, ("HTTP_PROXY", "b")], "https://h/").unwrap(), "socks5://a:1080/");
        assert_eq!(proxy_of(&[all, ("HTTP_PROXY", " ")], "http://h/").unwrap(), "socks5://a:1080/");
        assert_eq!(
            proxy_of(&[("HTTP_PROXY", ""), ("http_proxy", "c")], "http://h/").unwrap(),
            "http://c:80/"
        );
        assert_eq!(proxy_of(&[all, ("NO_PROXY", "x, h")], "http://h/"), None);
        assert_eq!(proxy_of(&[all, ("no_proxy", "127.0.0.0/8")], "http://127.0.0.1:9/"), None);
        assert_eq!(proxy_of(&[all, ("no_proxy", "*")], "http://h/"), None);
        assert_eq!(proxy_of(&[], "http://h/"), None);
        // Whoever calls a CGI program chooses its HTTP_PROXY.
        assert_eq!(proxy_of(&[("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "POST")], "http://h/"), None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_with_its_variable_and_without_its_password() {
        let long = format!("socks5://u:{}@h", "secret".repeat(40));
        for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
            for url in [
                "ftp://secret@h",
                "socks://u:secret@h",
                "socks6://h",
                "ws://h",
                "://h",
                "::::",
                "http://",
                "http://:3128",
                "h:0",
                "h:99999",
                "http://u:secret@h:65536",
                "u:secret@",
                "http://u:se/secret@h",
                "http://a b",
                "é",
                "socks4://u:secret@h",
                "socks4a://secret@h",
                "socks5://u@secret@h",
                "http://[::1",
                "a..b",
                &long,
            ] {
                let error = proxies(&[(name, url)]).unwrap_err();
                assert!(
                    matches!(&error, HttpSetupError::Proxy { named_by, .. } if named_by == name),
                    "{error}"
                );
                let text = error.to_string();
                assert!(text.starts_with(name) && !text.contains("secret"), "{url}: {text}");
            }
        }
        let problem = |url| proxies(&[("HTTP_PROXY", url)]).unwrap_err().to_string();
        assert!(problem("http://:3128").contains("it names no host; give a URL such as http://proxy:3128"));
        assert!(problem("h:0").ends_with(&EndPointProblem::Port.to_string()), "{}", problem("h:0"));
        assert_eq!(
            proxies(&[("ALL_PROXY", "quic://me:pw@h:1/")]).unwrap_err().to_string(),
            "ALL_PROXY is \"quic://***@h:1/\", which is no proxy to go through: its scheme is none of http, https, \
             socks4, socks4a, socks5, socks5h"
        );
    }
}
