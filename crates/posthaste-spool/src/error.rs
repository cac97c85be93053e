//! What can go wrong, one type for each operation: what happened, where, and what to do about it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use thiserror::Error;

use crate::batch::Batch;

/// The disk refused an operation. Fix the cause (the source names it); the spool tries again by itself.
#[derive(Debug, Clone, Error)]
#[error("could not {action} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb: "read", "sync", …
    pub action: &'static str,
    /// On which file or folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: Arc<io::Error>,
}

impl DiskError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the disk, or the owner's share of it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Adds what was tried, and on what, to an [`io::Error`].
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::new(action, path, source))
    }
}

/// Why a spool did not open. Damage is never a reason.
#[derive(Debug, Clone, Error)]
pub enum OpenError {
    /// The options contradict each other; change them.
    #[error("the options cannot be used: {0}")]
    Options(String),
    /// Another process, or another handle in this one, has the spool; end it first, or use [`inspect`](crate::inspect).
    #[error("{} is in use by process {}", path.display(), owner.map_or("unknown".into(), |pid| pid.to_string()))]
    Locked {
        /// The spool's folder.
        path: PathBuf,
        /// The owner's process id, if its lock file tells it.
        owner: Option<u32>,
    },
    /// A newer posthaste wrote this spool; open it with that one.
    #[error("{} has format version {found}, this version reads up to {}", path.display(), crate::FORMAT_VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u16,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why records could not be made durable. They may still be found after a restart: a failed write leaves it open
/// what reached the disk.
#[derive(Debug, Clone, Error)]
pub enum WriteError {
    /// The spool is as large as it may be. Acknowledge records; space comes back segment by segment.
    #[error("the spool is at its limit of {bytes_max} bytes")]
    SizeLimit {
        /// The limit.
        bytes_max: u64,
    },
    /// The segment was deleted while in use.
    #[error("{} was deleted while in use", path.display())]
    Deleted {
        /// The file.
        path: PathBuf,
    },
    /// The folder was deleted, and another process has made it anew and owns it.
    #[error("{} was deleted and now belongs to another process", path.display())]
    LostLock {
        /// The folder.
        path: PathBuf,
    },
    /// The record or batch can never fit; see [`SpoolOptions`](crate::SpoolOptions).
    #[error("{bytes} bytes are more than the {bytes_max} that fit")]
    TooLarge {
        /// What was offered.
        bytes: usize,
        /// What fits.
        bytes_max: usize,
    },
    /// The spool was closed first.
    #[error("the spool is closed")]
    Closed,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl WriteError {
    /// Whether space is what is missing: acknowledge or free some, then add again.
    pub fn is_full(&self) -> bool {
        match self {
            Self::SizeLimit { .. } => true,
            Self::Disk(error) => error.is_full(),
            _ => false,
        }
    }
}

/// Why records could not be read. Damage is never a reason: damaged records are skipped, set aside and counted.
#[derive(Debug, Clone, Error)]
#[error(transparent)]
pub struct ReadError(#[from] pub DiskError);

/// A refused `add`, with what was offered.
#[derive(Debug, Clone)]
pub struct AddError {
    /// What was not taken.
    pub batch: Batch,
    /// Why not.
    pub reason: Refusal,
}

impl AddError {
    /// The refused record, if it was a single one, or the first.
    pub fn into_record(self) -> Bytes {
        self.batch.records.into_iter().next().unwrap_or_default()
    }
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl std::error::Error for AddError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

/// Why `add` refused.
#[derive(Debug, Clone, Error)]
pub enum Refusal {
    /// A record is longer than `record_bytes_max`; it will never be taken.
    #[error("a record of {bytes} bytes is longer than the {bytes_max} allowed")]
    RecordTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The metadata is longer than [`META_BYTES_MAX`](crate::META_BYTES_MAX).
    #[error("metadata of {bytes} bytes is longer than the {bytes_max} allowed")]
    MetaTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The batch as a whole does not fit into a segment; split it, or allow larger segments.
    #[error("a batch of {bytes} bytes is more than the {bytes_max} that fit into a segment")]
    BatchTooLarge {
        /// Its size in the segment.
        bytes: usize,
        /// What fits.
        bytes_max: usize,
    },
    /// Too much is waiting to be written (`pending_bytes_max`); wait for receipts.
    #[error("{bytes_max} bytes are waiting to be written")]
    PendingFull {
        /// The limit.
        bytes_max: usize,
    },
    /// Nothing can be written at the moment, for this reason. Adds work again once the cause is gone.
    #[error("nothing can be written now: {0}")]
    Blocked(#[source] WriteError),
    /// The spool is closed.
    #[error("the spool is closed")]
    Closed,
}

impl Refusal {
    /// Whether this passes by itself or through acknowledgements: worth another try later.
    pub fn is_full(&self) -> bool {
        match self {
            Self::PendingFull { .. } => true,
            Self::Blocked(error) => error.is_full(),
            _ => false,
        }
    }
}
