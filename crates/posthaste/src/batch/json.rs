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

/// Whether a JSON string of this text is the text between quotes.
pub(crate) fn needs_no_escape(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
}
