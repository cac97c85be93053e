//! Writing JSON into memory.

/// Appends `value`, which is made of text keys, numbers and text: writing those into memory cannot fail.
pub(crate) fn write_value<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("JSON with text keys, written to memory, cannot fail");
}
