//! A segment file: its name, its header, and how it comes to be.
//!
//! The header is written twice, so that a flipped bit costs nothing. A file gets the name of a segment only once
//! its header is on disk, and loses that name before its header is overwritten: what is named a segment has a
//! header, or is damaged.

use std::{
    hash::{BuildHasher, RandomState},
    io,
};

use bytes::Bytes;

use crate::{
    FORMAT_VERSION,
    filesystem::SpoolFile,
    frame::{Seed, put, u16_at, u32_at, u64_at},
    scan::read_past_bad_blocks,
};

/// Bytes of one copy of the header.
pub(crate) const HEADER_BYTES: usize = 4_096;
/// Where frames begin, behind the second copy.
pub(crate) const DATA_START: u64 = 8_192;
/// The smallest segment that can be asked for.
pub(crate) const MIN_SEGMENT_BYTES: u64 = 10_240;
/// The largest; lengths within it fit into 32 bits.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 30;

const MAGIC: [u8; 8] = *b"PHSPOOL\n";
const META_START: usize = 48;
const CRC_START: usize = HEADER_BYTES - 4;
const NO_META: u32 = u32::MAX;

/// What a segment's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    /// Sequence number of the first record it can hold.
    pub(crate) first: u64,
    pub(crate) salt: u64,
    /// The caller's metadata as of its creation.
    pub(crate) meta: Option<Bytes>,
}

/// What the two copies of a header came to.
#[derive(Debug)]
pub(crate) enum Found {
    Sound(Header),
    /// One copy is damaged.
    Healable(Header),
    Unreadable,
    /// Written by a newer version.
    Newer(u16),
}

impl Header {
    pub(crate) fn new(number: u64, first: u64, meta: Option<Bytes>) -> Self {
        // The keys of a fresh RandomState are random; nobody can put frames for this salt into a record.
        let salt = RandomState::new().hash_one(number);
        Self { number, first, salt, meta }
    }

    pub(crate) fn seed(&self) -> Seed {
        Seed::new(self.number, self.salt)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.number.to_le_bytes());
        put(&mut bytes, 24, &self.first.to_le_bytes());
        put(&mut bytes, 32, &self.salt.to_le_bytes());
        let meta = self.meta.as_deref();
        let length = meta.map_or(NO_META, |meta| u32::try_from(meta.len()).expect("metadata is bounded"));
        put(&mut bytes, 40, &length.to_le_bytes());
        put(&mut bytes, META_START, meta.unwrap_or_default());
        let crc = crc32fast::hash(bytes.get(..CRC_START).unwrap_or_default());
        put(&mut bytes, CRC_START, &crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Option<u16>> {
        let sound = bytes.starts_with(&MAGIC)
            && bytes.get(..CRC_START).map(crc32fast::hash) == u32_at(bytes, CRC_START);
        let version = u16_at(bytes, 8).filter(|_| sound).ok_or(None)?;
        if version > FORMAT_VERSION {
            return Err(Some(version));
        }
        Self::decode_fields(bytes).ok_or(None)
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let length = u32_at(bytes, 40)?;
        let meta = bytes.get(META_START..META_START + usize::try_from(length).ok()?);
        Some(Self {
            number: u64_at(bytes, 16)?,
            first: u64_at(bytes, 24)?,
            salt: u64_at(bytes, 32)?,
            meta: if length == NO_META { None } else { Some(Bytes::copy_from_slice(meta?)) },
        })
    }

    /// Reads both copies.
    pub(crate) fn read(file: &dyn SpoolFile) -> io::Result<Found> {
        let mut bytes = vec![0; 2 * HEADER_BYTES];
        let read = read_past_bad_blocks(file, &mut bytes, 0)?;
        bytes.truncate(read);
        let (first, second) = bytes.split_at(read.min(HEADER_BYTES));
        Ok(match (Self::decode(first), Self::decode(second)) {
            (Ok(header), Ok(other)) if header == other => Found::Sound(header),
            (Ok(header), _) | (_, Ok(header)) => Found::Healable(header),
            (Err(Some(version)), _) | (_, Err(Some(version))) => Found::Newer(version),
            (Err(None), Err(None)) => Found::Unreadable,
        })
    }

    /// Writes both copies.
    pub(crate) fn write(&self, file: &dyn SpoolFile) -> io::Result<()> {
        let mut bytes = self.encode();
        bytes.extend_from_within(..);
        file.write_at(&bytes, 0)
    }
}

/// The name of the segment with this number.
pub(crate) fn name(number: u64) -> String {
    format!("seg-{number:020}.log")
}

/// The name of an empty segment kept for reuse.
pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:020}.log")
}

/// The number in the name of a segment.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    parse(name, "seg-")
}

/// The number in the name of a spare.
pub(crate) fn spare_number_of(name: &str) -> Option<u64> {
    parse(name, "spare-")
}

fn parse(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(".log")?;
    if digits.len() != 20 {
        return None;
    }
    digits.parse().ok()
}
