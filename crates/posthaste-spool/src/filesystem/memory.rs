//! Files in memory that know what a power cut would leave of them.
//!
//! Each file keeps the content that is on disk for sure and the changes made since; each folder keeps the names that
//! are on disk and the changes of names made since. [`MemoryFilesystem::crash`] keeps what is on disk, and of the rest
//! whatever the dice say: of the content of files, every piece of a sector or a page as of some moment since the last
//! sync, torn ones included; of the names, the first so many changes of each folder (journals keep their order), a
//! rename always whole. Handles from before the crash are dead afterwards.
//!
//! A handle is of what was opened, not of what its path leads to by now. Folders are on disk as soon as they are made.
//! As little is promised as a disk must keep: a file's sync says nothing about its name, and a folder's sync nothing
//! about the files in it.

mod content;
mod disk;
mod handles;
mod names;
mod outside;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fastrand::Rng;
use parking_lot::Mutex;

use self::{disk::Disk, handles::MemoryFolder};
use super::{Filesystem, Folder, FolderMode};

/// A filesystem in memory that can crash. Clones share the files; see [`fork`](Self::fork) for a copy.
#[derive(Debug, Clone, Default)]
pub struct MemoryFilesystem {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryFilesystem {
    /// An empty filesystem.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: unsynced changes survive as `rng` decides. All handles are dead.
    pub fn crash(&self, rng: &mut Rng) {
        self.disk.lock().crash(rng);
    }

    /// Ends the process, not the machine: nothing written is lost, but locks and handles are.
    pub fn kill(&self) {
        self.disk.lock().forget_handles();
    }

    /// An independent copy of everything as it is, with what is on disk and what is not told apart as here. Nobody
    /// has a handle of it, or a lock.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut disk = self.disk.lock().clone();
        disk.forget_handles();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// An independent copy as a power cut would leave it; this one goes on.
    #[must_use]
    pub fn crashed_copy(&self, rng: &mut Rng) -> Self {
        let copy = self.fork();
        copy.crash(rng);
        copy
    }

    /// All files with their content, by path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.disk.lock().files()
    }

    /// From now on files may grow by so many bytes in all, holes included. Beyond that a write writes what fits and
    /// fails with [`io::ErrorKind::StorageFull`], as does allocating. What is removed, replaced or made shorter gives
    /// its bytes back. `None` takes the limit away.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.disk.lock().set_space(bytes);
    }

    /// What a failed sync of a file does: what was not on disk yet counts as written from now on, but never will be.
    /// It can be read until the power is cut. The file's length is kept apart from its content, so a later sync may
    /// still bring the length to disk.
    pub(super) fn forget_pending(&self, identity: u64) {
        self.disk.lock().forget_pending(identity);
    }
}

impl Filesystem for MemoryFilesystem {
    fn open_folder(&self, path: &Path, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        let mut disk = self.disk.lock();
        let folder = disk.open_path(path, mode)?;
        Ok(MemoryFolder::shared(&self.disk, &mut disk, folder))
    }
}
