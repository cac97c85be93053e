//! Writing JSON into memory.

/// Appends `value`, which is made of text keys, numbers and text: writing those into memory cannot fail.
pub(crate) fn write_value<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("JSON with text keys, written to memory, cannot fail");
}

/// Appends a text as a JSON string. Most need no escape: those are copied whole.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    if needs_no_escape(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        write_value(out, text);
    }
}

/// Whether a JSON string of this text is the text between quotes: no quote, backslash or control character is in it.
/// Eight bytes at a time: every text of every request is looked at.
pub(crate) fn needs_no_escape(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    };
    let (words, _) = text.as_chunks();
    !words.iter().chain([last]).any(|word| has_special(*word))
}

/// Whether one of these is to be escaped.
fn has_special(bytes: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 255;
    /// The highest bit of some byte is set where one is below `limit`.
    fn below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(EACH * limit) & !word
    }
    let word = u64::from_ne_bytes(bytes);
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_needs_no_escape_where_its_json_is_itself() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=127_u8 {
                    for other in ["a", "\u{1}", "\u{7f}", "!"] {
                        let mut text = other.repeat(length);
                        text.replace_range(at..=at, &char::from(byte).to_string());
                        let json = serde_json::to_string(&text).unwrap();
                        let is_itself = json.get(1..json.len() - 1) == Some(&*text);
                        assert_eq!(needs_no_escape(text.as_bytes()), is_itself, "{text:?}");
                    }
                }
            }
        }
        assert!(needs_no_escape(b"") && needs_no_escape("é☕ é☕ é☕".as_bytes()));
    }
}
