//! The operating system's files: mode 0600 in folders of mode 0700.
//!
//! A folder is a descriptor, and everything in it is done relative to that descriptor, so no rename, no mount and no
//! symbolic link can lead an operation elsewhere. Files are synced with `fdatasync`, folders with `fsync`.
//!
//! What is asked about a file is asked with `statx`, and only that: asking for its times, as `fstat` does, makes the
//! next write take new ones, and the sync after it writes the inode too (Linux 6.13 and later).

mod stat;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt},
    path::{Component, Path},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    fs::{self, AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags},
    io::{Errno, retry_on_intr},
};
use signal_hook::consts::SIGXFSZ;

use self::stat::{bytes_of, place_of, place_of_path, plain_file_bytes};
use super::{DirEntry, Filesystem, Folder, FolderMode, OpenMode, Space, SpoolFile};

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_MODE: Mode = Mode::RWXU;
const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Observers hold the folder for a moment when they look whether it is locked.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// The operating system's filesystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFilesystem;

impl Filesystem for RealFilesystem {
    fn open_folder(&self, path: &Path, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        let dir = match mode {
            FolderMode::Existing => open_dir(CWD, path)?,
            FolderMode::Create => {
                outlive_file_size_limit();
                create_dirs(path)?
            }
        };
        Ok(RealFolder::shared(dir))
    }
}

#[derive(Debug)]
struct RealFolder {
    dir: File,
    locked: AtomicBool,
}

impl RealFolder {
    fn shared(dir: File) -> Arc<dyn Folder> {
        Arc::new(Self { dir, locked: AtomicBool::new(false) })
    }

    fn try_lock(&self) -> io::Result<()> {
        flock(&self.dir, FlockOperation::NonBlockingLockExclusive)
    }
}

impl Folder for RealFolder {
    fn open_folder(&self, name: &str, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        if mode == FolderMode::Create {
            make_dir(&self.dir, name.as_ref())?;
        }
        open_dir(&self.dir, name.as_ref()).map(RealFolder::shared)
    }

    fn list(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            let Ok(name) = entry.file_name().to_str() else { continue };
            match plain_file_bytes(&self.dir, entry.file_name()) {
                Ok(Some(bytes)) => entries.push(DirEntry { name: name.to_owned(), bytes }),
                // It may have vanished between the two calls when another process renames it: then it is not there.
                Ok(None) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(entries)
    }

    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        let how = match mode {
            OpenMode::Read => OFlags::RDONLY,
            OpenMode::Write => OFlags::RDWR,
            OpenMode::Create => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC,
        };
        // What is not a plain file is not listed, and not opened either.
        let flags = how | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = retry_on_intr(|| fs::openat(&self.dir, name, flags, FILE_MODE))?;
        Ok(Box::new(RealFile(file.into())))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::renameat(&self.dir, from, &self.dir, to))?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::unlinkat(&self.dir, name, AtFlags::empty()))?)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn lock(&self) -> io::Result<()> {
        let mut result = self.try_lock();
        for _ in 1..LOCK_TRIES {
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                break;
            }
            thread::sleep(LOCK_PAUSE);
            result = self.try_lock();
        }
        result?;
        self.locked.store(true, Ordering::Release);
        Ok(())
    }

    fn is_locked(&self) -> io::Result<bool> {
        if self.locked.load(Ordering::Acquire) {
            return Ok(false);
        }
        let probe = open_dir(&self.dir, Path::new("."))?;
        match flock(&probe, FlockOperation::NonBlockingLockShared) {
            Ok(()) => flock(&probe, FlockOperation::Unlock).map(|()| false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match place_of_path(path) {
            Ok(place) => Ok(place == place_of(&self.dir)?),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let disk = retry_on_intr(|| fs::fstatvfs(&self.dir))?;
        Ok(Space {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }
}

impl Drop for RealFolder {
    fn drop(&mut self) {
        // Closing it would not be enough: a child that this process is just starting has a copy of the descriptor
        // until it runs its own program.
        if *self.locked.get_mut() {
            let _ = flock(&self.dir, FlockOperation::Unlock);
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl SpoolFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..)
            && !rest.is_empty()
        {
            match FileExt::read_at(&self.0, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if bytes > 0 {
            reserve(&self.0, bytes)?;
        }
        // Reserving never makes a file shorter.
        if bytes_of(&self.0)? > bytes {
            retry_on_intr(|| fs::ftruncate(&self.0, bytes))?;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(bytes_of(&self.0)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn identity(&self) -> io::Result<u64> {
        Ok(place_of(&self.0)?.inode)
    }
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match retry_on_intr(|| fs::fallocate(file, fs::FallocateFlags::empty(), 0, bytes)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn flock(dir: &File, operation: FlockOperation) -> io::Result<()> {
    Ok(retry_on_intr(|| fs::flock(dir, operation))?)
}

fn open_dir(at: impl AsFd, path: &Path) -> io::Result<File> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(retry_on_intr(|| fs::openat(at.as_fd(), path, FOLDER_FLAGS, Mode::empty()))?.into())
}

/// Opens a folder, makes what is missing of the way to it, and makes each new name survive a power cut.
fn create_dirs(path: &Path) -> io::Result<File> {
    match open_dir(CWD, path) {
        Ok(dir) => {
            // A process that died in here may have made it and not come to the sync. The parent need not be ours,
            // nor on the same disk, so this is for good measure only.
            let _ = open_dir(&dir, Path::new("..")).and_then(|parent| parent.sync_all());
            Ok(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(Component::Normal(name)), Some(parent)) =
                (path.components().next_back(), path.parent())
            else {
                return Err(error);
            };
            let parent = create_dirs(parent)?;
            make_dir(&parent, name)?;
            open_dir(&parent, name.as_ref())
        }
        Err(error) => Err(error),
    }
}

fn make_dir(parent: &File, name: &OsStr) -> io::Result<()> {
    match retry_on_intr(|| fs::mkdirat(parent, name, FOLDER_MODE)) {
        Err(Errno::EXIST) | Ok(()) => parent.sync_all(),
        Err(error) => Err(error.into()),
    }
}

/// A write past the process's limit on file sizes is to fail like one on a full disk. Without this, it ends the
/// process.
fn outlive_file_size_limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only where the signal does not exist.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    });
}
