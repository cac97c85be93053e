//! Halves of surrogate pairs in JSON text.
//!
//! `"\ud800"` is within JSON's grammar (RFC 8259 8.2), and programs whose strings are UTF-16 write it, but it stands for
//! no character: a reader whose strings are Unicode must refuse the whole text or put something in its place. Here that
//! is U+FFFD, counted so that it can be said. Nothing else is changed, and text without such a half is not copied.

use std::borrow::Cow;

/// What stands in the place of a half: of the same length, so that places in errors stay right.
const REPLACEMENT: &[u8; 6] = br"\ufffd";

/// This JSON text with each half of a surrogate pair replaced, and how many there were.
pub(super) fn repaired(json: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let (mut text, mut count, mut at) = (Cow::Borrowed(json), 0, 0);
    while let Some(found) = next_escape(json, at) {
        at = match escape(json, found) {
            Escape::Pair => found + 2 * REPLACEMENT.len(),
            Escape::Half => {
                if let Some(half) = text.to_mut().get_mut(found..found + REPLACEMENT.len()) {
                    half.copy_from_slice(REPLACEMENT);
                }
                count += 1;
                found + REPLACEMENT.len()
            }
            Escape::Other => found + 2,
        };
    }
    (text, count)
}

/// What begins with a backslash.
enum Escape {
    Pair,
    Half,
    /// Anything else; its second byte is no beginning of another escape.
    Other,
}

fn next_escape(json: &[u8], from: usize) -> Option<usize> {
    json.get(from..)?.iter().position(|&byte| byte == b'\\').map(|at| from + at)
}

fn escape(json: &[u8], at: usize) -> Escape {
    match code_unit(json, at) {
        Some(0xD800..=0xDBFF) => match code_unit(json, at + REPLACEMENT.len()) {
            Some(0xDC00..=0xDFFF) => Escape::Pair,
            _ => Escape::Half,
        },
        Some(0xDC00..=0xDFFF) => Escape::Half,
        _ => Escape::Other,
    }
}

/// The number that `\uXXXX` at this place stands for.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + REPLACEMENT.len())?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |unit: u16, &digit| {
        let digit = char::from(digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok())?;
        Some((unit << 4) | digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        for (json, expected, halves) in [
            (r#""plain""#, r#""plain""#, 0),
            (r#""\ud800""#, r#""\ufffd""#, 1),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#, 0),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#, 2),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#, 1),
            (r#""\ud83dA\ude00""#, r#""\ufffdA\ufffd""#, 2),
            (r#""\\ud800""#, r#""\\ud800""#, 0),
            (r#""\\\ud800""#, r#""\\\ufffd""#, 1),
            (r#""\u00e9\n""#, r#""\u00e9\n""#, 0),
            (r#""\ud80"#, r#""\ud80"#, 0),
            (r"\", r"\", 0),
        ] {
            let (text, count) = repaired(json.as_bytes());
            assert_eq!((&*text, count), (expected.as_bytes(), halves), "{json}");
            assert_eq!(matches!(text, Cow::Borrowed(_)), halves == 0, "{json}");
        }
    }

    proptest! {
        /// Any UTF-16, halves and all, is read as `String::from_utf16_lossy` reads it.
        #[test]
        fn text_becomes_what_utf_16_readers_make_of_it(
            units in prop::collection::vec(prop_oneof![any::<u16>(), 0xD800_u16..0xE000], 0..20)
        ) {
            let escapes: Vec<String> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{}\"", escapes.concat());
            let (text, _) = repaired(json.as_bytes());
            let read: String = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }
    }
}
