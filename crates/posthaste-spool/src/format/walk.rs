//! The one walk over frames: past damage, past what cannot be read, up to a bound. Owner, observers, verify, repair and
//! recovery all read with it, so all of them see the same.
//!
//! Invariants: a byte that did not check out is never handed on. Every record number between the first and the bound is
//! handed on as a record, or is part of exactly one [`Gap`]. The walk never writes.

use std::ops::Range;

use bytes::Bytes;

use super::{
    frame::{ALIGN, HEAD_BYTES, HEAD_LENGTH, Head, Home},
    segment::DATA_START,
};
use crate::filesystem::SpoolFile;

/// What is read at once, by whoever goes on and on.
const CHUNK_BYTES: usize = 256 << 10;
/// What is read first: whoever follows the writer record by record needs no more.
const FIRST_CHUNK_BYTES: usize = 16 << 10;
/// What is given up where a read fails.
const PAGE_BYTES: usize = 4_096;
/// The same, as a distance in a file.
const PAGE_LENGTH: u64 = PAGE_BYTES as u64;

/// What the walk meets.
#[derive(Debug)]
pub(crate) enum Item {
    /// A sound frame.
    Frame(Frame),
    /// Bytes that are none, records that are missing, or both.
    Gap(Gap),
}

/// A sound frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) head: Head,
    pub(crate) offset: u64,
    pub(crate) payload: Bytes,
}

/// A place where something is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The numbers of the records that should be here.
    pub(crate) missing: Range<u64>,
    /// The bytes that are damaged, or cannot be read.
    pub(crate) pieces: Vec<Range<u64>>,
    /// Some of it could not be read: another try may find it sound.
    pub(crate) is_unreadable: bool,
    /// Bytes behind the last frame without a sound head among them: what a segment held before it was used again, or the
    /// beginning of a write that was cut off.
    pub(crate) is_scrap: bool,
    /// Where the next sound frame is, or the end.
    pub(crate) offset: u64,
}

/// Where the walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Every record below the bound should be there: those that are not are a gap.
    Known,
    /// Nobody knows: behind the last frame there is nothing to be missed.
    Open,
}

/// A walk through one segment.
#[derive(Debug)]
pub(crate) struct Walker {
    file: Box<dyn SpoolFile>,
    home: Home,
    window: Window,
    offset: u64,
    /// Where the file ends.
    end: u64,
    /// The next record that should be met.
    expected: u64,
    /// Records from this one on do not count.
    bound: u64,
    kind: End,
    pieces: Vec<Range<u64>>,
    is_unreadable: bool,
    /// Among the pieces is a sound head.
    has_head: bool,
}

impl Walker {
    /// From the beginning of a segment whose first record is `first`.
    pub(crate) fn new(
        file: Box<dyn SpoolFile>,
        home: Home,
        records: Range<u64>,
        kind: End,
    ) -> std::io::Result<Self> {
        let end = file.size()?;
        Ok(Self {
            file,
            home,
            window: Window::default(),
            offset: DATA_START,
            end,
            expected: records.start,
            bound: records.end,
            kind,
            pieces: Vec::new(),
            is_unreadable: false,
            has_head: false,
        })
    }

    /// The next record that should be met.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// Whether it may go on where it is: having looked for something sound up to the end, it is past what came since.
    pub(crate) fn is_spent(&self) -> bool {
        self.offset + HEAD_LENGTH > self.end
    }

    /// More has been written since.
    pub(crate) fn extend(&mut self, bound: u64) {
        if bound > self.bound {
            self.bound = bound;
            // What lies behind the old bound was read before it was written.
            self.window.forget();
        }
    }

