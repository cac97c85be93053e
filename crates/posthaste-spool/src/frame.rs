//! The unit of the log: a 40-byte header with its own checksum, then a payload with another.
//!
//! Invariants: a header that checks out has a true length, so damage in a payload never hides the next frame; and
//! both checksums are seeded with the segment's number and salt, so neither what lies behind the end of a recycled
//! segment nor bytes inside a record pass for a frame. Frames start at multiples of eight bytes.

use crc32fast::Hasher;

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 40;
/// Frames start at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The first bytes of every frame.
pub(crate) const MAGIC: [u8; 4] = [0xF5, b'p', b'h', b'r'];
/// What a dead letter may add to the record it holds.
pub(crate) const DEAD_LETTER_EXTRA_BYTES: usize = 64 << 10;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record on its own.
    Record = 1,
    /// A record of a batch; `count` is its place in it.
    Member = 2,
    /// Opens and closes a batch of `count` records whose first has this sequence.
    Batch = 3,
    /// The same, with the caller's metadata as payload.
    BatchMeta = 4,
    /// Says, through `synced`, that the batches before it are on disk.
    Synced = 5,
    /// Stands over damaged bytes that were moved aside; its payload has no checksum.
    Hole = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Record, Self::Member, Self::Batch, Self::BatchMeta, Self::Synced, Self::Hole]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// The record's sequence number; for others, that of the next record.
    pub(crate) sequence: u64,
    /// Every record below this was committed when the frame was written.
    pub(crate) synced: u64,
    /// Payload length.
    pub(crate) length: u32,
    pub(crate) count: u32,
    payload_crc: u32,
}

impl Frame {
    pub(crate) fn new(kind: Kind, sequence: u64, synced: u64) -> Self {
        Self { kind, sequence, synced, length: 0, count: 0, payload_crc: 0 }
    }

    pub(crate) fn count(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// Appends header, payload and padding.
    pub(crate) fn encode(mut self, seed: &Seed, payload: &[u8], out: &mut Vec<u8>) {
        self.length = u32::try_from(payload.len()).expect("lengths are checked before they get here");
        self.payload_crc = seed.checksum(payload);
        out.extend_from_slice(&self.header(seed));
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(ALIGN), 0);
    }

    /// The header alone, over a payload of `length` bytes that stays what it is.
    pub(crate) fn header_over(mut self, seed: &Seed, length: u32) -> [u8; HEADER_BYTES] {
        self.length = length;
        self.header(seed)
    }

    fn header(&self, seed: &Seed) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        put(&mut header, 0, &MAGIC);
        put(&mut header, 4, &[self.kind as u8]);
        put(&mut header, 8, &self.sequence.to_le_bytes());
        put(&mut header, 16, &self.synced.to_le_bytes());
        put(&mut header, 24, &self.length.to_le_bytes());
        put(&mut header, 28, &self.count.to_le_bytes());
        put(&mut header, 32, &self.payload_crc.to_le_bytes());
        let crc = seed.checksum(header.get(..36).unwrap_or_default());
        put(&mut header, 36, &crc.to_le_bytes());
        header
    }

    /// Reads a header; `None` unless it checks out.
    pub(crate) fn decode(seed: &Seed, bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(&MAGIC) || u32_at(bytes, 36)? != seed.checksum(bytes.get(..36)?) {
            return None;
        }
        Some(Self {
            kind: Kind::from_byte(*bytes.get(4)?)?,
            sequence: u64_at(bytes, 8)?,
            synced: u64_at(bytes, 16)?,
            length: u32_at(bytes, 24)?,
            count: u32_at(bytes, 28)?,
            payload_crc: u32_at(bytes, 32)?,
        })
    }

    pub(crate) fn payload_is_sound(&self, seed: &Seed, payload: &[u8]) -> bool {
        self.kind == Kind::Hole || seed.checksum(payload) == self.payload_crc
    }

    /// Bytes of the whole frame.
    pub(crate) fn size(&self) -> usize {
        size(usize::try_from(self.length).unwrap_or(usize::MAX >> 1))
    }

    pub(crate) fn is_record(&self) -> bool {
        matches!(self.kind, Kind::Record | Kind::Member)
    }

    pub(crate) fn opens_batch(&self) -> bool {
        matches!(self.kind, Kind::Batch | Kind::BatchMeta)
    }
}

/// Bytes of a frame with a payload of this length.
pub(crate) fn size(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(ALIGN)
}

/// What ties checksums to one segment, in one of its lives.
#[derive(Debug, Clone)]
pub(crate) struct Seed(Hasher);

impl Seed {
    pub(crate) fn new(number: u64, salt: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&number.to_le_bytes());
        hasher.update(&salt.to_le_bytes());
        Self(hasher)
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// Copies `bytes` to `target[at..]`; both are of fixed size and fit.
pub(crate) fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    let place = target.get_mut(at..at + bytes.len());
    place.expect("fields lie within their header").copy_from_slice(bytes);
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
