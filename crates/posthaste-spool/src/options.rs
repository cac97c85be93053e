//! Every bound of a spool, named in one place, each default with its reason.

use std::time::Duration;

use crate::{
    error::OpenError,
    frame,
    segment::{DATA_START, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES},
};

/// What a resolved receipt promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Nothing: the record has a number and will be written when its turn comes.
    Memory,
    /// The record survives a killed process, not a power cut: it is with the operating system.
    Os,
    /// The record survives a power cut: it is on the disk.
    #[default]
    Disk,
}

/// The bounds and the promise of a spool.
///
/// ```
/// use posthaste_spool::{Durability, SpoolOptions};
///
/// let options = SpoolOptions::default().size_bytes_max(1 << 30).durability(Durability::Os);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SpoolOptions {
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    pub(crate) size_bytes_max: u64,
    pub(crate) record_bytes_max: usize,
    pub(crate) pending_bytes_max: usize,
    pub(crate) commit_bytes_max: usize,
    pub(crate) spare_segments_max: usize,
    pub(crate) cursor_acks_max: u64,
    pub(crate) damaged_bytes_max: u64,
    pub(crate) dead_bytes_max: u64,
    pub(crate) retry_interval: Duration,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Disk,
            segment_bytes: 16 << 20,
            size_bytes_max: 10 << 30,
            record_bytes_max: 4 << 20,
            pending_bytes_max: 32 << 20,
            commit_bytes_max: 1 << 20,
            spare_segments_max: 4,
            cursor_acks_max: 4_096,
            damaged_bytes_max: 64 << 20,
            dead_bytes_max: 1 << 30,
            retry_interval: Duration::from_millis(250),
        }
    }
}

impl SpoolOptions {
    /// What a resolved receipt promises. Default: [`Durability::Disk`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Size of a segment file. Default 16 MiB: a restart reads one segment, space comes back by the segment, and
    /// the few syncs that a new one costs are spread over a hundred commits or more.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Most bytes of all segment files together, spare ones included. Default 10 GiB; at least two segments.
    pub fn size_bytes_max(mut self, bytes: u64) -> Self {
        self.size_bytes_max = bytes;
        self
    }

    /// Longest record. Default 4 MiB: an API request is at most 3.5 MB. Has to fit into a segment.
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.record_bytes_max = bytes;
        self
    }

    /// Most bytes that wait in memory to be written. Default 32 MiB: a tenth of a second at full speed.
    pub fn pending_bytes_max(mut self, bytes: usize) -> Self {
        self.pending_bytes_max = bytes;
        self
    }

    /// Most bytes written with one sync, unless one batch alone is larger. Default 1 MiB: beyond it, the disk
    /// gains no more and the first in line waits for the last.
    pub fn commit_bytes_max(mut self, bytes: usize) -> Self {
        self.commit_bytes_max = bytes;
        self
    }

    /// Most empty segments kept for reuse; a sync costs half where the file need not grow. Default 4.
    pub fn spare_segments_max(mut self, count: usize) -> Self {
        self.spare_segments_max = count;
        self
    }

    /// Acknowledgements after which the cursor is written. Default 4,096: so many records at most come again
    /// after a crash.
    pub fn cursor_acks_max(mut self, count: u64) -> Self {
        self.cursor_acks_max = count;
        self
    }

    /// Most bytes of damaged records kept for inspection; more are counted only. Default 64 MiB.
    pub fn damaged_bytes_max(mut self, bytes: u64) -> Self {
        self.damaged_bytes_max = bytes;
        self
    }

    /// Most bytes of dead letters. Default 1 GiB.
    pub fn dead_bytes_max(mut self, bytes: u64) -> Self {
        self.dead_bytes_max = bytes;
        self
    }

    /// How soon writing is tried again when the disk refuses it. Default 250 ms, doubling up to 8 s; space that
    /// acknowledgements make is used at once.
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval;
        self
    }

    /// What is left of a segment for one batch, the closing mark of its commit set aside.
    pub(crate) fn batch_disk_bytes_max(&self) -> usize {
        usize::try_from(self.segment_bytes - DATA_START).unwrap_or(usize::MAX) - frame::size(0)
    }

    /// The options for the dead letters beside a spool of these options.
    pub(crate) fn for_dead(&self) -> Self {
        let record_bytes_max = self.record_bytes_max + frame::DEAD_LETTER_EXTRA_BYTES;
        let needed = DATA_START + (2 * frame::size(0) + frame::size(record_bytes_max)) as u64;
        let segment_bytes = needed.max(self.segment_bytes.min(1 << 20));
        let size_bytes_max = self.dead_bytes_max.max(2 * segment_bytes);
        Self { record_bytes_max, segment_bytes, size_bytes_max, spare_segments_max: 1, ..self.clone() }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let refuse = |reason: String| Err(OpenError::Options(reason));
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            let bytes = self.segment_bytes;
            return refuse(format!(
                "segment_bytes is {bytes}, not {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES}"
            ));
        }
        if frame::size(self.record_bytes_max) > self.batch_disk_bytes_max() {
            let (record, segment) = (self.record_bytes_max, self.segment_bytes);
            return refuse(format!("a record of {record} bytes does not fit into a segment of {segment}"));
        }
        if self.size_bytes_max < 2 * self.segment_bytes {
            let (size, segment) = (self.size_bytes_max, self.segment_bytes);
            return refuse(format!("size_bytes_max is {size}, at least two segments of {segment}"));
        }
        if self.pending_bytes_max < self.record_bytes_max {
            let (pending, record) = (self.pending_bytes_max, self.record_bytes_max);
            return refuse(format!("pending_bytes_max is {pending}, at least one record of {record}"));
        }
        Ok(())
    }
}
