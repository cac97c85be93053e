//! Where events are taken, pages of any origin may post them: that is what browsers' SDKs do. What they may not do
//! elsewhere is the guard's business.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

/// Headers beside `content-type` that a page may send where it asks for them.
const ALLOWED_IF_ASKED: [&str; 2] = ["x-optimizely-strict", "x-posthaste-session"];

/// How Chrome asks whether a page of the internet may talk to this machine, and what it is told.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

const METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Whether events are taken at this path, a slash at its end or not.
pub(crate) fn is_for_events(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_suffix("/v1/events") {
        Some("") => true,
        Some(before) => {
            before.strip_prefix("/t/").is_some_and(|name| !name.is_empty() && !name.contains('/'))
        }
        None => false,
    }
}

/// The answer to a preflight, but for what [`let_in`] adds.
pub(crate) fn preflight(asked: &HeaderMap) -> Response {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let headers = answer.headers_mut();
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(asked));
    if asked.get(REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == TRUE) {
        headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
    }
    answer
}

/// Lets the page that has asked see the answer.
pub(crate) fn let_in(origin: Option<HeaderValue>, answer: &mut Response) {
    // Who is no browser gets the answer as it is, and as a script of faults has written it.
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    }
}

/// Who asks, where a browser says so.
pub(crate) fn origin(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ORIGIN).cloned()
}

fn allowed_headers(asked: &HeaderMap) -> HeaderValue {
    let asked: Vec<&str> = asked
        .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    let is_asked = |name: &&str| asked.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    let allowed = ["content-type"].into_iter().chain(ALLOWED_IF_ASKED.into_iter().filter(is_asked));
    let list = allowed.collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&list).expect("names of headers are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_at_two_paths() {
        for path in ["/v1/events", "/v1/events/", "/t/one/v1/events", "/t/one/v1/events/"] {
            assert!(is_for_events(path), "{path}");
        }
        for path in [
            "/",
            "/v1",
            "/v1/events//",
            "/eu/v1/events",
            "/t//v1/events",
            "/t/a/b/v1/events",
            "/v1/eventsx",
            "",
        ] {
            assert!(!is_for_events(path), "{path}");
        }
    }
}
