//! Bare `NaN`, `Infinity` and `-Infinity`: the Python SDK writes them where a tag is no number. JSON has no such words.
//! They become `null`, which is what the JavaScript SDK writes in their place.

/// The words, the longest first where one begins as another.
const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The text with `null` in place of each such word outside strings, and how many there were; `None`: there were none.
pub(super) fn to_null(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut mended, mut count, mut at, mut done, mut in_string) = (Vec::new(), 0, 0, 0, false);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            // Whatever is escaped ends no string.
            b'\\' if in_string => at += 1,
            b'-' | b'I' | b'N' if !in_string => {
                if let Some(word) = word_at(text, at) {
                    mended.extend_from_slice(text.get(done..at).unwrap_or_default());
                    mended.extend_from_slice(b"null");
                    at += word.len();
                    (done, count) = (at, count + 1);
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    mended.extend_from_slice(text.get(done..).unwrap_or_default());
    (count > 0).then_some((mended, count))
}

fn word_at(text: &[u8], at: usize) -> Option<&'static [u8]> {
    let rest = text.get(at..)?;
    WORDS.into_iter().find(|word| rest.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_outside_strings_become_null_and_nothing_else_changes() {
        for (text, mended) in [
            (r#"{"a":NaN}"#, Some((r#"{"a":null}"#, 1))),
            ("[Infinity, -Infinity,NaN]", Some(("[null, null,null]", 3))),
            (r#"{"NaN":"Infinity \" NaN","b":-1}"#, None),
            (r#"{"a":"\\","b":NaN}"#, Some((r#"{"a":"\\","b":null}"#, 1))),
            ("", None),
        ] {
            let expected = mended.map(|(text, count): (&str, usize)| (text.as_bytes().to_vec(), count));
            assert_eq!(to_null(text.as_bytes()), expected, "{text}");
        }
    }
}
