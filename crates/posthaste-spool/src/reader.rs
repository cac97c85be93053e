//! Reads committed records, oldest first, and leaves them where they are.
//!
//! Never returns a byte that did not check out. Every sequence number below the committed end is either returned,
//! or settled: acknowledged before, or lost to damage and counted once. Reading on from where the last read ended
//! costs no seek.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    error::{At, ReadError},
    filesystem::OpenMode,
    scan::{Item, Scanner},
    shared::{Segment, Shared},
};

/// A record as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; later records have greater ones.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    place: Option<Place>,
}

/// Where in which segment the last read ended.
#[derive(Debug)]
struct Place {
    number: u64,
    scanner: Scanner,
    /// The record that the scanner should meet next.
    expected: u64,
    /// Damage passed since the last record.
    damage: Vec<Range<u64>>,
}

/// What one call collects, and how much it may.
struct Take {
    from: u64,
    records: Vec<Record>,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

/// Why the walk through a segment ended.
#[derive(PartialEq, Eq)]
enum Walk {
    Full,
    SegmentEnd,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, place: None }
    }

    /// Unsettled records from `from` on, as many as both limits allow, at least one if there is one.
    pub(crate) fn read(
        &mut self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let mut take = Take { from, records: Vec::new(), bytes: 0, records_max, bytes_max };
        if records_max == 0 {
            return Ok(take.records);
        }
        let mut want = from;
        while let Some((segment, bound, start)) = self.next_segment(want) {
            let path = self.shared.segment_path(segment.number);
            if !self.go_to(&segment, start)? {
                self.shared.lose(segment.number, segment.first..bound, &[], None);
                want = bound;
                continue;
            }
            match self.walk(bound, &mut take).at("read", &path) {
                Ok(Walk::Full) => break,
                Ok(Walk::SegmentEnd) => want = bound,
                Err(error) => {
                    self.place = None;
                    return Err(error.into());
                }
            }
        }
        Ok(take.records)
    }

    /// The segment of the first record from `want` on that is not settled, with its bound.
    fn next_segment(&self, want: u64) -> Option<(Segment, u64, u64)> {
        let state = self.shared.state.lock();
        let start = want.max(state.acks.low());
        if start >= state.next {
            return None;
        }
        // Without a segment for it, the record is gone with its file; go on with the oldest one there is.
        let index = state.segment_of(start).unwrap_or(0);
        let segment = state.segments.get(index)?.clone();
        let bound = state.bound(index);
        Some((segment, bound, start))
    }

    /// Puts the reader before the record `start`, or somewhere earlier in its segment. False if the segment's file
    /// is gone while its folder is there.
    fn go_to(&mut self, segment: &Segment, start: u64) -> Result<bool, ReadError> {
        if let Some(place) = &mut self.place
            && place.number == segment.number
            && place.expected <= start
        {
            place.scanner.extend(segment.read_end());
            return Ok(true);
        }
        let path = self.shared.segment_path(segment.number);
        let file = match self.shared.filesystem.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.shared.filesystem.list(&self.shared.dir).at("list", &self.shared.dir)?;
                return Ok(false);
            }
            error => error.at("open", &path)?,
        };
        let scanner = Scanner::new(file, segment.seed.clone(), segment.read_end());
        self.place =
            Some(Place { number: segment.number, scanner, expected: segment.first, damage: Vec::new() });
        Ok(true)
    }

    fn walk(&mut self, bound: u64, take: &mut Take) -> io::Result<Walk> {
        let Some(place) = &mut self.place else { return Ok(Walk::SegmentEnd) };
        while place.expected < bound {
            let Some(item) = place.scanner.next()? else {
                place.damage.push(place.scanner.rest());
                break;
            };
            let (offset, sequence) = match item {
                Item::Damage { range, .. } => {
                    place.damage.push(range);
                    continue;
                }
                Item::Frame { offset, frame } if frame.is_record() && frame.sequence >= place.expected => {
                    (offset, frame.sequence)
                }
                Item::Frame { .. } => continue,
            };
            if sequence >= bound {
                break;
            }
            if !take.has_room_for(place.scanner.payload().len()) {
                place.scanner.seek(offset);
                return Ok(Walk::Full);
            }
            place.lose_until(sequence, &self.shared);
            place.expected = sequence.saturating_add(1);
            if sequence >= take.from && !self.shared.state.lock().acks.contains(sequence) {
                take.push(sequence, place.scanner.payload());
            }
        }
        place.lose_until(bound, &self.shared);
        place.expected = bound.max(place.expected);
        Ok(Walk::SegmentEnd)
    }
}

impl Place {
    /// Gives up what should have come before `sequence` and did not.
    fn lose_until(&mut self, sequence: u64, shared: &Shared) {
        let damage = std::mem::take(&mut self.damage);
        if self.expected < sequence {
            shared.lose(self.number, self.expected..sequence, &damage, Some(self.scanner.file()));
        }
    }
}

impl Take {
    fn has_room_for(&self, bytes: usize) -> bool {
        let fits = self.records.len() < self.records_max && self.bytes + bytes <= self.bytes_max;
        self.records.is_empty() || fits
    }

    fn push(&mut self, sequence: u64, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.records.push(Record { sequence, bytes: Bytes::copy_from_slice(bytes) });
    }
}
