//! Appends batches and makes them durable; makes, seals and recycles segments; writes the cursor.
//!
//! Invariants: a result is `Ok` only once the bytes are as durable as the options say; what was committed is never
//! written over; a segment of which a write or sync failed is never written again, because nobody knows what of it
//! reached the disk. Its uncommitted batches go to a fresh segment, under the same sequence numbers; where both
//! segments have them, the later one counts.

use std::{io, path::PathBuf, sync::Arc};

use crate::{
    batch::Batch,
    cursor::{self, Cursor},
    error::{At, DiskError, WriteError},
    filesystem::{OpenMode, SpoolFile},
    frame::{self, Frame, Kind, Seed},
    options::Durability,
    recovery,
    segment::{self, DATA_START, Header},
    shared::{Segment, Shared, State},
    survey::NEW_NAME,
};

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// Held for as long as the writer lives.
    lock: Box<dyn SpoolFile>,
    active: Option<Active>,
    /// Numbers of empty segments, ready for use.
    spares: Vec<u64>,
    next_number: u64,
    /// Number of the oldest segment with writes that no sync followed, where none follows each write.
    unsynced_from: u64,
    cursor: Option<Box<dyn SpoolFile>>,
    cursor_generation: u64,
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
    pub(crate) fn new(
        shared: Arc<Shared>,
        lock: Box<dyn SpoolFile>,
        active: Option<Active>,
        spares: Vec<u64>,
        next_number: u64,
        cursor_generation: u64,
    ) -> Self {
        let unsynced_from = active.as_ref().map_or(next_number, |active| active.number);
        let buffer = Vec::new();
        let writer = Self {
            shared,
            lock,
            active,
            spares,
            next_number,
            unsynced_from,
            cursor: None,
            cursor_generation,
            buffer,
        };
        writer.count_spares();
        writer
    }

    /// Writes batches in order, as few commits as the bounds allow, and answers for each with the sequence number
    /// of its first record. Once one fails for want of a place to write, the rest fail with it.
    pub(crate) fn write(&mut self, batches: &[Batch]) -> Vec<Result<u64, WriteError>> {
        let mut results = Vec::with_capacity(batches.len());
        while let Some(rest) = batches.get(results.len()..)
            && let Some(first) = rest.first()
        {
            let (bytes, bytes_max) = (first.disk_bytes(), self.shared.options.batch_disk_bytes_max());
            if bytes > bytes_max {
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
            if !sequences.is_empty() && self.buffer.len() + batch.disk_bytes() > room {
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
        if self.is_synced() {
            file.sync().at("sync", path)?;
        }
        if !file.is_linked().at("look up", path)? {
            return Err(WriteError::Deleted { path: path.clone() });
        }
        Ok(())
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
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.offset + needed <= self.shared.options.segment_bytes)
        {
            return Ok(());
        }
        self.active = None;
        while let Some(spare) = self.spares.pop() {
            let reused = self.start_segment(spare);
            self.count_spares();
            if reused.is_ok() {
                self.shared.state.lock().counters.recycled_segments += 1;
                return Ok(());
            }
        }
        self.ensure_folder()?;
        let spare = self.make_spare()?;
        Ok(self.start_segment(spare)?)
    }

    /// Turns a spare into the active segment. Its new header is on disk before it gets its name.
    fn start_segment(&mut self, spare: u64) -> Result<(), DiskError> {
        let from = self.shared.path(&segment::spare_name(spare));
        let (first, meta) = {
            let state = self.shared.state.lock();
            (state.next, state.meta.clone())
        };
        let header = Header::new(self.take_number(), first, meta);
        let to = self.shared.segment_path(header.number);
        let started = self.shared.open(&from, OpenMode::Write).and_then(|file| {
            header.write(file.as_ref()).at("write", &from)?;
            self.sync_file(file.as_ref()).at("sync", &from)?;
            self.shared.filesystem.rename(&from, &to).at("rename", &from)?;
            self.sync_dir()?;
            Ok(file)
        });
        let file = match started {
            Ok(file) => file,
            Err(error) => {
                let _ = self.shared.filesystem.remove(&from);
                let _ = self.shared.filesystem.remove(&to);
                return Err(error);
            }
        };
        let segment = Segment::new(&header, self.shared.options.segment_bytes, Some(DATA_START));
        self.shared.state.lock().segments.push_back(segment);
        let (number, seed) = (header.number, header.seed());
        self.active = Some(Active { number, seed, file, path: to, offset: DATA_START });
        Ok(())
    }

    /// Makes an empty segment, written to its full length so that no sync of it has a new size to record.
    fn make_spare(&mut self) -> Result<u64, WriteError> {
        let options = &self.shared.options;
        if self.shared.state.lock().disk_bytes() + options.segment_bytes > options.size_bytes_max {
            return Err(WriteError::SizeLimit { bytes_max: options.size_bytes_max });
        }
        let number = self.take_number();
        let (from, to) = (self.shared.path(NEW_NAME), self.shared.path(&segment::spare_name(number)));
        let made = self.shared.open(&from, OpenMode::Create).and_then(|file| {
            self.preallocate(file.as_ref()).at("allocate", &from)?;
            self.shared.filesystem.rename(&from, &to).at("rename", &from)
        });
        if made.is_err() {
            let _ = self.shared.filesystem.remove(&from);
        }
        made?;
        Ok(number)
    }

    fn preallocate(&self, file: &dyn SpoolFile) -> io::Result<()> {
        let bytes = self.shared.options.segment_bytes;
        if !self.is_synced() {
            return file.set_len(bytes);
        }
        recovery::write_zeros(file, 0, bytes)?;
        file.sync()
    }

    /// Makes an empty segment ahead of need, when the active one is half full.
    pub(crate) fn prepare(&mut self) {
        let half = self.shared.options.segment_bytes / 2;
        let soon = self.active.as_ref().is_some_and(|active| active.offset > half);
        if soon
            && self.is_synced()
            && self.spares.is_empty()
            && let Ok(spare) = self.make_spare()
        {
            self.spares.push(spare);
            self.count_spares();
        }
    }

    /// Makes the folder and the lock anew where they were deleted. If another owns them by now, it stays so.
    fn ensure_folder(&mut self) -> Result<(), WriteError> {
        let dir = self.shared.dir.clone();
        if self.lock.is_linked().at("look up", &dir.join(recovery::LOCK_NAME))? {
            return Ok(());
        }
        self.shared.filesystem.create_dir(&dir).at("create", &dir)?;
        let lost = |_| WriteError::LostLock { path: dir.clone() };
        self.lock = recovery::take_lock(self.shared.filesystem.as_ref(), &dir).map_err(lost)?;
        self.cursor = None;
        Ok(())
    }

    /// Recycles the segments of which everything is settled.
    pub(crate) fn reclaim(&mut self) {
        let mut recycled = Vec::new();
        while let Some(segment) = self.take_reclaimable() {
            let from = self.shared.segment_path(segment.number);
            let room = self.spares.len() + recycled.len() < self.shared.options.spare_segments_max;
            let reusable = room && !segment.suspect && segment.bytes == self.shared.options.segment_bytes;
            let to = self.shared.path(&segment::spare_name(segment.number));
            if reusable && self.shared.filesystem.rename(&from, &to).is_ok() {
                recycled.push(segment.number);
            } else if let Err(error) = self.shared.filesystem.remove(&from)
                && error.kind() != io::ErrorKind::NotFound
            {
                // From the front only: a segment left behind among missing ones would look like damage.
                tracing::warn!(path = %from.display(), %error, "could not remove a segment");
                self.shared.state.lock().segments.push_front(segment);
                break;
            }
        }
        // Until its old name is gone for good, a spare must not be written: it would come back as a segment.
        if !recycled.is_empty() && self.sync_dir().is_ok() {
            self.spares.append(&mut recycled);
        }
        for number in recycled {
            let _ = self.shared.filesystem.remove(&self.shared.path(&segment::spare_name(number)));
        }
        self.count_spares();
    }

    fn take_reclaimable(&self) -> Option<Segment> {
        let mut state = self.shared.state.lock();
        if state.is_reclaimable() { state.segments.pop_front() } else { None }
    }

    /// Writes down what is settled. Until then, it comes again after a crash.
    pub(crate) fn write_cursor(&mut self) -> Result<(), DiskError> {
        let (cursor, unwritten) = {
            let mut state = self.shared.state.lock();
            let generation = self.cursor_generation + 1;
            let cursor = Cursor { generation, next: state.next, acks: state.acks.clone() };
            (cursor, std::mem::take(&mut state.acks_unwritten))
        };
        let written = self.put_cursor(&cursor);
        if written.is_ok() {
            // On failure the same slot is written again, and the other stays sound.
            self.cursor_generation = cursor.generation;
        } else {
            self.cursor = None;
            let mut state = self.shared.state.lock();
            state.acks_unwritten += unwritten;
            state.counters.cursor_failures += 1;
        }
        written
    }

    fn put_cursor(&mut self, cursor: &Cursor) -> Result<(), DiskError> {
        let path = self.shared.path(cursor::NAME);
        let file = match self.cursor.take() {
            Some(file) => file,
            None => self.open_cursor(&path)?,
        };
        cursor.write(file.as_ref()).at("write", &path)?;
        self.sync_file(file.as_ref()).at("sync", &path)?;
        self.cursor = Some(file);
        Ok(())
    }

    fn open_cursor(&self, path: &std::path::Path) -> Result<Box<dyn SpoolFile>, DiskError> {
        match self.shared.filesystem.open(path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = self.shared.open(path, OpenMode::Create)?;
                self.sync_dir()?;
                Ok(file)
            }
            file => file.at("open", path),
        }
    }

    /// Makes everything written survive a power cut, whatever the durability.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        if !self.is_synced() {
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

    fn sync_file(&self, file: &dyn SpoolFile) -> io::Result<()> {
        if self.is_synced() { file.sync() } else { Ok(()) }
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        let dir = &self.shared.dir;
        if self.is_synced() { self.shared.filesystem.sync_dir(dir).at("sync", dir) } else { Ok(()) }
    }

    fn is_synced(&self) -> bool {
        self.shared.options.durability == Durability::Disk
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn count_spares(&self) {
        self.shared.state.lock().spare_bytes = self.spares.len() as u64 * self.shared.options.segment_bytes;
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
