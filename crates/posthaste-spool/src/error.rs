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

    /// Whether the disk, or the owner's share of it, is full, or a file as long as this process may make it.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.kind(), StorageFull | QuotaExceeded | FileTooLarge)
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
#[non_exhaustive]
pub enum OpenError {
    /// The options contradict each other; change them.
    #[error("the options cannot be used: {0}")]
    Options(String),
    /// Another process, or another handle in this one, has the spool; end it first, or use [`inspect`](crate::inspect).
    #[error("{} is in use by {}", path.display(), Owner(*owner))]
    Locked {
        /// The spool's folder.
        path: PathBuf,
        /// The owner's process id, as far as its cursor tells.
        owner: Option<u32>,
    },
    /// A newer posthaste wrote this spool; open it with that one.
    #[error(
        "{} has format version {found}, and this version reads {}; use the posthaste that wrote it",
        path.display(),
        crate::FORMAT_VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u16,
    },
    /// The folder has the layout of a version that was never released; it is left as it is.
    #[error(
        "{} has the layout of a version that was never released, and is left as it is; drain it with that version, \
         or move it away",
        path.display()
    )]
    OldLayout {
        /// The spool's folder.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{} is no spool: {reason}; check the path", path.display())]
    NotASpool {
        /// The folder.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// This user may not.
    #[error("no permission to {} {}: give this user the folder, or run as its owner", source.action, source.path.display())]
    Permission {
        /// What was tried.
        source: DiskError,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(DiskError),
}

impl From<DiskError> for OpenError {
    fn from(source: DiskError) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission { source },
            _ => Self::Disk(source),
        }
    }
}

/// The owner in words.
struct Owner(Option<u32>);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(owner) if owner == std::process::id() => f.write_str(
                "this very process: another handle has it, or one that was dropped still waits for its disk",
            ),
            Some(owner) => write!(f, "process {owner}; end it first"),
            None => f.write_str("another process; end it first"),
        }
    }
}

/// Why records are not known to be stored. They may still be found after a restart: a failed write leaves it open
/// what reached the disk.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The spool is as large as it may be. Acknowledge records; space comes back segment by segment.
    #[error("the spool is at its limit of {bytes_max} bytes")]
    SizeLimit {
        /// The limit.
        bytes_max: u64,
    },
    /// The spool's folder was moved or deleted: what was taken is finished there, nothing new is taken.
    #[error("{} no longer leads to the spool that was opened there; open it where it is now", path.display())]
    Moved {
        /// Where it was.
        path: PathBuf,
    },
    /// The process gave up waiting for its disk, which may still store it.
    #[error("given up before the disk had it; the disk may still store it")]
    GivenUp,
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

/// Why records could not be read. Damage is never a reason: damaged records are skipped and counted.
#[derive(Debug, Clone, Error)]
#[error(transparent)]
pub struct ReadError(#[from] pub DiskError);

/// A refused `add`, with what was offered.
#[derive(Clone)]
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

/// Without what was offered, which may be megabytes.
impl fmt::Debug for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.batch.records.len();
        f.debug_struct("AddError").field("records", &records).field("reason", &self.reason).finish()
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
#[non_exhaustive]
pub enum Refusal {
    /// It will never fit: a record, metadata, or a batch as a whole. Split it, or raise the limit that is named.
    #[error("{what} of {bytes} bytes is longer than the {bytes_max} allowed")]
    TooLarge {
        /// "a record", "metadata" or "a batch".
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A record without a byte says nothing.
    #[error("a record is empty")]
    Empty,
    /// Too much is waiting to be written (`pending_bytes_max`); wait for receipts.
    #[error("{bytes_max} bytes are waiting to be written")]
    PendingFull {
        /// The limit.
        bytes_max: usize,
    },
    /// There is no room on disk for it yet; the spool is making some.
    #[error("room on disk is being made")]
    NoRoomYet,
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
            Self::PendingFull { .. } | Self::NoRoomYet => true,
            Self::Blocked(error) => error.is_full(),
            _ => false,
        }
    }
}
