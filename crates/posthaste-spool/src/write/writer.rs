//! Commits what waits: encodes it, writes it, syncs it, and says so.
//!
//! Invariants: what is told to be stored is as durable as the options say; what was committed is never written over; a
//! segment of which a write or sync failed is never written again, because nobody knows what of it reached the disk, and
//! a second sync may say that all is well when it is not. Its records are still pending, and go to a fresh segment under
//! the same numbers; where both segments have them, the later one counts.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    pending::Completed,
    stock::{self, Spare, Stock},
};
use crate::{
    batch::Batch,
    error::{At, DiskError, WriteError},
    filesystem::SpoolFile,
    format::{
        frame::{Head, Home},
        segment::{DATA_START, Header},
    },
    log::Log,
};

/// Small commits into blocks never written before write zeros ahead: otherwise each of their syncs records a new block
/// beside the data.
const ZEROS_AHEAD_BYTES: u64 = 256 << 10;
/// Commits larger than this are not small.
const SMALL_COMMIT_BYTES: usize = 64 << 10;

/// The segment being written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) number: u64,
    home: Home,
    file: Box<dyn SpoolFile>,
    name: String,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    /// Length of the file.
    bytes: u64,
    /// Up to where its blocks have been written before.
    written: u64,
}

impl Active {
    pub(crate) fn new(
        header: &Header,
        home: Home,
        file: Box<dyn SpoolFile>,
        name: String,
        spare: Spare,
    ) -> Self {
        let written = if spare.is_written { spare.bytes } else { DATA_START };
        Self { number: header.number, home, file, name, offset: DATA_START, bytes: spare.bytes, written }
    }

    /// One that an earlier process wrote, and whose end is known to be on disk.
    pub(crate) fn resumed(
        number: u64,
        home: Home,
        file: Box<dyn SpoolFile>,
        name: String,
        offset: u64,
        bytes: u64,
    ) -> Self {
        Self { number, home, file, name, offset, bytes, written: offset }
    }

    /// Bytes that batches can have.
    pub(crate) fn rest(&self) -> u64 {
        let rest = self.bytes.saturating_sub(self.offset);
        if self.offset == DATA_START { super::plan::capacity(self.bytes) } else { rest }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.offset == DATA_START
    }
}

/// Writes commits.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) log: Arc<Log>,
    pub(crate) stock: Stock,
    pub(crate) active: Option<Active>,
    buffer: Vec<u8>,
}

/// What goes to disk with one sync.
#[derive(Debug, Default)]
struct Group {
    batches: Vec<(u64, Arc<Batch>)>,
    /// What is stored without it.
    stored: u64,
    /// The metadata before it.
    meta: Option<Bytes>,
}

impl Writer {
    pub(crate) fn new(log: Arc<Log>, stock: Stock, active: Option<Active>) -> Self {
        Self { log, stock, active, buffer: Vec::new() }
    }

    /// Commits as many of the waiting batches as go with one sync. A second segment gets a chance where the first one
    /// fails. False: nothing waits.
    pub(crate) fn commit(&mut self, completed: &mut Completed) -> Result<bool, WriteError> {
        let Some(needed) = self.log.state.lock().pending.front().map(super::pending::Entry::disk_bytes)
        else {
            return Ok(false);
        };
        self.find_place(needed)?;
        match self.commit_to_active(completed) {
            Ok(()) => Ok(true),
            Err(first) => {
                tracing::warn!(error = %first, "a write failed; what it was to store goes to another segment");
                self.find_place(needed)?;
                self.commit_to_active(completed)?;
                Ok(true)
            }
        }
    }

    /// Sees to it that there is a segment with room for a batch of this size.
    fn find_place(&mut self, bytes: u64) -> Result<(), WriteError> {
        if self.active.as_ref().is_some_and(|active| bytes <= active.rest()) {
            return Ok(());
        }
        // An unused one stays unused: the next process removes it.
        self.active = None;
        if self.stock.lengths().all(|length| super::plan::capacity(length) < bytes) {
            self.stock.make(bytes)?;
        }
        let started = self.stock.start(bytes);
        self.active = Some(started.ok_or(WriteError::Closed)??);
        self.replan();
        Ok(())
    }

    fn commit_to_active(&mut self, completed: &mut Completed) -> Result<(), WriteError> {
        let Some(mut active) = self.active.take() else { return Err(WriteError::Closed) };
        let group = self.next_group(&active);
        self.encode(&active, &group);
        if let Err(error) = self.put_on_disk(&mut active) {
            self.seal(&active);
            self.replan();
            return Err(error.into());
        }
        active.offset += self.buffer.len() as u64;
        self.active = Some(active);
        self.publish(&group, completed);
        Ok(())
    }

