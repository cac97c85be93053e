//! The cursor file: how far the spool is settled, how far it is known to be on disk, and the caller's metadata.
//!
//! ```text
//! slot 0 and 1: written in turn, each synced          slot 2: written over after each commit
//! ```
//!
//! The sound slot of the highest generation counts. Everything that a slot says was true when it was written, and stays
//! true: so the slot that is not synced can only know more, as long as the machine runs. A torn or damaged slot costs
//! what was settled since the others. The file has its full length from the start: writing it takes no new room.

use bytes::Bytes;

use super::{put, u32_at, u64_at};
use crate::{acks::Acks, batch::META_BYTES_MAX, filesystem::SpoolFile};

/// The file's name.
pub(crate) const NAME: &str = "cursor";
/// Bytes of one slot: a page of numbers, and one of metadata.
const SLOT_BYTES: usize = 2 * PAGE_BYTES;
const PAGE_BYTES: usize = 4_096;
const SLOTS: usize = 3;
/// The slot that is written without a sync.
const UNSYNCED: usize = 2;
/// Length of the file.
pub(crate) const FILE_BYTES: usize = SLOTS * SLOT_BYTES;
const MAGIC: [u8; 8] = *b"PHCURSR\x02";
/// What the unreleased layout began its slots with.
const OLD_MAGIC: [u8; 8] = *b"PHCURSR\x01";
/// How often a slot is read that cannot be.
const READS_MAX: usize = 3;
const RANGES_START: usize = 112;
const CRC_START: usize = PAGE_BYTES - 4;
const NO_META: u32 = u32::MAX;
/// Settled ranges above the low mark that fit into a slot; the records of more come again after a restart.
pub(crate) const RANGES_MAX: usize = (CRC_START - RANGES_START) / 16;

/// What a slot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) spool: u64,
    pub(crate) generation: u64,
    /// What is settled.
    pub(crate) acks: Acks,
    /// Every record below this was on disk, or is settled.
    pub(crate) end: u64,
    /// The next number to give out; those before it were used.
    pub(crate) next: u64,
    /// The segment that was written last, and a place in it: every frame before that was stored.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// Records that were lost, ever.
    pub(crate) lost: u64,
    /// The records of dead letters below this number are settled.
    pub(crate) letters: u64,
    /// The owner's process id; 0 once it has closed the spool.
    pub(crate) owner: u32,
    /// The caller's metadata, as of `end`.
    pub(crate) meta: Option<Bytes>,
}

/// What was found in the file.
#[derive(Debug, Default)]
pub(crate) struct FoundCursor {
    pub(crate) newest: Option<Cursor>,
    /// The newest of the slots that were synced.
    pub(crate) synced: Option<Cursor>,
    /// Slots that hold neither zeros nor a sound cursor, in the two synced ones.
    pub(crate) damaged: usize,
    /// Written by the unreleased layout.
    pub(crate) is_old: bool,
}

/// When a slot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one whose turn it is; to be synced.
    InTurn,
    /// The one that is never synced.
    Unsynced,
}

