//! Where a request came from: what of it is kept beside its events.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;

use crate::Fault;

/// Bytes of a request's headers that are kept, names and values together.
const HEADERS_BYTES_MAX: usize = 8_192;
/// Bytes of a request's path that are kept.
const PATH_BYTES_MAX: usize = 1_024;
/// What stands in place of a value that may be secret.
const HIDDEN: &str = "(hidden)";
/// A header with one of these in its name may hold a secret.
const SECRET: [&str; 8] = ["auth", "cookie", "token", "secret", "key", "password", "session-id", "signature"];

/// Says which session of a test a request belongs to.
const SESSION: HeaderName = HeaderName::from_static("x-posthaste-session");

/// A request without its body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Origin {
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) headers: Box<[(Box<str>, Box<str>)]>,
    /// Whether the client said how long its body is: that differs from request to request, and is kept elsewhere.
    pub(crate) says_length: bool,
    pub(crate) session: Option<SessionName>,
}

/// The name of a test's session: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct SessionName(Box<str>);

/// What stands where a session's name belongs is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotAName;

/// How a request was dealt with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dealt<'a> {
    /// A bad body is refused.
    pub(crate) strict: bool,
    /// What a script does to it.
    pub(crate) fault: Option<&'a Fault>,
    /// The status that it is answered with, where that is not the collector's own.
    pub(crate) status: Option<u16>,
    /// It gets no answer.
    pub(crate) is_left: bool,
}

impl SessionName {
    pub(crate) const BYTES_MAX: usize = 64;
    /// What a name has to be, in words.
    pub(crate) const EXPECTED: &str = "1 to 64 letters, digits, dots, hyphens or underscores";

    /// `None`: these may not be in a name, or not so many.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_known);
        fits.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origin {
    pub(crate) fn new(
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        session: Option<SessionName>,
    ) -> Self {
        Self {
            method: method.as_str().into(),
            path: path.get(..path.floor_char_boundary(PATH_BYTES_MAX)).unwrap_or_default().into(),
            headers: told(headers),
            says_length: headers.contains_key(header::CONTENT_LENGTH),
            session,
        }
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_ref().map(SessionName::as_str)
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = |(name, value): &(Box<str>, Box<str>)| {
            size_of::<(Box<str>, Box<str>)>() + name.len() + value.len() + 32
        };
        let session = self.session().map_or(0, str::len);
        size_of::<Self>()
            + self.method.len()
            + self.path.len()
            + session
            + self.headers.iter().map(texts).sum::<usize>()
    }
}

/// The session that the headers name, if they name one.
pub(crate) fn named(headers: &HeaderMap) -> Result<Option<SessionName>, NotAName> {
    let name = |value: &HeaderValue| value.to_str().ok().and_then(SessionName::new).ok_or(NotAName);
    headers.get(SESSION).map(name).transpose()
}

/// What stands in the headers where a session is named, a name or not.
pub(crate) fn session_text(headers: &HeaderMap) -> Option<String> {
    headers.get(SESSION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn told(headers: &HeaderMap) -> Box<[(Box<str>, Box<str>)]> {
    let mut room = HEADERS_BYTES_MAX;
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        let value =
            if may_be_secret(name) { HIDDEN.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        room = room.checked_sub(name.as_str().len() + value.len())?;
        Some((name.as_str().into(), value.into()))
    };
    headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH).map_while(header).collect()
}

fn may_be_secret(name: &HeaderName) -> bool {
    SECRET.iter().any(|part| name.as_str().contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_kept() {
        let names =
            ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token", "user-agent"];
        let headers = names.map(|name| (HeaderName::from_static(name), "s3cret".parse().unwrap()));
        let kept = told(&headers.into_iter().collect());
        let shown: Vec<_> =
            kept.iter().filter(|(_, value)| &**value != HIDDEN).map(|(name, _)| &**name).collect();
        assert_eq!((kept.len(), shown), (6, vec!["user-agent"]));
    }

    #[test]
    fn headers_are_bounded() {
        let mut headers = HeaderMap::new();
        for _ in 0..100 {
            headers.append("x-long", "x".repeat(1_000).parse().unwrap());
        }
        assert_eq!(told(&headers).len(), 8);
    }

    #[test]
    fn a_name_has_known_characters_and_an_end() {
        for (name, is_good) in
            [("a", true), ("A.b_c-9", true), ("", false), ("a b", false), ("é", false), ("a/b", false)]
        {
            assert_eq!(SessionName::new(name).is_some(), is_good, "{name}");
        }
        assert!(SessionName::new(&"x".repeat(64)).is_some() && SessionName::new(&"x".repeat(65)).is_none());
    }
}
