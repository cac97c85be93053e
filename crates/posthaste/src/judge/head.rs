//! What the head of a request says of its body: how it is packed, and whether its sender wants to hear what is wrong.
//!
//! Whoever takes bodies over HTTP reads these headers by the rules here. Values are bytes, as they came.

use std::io;

use super::{Problem, ProblemKind};

/// How a body is packed, by its `Content-Encoding`.
///
/// ```
/// use posthaste::judge::Packing;
///
/// assert_eq!(Packing::of(None), Packing::None);
/// assert_eq!(Packing::of(Some(b" GZIP ")), Packing::Gzip);
/// assert_eq!(Packing::of(Some(b"br")), Packing::Unknown);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one more is a change for whoever takes bodies")]
pub enum Packing {
    /// Not at all.
    None,
    /// With gzip, of one member or more.
    Gzip,
    /// In a way that nobody here can undo.
    Unknown,
}

impl Packing {
    /// By the header's value, where there is one.
    pub fn of(content_encoding: Option<&[u8]>) -> Self {
        match content_encoding.map(|value| value.trim_ascii().to_ascii_lowercase()) {
            None => Self::None,
            Some(name) if name.is_empty() || name == b"identity" => Self::None,
            Some(name) if name == b"gzip" || name == b"x-gzip" => Self::Gzip,
            Some(_) => Self::Unknown,
        }
    }
}

/// Whether this value of `X-Optimizely-Strict` asks for a failure status where a body is bad.
///
/// ```
/// use posthaste::judge::asks_for_strictness;
///
/// assert!(asks_for_strictness(b"True") && asks_for_strictness(b" 1 "));
/// assert!(!asks_for_strictness(b"yes"));
/// ```
pub fn asks_for_strictness(strict: &[u8]) -> bool {
    let value = strict.trim_ascii();
    value == b"1" || value.eq_ignore_ascii_case(b"true")
}

/// What is wrong with a body that its head calls gzip, and that is none, or not whole.
///
/// ```
/// use posthaste::judge::not_gzip;
///
/// let problem = not_gzip(&std::io::Error::other("corrupt deflate stream"));
/// assert!(problem.to_string().starts_with("body: not whole gzip: corrupt deflate stream"));
/// ```
pub fn not_gzip(error: &io::Error) -> Problem {
    Problem::of_body(
        ProblemKind::NotGzip,
        format!("not whole gzip: {error}"),
        "compress the whole body, or leave out the content-encoding header",
    )
}
