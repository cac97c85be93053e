//! What is written in one piece: records that belong together, and the caller's metadata.

use bytes::Bytes;

use crate::{error::Refusal, format::frame, options::SpoolOptions};

/// Most bytes of metadata that a batch can carry.
pub const META_BYTES_MAX: usize = 4_000;

/// Records stored all or nothing, with the caller's metadata if it changes with them.
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

    /// Frames that it is written as.
    pub(crate) fn frames(&self) -> usize {
        self.records.len() + usize::from(self.meta.is_some())
    }

    /// Bytes it takes up in a segment.
    pub(crate) fn disk_bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|record| frame::size(record.len())).sum();
        records + self.meta.as_ref().map_or(0, |meta| frame::size(meta.len()))
    }

    /// Checks every bound, before anything is taken.
    pub(crate) fn check(&self, options: &SpoolOptions) -> Result<(), Refusal> {
        let longest = self.records.iter().map(Bytes::len).max().unwrap_or(0);
        let meta = self.meta.as_ref().map_or(0, Bytes::len);
        let bounds = [
            ("a record", longest, options.record_length()),
            ("metadata", meta, META_BYTES_MAX),
            ("a batch", self.disk_bytes(), options.batch_disk_bytes_max()),
        ];
        for (what, bytes, bytes_max) in bounds {
            if bytes > bytes_max {
                return Err(Refusal::TooLarge { what, bytes, bytes_max });
            }
        }
        if self.records.iter().any(Bytes::is_empty) || self.frames() == 0 {
            Err(Refusal::Empty)
        } else {
            Ok(())
        }
    }
}
