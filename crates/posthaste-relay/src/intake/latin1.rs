//! Bodies in Latin-1: the Java SDK sends `é` as the byte E9, and says that it is JSON.

use std::borrow::Cow;

/// What some programs begin their texts with.
pub(super) const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes as UTF-8, and whether they had to be made so: where they are none, each byte is the character of its
/// number.
pub(super) fn to_utf8(bytes: &[u8]) -> (Cow<'_, [u8]>, bool) {
    if std::str::from_utf8(bytes).is_ok() {
        return (Cow::Borrowed(bytes), false);
    }
    // A mark stays one, whatever follows it.
    let (mark, rest) = bytes.split_at(if bytes.starts_with(MARK) { MARK.len() } else { 0 });
    let text: String = rest.iter().map(|byte| char::from(*byte)).collect();
    (Cow::Owned([mark, text.as_bytes()].concat()), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_stays_and_everything_else_is_read_byte_by_byte() {
        assert_eq!(to_utf8("é".as_bytes()), (Cow::Borrowed("é".as_bytes()), false));
        assert_eq!(to_utf8(b"caf\xE9"), (Cow::Owned("café".as_bytes().to_vec()), true));
        let all: Vec<u8> = (0..=255).collect();
        let (text, mended) = to_utf8(&all);
        assert!(mended);
        assert_eq!(
            std::str::from_utf8(&text).unwrap().chars().map(u32::from).collect::<Vec<_>>(),
            (0..=255).collect::<Vec<_>>()
        );
    }
}
