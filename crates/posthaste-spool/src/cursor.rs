//! The cursor file: how far the spool is settled.
//!
//! Two slots are written in turn, each with a checksum and a generation, and the newer sound one counts. A torn or
//! damaged slot costs the acknowledgements since the other: those records are delivered again, none is lost. The
//! file is never needed: without it, everything that is there counts as unacknowledged.

use std::{io, path::Path};

use crate::{
    acks::Acks,
    error::{At, DiskError},
    filesystem::{OpenMode, SpoolFile},
    frame::{put, u32_at, u64_at},
    scan::read_past_bad_blocks,
    shared::Shared,
};

/// The file's name.
pub(crate) const NAME: &str = "cursor";
/// Bytes of one slot.
const SLOT_BYTES: usize = 4_096;
const MAGIC: [u8; 8] = *b"PHCURSR\x01";
const RANGES_START: usize = 40;
const CRC_START: usize = SLOT_BYTES - 4;
/// Settled ranges above the low mark that fit into a slot; more come again after a restart.
const RANGES_MAX: usize = (CRC_START - RANGES_START) / 16;

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) generation: u64,
    /// The next sequence number to give out; what is behind it was used.
    pub(crate) next: u64,
    pub(crate) acks: Acks,
}

impl Cursor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SLOT_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &self.generation.to_le_bytes());
        put(&mut bytes, 16, &self.acks.low().to_le_bytes());
        put(&mut bytes, 24, &self.next.to_le_bytes());
        let mut count: u64 = 0;
        for (range, at) in self.acks.ranges().take(RANGES_MAX).zip((RANGES_START..).step_by(16)) {
            put(&mut bytes, at, &range.start.to_le_bytes());
            put(&mut bytes, at + 8, &range.end.to_le_bytes());
            count += 1;
        }
        put(&mut bytes, 32, &count.to_le_bytes());
        let crc = crc32fast::hash(bytes.get(..CRC_START).unwrap_or_default());
        put(&mut bytes, CRC_START, &crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let sound = bytes.starts_with(&MAGIC)
            && bytes.get(..CRC_START).map(crc32fast::hash) == u32_at(bytes, CRC_START);
        if !sound {
            return None;
        }
        let mut acks = Acks::new(u64_at(bytes, 16)?);
        let count = usize::try_from(u64_at(bytes, 32)?).ok()?.min(RANGES_MAX);
        for at in (RANGES_START..).step_by(16).take(count) {
            acks.settle(u64_at(bytes, at)?..u64_at(bytes, at + 8)?);
        }
        Some(Self { generation: u64_at(bytes, 8)?, next: u64_at(bytes, 24)?, acks })
    }

    /// Reads the newer sound slot, and how many slots are damaged. A slot never written is not damaged.
    pub(crate) fn read(file: &dyn SpoolFile) -> io::Result<(Option<Self>, usize)> {
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        let read = read_past_bad_blocks(file, &mut bytes, 0)?;
        bytes.truncate(read);
        let mut damaged = 0;
        let mut newest: Option<Self> = None;
        for slot in bytes.chunks(SLOT_BYTES) {
            match Self::decode(slot) {
                Some(cursor) if newest.as_ref().is_none_or(|other| other.generation < cursor.generation) => {
                    newest = Some(cursor);
                }
                None if slot.iter().any(|byte| *byte != 0) => damaged += 1,
                _ => {}
            }
        }
        Ok((newest, damaged))
    }

    /// Writes the slot whose turn it is.
    pub(crate) fn write(&self, file: &dyn SpoolFile) -> io::Result<()> {
        file.write_at(&self.encode(), (self.generation % 2) * SLOT_BYTES as u64)
    }
}

/// The file, opened when it is first written.
#[derive(Debug)]
pub(crate) struct CursorFile {
    file: Option<Box<dyn SpoolFile>>,
    generation: u64,
}

impl CursorFile {
    pub(crate) fn new(generation: u64) -> Self {
        Self { file: None, generation }
    }

    /// Writes down what is settled.
    pub(crate) fn write(&mut self, shared: &Shared) -> Result<(), DiskError> {
        let (cursor, unwritten) = {
            let mut state = shared.state.lock();
            let cursor =
                Cursor { generation: self.generation + 1, next: state.next, acks: state.acks.clone() };
            (cursor, std::mem::take(&mut state.acks_unwritten))
        };
        let written = self.put(shared, &cursor);
        if written.is_ok() {
            // On failure the same slot is written again, and the other stays sound.
            self.generation = cursor.generation;
        } else {
            let mut state = shared.state.lock();
            state.acks_unwritten += unwritten;
            state.counters.cursor_failures += 1;
        }
        written
    }

    fn put(&mut self, shared: &Shared, cursor: &Cursor) -> Result<(), DiskError> {
        let path = shared.path(NAME);
        let linked = self.file.take().filter(|file| file.is_linked().unwrap_or(false));
        let file = match linked {
            Some(file) => file,
            None => open(shared, &path)?,
        };
        cursor.write(file.as_ref()).at("write", &path)?;
        shared.sync_file(file.as_ref()).at("sync", &path)?;
        self.file = Some(file);
        Ok(())
    }
}

fn open(shared: &Shared, path: &Path) -> Result<Box<dyn SpoolFile>, DiskError> {
    match shared.filesystem.open(path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = shared.open(path, OpenMode::Create)?;
            shared.sync_dir()?;
            Ok(file)
        }
        file => file.at("open", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_the_round_trip() {
        let mut acks = Acks::new(5);
        acks.settle(9..12);
        acks.settle(20..21);
        let cursor = Cursor { generation: 3, next: 40, acks };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn more_ranges_than_fit_keep_the_oldest() {
        let mut acks = Acks::new(0);
        for start in 1..1_000 {
            acks.settle(start * 2..start * 2 + 1);
        }
        let read = Cursor::decode(&Cursor { generation: 1, next: 9_999, acks }.encode()).expect("sound");
        assert_eq!(read.acks.above_count(), RANGES_MAX as u64);
        assert!(read.acks.contains(2));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = Cursor { generation: 1, next: 7, acks: Acks::new(3) }.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Cursor::decode(&flipped), None, "bit {bit}");
        }
    }
}
