//! What the last segment holds, and where it goes on.
//!
//! The only segment whose end is not known from its successor. Whatever was committed is followed by a frame that
//! says so (`synced`), so what is missing below that mark is damage and costs itself alone, and what is incomplete
//! above it is a write that never finished. A batch above the mark counts as a whole or not at all.

use std::{io, ops::Range};

use bytes::Bytes;

use crate::{
    frame::{Frame, Kind},
    scan::{Item, Scanner},
    segment::{DATA_START, Header},
};

/// The end of a spool.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Where the next frame goes.
    pub(crate) end: u64,
    /// Up to where there are frames that do not count.
    pub(crate) high: u64,
    /// The next sequence number.
    pub(crate) next: u64,
    /// The caller's metadata.
    pub(crate) meta: Option<Bytes>,
    /// Pieces of unfinished writes behind the end.
    pub(crate) torn: Vec<Range<u64>>,
    /// Batches not yet known to be whole, in order.
    open: Vec<Candidate>,
}

/// A batch of which something was found.
#[derive(Debug)]
struct Candidate {
    first: u64,
    start: u64,
    count: Option<u32>,
    has_meta: bool,
    meta: Option<Bytes>,
    seen: u32,
}

impl Tail {
    pub(crate) fn scan(scanner: &mut Scanner, header: &Header) -> io::Result<Self> {
        let mut tail = Self {
            end: DATA_START,
            high: DATA_START,
            next: header.first,
            meta: header.meta.clone(),
            torn: Vec::new(),
            open: Vec::new(),
        };
        while let Some(item) = scanner.next()? {
            match item {
                Item::Frame { offset, frame } => tail.take(offset, &frame, scanner.payload()),
                Item::Damage { range, frame } => tail.take_damage(range, frame),
            }
        }
        tail.conclude();
        Ok(tail)
    }

    fn take(&mut self, offset: u64, frame: &Frame, payload: &[u8]) {
        self.confirm(frame.synced);
        self.next = self.next.max(frame.synced);
        self.end = offset + frame.size() as u64;
        self.high = self.high.max(self.end);
        self.torn.clear();
        if frame.is_record() {
            self.next = self.next.max(frame.sequence.saturating_add(1));
        }
        if frame.kind == Kind::Hole {
            self.next = self.next.max(frame.sequence.saturating_add(u64::from(frame.count)));
        }
        if let Some(batch) = self.candidate(offset, frame) {
            batch.seen += u32::from(frame.kind == Kind::Member);
            if frame.kind == Kind::BatchMeta {
                batch.meta = Some(Bytes::copy_from_slice(payload));
            }
        }
    }

    fn take_damage(&mut self, range: Range<u64>, frame: Option<Frame>) {
        if let Some(frame) = frame {
            self.high = self.high.max(range.end);
            self.candidate(range.start, &frame);
        }
        self.torn.push(range);
    }

    /// The batch that a frame belongs to; its header alone is enough to know that there is one.
    fn candidate(&mut self, offset: u64, frame: &Frame) -> Option<&mut Candidate> {
        let first = match frame.kind {
            Kind::Member => frame.sequence.saturating_sub(u64::from(frame.count)),
            Kind::Batch | Kind::BatchMeta => frame.sequence,
            _ => return None,
        };
        let known = self.open.iter().rposition(|batch| batch.first == first && batch.count != Some(0));
        let index = known.unwrap_or_else(|| {
            self.open.push(Candidate {
                first,
                start: offset,
                count: None,
                has_meta: false,
                meta: None,
                seen: 0,
            });
            self.open.len() - 1
        });
        let batch = self.open.get_mut(index)?;
        if frame.opens_batch() {
            batch.count = Some(frame.count);
            batch.has_meta = frame.kind == Kind::BatchMeta;
        }
        Some(batch)
    }

    /// Everything below `synced` was committed; what is missing of it is damaged.
    fn confirm(&mut self, synced: u64) {
        let confirmed = self.open.iter().take_while(|batch| batch.first < synced).count();
        for batch in self.open.drain(..confirmed) {
            self.meta = batch.meta.or(self.meta.take());
        }
    }

    /// Takes the batches that are whole without a mark that says so, and cuts at the first that is not.
    fn conclude(&mut self) {
        for batch in std::mem::take(&mut self.open) {
            if !batch.is_whole() {
                if batch.start < self.end {
                    self.torn.insert(0, batch.start..self.end);
                }
                self.end = batch.start.min(self.end);
                self.next = self.next.min(batch.first);
                return;
            }
            self.meta = batch.meta.or(self.meta.take());
        }
    }
}

impl Candidate {
    fn is_whole(&self) -> bool {
        self.count == Some(self.seen) && self.has_meta == self.meta.is_some()
    }
}
