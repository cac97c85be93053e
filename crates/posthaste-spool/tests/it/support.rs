//! What the tests share: small options, and telling names for records.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use posthaste_spool::{Batch, Filesystem, Record, Spool, SpoolOptions, Turns, WriteError};

/// Segments so small that a few records fill one.
pub(crate) fn small() -> SpoolOptions {
    SpoolOptions::default()
        .segment_bytes(16_384)
        .record_bytes_max(400)
        .size_bytes_max(20 * 16_384)
        .pending_bytes_max(64 << 10)
        .commit_bytes_max(1_000)
        .spare_segments_max(2)
        .cursor_acks_max(5)
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/spool")
}

/// A spool that writes when it is told to, and the time that it is there.
#[derive(Debug)]
pub(crate) struct ByHand {
    pub(crate) spool: Spool,
    pub(crate) turns: Turns,
    pub(crate) now: Duration,
}

impl ByHand {
    pub(crate) fn open(filesystem: &(impl Filesystem + Clone), options: SpoolOptions) -> Self {
        let (spool, turns) =
            Spool::open_by_hand(Arc::new(filesystem.clone()), dir(), options).expect("a spool opens");
        Self { spool, turns, now: Duration::ZERO }
    }

    /// Lets so much time pass, and the spool do what it does then.
    pub(crate) fn turn(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.turns.turn(self.now);
    }

    /// Stores a batch: the number of its first record.
    pub(crate) fn store(&mut self, batch: Batch) -> Result<u64, WriteError> {
        let receipt = self.spool.add_batch(batch.records, batch.meta).expect("taken");
        self.turn(0);
        receipt.wait()
    }

    pub(crate) fn add(&mut self, record: impl Into<Bytes>) -> u64 {
        self.store(Batch::record(record)).expect("stored")
    }
}

/// Everything that is on disk and not acknowledged.
pub(crate) fn read_all(spool: &Spool) -> Vec<Record> {
    let (mut records, mut from): (Vec<Record>, u64) = (Vec::new(), 0);
    loop {
        let read = spool.read(from, 7, 900).expect("readable");
        if read.records.is_empty() && read.next == from {
            return records;
        }
        from = read.next;
        records.extend(read.records);
    }
}

/// A number from the environment.
pub(crate) fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A file of the spool in memory.
pub(crate) fn path(name: &str) -> PathBuf {
    dir().join(name)
}