    /// The next thing that is met; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Item> {
        loop {
            if self.expected >= self.bound {
                return None;
            }
            if self.offset + HEAD_LENGTH > self.end {
                return self.at_end();
            }
            let Some(head) = self.head_at(self.offset) else {
                let next = self.scan();
                self.damage(self.offset..next);
                continue;
            };
            if head.sequence >= self.bound {
                // What a segment that failed may hold beyond its successor's first record.
                return self.at_end();
            }
            if head.sequence > self.expected {
                return Some(self.gap(head.sequence));
            }
            let range = self.offset..self.offset + head.size();
            let payload = self.window.get(&*self.file, self.offset + HEAD_LENGTH, head.length as usize);
            match payload.filter(|payload| head.payload_is_sound(payload)) {
                None => {
                    self.has_head = true;
                    self.damage(range);
                }
                Some(_) if !self.pieces.is_empty() => return Some(self.gap(head.sequence)),
                Some(payload) => {
                    let payload = Bytes::copy_from_slice(payload);
                    let offset = std::mem::replace(&mut self.offset, range.end);
                    if !head.is_meta {
                        self.expected = head.sequence + 1;
                    }
                    return Some(Item::Frame(Frame { head, offset, payload }));
                }
            }
        }
    }

    fn damage(&mut self, range: Range<u64>) {
        self.is_unreadable |= self.window.is_bad(&range);
        self.offset = range.end;
        match self.pieces.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(range),
        }
    }

    /// Everything up to the record `next` that has not been handed on.
    fn gap(&mut self, next: u64) -> Item {
        let missing = self.expected..next.max(self.expected);
        self.expected = missing.end;
        let pieces = std::mem::take(&mut self.pieces);
        let is_unreadable = std::mem::take(&mut self.is_unreadable);
        self.has_head = false;
        Item::Gap(Gap { missing, pieces, is_unreadable, is_scrap: false, offset: self.offset })
    }

    fn at_end(&mut self) -> Option<Item> {
        self.offset = self.end.max(self.offset);
        match self.kind {
            End::Known => Some(self.gap(self.bound)),
            End::Open => {
                self.bound = self.expected;
                let is_meant = self.is_unreadable || self.has_bytes();
                if !is_meant || self.pieces.is_empty() {
                    return None;
                }
                let is_scrap = !self.has_head && !self.is_unreadable;
                match self.gap(self.expected) {
                    Item::Gap(gap) => Some(Item::Gap(Gap { is_scrap, ..gap })),
                    frame @ Item::Frame(_) => Some(frame),
                }
            }
        }
    }

    /// Whether any piece holds something else than zeros.
    fn has_bytes(&mut self) -> bool {
        let pieces = self.pieces.clone();
        let pages = pieces.into_iter().flat_map(|piece| piece.step_by(PAGE_BYTES));
        let end = self.end;
        pages.into_iter().any(|at| {
            let length = piece_end(at).min(end.saturating_sub(at));
            let page = self.window.get(&*self.file, at, usize::try_from(length).unwrap_or(PAGE_BYTES));
            page.is_some_and(|page| !is_zero(page))
        })
    }

    /// A head that belongs at `offset`, and whose payload lies within the file.
    fn head_at(&mut self, offset: u64) -> Option<Head> {
        let bytes = self.window.get(&*self.file, offset, HEAD_BYTES)?;
        let claim = Head::parse(bytes)?;
        let is_possible = claim.sequence >= self.expected
            && claim.place < claim.frames
            && offset + HEAD_LENGTH + u64::from(claim.length) <= self.end;
        // The cheap look first: behind damage, every eighth byte may be one.
        if is_possible { Head::decode(&self.home, offset, bytes) } else { None }
    }

    /// The next offset at which there is a frame, or the end.
    fn scan(&mut self) -> u64 {
        let mut at = self.offset + ALIGN;
        while at + HEAD_LENGTH <= self.end {
            if self.head_at(at).is_some() {
                return at;
            }
            // No head is nothing but zeros: its frame would be one of none.
            let zeros = self.window.zeros_at(at);
            at += zeros.saturating_sub(HEAD_LENGTH) / ALIGN * ALIGN + ALIGN;
        }
        self.end
    }
}

/// What is left of the page that `at` lies in.
fn piece_end(at: u64) -> u64 {
    PAGE_LENGTH - at % PAGE_LENGTH
}

/// Whether a page, or less, holds nothing but zeros: by the machine's fastest way to compare.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
    ZEROS.get(..bytes.len()).is_some_and(|zeros| zeros == bytes)
}

/// A part of the file in memory.
#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    start: u64,
    /// What was read at once the last time.
    chunk: usize,
    /// Pages that could not be read, and are zeros here.
    bad: Vec<Range<u64>>,
}

impl Window {
    /// Bytes of the file; `None` where it ends before. What cannot be read is zeros.
    fn get(&mut self, file: &dyn SpoolFile, at: u64, length: usize) -> Option<&[u8]> {
        let is_here = at >= self.start && at + length as u64 <= self.start + self.bytes.len() as u64;
        if !is_here {
            self.load(file, at, length);
        }
        let from = usize::try_from(at - self.start).ok()?;
        self.bytes.get(from..from + length)
    }

    fn load(&mut self, file: &dyn SpoolFile, at: u64, length: usize) {
        self.start = at - at % PAGE_LENGTH;
        let wanted = usize::try_from(at - self.start).unwrap_or(0) + length;
        self.chunk = (2 * self.chunk).clamp(FIRST_CHUNK_BYTES, CHUNK_BYTES);
        self.bytes.resize(wanted.max(self.chunk), 0);
        match file.read_at(&mut self.bytes, self.start) {
            Ok(read) => self.bytes.truncate(read),
            Err(_) => self.load_by_page(file),
        }
    }

    /// Page by page, so that one that cannot be read costs itself.
    fn load_by_page(&mut self, file: &dyn SpoolFile) {
        let size = file.size().unwrap_or(u64::MAX);
        let mut at = self.start;
        self.bytes.fill(0);
        for page in self.bytes.chunks_mut(PAGE_BYTES) {
            let range = at..at + page.len() as u64;
            if file.read_at(page, at).is_err() {
                page.fill(0);
                if !self.bad.contains(&range) {
                    self.bad.push(range.clone());
                }
            }
            at = range.end;
        }
        let known = size.saturating_sub(self.start);
        self.bytes.truncate(usize::try_from(known).unwrap_or(usize::MAX));
    }

    /// How many bytes at this offset, as far as they are here, are zeros.
    fn zeros_at(&self, at: u64) -> u64 {
        let from = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let bytes = from.and_then(|from| self.bytes.get(from..)).unwrap_or_default();
        let mut zeros = 0;
        for piece in bytes.chunks(PAGE_BYTES) {
            if !is_zero(piece) {
                zeros += piece.iter().take_while(|byte| **byte == 0).count();
                break;
            }
            zeros += piece.len();
        }
        zeros as u64
    }

    fn is_bad(&self, range: &Range<u64>) -> bool {
        self.bad.iter().any(|bad| bad.start < range.end && range.start < bad.end)
    }

    fn forget(&mut self) {
        self.bytes.clear();
        self.bad.clear();
        self.chunk = 0;
    }
}
