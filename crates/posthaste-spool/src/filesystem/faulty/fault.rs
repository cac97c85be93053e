//! What can be failed, and with what.

use std::io;

use rustix::io::Errno;

/// A call of the traits, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Opening or making a folder.
    OpenFolder,
    /// Listing a folder.
    List,
    /// Opening or creating a file.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a folder.
    SyncFolder,
    /// Locking a folder.
    Lock,
    /// Asking whether a folder is locked.
    IsLocked,
    /// Asking whether a path leads to a folder.
    IsAt,
    /// Asking for the room on the disk.
    Space,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Allocating room for a file.
    Allocate,
    /// Asking for the length of a file.
    Size,
    /// Syncing a file.
    Sync,
    /// Asking which file it is.
    Identity,
}

/// The error that a call fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error of this kind; with the operating system's number where there is one that says just this.
    Kind(io::ErrorKind),
    /// The operating system's error of this number.
    Os(i32),
}

impl Fault {
    /// The disk is broken here.
    pub const EIO: Self = Self::Os(Errno::IO.raw_os_error());
    /// The disk is full.
    pub const ENOSPC: Self = Self::Os(Errno::NOSPC.raw_os_error());
    /// The user's share of the disk is used up.
    pub const EDQUOT: Self = Self::Os(Errno::DQUOT.raw_os_error());
    /// The file is as large as it may get.
    pub const EFBIG: Self = Self::Os(Errno::FBIG.raw_os_error());
    /// The disk is for reading only.
    pub const EROFS: Self = Self::Os(Errno::ROFS.raw_os_error());
    /// The process has too many files open.
    pub const EMFILE: Self = Self::Os(Errno::MFILE.raw_os_error());

    pub(super) fn error(self) -> io::Error {
        let errno = match self {
            Self::Os(errno) => return io::Error::from_raw_os_error(errno),
            Self::Kind(io::ErrorKind::StorageFull) => Errno::NOSPC,
            Self::Kind(io::ErrorKind::QuotaExceeded) => Errno::DQUOT,
            Self::Kind(io::ErrorKind::FileTooLarge) => Errno::FBIG,
            Self::Kind(io::ErrorKind::ReadOnlyFilesystem) => Errno::ROFS,
            Self::Kind(io::ErrorKind::PermissionDenied) => Errno::ACCESS,
            Self::Kind(io::ErrorKind::NotFound) => Errno::NOENT,
            Self::Kind(io::ErrorKind::WouldBlock) => Errno::WOULDBLOCK,
            Self::Kind(io::ErrorKind::Unsupported) => Errno::OPNOTSUPP,
            Self::Kind(kind) => return kind.into(),
        };
        errno.into()
    }
}

impl From<io::ErrorKind> for Fault {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Kind(kind)
    }
}
