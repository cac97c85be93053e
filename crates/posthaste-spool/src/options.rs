//! Every bound of a spool, named in one place, each default with its reason.

use std::time::Duration;

use crate::{
    batch::META_BYTES_MAX,
    error::OpenError,
    format::{
        frame,
        segment::{MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES},
    },
    write::plan,
};

/// What a resolved receipt promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Durability {
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
    segment_bytes: Option<u64>,
    pub(crate) size_bytes_max: u64,
    record_bytes_max: Option<usize>,
    pending_bytes_max: Option<usize>,
    pub(crate) commit_bytes_max: usize,
    pub(crate) spare_segments_max: usize,
    pub(crate) cursor_acks_max: u64,
    pub(crate) cursor_interval: Duration,
    pub(crate) damaged_bytes_max: u64,
    pub(crate) dead_bytes_max: u64,
    pub(crate) retry_interval: Duration,
    room_ahead_max: u64,
}

const SEGMENT_BYTES: u64 = 16 << 20;
const RECORD_BYTES_MAX: usize = 4 << 20;
const PENDING_BYTES_MAX: usize = 32 << 20;

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Disk,
            segment_bytes: None,
            size_bytes_max: 10 << 30,
            record_bytes_max: None,
            pending_bytes_max: None,
            commit_bytes_max: 1 << 20,
            spare_segments_max: 4,
            cursor_acks_max: 4_096,
            cursor_interval: Duration::from_secs(1),
            damaged_bytes_max: 64 << 20,
            dead_bytes_max: 1 << 30,
            retry_interval: Duration::from_millis(250),
            room_ahead_max: u64::MAX,
        }
    }
}

impl SpoolOptions {
    /// What a resolved receipt promises. Default: [`Durability::Disk`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Size of a segment file, at most. Default 16 MiB, or a quarter of a small spool: a restart reads one segment,
    /// space comes back by the segment, and the few syncs that a new one costs are spread over a hundred commits or
    /// more. Smaller ones are made where there is no more room.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }

    /// Most bytes of all segment files together, spare ones included. Default 10 GiB; at least two segments.
    pub fn size_bytes_max(mut self, bytes: u64) -> Self {
        self.size_bytes_max = bytes;
        self
    }

    /// Longest record. Default 4 MiB (an API request is at most 3.5 MB), or what fits into a segment of a small spool.
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.record_bytes_max = Some(bytes);
        self
    }

    /// Most bytes that wait in memory to be written. Default 32 MiB, a tenth of a second at full speed.
    pub fn pending_bytes_max(mut self, bytes: usize) -> Self {
        self.pending_bytes_max = Some(bytes);
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
    /// after a power cut.
    pub fn cursor_acks_max(mut self, count: u64) -> Self {
        self.cursor_acks_max = count;
        self
    }

    /// How long after the first acknowledgement that is not written down the cursor is written at the latest.
    /// Default 1 s.
    pub fn cursor_interval(mut self, interval: Duration) -> Self {
        self.cursor_interval = interval;
        self
    }

    /// Most bytes of damaged segments kept for inspection. Default 64 MiB.
    pub fn damaged_bytes_max(mut self, bytes: u64) -> Self {
        self.damaged_bytes_max = bytes;
        self
    }

    /// Most bytes of dead letters. Default 1 GiB. Where that is little, their files may take more: some have to be there
    /// that hold the longest record.
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

    /// Most bytes of room on disk that are made before anybody asks for them. Default: as much as may wait in memory, or
    /// a quarter of a small spool. An idle spool takes about so much disk; where more comes at once than there is room,
    /// some is refused for the moment that the next segment needs.
    pub fn room_ahead_max(mut self, bytes: u64) -> Self {
        self.room_ahead_max = bytes;
        self
    }

    pub(crate) fn segment_length(&self) -> u64 {
        let of_size = (self.size_bytes_max / 4).clamp(MIN_SEGMENT_BYTES, SEGMENT_BYTES);
        self.segment_bytes.unwrap_or(of_size)
    }

    /// Longest record.
    pub(crate) fn record_length(&self) -> usize {
        let fits = self.batch_disk_bytes_max().saturating_sub(frame::HEAD_BYTES + 8);
        self.record_bytes_max.unwrap_or(RECORD_BYTES_MAX.min(fits))
    }

    pub(crate) fn pending_length(&self) -> usize {
        self.pending_bytes_max.unwrap_or(PENDING_BYTES_MAX)
    }

    /// Room on disk to be there before anybody asks for it: for as much as may wait in memory, or a good part of a small
    /// spool.
    pub(crate) fn room_ahead(&self) -> u64 {
        (self.pending_length() as u64).min(self.size_bytes_max / 4).min(self.room_ahead_max)
    }

    /// What is left of a segment for one batch.
    pub(crate) fn batch_disk_bytes_max(&self) -> usize {
        usize::try_from(plan::capacity(self.segment_length())).unwrap_or(usize::MAX)
    }

    /// The options for the dead letters beside a spool of these options.
    pub(crate) fn for_dead(&self) -> Self {
        let record_bytes_max = self.record_length() + DEAD_LETTER_EXTRA_BYTES;
        let needed = plan_length(record_bytes_max);
        let segment_bytes = needed.max(self.segment_length().min(1 << 20).min(self.dead_bytes_max / 8));
        Self {
            record_bytes_max: Some(record_bytes_max),
            segment_bytes: Some(segment_bytes),
            // A file that is left in part, one that is written, and room that is made ahead, beside half of the letters.
            size_bytes_max: self.dead_bytes_max.max(self.dead_bytes_max / 2 + 4 * segment_bytes),
            pending_bytes_max: Some(self.pending_length().max(record_bytes_max)),
            spare_segments_max: 1,
            // Few events die: one segment is enough, and it is another's disk too.
            room_ahead_max: segment_bytes / 2,
            ..self.clone()
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let refuse = |reason: String| Err(OpenError::Options(reason));
        let segment = self.segment_length();
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&segment) {
            return refuse(format!(
                "segment_bytes is {segment}, not {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES}"
            ));
        }
        let (record, size, pending) = (self.record_length(), self.size_bytes_max, self.pending_length());
        if frame::size(record) > self.batch_disk_bytes_max() {
            return refuse(format!("a record of {record} bytes does not fit into a segment of {segment}"));
        }
        if size < 2 * segment {
            return refuse(format!("size_bytes_max is {size}, at least two segments of {segment}"));
        }
        if pending < record {
            return refuse(format!("pending_bytes_max is {pending}, at least one record of {record}"));
        }
        Ok(())
    }
}

/// What a dead letter may add to the record it holds.
const DEAD_LETTER_EXTRA_BYTES: usize = 64 << 10;

/// The length of a segment that holds a record of this length.
fn plan_length(record: usize) -> u64 {
    let bytes = (frame::size(record) + frame::size(META_BYTES_MAX) + 2 * 4_096) as u64;
    bytes.next_multiple_of(4_096).max(MIN_SEGMENT_BYTES)
}
