//! Numbers and texts in an event's bytes: a number in seven bits a byte, the lowest first; a text behind its length.
//!
//! The layout never leaves the process. Reading takes whatever is there, and panics at nothing.

/// Bits of a number in each byte; the eighth says that more follow.
const BITS: u32 = 7;
const MORE: u8 = 0x80;

#[inline]
pub(super) fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= usize::from(MORE) {
        out.push(lowest(number) | MORE);
        number >>= BITS;
    }
    out.push(lowest(number));
}

#[inline]
fn lowest(number: usize) -> u8 {
    u8::try_from(number & usize::from(!MORE)).unwrap_or_default()
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// How many bytes a number takes.
pub(super) fn number_bytes(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    bits.div_ceil(BITS).max(1) as usize
}

#[inline]
pub(super) fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (mut number, mut shift) = (0_usize, 0);
    loop {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= usize::from(byte & !MORE).checked_shl(shift)?;
        if byte & MORE == 0 {
            return Some(number);
        }
        shift += BITS;
    }
}

#[inline]
pub(super) fn take_bytes<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(bytes)
}

/// A text behind its length; empty where none is there.
pub(super) fn take_text<'a>(rest: &mut &'a [u8]) -> &'a str {
    let length = take_number(rest).unwrap_or_default();
    as_text(take_bytes(rest, length).unwrap_or_default())
}

/// Bytes that were copied from a text.
pub(super) fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_come_back_as_they_were() {
        let numbers = [0, 1, 127, 128, 300, 16_383, 16_384, usize::MAX >> 1, usize::MAX];
        let mut out = Vec::new();
        for number in numbers {
            let before = out.len();
            put_number(&mut out, number);
            assert_eq!(out.len() - before, number_bytes(number), "{number}");
            put_text(&mut out, "é");
        }
        let rest = &mut &*out;
        for number in numbers {
            assert_eq!((take_number(rest), take_text(rest)), (Some(number), "é"));
        }
        assert_eq!((take_number(rest), take_text(rest)), (None, ""));
    }

    #[test]
    fn bytes_that_are_cut_short_are_no_number() {
        assert_eq!(take_number(&mut &[0xFF, 0x80][..]), None);
        assert_eq!(take_number(&mut &[0xFF; 20][..]), None);
        assert_eq!(take_bytes(&mut &[1, 2][..], 3), None);
    }
}
