//! Commits what waits: encodes it, writes it, syncs it, and says so.
//!
//! Invariants: what is told to be stored is as durable as the options say; what was committed is never written over; a
//! segment of which a write or sync failed is never written again, because nobody knows what of it reached the disk, and
//! a second sync may say that all is well when it is not. Its records are still pending, and go to a fresh segment under
//! the same numbers; where both segments have them, the later one counts. What an earlier process left without a known sync
//! is written over where it is, with the same bytes, before anything is built on it.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    pending::{Completed, Entry},
    plan::Plan,
    stock::{self, Spare, Stock},
};
use crate::{
    batch::Batch,
    error::{At, DiskError, WriteError},
    filesystem::{OpenMode, SpoolFile},
    format::{
        frame::{Head, Home},
        segment::{DATA_START, Header},
    },
    log::{Log, State},
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
    recovered: Recovered,
    /// A segment and a place in it: everything before that is stored. 0: of none.
    known: (u64, u64),
    /// Whether the names of the segments that were found are on disk for certain.
    are_names_sure: bool,
    buffer: Vec<u8>,
}

/// What an earlier process wrote and may not have synced: the first of what waits. It stays where it is, and is written
/// over with the very same bytes, so that a sync has something to do: whatever becomes of that, the bytes are the same.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The segment that it is in.
    pub(crate) name: String,
    /// Where in it.
    pub(crate) pieces: Vec<Range<u64>>,
    pub(crate) batches: Vec<(u64, Arc<Batch>)>,
    /// The same segment, where it can be written on.
    pub(crate) then: Option<Active>,
    /// The same segment's number, and up to where all of it is known to be stored, before and afterwards.
    pub(crate) known: (u64, u64),
    pub(crate) end: u64,
}

impl Recovered {
    fn batches(&self) -> usize {
        self.batches.len()
    }
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
    pub(crate) fn new(log: Arc<Log>, stock: Stock, mut recovered: Recovered) -> Self {
        let active = if recovered.batches.is_empty() { recovered.then.take() } else { None };
        let known = recovered.known;
        Self { log, stock, active, recovered, known, are_names_sure: false, buffer: Vec::new() }
    }