    /// The oldest batches, as many as fit.
    fn next_group(&self, active: &Active) -> Group {
        let state = self.log.state.lock();
        let room = active.rest().min(self.log.options.commit_bytes_max as u64);
        let mut group = Group { batches: Vec::new(), stored: state.stored, meta: state.meta.clone() };
        let mut bytes = 0;
        for entry in state.pending.iter() {
            bytes += entry.disk_bytes();
            if bytes > room && !group.batches.is_empty() {
                break;
            }
            group.batches.push((entry.first, Arc::clone(&entry.batch)));
        }
        group
    }

    fn encode(&mut self, active: &Active, group: &Group) {
        self.buffer.clear();
        let mut put = |sequence: u64, payload: &[u8], is_meta, place, frames| {
            let unsynced = u32::try_from(sequence - group.stored).unwrap_or(u32::MAX);
            let mut head = Head::new(sequence, payload);
            (head.is_meta, head.place, head.frames, head.unsynced) = (is_meta, place, frames, unsynced);
            let offset = active.offset + self.buffer.len() as u64;
            head.encode(&active.home, offset, payload, &mut self.buffer);
        };
        if let (Some(meta), true) = (&group.meta, active.is_unused()) {
            put(group.stored, meta, true, 0, 1);
        }
        for (first, batch) in &group.batches {
            let frames = u32::try_from(batch.frames()).expect("a batch fits into a segment");
            let mut place = 0;
            for (sequence, record) in (*first..).zip(&batch.records) {
                put(sequence, record, false, place, frames);
                place += 1;
            }
            if let Some(meta) = &batch.meta {
                put(first + batch.records.len() as u64, meta, true, place, frames);
            }
        }
    }

    fn put_on_disk(&self, active: &mut Active) -> Result<(), DiskError> {
        let path = || self.log.path(&active.name);
        active.file.write_at(&self.buffer, active.offset).at("write", &path())?;
        let end = active.offset + self.buffer.len() as u64;
        if end > active.written && self.log.is_synced() {
            let ahead = if self.buffer.len() <= SMALL_COMMIT_BYTES { ZEROS_AHEAD_BYTES } else { 0 };
            let until = (end + ahead).min(active.bytes);
            stock::write_zeros(&*active.file, end, until).at("write", &path())?;
            active.written = until;
        }
        self.log.sync_file(&*active.file, &active.name)
    }

    /// Lets everyone see what has been stored.
    fn publish(&self, group: &Group, completed: &mut Completed) {
        let mut state = self.log.state.lock();
        state.counters.commits += 1;
        for (first, batch) in &group.batches {
            // What has been given up meanwhile is nobody's any more.
            if state.pending.front().is_none_or(|entry| entry.first != *first) {
                return;
            }
            let records = state.pending.pop_stored(completed).map(|entry| entry.records());
            state.stored = records.map_or(state.stored, |records| records.end.max(state.stored));
            if let Some(meta) = &batch.meta {
                state.meta = Some(meta.clone());
            }
        }
    }

    /// The segment is written no more.
    fn seal(&self, active: &Active) {
        let mut state = self.log.state.lock();
        state.counters.suspect_segments += 1;
        let Some(last) = state.segments.back_mut().filter(|last| last.number == active.number) else {
            return;
        };
        last.is_suspect = true;
        if last.first == state.stored {
            state.segments.pop_back();
            drop(state);
            let _ = self.log.folder.remove(&active.name);
        }
    }

    /// Works out anew where everything that waits will go.
    pub(crate) fn replan(&self) {
        let rest = self.active.as_ref().map_or(0, Active::rest);
        let mut plan = super::plan::Plan::new(rest, self.stock.lengths());
        let mut state = self.log.state.lock();
        if !state.pending.iter().all(|entry| plan.take(entry.disk_bytes())) {
            plan.clear();
        }
        state.plan = plan;
    }

    /// Takes the segment that was written last out of use, everything ever written being settled.
    pub(crate) fn retire(&mut self) -> Option<crate::log::Segment> {
        let mut state = self.log.state.lock();
        if !state.is_all_settled() || state.segments.is_empty() {
            return None;
        }
        self.active = None;
        let index = state.segments.len() - 1;
        state.take_segment(index)
    }

    /// Makes sure of segments that were written without a sync.
    pub(crate) fn sync_segments(&mut self) -> Result<(), DiskError> {
        let segments: Vec<_> = self.log.state.lock().segments.iter().cloned().collect();
        for segment in segments {
            let name = segment.name();
            let file = self.log.open(&name, crate::filesystem::OpenMode::Write)?;
            file.sync().at("sync", &self.log.path(&name))?;
        }
        self.log.folder.sync().at("sync", &self.log.dir)
    }
}
