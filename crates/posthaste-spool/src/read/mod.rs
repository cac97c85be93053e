//! Reads records, oldest first, and leaves them where they are. Reading never writes.
//!
//! Never returns a byte that did not check out. Every number below the stored end is returned, or settled: acknowledged
//! before, or lost and counted once; or it cannot be read just now, and is told as such. Reading on from where the last
//! read ended costs no seek.

use std::{io, ops::Range};

use bytes::Bytes;

use crate::{
    error::{At, ReadError},
    filesystem::OpenMode,
    format::walk::{End, Gap, Item, Walker},
    log::{Log, Segment},
};

/// A record as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; later records have greater ones.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What a read has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The records.
    pub records: Vec<Record>,
    /// Where to read on.
    pub next: u64,
    /// Records that the disk would not hand out just now. They are not lost: try them again later.
    pub unreadable: Vec<Range<u64>>,
}

/// Where the last read ended.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    place: Option<(u64, Walker)>,
}

/// What one call collects, and how much it may.
struct Take {
    from: u64,
    read: Read,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Take {
    fn is_full(&self) -> bool {
        let records = &self.read.records;
        records.len() >= self.records_max || (!records.is_empty() && self.bytes >= self.bytes_max)
    }
}

impl Reader {
    /// Unsettled records from `from` on, as many as both limits allow, at least one if there is one.
    pub(crate) fn read(
        &mut self,
        log: &Log,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Read, ReadError> {
        let read = Read { next: from, ..Read::default() };
        let mut take = Take { from, read, bytes: 0, records_max, bytes_max };
        while !take.is_full()
            && let Some((segment, bound, start)) = next_segment(log, take.read.next)
        {
            take.read.next = start;
            match self.go_to(log, &segment, bound, start)? {
                None => {
                    // Its file is gone.
                    log.lose(segment.number, &(start.max(segment.first)..bound), 1);
                    take.read.next = bound;
                }
                Some(mut walker) => {
                    walk(log, segment.number, &mut walker, &mut take);
                    self.place = Some((segment.number, walker));
                }
            }
        }
        Ok(take.read)
    }

    /// A walker at or before the record `start`; `None` if the segment's file is gone.
    fn go_to(
        &mut self,
        log: &Log,
        segment: &Segment,
        bound: u64,
        start: u64,
    ) -> Result<Option<Walker>, ReadError> {
        if let Some((number, mut walker)) = self.place.take()
            && number == segment.number
            && walker.expected() <= start
            && !walker.is_spent()
        {
            walker.extend(bound);
            return Ok(Some(walker));
        }
        let name = segment.name();
        let path = log.path(&name);
        let opened = log.folder.open(&name, OpenMode::Read);
        if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let records = segment.first..bound;
        let walker = opened.and_then(|file| Walker::new(file, log.home(segment.number), records, End::Known));
        Ok(Some(walker.at("open", &path)?))
    }
}

/// The segment of the first record from `want` on that is not settled, with its bound, and that record.
fn next_segment(log: &Log, want: u64) -> Option<(Segment, u64, u64)> {
    let state = log.state.lock();
    let start = want.max(state.acks.low());
    if start >= state.stored {
        return None;
    }
    // What lies before the oldest segment is settled or lost, and was counted when the spool was opened.
    let index = state.segment_of(start).unwrap_or(0);
    let segment = state.segments.get(index)?.clone();
    let bound = state.bound(index);
    let start = start.max(segment.first);
    if start >= bound {
        return None;
    }
    Some((segment, bound, start))
}

fn walk(log: &Log, segment: u64, walker: &mut Walker, take: &mut Take) {
    while !take.is_full()
        && let Some(item) = walker.next()
    {
        match item {
            Item::Gap(gap) => skip(log, segment, gap, take),
            Item::Frame(frame) if frame.head.is_meta => {}
            Item::Frame(frame) => {
                let sequence = frame.head.sequence;
                if frame.payload.is_empty() {
                    // It was acknowledged before it could be stored.
                    log.ack(std::iter::once(sequence..sequence + 1));
                } else if sequence >= take.from && !log.state.lock().acks.contains(sequence) {
                    take.bytes += frame.payload.len();
                    take.read.records.push(Record { sequence, bytes: frame.payload });
                }
            }
        }
    }
    take.read.next = take.read.next.max(walker.expected());
}

fn skip(log: &Log, segment: u64, gap: Gap, take: &mut Take) {
    if !gap.is_unreadable {
        log.lose(segment, &gap.missing, gap.pieces.len().max(1));
    } else if log.state.lock().acks.unsettled_in(gap.missing.clone()) > 0 {
        take.read.unreadable.push(gap.missing);
    }
}
