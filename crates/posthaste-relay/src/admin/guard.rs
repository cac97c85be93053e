//! Who may ask. The interface has no passwords: it listens on loopback, and what must not reach it is a page in a browser
//! on the same machine.
//!
//! - A name of an attacker's that leads to this address ("DNS rebinding") is told by the `Host` header: only the names of
//!   loopback, and addresses that this listener is bound to, are taken. Bound to every address, any address is taken, since
//!   rebinding needs a name. Browsers always send the header; probes that send none are taken.
//! - A page of another origin that posts here is told by the `Origin` header.
//! - No question has a body. One that announces a large one is refused; what comes all the same is not read.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{CONTENT_LENGTH, HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Admin, serve::ANSWER_TIMEOUT};

/// Bytes of a body that nobody reads.
const BODY_BYTES_MAX: u64 = 4 << 10;

const FOREIGN_HOST: &str =
    "this host name is not one of this interface's; ask by its address, or as localhost\n";
const FOREIGN_ORIGIN: &str = "a page of another origin may not change anything here\n";
const LARGE: &str = "no question here has a body\n";
const SLOW: &str = "no answer in time; GET /readyz says how the disk is\n";

/// Lets a request pass, or says why not.
pub(super) async fn check(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if let Err((status, text)) = may_pass(admin.0.bound, &request) {
        return (status, text).into_response();
    }
    match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, SLOW).into_response(),
    }
}

fn may_pass(bound: SocketAddr, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    let headers = request.headers();
    let host = host(request.uri(), headers)?;
    if host.as_ref().is_some_and(|host| !is_ours(host, bound)) {
        return Err((StatusCode::FORBIDDEN, FOREIGN_HOST));
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_reading && headers.contains_key(ORIGIN) && !is_same_origin(headers, host.as_ref()) {
        return Err((StatusCode::FORBIDDEN, FOREIGN_ORIGIN));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, LARGE));
    }
    Ok(())
}

/// Whom the request is for: every place that says so is to say the same.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, (StatusCode, &'static str)> {
    let foreign = (StatusCode::FORBIDDEN, FOREIGN_HOST);
    let mut said = headers.get_all(HOST).iter().map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = match (said.next(), said.next()) {
        (None, _) => return Ok(uri.authority().cloned()),
        (Some(Some(host)), None) => host,
        _ => return Err(foreign),
    };
    if uri.authority().is_some_and(|authority| *authority != host) {
        return Err(foreign);
    }
    Ok(Some(host))
}

fn is_ours(host: &Authority, bound: SocketAddr) -> bool {
    let name = host.host().trim_end_matches('.');
    let Some(address) = address(name) else { return name.eq_ignore_ascii_case("localhost") };
    address.is_loopback() || bound.ip().is_unspecified() || address == bound.ip().to_canonical()
}

fn address(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whether the page that asks is this host's own.
fn is_same_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None, Some(host)) = (origins.next(), origins.next(), host) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn passes(bound: &str, method: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().method(method).uri("/dead/purge");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let refused = may_pass(bound.parse().unwrap(), &request.body(Body::empty()).unwrap()).err();
        refused.map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_loopback_and_the_bound_address_are_taken_as_hosts() {
        let of = |bound, host| passes(bound, "GET", &[("host", host)]);
        for host in ["127.0.0.1:8091", "localhost", "LOCALHOST:1", "localhost.", "[::1]:8091", "127.9.9.9"] {
            assert_eq!(of("127.0.0.1:8091", host), None, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1", "", "a b", "127.0.0.1.evil.example"]
        {
            assert_eq!(of("127.0.0.1:8091", host), Some(403), "{host}");
        }
        assert_eq!(of("10.0.0.1:8091", "10.0.0.1:8091"), None);
        assert_eq!(of("10.0.0.1:8091", "10.0.0.2:8091"), Some(403));
        for every in ["0.0.0.0:8091", "[::]:8091"] {
            assert_eq!(of(every, "10.0.0.7:8091"), None, "a probe asks by the pod's address");
            assert_eq!(of(every, "evil.example:8091"), Some(403));
        }
        assert_eq!(passes("127.0.0.1:8091", "GET", &[]), None, "a probe that speaks HTTP/1.0");
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(passes("127.0.0.1:8091", "GET", &twice), Some(403));
    }

    #[test]
    fn a_page_of_another_origin_may_not_write() {
        let of = |method, origin| {
            passes("127.0.0.1:8091", method, &[("host", "127.0.0.1:8091"), ("origin", origin)])
        };
        assert_eq!(of("POST", "http://127.0.0.1:8091"), None);
        for origin in ["https://evil.example", "null", "http://127.0.0.1:8092", "https://127.0.0.1:8091", ""]
        {
            assert_eq!(of("POST", origin), Some(403), "{origin}");
            assert_eq!(of("DELETE", origin), Some(403), "{origin}");
            assert_eq!(of("GET", origin), None, "the browser keeps the answer from the page");
        }
        assert_eq!(passes("127.0.0.1:8091", "POST", &[("host", "127.0.0.1:8091")]), None, "no browser");
    }

    #[test]
    fn a_large_body_is_refused() {
        let of = |length| passes("127.0.0.1:8091", "POST", &[("content-length", length)]);
        assert_eq!((of("4096"), of("4097")), (None, Some(413)));
    }
}
