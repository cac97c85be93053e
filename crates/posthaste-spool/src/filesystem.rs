//! The one door to the disk, so that tests can stand behind it.
//!
//! Everything the spool does to files goes through [`Filesystem`] and [`SpoolFile`]. The traits are as small as
//! the spool's needs: whole-buffer positional reads and writes, and the operations whose order decides what a
//! crash leaves behind. Nothing here retries or hides an error.

#[cfg(feature = "test-util")]
mod faulty;
#[cfg(feature = "test-util")]
mod memory;
mod real;

use std::{fmt, io, path::Path};

pub use self::real::RealFilesystem;
#[cfg(feature = "test-util")]
pub use self::{
    faulty::{FaultyFilesystem, Operation},
    memory::MemoryFilesystem,
};

/// What the spool asks of a filesystem.
pub trait Filesystem: fmt::Debug + Send + Sync + 'static {
    /// Creates a folder and its parents, for the owner only. A folder that is there already is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The plain files in a folder, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Opens a file; see [`OpenMode`].
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>>;

    /// Renames a file within its folder, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a folder survive a power cut.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file for as long as the returned handle lives and writes `owner` into it. Fails with
    /// [`io::ErrorKind::WouldBlock`] while another holds it.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<Box<dyn SpoolFile>>;
}

/// An open file.
pub trait SpoolFile: fmt::Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets the length; what is added reads as zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Makes everything written so far survive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Whether the file still has a name. A write to a file that was deleted succeeds and is lost.
    fn is_linked(&self) -> io::Result<bool>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A new and empty file, to read and write; replaces what is there.
    Create,
}

/// A file as listed in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name within the folder.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}
