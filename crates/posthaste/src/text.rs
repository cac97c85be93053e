//! Bytes to text that JSON can be read from, repaired where that harms nobody.
//!
//! Some editors and .NET put a byte order mark before JSON: it is skipped (RFC 8259 8.1). JavaScript and Python write
//! half of a surrogate pair, as a cut string has it, as `\ud83d` alone: JSON's grammar has it, no text has (RFC 8259 8.2).
//! It becomes U+FFFD, and is counted. Nothing else is changed, and no byte moves behind the mark: places stay true.

use std::borrow::Cow;

/// What some programs begin their files with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// `\uXXXX`.
const ESCAPE: usize = 6;

/// Text, and how much of it was repaired.
///
/// ```
/// use posthaste::judge::Text;
///
/// let text = Text::read(b"\xEF\xBB\xBF{\"t\": \"bad \\ud83d tail\"}")?;
/// assert_eq!((text.as_str(), text.repaired()), (r#"{"t": "bad \ufffd tail"}"#, 1));
/// # Ok::<(), posthaste::judge::NotUtf8>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    repaired: u64,
}

/// Bytes that are no UTF-8 from this one on, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8 at byte {at}")]
#[non_exhaustive]
pub struct NotUtf8 {
    /// The first byte that is none.
    pub at: usize,
}

impl<'a> Text<'a> {
    /// Reads it. Borrows, unless something is repaired.
    pub fn read(bytes: &'a [u8]) -> Result<Self, NotUtf8> {
        let unmarked = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let text = std::str::from_utf8(unmarked)
            .map_err(|error| NotUtf8 { at: bytes.len() - unmarked.len() + error.valid_up_to() })?;
        let halves = lone_halves(text);
        if halves.is_empty() {
            return Ok(Self { text: Cow::Borrowed(text), repaired: 0 });
        }
        let mut repaired = String::with_capacity(text.len());
        let mut done = 0;
        for &half in &halves {
            repaired.push_str(text.get(done..half).unwrap_or_default());
            repaired.push_str(r"\ufffd");
            done = half + ESCAPE;
        }
        repaired.push_str(text.get(done..).unwrap_or_default());
        Ok(Self { text: Cow::Owned(repaired), repaired: halves.len() as u64 })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many halves of surrogate pairs have become U+FFFD.
    pub fn repaired(&self) -> u64 {
        self.repaired
    }
}

/// Where the escapes stand that are half of a pair without the other.
fn lone_halves(text: &str) -> Vec<usize> {
    // Most texts have none.
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Vec::new();
    }
    let might_be = |at: usize| matches!(text.as_bytes().get(at + 2), Some(b'd' | b'D'));
    if !text.match_indices(r"\u").any(|(at, _)| might_be(at)) {
        return Vec::new();
    }
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(text, at), unit(text, at + ESCAPE)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 2 * ESCAPE,
            (Some(0xD800..0xE000), _) => {
                halves.push(at);
                ESCAPE
            }
            // Also `\\`, whose second half begins no escape.
            _ => 2,
        };
        // What is escaped may be longer than a byte, or the text may end here.
        at = text.ceil_char_boundary(at);
    }
    halves
}

/// The UTF-16 unit that is escaped here, if one is.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix(r"\u")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        for (text, repaired) in [
            (r#""\ud83d\ude00""#, 0),
            (r#""\uD83D\uDE00""#, 0),
            (r#""\ud83d""#, 1),
            (r#""\ude00""#, 1),
            (r#""\ude00\ud83d""#, 2),
            (r#""\ud83d\ud83d\ude00""#, 1),
            (r#""\\ud83d""#, 0),
            (r#""\\\ud83d""#, 1),
            (r#""\ud83dé\ude00""#, 2),
            (r#""\ud83"#, 0),
            (r#""\ud83d\"#, 1),
            (r#""\é\ud83d""#, 1),
            (r#""\u00e9\ud7ff\ue000""#, 0),
        ] {
            let read = Text::read(text.as_bytes()).unwrap();
            assert_eq!(read.repaired(), repaired, "{text}");
            assert_eq!(read.as_str().len(), text.len(), "no byte moves: {text}");
            assert_eq!(matches!(read.text, Cow::Borrowed(_)), repaired == 0);
        }
    }

    /// Any sequence of units, escaped, reads as what UTF-16 makes of it.
    #[test]
    fn any_units_read_as_utf16_reads_them() {
        let parts = [0xD83D_u16, 0xDE00, 0x0041, 0xDC00, 0xD800];
        for number in 0..parts.len().pow(4) {
            let units: Vec<u16> =
                (0..4).map(|place| parts[number / parts.len().pow(place) % parts.len()]).collect();
            let escaped: Vec<String> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{}\"", escaped.concat());
            let read: String = serde_json::from_str(Text::read(json.as_bytes()).unwrap().as_str()).unwrap();
            assert_eq!(read, String::from_utf16_lossy(&units), "{json}");
        }
    }

    #[test]
    fn a_place_counts_the_mark() {
        assert_eq!(Text::read(b"\xEF\xBB\xBFa\xFF").unwrap_err().at, 4);
        assert_eq!(Text::read(b"a\xEF\xBB\xBF").unwrap().as_str(), "a\u{feff}", "only at the start");
    }
}
