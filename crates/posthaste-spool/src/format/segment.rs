//! A segment: a file whose name says its number and the first record it may hold, with a header of one page.
//!
//! Losing a header loses nothing: the name says the same, and the spool's id stands in the cursor and in the other
//! headers. What the header adds is the proof that the file belongs here.

use super::{put, u16_at, u32_at, u64_at};

/// Where frames start.
pub(crate) const DATA_START: u64 = 4_096;
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 4_096;
/// The part of it that says something.
const MEANT_BYTES: usize = 64;
/// A smaller segment would be mostly header.
pub(crate) const MIN_SEGMENT_BYTES: u64 = 16 << 10;
/// Offsets and batch lengths stay far from 32 bits.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// How far an unreleased version's segments are named apart from ours.
const OLD_DIGITS: usize = 20;
const MAGIC: [u8; 8] = *b"PHSPOOL\n";

/// The name of a segment.
pub(crate) fn name(number: u64, first: u64) -> String {
    format!("seg-{number:010}-{first:020}.log")
}

/// The number and the first record of a segment, by its name.
pub(crate) fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (number, first) = name.strip_prefix("seg-")?.strip_suffix(".log")?.split_once('-')?;
    (number.len() >= 10 && first.len() == 20).then_some(())?;
    Some((digits(number)?, digits(first)?))
}

/// The name of an empty segment.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:010}.log")
}

/// The number of an empty segment.
pub(crate) fn parse_spare_name(name: &str) -> Option<u64> {
    digits(name.strip_prefix("spare-")?.strip_suffix(".log")?)
}

/// Whether this is a segment of the layout that came before the first release.
pub(crate) fn is_old_name(name: &str) -> bool {
    let number = name.strip_prefix("seg-").and_then(|rest| rest.strip_suffix(".log"));
    number.is_some_and(|number| number.len() == OLD_DIGITS && digits(number).is_some())
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) spool: u64,
    pub(crate) number: u64,
    /// The number of the first record that it may hold.
    pub(crate) first: u64,
}

/// What is found where a header should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Sound(Header),
    /// Sound, but of a version that this one cannot read.
    Newer(u16),
    Damaged,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &crate::FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.spool.to_le_bytes());
        put(&mut bytes, 24, &self.number.to_le_bytes());
        put(&mut bytes, 32, &self.first.to_le_bytes());
        let crc = checksum(&bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Found {
        Self::try_decode(bytes).unwrap_or(Found::Damaged)
    }

    fn try_decode(bytes: &[u8]) -> Option<Found> {
        if !bytes.starts_with(&MAGIC) || u32_at(bytes, 12)? != checksum(bytes) {
            return None;
        }
        // A version or a feature that is not known here.
        let (version, features) = (u16_at(bytes, 8)?, u16_at(bytes, 10)?);
        if version != crate::FORMAT_VERSION || features != 0 {
            return Some(Found::Newer(version));
        }
        let header =
            Self { spool: u64_at(bytes, 16)?, number: u64_at(bytes, 24)?, first: u64_at(bytes, 32)? };
        Some(Found::Sound(header))
    }
}

/// Of what is meant, with the checksum's own place as zeros.
fn checksum(bytes: &[u8]) -> u32 {
    let mut meant = [0; MEANT_BYTES];
    let known = bytes.len().min(MEANT_BYTES);
    put(&mut meant, 0, bytes.get(..known).unwrap_or_default());
    put(&mut meant, 12, &[0; 4]);
    crc32fast::hash(&meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_age_and_are_read_back() {
        assert_eq!(parse_name(&name(7, 12_345)), Some((7, 12_345)));
        assert_eq!(parse_name(&name(12_345_678_901, 1)), Some((12_345_678_901, 1)));
        assert_eq!(parse_spare_name(&spare_name(9)), Some(9));
        assert!(name(9, 500) < name(10, 400));
        for foreign in
            ["seg-1-2.log", "seg-0000000001.log", "seg-00000000000000000002.log", "cursor", "seg--.log"]
        {
            assert_eq!(parse_name(foreign), None, "{foreign}");
        }
        assert!(is_old_name("seg-00000000000000000002.log") && !is_old_name(&name(2, 1)));
    }

    #[test]
    fn any_changed_byte_of_a_header_is_noticed() {
        let header = Header { spool: 77, number: 3, first: 40 };
        let sound = header.encode();
        assert_eq!(Header::decode(&sound), Found::Sound(header));
        for at in 0..MEANT_BYTES {
            let mut hurt = sound.clone();
            hurt[at] ^= 0x20;
            assert_eq!(Header::decode(&hurt), Found::Damaged, "byte {at}");
        }
    }
}
