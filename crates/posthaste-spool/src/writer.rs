//! Appends batches and makes them durable.
//!
//! Invariants: a result is `Ok` only once the bytes are as durable as the options say; what was committed is never
//! written over; a segment of which a write or sync failed is never written again, because nobody knows what of it
//! reached the disk. Its uncommitted batches go to a fresh segment, under the same sequence numbers; where both
//! segments have them, the later one counts.

use std::{path::PathBuf, sync::Arc};

use crate::{
    batch::Batch,
    cursor::CursorFile,
    error::{At, DiskError, WriteError},
    filesystem::{OpenMode, SpoolFile},
    frame::{self, Frame, Kind, Seed},
    segment::DATA_START,
    shared::{Shared, State},
    stock::Stock,
};

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    stock: Stock,
    active: Option<Active>,
    cursor: CursorFile,
    /// Number of the oldest segment with writes that no sync followed, where none follows each write.
    unsynced_from: u64,
    buffer: Vec<u8>,
}

/// The segment being written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) seed: Seed,
    pub(crate) file: Box<dyn SpoolFile>,
    pub(crate) path: PathBuf,
    /// Where the next frame goes.
    pub(crate) offset: u64,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, stock: Stock, active: Option<Active>, cursor: CursorFile) -> Self {
        let unsynced_from = active.as_ref().map_or(stock.next_number(), |active| active.number);
        Self { shared, stock, active, cursor, unsynced_from, buffer: Vec::new() }
    }

    /// Writes batches in order, as few commits as the bounds allow, and answers for each with the sequence number
    /// of its first record. Once one fails for want of a place to write, the rest fail with it.
    pub(crate) fn write(&mut self, batches: &[Batch]) -> Vec<Result<u64, WriteError>> {
        let mut results = Vec::with_capacity(batches.len());
        while let Some(rest) = batches.get(results.len()..)
            && let Some(first) = rest.first()
        {
            if let Some((bytes, bytes_max)) = first.excess(&self.shared.options) {
                results.push(Err(WriteError::TooLarge { bytes, bytes_max }));
                continue;
            }
            match self.commit(rest) {
                Ok(sequences) => results.extend(sequences.into_iter().map(Ok)),
                Err(error) => results.extend(rest.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    /// Gives up sequence numbers that were promised to records that could not be written.
    pub(crate) fn skip(&self, count: u64) {
        let mut state = self.shared.state.lock();
        let from = state.next;
        state.next += count;
        state.acks.settle(from..from + count);
        state.counters.unwritten_records += count;
    }

    /// Commits as many of the batches as go with one sync, at least one. A second segment gets a chance where the
    /// first one fails.
    fn commit(&mut self, batches: &[Batch]) -> Result<Vec<u64>, WriteError> {
        let needed = batches.first().map_or(0, Batch::disk_bytes);
        self.make_room(needed)?;
        let committed = self.commit_to_active(batches);
        if committed.is_ok() {
            return committed;
        }
        self.make_room(needed)?;
        self.commit_to_active(batches)
    }

    fn commit_to_active(&mut self, batches: &[Batch]) -> Result<Vec<u64>, WriteError> {
        let from = self.shared.state.lock().next;
        let Some(mut active) = self.active.take() else { return Err(WriteError::Closed) };
        let room = self.shared.options.segment_bytes - active.offset - frame::size(0) as u64;
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(self.shared.options.commit_bytes_max);
        self.buffer.clear();
        let mut sequences = Vec::new();
        let mut next = from;
        for batch in batches {
            let fits = self.buffer.len() + batch.disk_bytes() <= room
                && batch.excess(&self.shared.options).is_none();
            if !sequences.is_empty() && !fits {
                break;
            }
            sequences.push(next);
            encode_batch(batch, &active.seed, next, from, &mut self.buffer);
            next += batch.records.len() as u64;
        }
        if let Err(error) = self.put_on_disk(&active) {
            self.give_up(&active, &error);
            return Err(error);
        }
        active.offset += self.buffer.len() as u64;
        self.publish(&mut active, batches.get(..sequences.len()).unwrap_or_default(), next);
        self.active = Some(active);
        Ok(sequences)
    }

    fn put_on_disk(&self, active: &Active) -> Result<(), WriteError> {
        let Active { file, path, offset, .. } = active;
        file.write_at(&self.buffer, *offset).at("write", path)?;
        if self.shared.is_synced() {
            file.sync().at("sync", path)?;
        }
        if !file.is_linked().at("look up", path)? {
            return Err(WriteError::Deleted { path: path.clone() });
        }
        self.stock.check_lock()
    }

    /// Lets everyone see what was committed, and marks it as such behind it. The mark needs no sync of its own: it
    /// only tells damage from a torn end, and without it a whole end is whole.
    fn publish(&self, active: &mut Active, batches: &[Batch], next: u64) {
        let mut mark = Vec::with_capacity(frame::size(0));
        Frame::new(Kind::Synced, next, next).encode(&active.seed, &[], &mut mark);
        if active.file.write_at(&mark, active.offset).is_ok() {
            active.offset += mark.len() as u64;
        }
        let mut state = self.shared.state.lock();
        state.next = next;
        if let Some(meta) = batches.iter().rev().find_map(|batch| batch.meta.as_ref()) {
            state.meta = Some(meta.clone());
        }
        state.counters.commits += 1;
        if let Some(segment) = state.segments.back_mut() {
            segment.end = Some(active.offset);
        }
    }

    /// Seals the segment as suspect. If nothing of it was committed, it goes at once.
    fn give_up(&self, active: &Active, error: &WriteError) {
        tracing::warn!(path = %active.path.display(), %error, "sealed a segment as suspect");
        let empty = {
            let mut state = self.shared.state.lock();
            let State { segments, counters, .. } = &mut *state;
            counters.suspect_segments += 1;
            let empty = segments.back().is_some_and(|segment| segment.end == Some(DATA_START));
            if empty {
                segments.pop_back();
            } else if let Some(segment) = segments.back_mut() {
                segment.suspect = true;
            }
            empty
        };
        if empty {
            let _ = self.shared.filesystem.remove(&active.path);
        }
    }

    /// Sees to it that a batch of this size can be written, in a new segment if need be.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<(), WriteError> {
        let needed = (bytes + frame::size(0)) as u64;
        let segment_bytes = self.shared.options.segment_bytes;
        if self.active.as_ref().is_none_or(|active| active.offset + needed > segment_bytes) {
            self.active = None;
            self.active = Some(self.stock.start_segment()?);
        }
        Ok(())
    }

    /// Makes an empty segment ahead of need, when the active one is half full.
    pub(crate) fn prepare(&mut self) {
        let half = self.shared.options.segment_bytes / 2;
        if self.shared.is_synced() && self.active.as_ref().is_some_and(|active| active.offset > half) {
            self.stock.prepare();
        }
    }

    /// Recycles the segments of which everything is settled.
    pub(crate) fn reclaim(&mut self) {
        self.stock.reclaim();
    }

    /// Writes down what is settled. Until then, it comes again after a crash.
    pub(crate) fn write_cursor(&mut self) -> Result<(), DiskError> {
        self.cursor.write(&self.shared)
    }

    /// Makes everything written survive a power cut, whatever the durability.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        if !self.shared.is_synced() {
            self.sync_segments()?;
        }
        self.write_cursor()
    }

    /// Syncs what was written since the last time. A segment that fails is sealed like any other.
    fn sync_segments(&mut self) -> Result<(), DiskError> {
        let segments: Vec<_> =
            self.shared.state.lock().segments.iter().map(|segment| segment.number).collect();
        let from = self.unsynced_from;
        for number in segments.into_iter().filter(|number| *number >= from) {
            let path = self.shared.segment_path(number);
            let synced =
                self.shared.open(&path, OpenMode::Write).and_then(|file| file.sync().at("sync", &path));
            if let Err(error) = synced {
                if let Some(active) = self.active.take_if(|active| active.number == number) {
                    self.give_up(&active, &error.clone().into());
                }
                return Err(error);
            }
            self.unsynced_from = number;
        }
        self.shared.filesystem.sync_dir(&self.shared.dir).at("sync", &self.shared.dir)
    }
}

/// Appends the frames of a batch whose first record is `first`, everything below `synced` being committed.
fn encode_batch(batch: &Batch, seed: &Seed, first: u64, synced: u64, out: &mut Vec<u8>) {
    let framed = batch.is_framed();
    let kind = if batch.meta.is_some() { Kind::BatchMeta } else { Kind::Batch };
    let count = u32::try_from(batch.records.len()).expect("a batch fits into a segment");
    let bracket = Frame::new(kind, first, synced).count(count);
    let meta = batch.meta.as_deref().unwrap_or_default();
    if framed {
        bracket.encode(seed, meta, out);
    }
    let kind = if framed { Kind::Member } else { Kind::Record };
    for ((record, sequence), place) in batch.records.iter().zip(first..).zip(0..) {
        Frame::new(kind, sequence, synced).count(place).encode(seed, record, out);
    }
    if framed {
        bracket.encode(seed, meta, out);
    }
}