impl Cursor {
    /// `keep`: settled ranges that must not be left out, however many there are.
    pub(crate) fn encode(&self, keep: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; SLOT_BYTES];
        put(&mut bytes, 0, &MAGIC);
        let numbers = [
            self.spool,
            self.generation,
            self.acks.low(),
            self.end,
            self.next,
            self.segment,
            self.offset,
            self.lost,
            self.letters,
        ];
        for (number, at) in numbers.into_iter().zip((8..).step_by(8)) {
            put(&mut bytes, at, &number.to_le_bytes());
        }
        put(&mut bytes, 80, &self.owner.to_le_bytes());
        self.put_meta(&mut bytes);
        let mut count: u32 = 0;
        for (range, at) in self.ranges(keep).into_iter().zip((RANGES_START..).step_by(16)) {
            put(&mut bytes, at, &range.start.to_le_bytes());
            put(&mut bytes, at + 8, &range.end.to_le_bytes());
            count += 1;
        }
        put(&mut bytes, 84, &count.to_le_bytes());
        let crc = crc32fast::hash(bytes.get(..CRC_START).unwrap_or_default());
        put(&mut bytes, CRC_START, &crc.to_le_bytes());
        bytes
    }

    /// As many of the settled ranges as fit: those to be kept, then the oldest.
    fn ranges(&self, keep: &[u64]) -> Vec<std::ops::Range<u64>> {
        let is_kept = |range: &std::ops::Range<u64>| keep.iter().any(|sequence| range.contains(sequence));
        if self.acks.ranges_count() <= RANGES_MAX {
            return self.acks.ranges().collect();
        }
        let (mut first, rest): (Vec<_>, Vec<_>) = self.acks.ranges().partition(is_kept);
        first.extend(rest);
        first.truncate(RANGES_MAX);
        first
    }

    fn put_meta(&self, bytes: &mut [u8]) {
        let meta = self.meta.as_deref().unwrap_or_default();
        let length = self.meta.as_ref().map_or(NO_META, |meta| u32::try_from(meta.len()).unwrap_or(NO_META));
        put(bytes, 88, &length.to_le_bytes());
        put(bytes, 92, &crc32fast::hash(meta).to_le_bytes());
        put(bytes, PAGE_BYTES, meta);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let sound = bytes.starts_with(&MAGIC)
            && bytes.get(..CRC_START).map(crc32fast::hash) == u32_at(bytes, CRC_START);
        if !sound {
            return None;
        }
        let mut acks = Acks::new(u64_at(bytes, 24)?);
        let count = usize::try_from(u32_at(bytes, 84)?).ok()?.min(RANGES_MAX);
        for at in (RANGES_START..).step_by(16).take(count) {
            acks.settle(u64_at(bytes, at)?..u64_at(bytes, at + 8)?);
        }
        Some(Self {
            spool: u64_at(bytes, 8)?,
            generation: u64_at(bytes, 16)?,
            acks,
            end: u64_at(bytes, 32)?,
            next: u64_at(bytes, 40)?,
            segment: u64_at(bytes, 48)?,
            offset: u64_at(bytes, 56)?,
            lost: u64_at(bytes, 64)?,
            letters: u64_at(bytes, 72)?,
            owner: u32_at(bytes, 80)?,
            meta: Self::read_meta(bytes)?,
        })
    }

    /// `None`: the page of metadata is not the one that the page of numbers was written with.
    #[expect(clippy::option_option, reason = "no metadata is something else than none that can be read")]
    fn read_meta(bytes: &[u8]) -> Option<Option<Bytes>> {
        let length = u32_at(bytes, 88)?;
        if length == NO_META {
            return Some(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= META_BYTES_MAX)?;
        let meta = bytes.get(PAGE_BYTES..PAGE_BYTES + length)?;
        (crc32fast::hash(meta) == u32_at(bytes, 92)?).then(|| Some(Bytes::copy_from_slice(meta)))
    }

    /// Reads all slots. What cannot be read counts as damaged.
    pub(crate) fn read(file: &dyn SpoolFile) -> FoundCursor {
        let mut found = FoundCursor::default();
        for slot in 0..SLOTS {
            let mut bytes = vec![0; SLOT_BYTES];
            // An older slot says less, so none is passed over for a failure that passes.
            let mut tries = (0..READS_MAX).map(|_| file.read_at(&mut bytes, (slot * SLOT_BYTES) as u64));
            let read = tries.find_map(Result::ok);
            bytes.truncate(read.unwrap_or(0));
            found.is_old |= bytes.starts_with(&OLD_MAGIC);
            match Self::decode(&bytes) {
                Some(cursor) => found.take(cursor, slot),
                None if slot == UNSYNCED => {}
                None => {
                    found.damaged += usize::from(read.is_none() || bytes.iter().any(|byte| *byte != 0));
                }
            }
        }
        found
    }
}

impl FoundCursor {
    fn take(&mut self, cursor: Cursor, slot: usize) {
        let is_newer =
            |other: &Option<Cursor>| other.as_ref().is_none_or(|other| other.generation < cursor.generation);
        if slot != UNSYNCED && is_newer(&self.synced) {
            self.synced = Some(cursor.clone());
        }
        if is_newer(&self.newest) {
            self.newest = Some(cursor);
        }
    }
}

/// Where the slot of this generation goes.
pub(crate) fn place(generation: u64, slot: Slot) -> u64 {
    let slot = match slot {
        Slot::InTurn => generation % 2,
        Slot::Unsynced => UNSYNCED as u64,
    };
    slot * SLOT_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(acks: Acks) -> Cursor {
        Cursor {
            spool: 9,
            generation: 3,
            acks,
            end: 39,
            next: 40,
            segment: 2,
            offset: 4_096,
            lost: 1,
            letters: 5,
            owner: 77,
            meta: Some(Bytes::from_static(b"meta")),
        }
    }

    #[test]
    fn a_slot_survives_the_round_trip() {
        let mut acks = Acks::new(5);
        acks.settle(9..12);
        acks.settle(20..21);
        let cursor = cursor(acks);
        assert_eq!(Cursor::decode(&cursor.encode(&[])), Some(cursor.clone()));
        let bare = Cursor { meta: None, ..cursor };
        assert_eq!(Cursor::decode(&bare.encode(&[])), Some(bare));
    }

    #[test]
    fn more_ranges_than_fit_keep_the_oldest_and_those_that_must_stay() {
        let mut acks = Acks::new(0);
        for start in 1..1_000 {
            acks.settle(start * 2..start * 2 + 1);
        }
        let read = Cursor::decode(&cursor(acks).encode(&[1_998])).expect("sound");
        assert_eq!(read.acks.ranges_count(), RANGES_MAX);
        assert!(read.acks.contains(1_998) && read.acks.contains(2) && !read.acks.contains(1_996));
    }

    #[test]
    fn any_changed_byte_of_the_numbers_is_noticed() {
        let sound = cursor(Acks::new(5)).encode(&[]);
        for at in 0..PAGE_BYTES + 4 {
            let mut hurt = sound.clone();
            hurt[at] ^= 1;
            assert_eq!(Cursor::decode(&hurt), None, "byte {at}");
        }
    }
}
