//! What is written in one piece: records that belong together, and the caller's metadata.

use bytes::Bytes;

use crate::{error::Refusal, frame, options::SpoolOptions};

/// Most bytes of metadata that a batch can carry.
pub const META_BYTES_MAX: usize = 4_000;

/// Records written all or nothing, with the caller's metadata if it changes with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// The new metadata; `None` leaves it as it is.
    pub meta: Option<Bytes>,
}

impl Batch {
    /// A single record.
    pub fn record(record: impl Into<Bytes>) -> Self {
        Self { records: vec![record.into()], meta: None }
    }

    /// Whether it needs the frames that hold a batch together. One record alone is whole by its checksum.
    pub(crate) fn is_framed(&self) -> bool {
        self.meta.is_some() || self.records.len() != 1
    }

    /// Bytes it takes up in a segment.
    pub(crate) fn disk_bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|record| frame::size(record.len())).sum();
        let meta = self.meta.as_ref().map_or(0, Bytes::len);
        records + if self.is_framed() { 2 * frame::size(meta) } else { 0 }
    }

    /// What is too large, and how large it may be.
    pub(crate) fn excess(&self, options: &SpoolOptions) -> Option<(usize, usize)> {
        match self.check(options) {
            Err(
                Refusal::RecordTooLarge { bytes, bytes_max }
                | Refusal::MetaTooLarge { bytes, bytes_max }
                | Refusal::BatchTooLarge { bytes, bytes_max },
            ) => Some((bytes, bytes_max)),
            _ => None,
        }
    }

    /// Checks every bound, before anything is taken.
    pub(crate) fn check(&self, options: &SpoolOptions) -> Result<(), Refusal> {
        let longest = self.records.iter().map(Bytes::len).max().unwrap_or(0);
        let meta = self.meta.as_ref().map_or(0, Bytes::len);
        if longest > options.record_bytes_max {
            return Err(Refusal::RecordTooLarge { bytes: longest, bytes_max: options.record_bytes_max });
        }
        if meta > META_BYTES_MAX {
            return Err(Refusal::MetaTooLarge { bytes: meta, bytes_max: META_BYTES_MAX });
        }
        let (bytes, bytes_max) = (self.disk_bytes(), options.batch_disk_bytes_max());
        if bytes > bytes_max {
            return Err(Refusal::BatchTooLarge { bytes, bytes_max });
        }
        Ok(())
    }
}
