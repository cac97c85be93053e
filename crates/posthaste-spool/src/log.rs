//! The synchronous core: one spool, no threads.
//!
//! [`Spool`](crate::Spool) is this with a thread that writes. On its own it serves where commits are few and
//! waiting for the disk is fine, and where every step has to be reproducible.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use crate::{
    batch::Batch,
    error::{DiskError, OpenError, ReadError, WriteError},
    filesystem::{Filesystem, RealFilesystem},
    options::SpoolOptions,
    reader::{Reader, Record},
    recovery,
    shared::{Counters, Shared},
    writer::Writer,
};

/// A spool without a thread: every call does its work before it returns.
#[derive(Debug)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
}

/// How a spool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Committed records that are neither acknowledged nor known to be lost.
    pub records: u64,
    /// Bytes of all segment files, spare ones included.
    pub disk_bytes: u64,
    /// Segments in use.
    pub segments: usize,
    /// The oldest record that is not settled, or the number of the next.
    pub first_sequence: u64,
    /// The number of the next record.
    pub next_sequence: u64,
    /// What has happened since the spool was opened.
    pub counters: Counters,
}

impl Log {
    /// Opens the spool in a folder, made if it is not there.
    pub fn open(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Self, OpenError> {
        Self::open_with(Arc::new(RealFilesystem), dir, options)
    }

    /// Opens a spool on the given filesystem.
    pub fn open_with(
        filesystem: Arc<dyn Filesystem>,
        dir: impl AsRef<Path>,
        options: SpoolOptions,
    ) -> Result<Self, OpenError> {
        let writer = recovery::open(filesystem, dir.as_ref(), options)?;
        let shared = Arc::clone(&writer.shared);
        Ok(Self { reader: Reader::new(Arc::clone(&shared)), shared, writer })
    }

    /// Writes batches, sharing syncs among them, and answers for each with the number of its first record; the
    /// others follow without gaps.
    pub fn write(&mut self, batches: &[Batch]) -> Vec<Result<u64, WriteError>> {
        self.writer.write(batches)
    }

    /// Writes one record.
    pub fn add(&mut self, record: impl Into<Bytes>) -> Result<u64, WriteError> {
        self.write(&[Batch::record(record)]).pop().unwrap_or(Err(WriteError::Closed))
    }

    /// Unacknowledged records from `from` on, oldest first, as many as both limits allow, but one at least if there
    /// is one. They stay.
    pub fn read(
        &mut self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.reader.read(from, records_max, bytes_max)
    }

    /// Acknowledges records, in any order, and says how many of them were not before. Once everything in a segment
    /// is acknowledged, its space comes back; now and then, the cursor is written.
    pub fn ack(&mut self, sequences: &[u64]) -> u64 {
        let new = self.shared.ack(sequences.iter().map(|sequence| *sequence..sequence.saturating_add(1)));
        self.after_ack();
        new
    }

    /// Acknowledges everything up to and including this record.
    pub fn ack_up_to(&mut self, sequence: u64) -> u64 {
        let new = self.shared.ack(std::iter::once(0..sequence.saturating_add(1)));
        self.after_ack();
        new
    }

    fn after_ack(&mut self) {
        let options = &self.shared.options;
        if self.shared.state.lock().acks_unwritten >= options.cursor_acks_max {
            // Counted there; what is not written down comes again after a crash.
            let _ = self.writer.write_cursor();
        }
        if self.shared.state.lock().is_reclaimable() {
            self.writer.reclaim();
        }
    }

    /// Makes everything survive a power cut, acknowledgements included, whatever the durability.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.writer.sync()
    }

    /// The metadata of the last batch that had some.
    pub fn meta(&self) -> Option<Bytes> {
        self.shared.state.lock().meta.clone()
    }

    /// How the spool stands.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Shared {
    /// Settles committed records. What was never given out cannot be acknowledged.
    pub(crate) fn ack(&self, ranges: impl IntoIterator<Item = std::ops::Range<u64>>) -> u64 {
        let mut state = self.state.lock();
        let next = state.next;
        let new = ranges.into_iter().map(|range| state.acks.settle(range.start..range.end.min(next))).sum();
        state.acks_unwritten += new;
        new
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats {
            records: state.unsettled(),
            disk_bytes: state.disk_bytes(),
            segments: state.segments.len(),
            first_sequence: state.acks.low(),
            next_sequence: state.next,
            counters: state.counters,
        }
    }
}
