//! What was taken and is not on disk yet: in memory, in order, bounded in bytes.
//!
//! It leaves once it is stored. A record that is acknowledged before keeps its place but not its bytes: numbers on disk
//! stay without gaps, and memory is free for others however long the disk takes.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    acks::Acks,
    batch::Batch,
    receipt::{Completion, Stored},
};

/// Batches that wait to be written, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Records of batches that nobody may see before they are stored.
    hidden: u64,
}

/// A batch with its numbers.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) batch: Arc<Batch>,
    visibility: Visibility,
    bytes: usize,
    completion: Completion,
}

/// From when on the records of a batch are in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// As soon as it is taken.
    AtOnce,
    /// Once it is stored: its metadata speaks of its records, and they must not part.
    Stored,
}

impl Entry {
    pub(crate) fn new(first: u64, batch: Batch, visibility: Visibility, completion: Completion) -> Self {
        let bytes = batch.disk_bytes();
        Self { first, batch: Arc::new(batch), visibility, bytes, completion }
    }

    pub(crate) fn records(&self) -> Range<u64> {
        self.first..self.first + self.batch.records.len() as u64
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.bytes as u64
    }

    fn hidden(&self) -> u64 {
        if self.visibility == Visibility::Stored { self.batch.records.len() as u64 } else { 0 }
    }
}

/// Completions to be called once no lock is held.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Completed(Vec<(Completion, Stored)>);

impl Completed {
    pub(crate) fn call(self) {
        for (completion, stored) in self.0 {
            completion.complete(stored);
        }
    }
}

impl Pending {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        self.hidden += entry.hidden();
        self.entries.push_back(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the batches take, on disk and so roughly in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that nobody may see yet.
    pub(crate) fn hidden(&self) -> u64 {
        self.hidden
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The oldest.
    pub(crate) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// The oldest has been stored.
    pub(crate) fn pop_stored(&mut self, completed: &mut Completed) -> Option<Entry> {
        let mut entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes;
        self.hidden -= entry.hidden();
        let completion = std::mem::replace(&mut entry.completion, Completion::Nobody);
        completed.0.push((completion, Ok(entry.first)));
        Some(entry)
    }

    /// Lets go of what has been acknowledged before it could be stored.
    pub(crate) fn acknowledged(&mut self, range: &Range<u64>, acks: &Acks, completed: &mut Completed) {
        let from = self.entries.partition_point(|entry| entry.records().end <= range.start);
        for entry in self.entries.range_mut(from..).take_while(|entry| entry.first < range.end) {
            // The writer may be at it just now, and goes on with what it has.
            let batch = Arc::make_mut(&mut entry.batch);
            for (record, sequence) in batch.records.iter_mut().zip(entry.first..) {
                if acks.contains(sequence) {
                    *record = Bytes::new();
                }
            }
            self.bytes -= entry.bytes;
            entry.bytes = entry.batch.disk_bytes();
            self.bytes += entry.bytes;
            if entry.batch.meta.is_none() && acks.covers(entry.records()) {
                let completion = std::mem::replace(&mut entry.completion, Completion::Nobody);
                completed.0.push((completion, Ok(entry.first)));
            }
        }
    }

    /// The process gives up: nothing waits any more. Returns what was taken for good and has not been acknowledged.
    pub(crate) fn give_up(
        &mut self,
        acks: &Acks,
        error: &crate::WriteError,
        completed: &mut Completed,
    ) -> Vec<u64> {
        let mut given_up = Vec::new();
        for entry in self.entries.drain(..) {
            if entry.visibility == Visibility::AtOnce {
                given_up.extend(entry.records().filter(|sequence| !acks.contains(*sequence)));
            }
            completed.0.push((entry.completion, Err(error.clone())));
        }
        (self.bytes, self.hidden) = (0, 0);
        given_up
    }
}
