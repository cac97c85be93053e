//! Who may ask for what is not events. A collector has no passwords and runs on a developer's machine, where every page
//! in the browser can send requests to it. So:
//!
//! - A name of an attacker's that leads to this address ("DNS rebinding") is told by the `Host` header: `localhost` and
//!   names below it, addresses, and the names that [`CollectorOptions::hosts`](crate::CollectorOptions::hosts) lists
//!   are taken. An address cannot be rebound. Browsers always send the header; programs that send none are taken.
//! - A page of another origin is told by `Origin` and by `Sec-Fetch-Site`, which no page can change. It may lead
//!   somebody here by a link, and nothing else.
//! - Every answer says what a browser may do with it: no script but the page's own, no frame around it, no guessing.
//!
//! Invariant: nothing here has an effect on programs that are no browsers, but for the host's name.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
        uri::Authority,
    },
    response::{IntoResponse, Response},
};

/// No script or style but from files of the collector's own, and no way out.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
);
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The host's name is somebody else's.
    Host(String),
    /// There are two, or what there is cannot be read.
    NoHost,
    /// A page of another origin asks.
    Page(String),
}

/// Whether the request may pass. `hosts` are names beside those of this machine.
pub(crate) fn check(hosts: &[String], request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = host(request.uri(), headers)?;
    if let Some(host) = &host
        && !is_ours(host.host(), hosts)
    {
        return Err(Refusal::Host(bare(host.host()).to_owned()));
    }
    check_page(hosts, host.as_ref(), request)
}

/// What a browser may do with the answer.
pub(crate) fn protect(answer: &mut Response) {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}

/// Whom the request is for: every place that says so is to say the same.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let mut said = headers.get_all(HOST).iter().map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = match (said.next(), said.next()) {
        (None, _) => return Ok(uri.authority().cloned()),
        (Some(Some(host)), None) => host,
        _ => return Err(Refusal::NoHost),
    };
    if uri.authority().is_some_and(|authority| *authority != host) {
        return Err(Refusal::NoHost);
    }
    Ok(Some(host))
}

/// A name without the dot at its end, an address without its brackets.
fn bare(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = bare(host);
    name.parse::<IpAddr>().is_ok() || is_localhost(name) || is_listed(name, hosts)
}

/// Names that browsers never ask anybody for.
fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_listed(name: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|host| bare(host).eq_ignore_ascii_case(name))
}

fn check_page(hosts: &[String], host: Option<&Authority>, request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        if !is_own(origin, host, hosts) {
            return Err(Refusal::Page(origin.to_owned()));
        }
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_link = is_reading && headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate");
    let is_foreign = |site: &HeaderValue| site != "same-origin" && site != "none";
    if !is_link && headers.get_all(FETCH_SITE).iter().any(is_foreign) {
        return Err(Refusal::Page("another origin".to_owned()));
    }
    Ok(())
}

/// Whether a page of this origin is the collector's own: the one that is asked, or, where a proxy changes the host, one
/// at a listed name and the usual port.
fn is_own(origin: &str, host: Option<&Authority>, hosts: &[String]) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| {
        host.is_some_and(|host| authority.eq_ignore_ascii_case(host.as_str())) || is_listed(authority, hosts)
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let line = match self {
            Self::Host(name) => format!(
                "this collector is not known as {name:?}; ask by its address or as localhost, or start it with \
                 --allow-host {name}\n"
            ),
            Self::NoHost => {
                "this request does not say clearly which host it is for; send one Host header, such as \
                             localhost\n"
                    .to_owned()
            }
            Self::Page(origin) => format!(
                "a page of {origin} may not ask here, only post events to /v1/events; use the collector's own page, \
                 or a program that is no browser\n"
            ),
        };
        (StatusCode::FORBIDDEN, line).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn passes(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/reset");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let hosts = ["collector".to_owned(), "tools.example".to_owned()];
        check(&hosts, &request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_addresses_and_listed_names_are_taken() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "app.localhost:8080",
            "[::1]:8080",
            "10.0.0.7:8080",
            "collector:8080",
            "Tools.Example",
        ] {
            assert!(passes("GET", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "collector.evil.example",
            "evil.example:8080",
            "",
            "a b",
        ] {
            assert!(!passes("GET", &[("host", host)]), "{host}");
        }
        assert!(passes("GET", &[]), "a probe that speaks HTTP/1.0");
        assert!(!passes("GET", &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn a_page_of_another_origin_may_do_nothing() {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let of = |host, origin| passes(method, &[("host", host), ("origin", origin)]);
            assert!(of("127.0.0.1:8080", "http://127.0.0.1:8080"), "{method}");
            assert!(of("tools.example", "https://tools.example"), "behind a proxy that speaks TLS");
            assert!(of("127.0.0.1:8080", "https://tools.example"), "behind one that changes the host");
            for origin in [
                "https://evil.example",
                "null",
                "http://127.0.0.1:8081",
                "http://tools.example:3000",
                "",
                "localhost",
            ] {
                assert!(!of("127.0.0.1:8080", origin), "{method} {origin}");
            }
        }
    }

    #[test]
    fn a_request_that_a_page_of_another_site_makes_is_told_without_an_origin() {
        for site in ["cross-site", "same-site", "anything new"] {
            assert!(
                !passes("POST", &[("sec-fetch-site", site), ("sec-fetch-mode", "navigate")]),
                "a form: {site}"
            );
            assert!(
                !passes("GET", &[("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]),
                "an image: {site}"
            );
            assert!(
                passes("GET", &[("sec-fetch-site", site), ("sec-fetch-mode", "navigate")]),
                "a link: {site}"
            );
        }
        for site in ["same-origin", "none"] {
            assert!(passes("POST", &[("sec-fetch-site", site)]), "{site}");
        }
    }
}
