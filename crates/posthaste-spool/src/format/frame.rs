//! The unit of the log: a head of 32 bytes with its own checksum, then a payload with another.
//!
//! Invariants: a head's checksum covers where it stands (spool, segment, offset), so bytes that are stale, foreign or in
//! the wrong place are no frames, whatever they hold; and a head that checks out has a true length, so damage in a
//! payload never hides the next frame. Frames start at multiples of eight bytes.

use crc32fast::Hasher;

use super::{put, u32_at, u64_at};

/// Bytes of a frame's head.
pub(crate) const HEAD_BYTES: usize = 32;
/// The same, as a distance in a file.
pub(crate) const HEAD_LENGTH: u64 = HEAD_BYTES as u64;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u64 = 8;
/// Set in the length of a frame whose payload is the caller's metadata.
const IS_META: u32 = 1 << 31;

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The record's number; of metadata, that of the next record.
    pub(crate) sequence: u64,
    /// Payload length.
    pub(crate) length: u32,
    pub(crate) is_meta: bool,
    /// Its place in its batch.
    pub(crate) place: u32,
    /// How many frames its batch has.
    pub(crate) frames: u32,
    /// How many records before it were not known to be stored when it was written.
    pub(crate) unsynced: u32,
    payload_crc: u32,
}

impl Head {
    /// A head for this payload, as the only frame of its batch.
    pub(crate) fn new(sequence: u64, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).expect("lengths are checked before they get here");
        let payload_crc = crc32fast::hash(payload);
        Self { sequence, length, is_meta: false, place: 0, frames: 1, unsynced: 0, payload_crc }
    }

    /// Appends head, payload and padding. `offset` is where the frame will stand.
    pub(crate) fn encode(&self, home: &Home, offset: u64, payload: &[u8], out: &mut Vec<u8>) {
        let mut head = [0; HEAD_BYTES];
        let length = if self.is_meta { self.length | IS_META } else { self.length };
        put(&mut head, 4, &length.to_le_bytes());
        put(&mut head, 8, &self.sequence.to_le_bytes());
        put(&mut head, 16, &self.place.to_le_bytes());
        put(&mut head, 20, &self.frames.to_le_bytes());
        put(&mut head, 24, &self.unsynced.to_le_bytes());
        put(&mut head, 28, &self.payload_crc.to_le_bytes());
        let crc = home.checksum(offset, &head);
        put(&mut head, 0, &crc.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(8), 0);
    }

    /// Reads a head that stands at `offset`; `None` unless it belongs there.
    pub(crate) fn decode(home: &Home, offset: u64, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        if u32_at(bytes, 0)? != home.checksum(offset, bytes) {
            return None;
        }
        Self::parse(bytes)
    }

    /// What a head would say, true or not: for a cheap look before its checksum is worked out.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = u32_at(bytes, 4)?;
        Some(Self {
            sequence: u64_at(bytes, 8)?,
            length: length & !IS_META,
            is_meta: length & IS_META != 0,
            place: u32_at(bytes, 16)?,
            frames: u32_at(bytes, 20)?,
            unsynced: u32_at(bytes, 24)?,
            payload_crc: u32_at(bytes, 28)?,
        })
    }

    pub(crate) fn payload_is_sound(&self, payload: &[u8]) -> bool {
        crc32fast::hash(payload) == self.payload_crc
    }

    /// Bytes of the whole frame.
    pub(crate) fn size(&self) -> u64 {
        (HEAD_LENGTH + u64::from(self.length)).next_multiple_of(ALIGN)
    }

    /// Every record below this was stored when the frame was written.
    pub(crate) fn synced(&self) -> u64 {
        self.sequence.saturating_sub(u64::from(self.unsynced))
    }
}

/// Bytes of a frame with a payload of this length.
pub(crate) fn size(payload: usize) -> usize {
    (HEAD_BYTES + payload).next_multiple_of(8)
}

/// What ties frames to one segment of one spool.
#[derive(Debug, Clone)]
pub(crate) struct Home(Hasher);

impl Home {
    pub(crate) fn new(spool: u64, segment: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&spool.to_le_bytes());
        hasher.update(&segment.to_le_bytes());
        Self(hasher)
    }

    fn checksum(&self, offset: u64, head: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(&offset.to_le_bytes());
        hasher.update(head.get(4..HEAD_BYTES).unwrap_or_default());
        hasher.finalize()
    }
}