    /// Commits as many of the waiting batches as go with one sync. A second segment gets a chance where the first one
    /// fails. False: nothing waits.
    pub(crate) fn commit(&mut self, completed: &mut Completed) -> Result<bool, WriteError> {
        let Some(needed) = self.log.state.lock().pending.front().map(Entry::disk_bytes) else {
            return Ok(false);
        };
        self.make_sure_of_names()?;
        if self.recovered.batches() > 0 {
            return self.commit_recovered(completed).map(|()| true);
        }
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

    /// Where the next frame goes, or how far what was written last is known to be stored.
    pub(crate) fn place(&self) -> (u64, u64) {
        self.active.as_ref().map_or(self.known, |active| (active.number, active.offset))
    }

    /// An earlier process may have died before it synced the name of a segment. Nothing is built on it before.
    pub(crate) fn make_sure_of_names(&mut self) -> Result<(), DiskError> {
        if !self.are_names_sure {
            self.log.sync_folder()?;
            self.are_names_sure = true;
        }
        Ok(())
    }

    fn commit_recovered(&mut self, completed: &mut Completed) -> Result<(), WriteError> {
        let name = &self.recovered.name;
        let path = || self.log.path(name);
        let file = self.log.open(name, OpenMode::Write)?;
        for piece in &self.recovered.pieces {
            self.buffer.resize(usize::try_from(piece.end - piece.start).unwrap_or(0), 0);
            let read = file.read_at(&mut self.buffer, piece.start).at("read", &path())?;
            file.write_at(self.buffer.get(..read).unwrap_or_default(), piece.start).at("write", &path())?;
        }
        self.log.sync_file(&*file, name)?;
        let recovered = std::mem::take(&mut self.recovered);
        self.known.1 = recovered.end;
        self.active = recovered.then;
        let group = Group { batches: recovered.batches, ..Group::default() };
        self.publish(&group, completed);
        let mut state = self.log.state.lock();
        if state.pending.is_empty() {
            // Behind it come only numbers of what did not finish.
            state.stored = state.next;
        }
        drop(state);
        self.replan();
        Ok(())
    }

    /// Begins a segment, unless one is at hand: where the log ends before what is known to have been stored, the next look
    /// at it finds that in the segment's name.
    pub(crate) fn begin(&mut self) -> Result<(), WriteError> {
        if self.active.is_none() { self.find_place(0) } else { Ok(()) }
    }

    /// Sees to it that there is a segment with room for a batch of this size.
    fn find_place(&mut self, bytes: u64) -> Result<(), WriteError> {
        if self.active.as_ref().is_some_and(|active| bytes <= active.rest()) {
            return Ok(());
        }
        // An unused one stays unused: the next process takes it back.
        self.known = self.place();
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
        if group.batches.is_empty() {
            // Given up meanwhile.
            self.active = Some(active);
            return Ok(());
        }
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
        state.rest = self.rest();
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
    fn seal(&mut self, active: &Active) {
        let mut state = self.log.state.lock();
        state.counters.suspect_segments += 1;
        let Some(last) = state.segments.back_mut().filter(|last| last.number == active.number) else {
            return;
        };
        last.is_suspect = true;
        self.known = (active.number, active.offset);
        if last.first == state.stored {
            state.segments.pop_back();
            drop(state);
            self.known = (0, 0);
            self.stock.doom(active.name.clone(), active.bytes);
        }
    }

    /// Works out anew where everything that waits will go.
    pub(crate) fn replan(&self) {
        let mut state = self.log.state.lock();
        state.plan = self.plan(&state, self.stock.lengths()).unwrap_or_default();
        state.rest = self.rest();
    }

    /// Room in the segment that is written.
    fn rest(&self) -> u64 {
        self.active.as_ref().map_or(0, Active::rest)
    }

    /// Where everything that waits would go, had it these empty segments. `None`: it would not fit.
    fn plan(&self, state: &State, empty: impl Iterator<Item = u64>) -> Option<Plan> {
        let mut plan = Plan::new(self.rest(), empty.chain(state.promised()));
        let waiting = state.pending.iter().skip(self.recovered.batches());
        waiting.map(Entry::disk_bytes).all(|bytes| plan.take(bytes)).then_some(plan)
    }

    /// Gives up those empty segments that nothing is planned into, and whose capacity is such. False: there are none.
    pub(crate) fn give_up_spares(&mut self, is_such: impl Fn(u64) -> bool) -> bool {
        let count = self.stock.lengths().count();
        for index in (0..count).rev() {
            let lengths: Vec<u64> = self.stock.lengths().collect();
            let others = || lengths.iter().enumerate().filter(|(other, _)| *other != index);
            if !lengths.get(index).is_some_and(|length| is_such(super::plan::capacity(*length))) {
                continue;
            }
            let mut state = self.log.state.lock();
            if let Some(plan) = self.plan(&state, others().map(|(_, length)| *length)) {
                state.plan = plan;
                drop(state);
                self.stock.give_up(index);
            }
        }
        self.stock.lengths().count() < count
    }

    /// Whether the segment that was written last may go: everything ever written is settled, and it is written no more.
    pub(crate) fn can_retire(&self) -> bool {
        let state = self.log.state.lock();
        let is_done = state.pending.is_empty() || self.active.is_none() && self.recovered.batches() == 0;
        is_done && state.acks.low() >= state.stored && !state.segments.is_empty()
    }

    /// Takes it out of use.
    pub(crate) fn retire(&mut self) -> Option<crate::log::Segment> {
        if !self.can_retire() {
            return None;
        }
        let mut state = self.log.state.lock();
        // What has been added since goes to another one.
        if !state.pending.is_empty() && self.active.is_some() {
            return None;
        }
        (self.active, self.known) = (None, (0, 0));
        let index = state.segments.len() - 1;
        let retired = state.take_segment(index);
        (state.plan, state.rest) = (Plan::default(), 0);
        retired
    }

    /// Makes sure of segments that were written without a sync.
    pub(crate) fn sync_segments(&mut self) -> Result<(), DiskError> {
        for (segment, bound) in self.log.bounded_segments() {
            if self.log.state.lock().acks.covers(segment.first..bound) {
                continue;
            }
            let (name, path) = (segment.name(), self.log.path(&segment.name()));
            if segment.is_unsyncable {
                // Another sync may say that all is well, and it is not.
                return Err(DiskError::new("sync", &path, std::io::Error::other("an earlier sync failed")));
            }
            let synced = self.log.open(&name, OpenMode::Write)?.sync();
            if synced.is_err() {
                let mut state = self.log.state.lock();
                let failed = state.segments.iter_mut().find(|known| known.number == segment.number);
                if let Some(segment) = failed {
                    segment.is_unsyncable = true;
                }
                drop(state);
                // Nor of what would come behind it.
                self.active = self.active.take().filter(|active| active.number != segment.number);
                self.replan();
            }
            synced.at("sync", &path)?;
        }
        self.log.folder.sync().at("sync", &self.log.dir)
    }
}
