//! Open folders and files in memory: a number, valid until the crash.

use std::{io, path::Path, sync::Arc};

use parking_lot::Mutex;

use super::disk::{Disk, FileId, FolderId, position};
use crate::filesystem::{DirEntry, Folder, FolderMode, OpenMode, Space, SpoolFile};

/// What a write through a handle for reading ends in.
const BAD_DESCRIPTOR: i32 = rustix::io::Errno::BADF.raw_os_error();

#[derive(Debug)]
pub(super) struct MemoryFolder {
    disk: Arc<Mutex<Disk>>,
    folder: FolderId,
    handle: u64,
    generation: u64,
}

impl MemoryFolder {
    /// A new handle of a folder of `disk`, which `shared` is.
    pub(super) fn shared(shared: &Arc<Mutex<Disk>>, disk: &mut Disk, folder: FolderId) -> Arc<dyn Folder> {
        let (handle, generation) = disk.new_handle();
        Arc::new(Self { disk: Arc::clone(shared), folder, handle, generation })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.check(self.generation)?;
        act(&mut disk)
    }
}

impl Folder for MemoryFolder {
    fn open_folder(&self, name: &str, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        self.with(|disk| {
            let folder = disk.open_within(self.folder, name, mode)?;
            Ok(Self::shared(&self.disk, disk, folder))
        })
    }

    fn list(&self) -> io::Result<Vec<DirEntry>> {
        self.with(|disk| Ok(disk.list(self.folder)))
    }

    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        let file = self.with(|disk| disk.open(self.folder, name, mode))?;
        let disk = Arc::clone(&self.disk);
        Ok(Box::new(MemoryFile { disk, file, generation: self.generation, mode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|disk| disk.rename(self.folder, from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|disk| disk.remove(self.folder, name))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|disk| {
            disk.sync_names(self.folder);
            Ok(())
        })
    }

    fn lock(&self) -> io::Result<()> {
        self.with(|disk| disk.lock(self.folder, self.handle))
    }

    fn is_locked(&self) -> io::Result<bool> {
        self.with(|disk| Ok(disk.is_locked(self.folder, self.handle)))
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.with(|disk| match disk.open_path(path, FolderMode::Existing) {
            Ok(folder) => Ok(folder == self.folder),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(error),
        })
    }

    fn space(&self) -> io::Result<Space> {
        self.with(|disk| Ok(disk.space()))
    }
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        self.disk.lock().unlock(self.folder, self.handle);
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    file: FileId,
    generation: u64,
    mode: OpenMode,
}

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.check(self.generation)?;
        act(&mut disk)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.mode {
            OpenMode::Read => Err(io::Error::from_raw_os_error(BAD_DESCRIPTOR)),
            OpenMode::Write | OpenMode::Create => Ok(()),
        }
    }
}

impl SpoolFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|disk| {
            let rest = disk.bytes(self.file).get(position(offset)..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
                to.copy_from_slice(from);
            }
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.with(|disk| disk.write(self.file, bytes, offset))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        self.with(|disk| disk.allocate(self.file, bytes))
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|disk| Ok(disk.size(self.file)))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|disk| {
            disk.content(self.file).sync();
            Ok(())
        })
    }

    fn identity(&self) -> io::Result<u64> {
        self.with(|_| Ok(self.file as u64))
    }
}
