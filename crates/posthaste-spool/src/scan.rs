//! Walks the frames of one segment, past damage, with a bounded buffer.
//!
//! A frame whose header checks out but whose payload does not is skipped by its length. Where no header checks
//! out, the scan goes on in steps of eight bytes to the next one that does; when there is none, the segment ends.
//! A block that the disk cannot read counts as zeros, so that one bad sector costs what was in it.

use std::{io, ops::Range};

use crate::{
    filesystem::SpoolFile,
    frame::{ALIGN, Frame, HEADER_BYTES, MAGIC, Seed},
    segment::DATA_START,
};

/// What is read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// What is given up where the disk cannot read.
const BLOCK_BYTES: usize = 4_096;

/// One step of a scan.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A sound frame; [`Scanner::payload`] has its payload.
    Frame { offset: u64, frame: Frame },
    /// Bytes that are no sound frame. The header, if that at least is sound.
    Damage { range: Range<u64>, frame: Option<Frame> },
}

/// A position in a segment.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Box<dyn SpoolFile>,
    seed: Seed,
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
    payload: Range<usize>,
}

impl Scanner {
    /// Starts at the first frame; sees nothing from `end` on.
    pub(crate) fn new(file: Box<dyn SpoolFile>, seed: Seed, end: u64) -> Self {
        Self { file, seed, offset: DATA_START, end, buffer: Vec::new(), buffer_at: 0, payload: 0..0 }
    }

    /// Lets the scan go on to a later end.
    pub(crate) fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Goes (back) to the start of a frame.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// What lies between here and the end.
    pub(crate) fn rest(&self) -> Range<u64> {
        self.offset..self.end.max(self.offset)
    }

    pub(crate) fn file(&self) -> &dyn SpoolFile {
        self.file.as_ref()
    }

    /// The payload of the frame just returned.
    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(self.payload.clone()).unwrap_or_default()
    }

    /// The next frame or damage; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        let offset = self.offset;
        let Some(frame) = self.header_at(offset)? else {
            return self.resynchronise(offset);
        };
        let length = frame.size();
        let next = offset + length as u64;
        if next > self.end {
            self.offset = self.end;
            return Ok(Some(Item::Damage { range: offset..self.end, frame: Some(frame) }));
        }
        let at = self.fill(offset, length)?;
        self.offset = next;
        self.payload = at.start + HEADER_BYTES..at.start + HEADER_BYTES + frame.length as usize;
        let whole = at.len() == length && frame.payload_is_sound(&self.seed, self.payload());
        Ok(Some(if whole {
            Item::Frame { offset, frame }
        } else {
            Item::Damage { range: offset..next, frame: Some(frame) }
        }))
    }

    /// From a place where there is no frame to the next one.
    fn resynchronise(&mut self, start: u64) -> io::Result<Option<Item>> {
        let mut at = start + ALIGN as u64;
        while at + (HEADER_BYTES as u64) <= self.end {
            let filled = self.fill(at, CHUNK_BYTES)?;
            let chunk = self.buffer.get(filled).unwrap_or_default();
            if chunk.len() < HEADER_BYTES {
                break;
            }
            let usable = chunk.len() - HEADER_BYTES + 1;
            let found = (0..usable).step_by(ALIGN).find(|at| {
                let candidate = chunk.get(*at..).unwrap_or_default();
                candidate.starts_with(&MAGIC) && Frame::decode(&self.seed, candidate).is_some()
            });
            if let Some(found) = found {
                self.offset = at + found as u64;
                return Ok(Some(Item::Damage { range: start..self.offset, frame: None }));
            }
            at += usable.next_multiple_of(ALIGN) as u64;
        }
        Ok(None)
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<Frame>> {
        let at = self.fill(offset, HEADER_BYTES)?;
        Ok(self.buffer.get(at).and_then(|bytes| Frame::decode(&self.seed, bytes)))
    }

    /// Makes the buffer hold `length` bytes at `offset`, fewer only at the end, and says where in it.
    fn fill(&mut self, offset: u64, length: usize) -> io::Result<Range<usize>> {
        let length = length.min(usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX));
        let buffered = offset
            .checked_sub(self.buffer_at)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip + length <= self.buffer.len());
        if let Some(skip) = buffered {
            return Ok(skip..skip + length);
        }
        let wanted = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.buffer.resize(wanted.min(length.max(CHUNK_BYTES)), 0);
        self.buffer_at = offset;
        let read = read_past_bad_blocks(self.file.as_ref(), &mut self.buffer, offset);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        Ok(0..length.min(read?))
    }
}

/// Reads what can be read; blocks that cannot are zeros. Fails only when nothing of the file can be read: then it
/// is not the blocks that are bad.
pub(crate) fn read_past_bad_blocks(
    file: &dyn SpoolFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let error = match file.read_at(buffer, offset) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let (mut done, mut readable) = (0, false);
    for block in buffer.chunks_mut(BLOCK_BYTES) {
        if let Ok(read) = file.read_at(block, offset + done as u64) {
            readable = true;
            done += read;
            if read < block.len() {
                break;
            }
        } else {
            block.fill(0);
            done += block.len();
        }
    }
    let readable = readable || file.read_at(&mut [0], 0).is_ok();
    if readable { Ok(done) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten blocks of sevens, of which the disk cannot read some.
    #[derive(Debug)]
    struct BadBlocks(Vec<u64>);

    impl SpoolFile for BadBlocks {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let block = BLOCK_BYTES as u64;
            let end = offset + buffer.len() as u64;
            if self.0.iter().any(|bad| bad * block < end && offset < (bad + 1) * block) {
                return Err(io::Error::other("bad block"));
            }
            buffer.fill(7);
            Ok(buffer.len())
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Ok(())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn size(&self) -> io::Result<u64> {
            Ok(10 * BLOCK_BYTES as u64)
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn is_linked(&self) -> io::Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn a_block_that_cannot_be_read_counts_as_zeros() {
        let mut buffer = vec![1; 10 * BLOCK_BYTES];
        let read = read_past_bad_blocks(&BadBlocks(vec![3]), &mut buffer, 0).expect("the rest is readable");
        assert_eq!(read, buffer.len());
        for (number, block) in buffer.chunks(BLOCK_BYTES).enumerate() {
            assert!(block.iter().all(|byte| *byte == if number == 3 { 0 } else { 7 }));
        }
    }

    #[test]
    fn a_bad_block_read_on_its_own_counts_as_zeros_while_the_file_is_readable() {
        let mut buffer = vec![1; 100];
        let read = read_past_bad_blocks(&BadBlocks(vec![3]), &mut buffer, 3 * BLOCK_BYTES as u64);
        assert_eq!(read.expect("the file is readable"), 100);
        assert!(buffer.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn where_nothing_can_be_read_the_error_is_told() {
        let mut buffer = vec![1; 2 * BLOCK_BYTES];
        assert!(read_past_bad_blocks(&BadBlocks(vec![0, 1]), &mut buffer, 0).is_err());
    }
}
