//! A path before all others, behind a proxy that does not take it off.

use std::{fmt, str::FromStr};

use axum::http::{Uri, uri::PathAndQuery};

/// What stands before every path: `/tools/collector`. Nothing by default.
///
/// ```
/// use posthaste_collector::Base;
///
/// let base: Base = "/tools/collector/".parse()?;
/// assert_eq!(base.as_str(), "/tools/collector");
/// assert_eq!(Base::default().as_str(), "");
/// assert!("tools".parse::<Base>().is_err() && "/a b".parse::<Base>().is_err());
/// # Ok::<(), posthaste_collector::BaseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base(String);

/// A text that is no [`Base`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseError;

/// Where a request belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// Here: nothing is to be taken off, or this is what is left.
    Here(Option<Uri>),
    /// At the base itself without its last slash: links of a page would lead out of it.
    Edge,
}

impl Base {
    /// It, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes it off. What does not begin with it stays as it is: probes on this machine, and a proxy that takes it off
    /// itself.
    pub(crate) fn strip(&self, uri: &Uri) -> Within {
        if self.0.is_empty() {
            return Within::Here(None);
        }
        let Some(rest) = uri.path().strip_prefix(&self.0) else { return Within::Here(None) };
        match rest.chars().next() {
            None => Within::Edge,
            Some('/') => Within::Here(without(uri, rest)),
            Some(_) => Within::Here(None),
        }
    }
}

/// The same with another path.
fn without(uri: &Uri, path: &str) -> Option<Uri> {
    let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(text.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

impl FromStr for Base {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_plain = |part: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_letter)
        };
        match path.strip_prefix('/') {
            None if path.is_empty() => Ok(Self::default()),
            Some(parts) if parts.split('/').all(is_plain) => Ok(Self(path.to_owned())),
            _ => Err(BaseError),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a path of letters, digits and - . _ ~, such as /tools/collector")
    }
}

impl std::error::Error for BaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_off_where_it_stands() {
        let base: Base = "/a/b".parse().unwrap();
        let left = |path: &str| base.strip(&path.parse().unwrap());
        let here = |path: &str| Within::Here(Some(path.parse().unwrap()));
        assert_eq!(left("/a/b/ledger?session=x"), here("/ledger?session=x"));
        assert_eq!(left("/a/b/"), here("/"));
        assert_eq!(left("/a/b?x"), Within::Edge);
        for path in ["/ledger", "/a/bc", "/a", "/"] {
            assert_eq!(left(path), Within::Here(None), "{path}");
        }
        assert_eq!(Base::default().strip(&"/ledger".parse().unwrap()), Within::Here(None));
    }

    #[test]
    fn only_plain_paths_are_taken() {
        for (text, base) in [("", ""), ("/", ""), ("/a", "/a"), ("/a/b-1/", "/a/b-1")] {
            assert_eq!(text.parse::<Base>().unwrap().as_str(), base);
        }
        for text in ["a", "//", "/a//b", "/a/../b", "/ä", "/a?b", "/a%20b", "http://x/"] {
            assert_eq!(text.parse::<Base>(), Err(BaseError), "{text}");
        }
    }
}
