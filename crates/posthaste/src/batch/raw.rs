//! Somebody's request body, every field kept as it came.
//!
//! Only the outermost object is taken apart; visitors and unknown fields stay the text that they were, so what goes out
//! again is what came in, byte for byte.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash as _, Hasher as _},
    num::NonZeroU32,
    ops::Range,
};

use rustc_hash::FxHasher;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor as DeVisitor},
};
use serde_json::value::RawValue;

use super::json::write_value;

/// A request body, taken apart into its head and its visitors, borrowed from its text.
///
/// ```
/// use posthaste::RawBatch;
///
/// let body = br#"{"account_id":"1","visitors":[{"visitor_id":"a"},{"visitor_id":"b"}],"new":[1, 2]}"#;
/// let batch = RawBatch::parse(body)?;
/// assert_eq!(batch.visitors().len(), 2);
/// assert_eq!(batch.field("new").unwrap().get(), "[1, 2]", "kept as it came");
/// # Ok::<(), posthaste::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RawBatch<'a> {
    before: Vec<(Cow<'a, str>, &'a RawValue)>,
    visitors: Vec<&'a RawValue>,
    after: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Why a text is not a request body.
///
/// ```
/// use posthaste::{DecodeError, RawBatch};
///
/// let error = RawBatch::parse(b"[]").unwrap_err();
/// assert!(matches!(error, DecodeError::NotABatch(_)));
/// assert!(error.to_string().starts_with("not an Event API batch: "), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not UTF-8.
    #[error("not UTF-8 at byte {}", .0.valid_up_to())]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not JSON, or not of a request body's form.
    #[error("not an Event API batch: {0}")]
    NotABatch(#[source] NotABatch),
}

/// What is wrong with a text that is no request body, and where.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotABatch(serde_json::Error);

impl NotABatch {
    /// The line of the place, from 1; 0 where there is none.
    pub fn line(&self) -> usize {
        self.0.line()
    }

    /// The column of the place, from 1, in bytes; 0 where there is none.
    pub fn column(&self) -> usize {
        self.0.column()
    }
}

impl DecodeError {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::NotABatch(NotABatch(error))
    }
}

impl<'a> RawBatch<'a> {
    /// Takes a body apart. It must be a JSON object with a list named `visitors`; everything else is the sender's own
    /// business.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        serde_json::from_str(std::str::from_utf8(body)?).map_err(DecodeError::json)
    }

    /// The visitors, each as its JSON text.
    pub fn visitors(&self) -> &[&'a RawValue] {
        &self.visitors
    }

    /// Where in the body the visitors stand, without the brackets around them.
    pub(crate) fn visitors_range(&self, body: &[u8]) -> Range<usize> {
        let at = |text: &str| text.as_ptr().addr() - body.as_ptr().addr();
        match (self.visitors.first(), self.visitors.last()) {
            (Some(first), Some(last)) => at(first.get())..at(last.get()) + last.get().len(),
            _ => 0..0,
        }
    }

    /// A field of the head by name, as its JSON text.
    pub fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.head().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// Whether visitors of the two may travel in one request: every field outside `visitors` is there in both, with the
    /// same text.
    ///
    /// ```
    /// use posthaste::RawBatch;
    ///
    /// let one = RawBatch::parse(br#"{"revision":"1","visitors":[]}"#)?;
    /// assert!(one.same_head(&RawBatch::parse(br#"{"visitors":[],"revision":"1"}"#)?));
    /// assert!(!one.same_head(&RawBatch::parse(br#"{"visitors":[],"revision":"2"}"#)?));
    /// # Ok::<(), posthaste::DecodeError>(())
    /// ```
    pub fn same_head(&self, other: &Self) -> bool {
        let (mine, theirs) = (sorted(self.head()), sorted(other.head()));
        mine == theirs
    }

    /// The body again, with these visitors (JSON texts) in place of its own. Nothing else changes, but for white space
    /// between the outermost fields.
    ///
    /// ```
    /// use posthaste::RawBatch;
    ///
    /// let batch = RawBatch::parse(br#"{"account_id":"1","visitors":[{"visitor_id":"a"}],"region":"EU"}"#)?;
    /// let body = batch.with_visitors([r#"{"visitor_id":"b"}"#]);
    /// assert_eq!(body, br#"{"account_id":"1","visitors":[{"visitor_id":"b"}],"region":"EU"}"#);
    /// # Ok::<(), posthaste::DecodeError>(())
    /// ```
    pub fn with_visitors<'v>(&self, visitors: impl IntoIterator<Item = &'v str>) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (name, value) in &self.before {
            write_field(&mut out, name, value);
            out.push(b',');
        }
        out.extend_from_slice(br#""visitors":["#);
        for (at, visitor) in visitors.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(visitor.as_bytes());
        }
        out.push(b']');
        for (name, value) in &self.after {
            out.push(b',');
            write_field(&mut out, name, value);
        }
        out.push(b'}');
        out
    }

    /// The same for all bodies of the [same head](Self::same_head), and as a rule for no others; `None` where a field is
    /// there twice, and which of the two counts is anybody's guess.
    pub(super) fn head_key(&self) -> Option<NonZeroU32> {
        let fields = sorted(self.head());
        if fields.iter().zip(fields.iter().skip(1)).any(|((name, _), (next, _))| name == next) {
            return None;
        }
        let mut hasher = FxHasher::default();
        fields.hash(&mut hasher);
        // 0 has to be something, too.
        NonZeroU32::new((hasher.finish() >> 32) as u32).or(Some(NonZeroU32::MIN))
    }

    fn head(&self) -> impl Iterator<Item = &(Cow<'a, str>, &'a RawValue)> {
        self.before.iter().chain(&self.after)
    }
}

fn sorted<'h, 'a: 'h>(
    head: impl Iterator<Item = &'h (Cow<'a, str>, &'a RawValue)>,
) -> Vec<(&'h str, &'h str)> {
    let mut fields: Vec<_> = head.map(|(name, value)| (&**name, value.get())).collect();
    fields.sort_unstable();
    fields
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &RawValue) {
    write_value(out, name);
    out.push(b':');
    out.extend_from_slice(value.get().as_bytes());
}

impl<'de: 'a, 'a> Deserialize<'de> for RawBatch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Body)
    }
}

struct Body;

impl<'de> DeVisitor<'de> for Body {
    type Value = RawBatch<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list named `visitors`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut before, mut after, mut visitors) = (Vec::new(), Vec::new(), None);
        while let Some(Key(name)) = map.next_key()? {
            if name == "visitors" && visitors.is_none() {
                visitors = Some(map.next_value()?);
            } else if name == "visitors" {
                return Err(serde::de::Error::duplicate_field("visitors"));
            } else if visitors.is_none() {
                before.push((name, map.next_value()?));
            } else {
                after.push((name, map.next_value()?));
            }
        }
        let visitors = visitors.ok_or_else(|| serde::de::Error::missing_field("visitors"))?;
        Ok(RawBatch { before, visitors, after })
    }
}

/// A field's name, borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
