//! The one door to the disk, so that tests can stand behind it.
//!
//! Everything the spool does to files goes through these traits. A [`Folder`] is a place, not a path: once it is open,
//! nothing that happens to its name can lead an operation into another folder. The traits are as small as the spool's
//! needs: whole-buffer positional reads and writes, and the operations whose order decides what a crash leaves behind.
//! Nothing here retries or hides an error.

#[cfg(feature = "test-util")]
mod faulty;
#[cfg(feature = "test-util")]
mod memory;
mod real;

use std::{fmt, io, path::Path, sync::Arc};

pub use self::real::RealFilesystem;
#[cfg(feature = "test-util")]
pub use self::{
    faulty::{Fault, FaultyFilesystem, Operation},
    memory::MemoryFilesystem,
};

/// Where folders are.
pub trait Filesystem: fmt::Debug + Send + Sync + 'static {
    /// Opens a folder.
    fn open_folder(&self, path: &Path, mode: FolderMode) -> io::Result<Arc<dyn Folder>>;
}

/// An open folder. Names are relative to it: a plain name, or `folder/name` for a file of a folder within.
pub trait Folder: fmt::Debug + Send + Sync {
    /// Opens a folder within.
    fn open_folder(&self, name: &str, mode: FolderMode) -> io::Result<Arc<dyn Folder>>;

    /// The plain files in it, in any order.
    fn list(&self) -> io::Result<Vec<DirEntry>>;

    /// Opens a file; see [`OpenMode`].
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>>;

    /// Renames a file, replacing what is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals in it survive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Locks the folder itself for as long as this handle lives. Fails with [`io::ErrorKind::WouldBlock`] while
    /// another handle has it locked.
    fn lock(&self) -> io::Result<()>;

    /// Whether another handle has it locked.
    fn is_locked(&self) -> io::Result<bool>;

    /// Whether `path` leads to this folder, and to no other.
    fn is_at(&self, path: &Path) -> io::Result<bool>;

    /// How much room the disk has.
    fn space(&self) -> io::Result<Space>;
}

/// An open file.
pub trait SpoolFile: fmt::Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file `bytes` long, all of it with room of its own on the disk; what is added reads as zeros. Fails
    /// with [`io::ErrorKind::Unsupported`] where the disk cannot promise that without being written to.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Makes everything written so far survive a power cut. After a failure nobody knows what has: the operating
    /// system may forget that there was anything to write, and say that all is well the next time.
    fn sync(&self) -> io::Result<()>;

    /// Equal for two handles of the same file of a folder, different for different files.
    fn identity(&self) -> io::Result<u64>;
}

/// What to do where a folder is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderMode {
    /// Fail with [`io::ErrorKind::NotFound`].
    Existing,
    /// Make it and its parents, for the owner only.
    Create,
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

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// That this process may still take.
    pub free: u64,
    /// In all.
    pub total: u64,
}
