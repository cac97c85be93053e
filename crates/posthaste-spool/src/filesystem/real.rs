//! The operating system's files: mode 0600 in folders of mode 0700, synced with fdatasync.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::{DirEntry, Filesystem, OpenMode, SpoolFile};

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// The operating system's filesystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFilesystem;

impl Filesystem for RealFilesystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        // One by one, so that each new name survives a power cut.
        let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        match DirBuilder::new().mode(DIR_MODE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.sync_dir(parent),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A file may vanish between the two calls when another process recycles it: then it is not there.
            if let (Ok(metadata), Ok(name)) = (entry.metadata(), entry.file_name().into_string())
                && metadata.is_file()
            {
                entries.push(DirEntry { name, bytes: metadata.len() });
            }
        }
        Ok(entries)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).mode(FILE_MODE);
        if mode == OpenMode::Create {
            options.create(true).truncate(true);
        }
        Ok(Box::new(options.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<Box<dyn SpoolFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who owns it is a courtesy to the next one; a full disk must not keep a spool from opening.
        let _ = File::set_len(&file, 0).and_then(|()| file.write_all_at(owner.as_bytes(), 0));
        Ok(Box::new(Locked(file)))
    }
}

impl SpoolFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..)
            && !rest.is_empty()
        {
            match FileExt::read_at(self, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }
}

/// A locked file, unlocked when dropped. Closing it would not be enough: a child that this process is just starting
/// has a copy of it until it runs its own program.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // It is closed next, which frees it as a rule.
        let _ = self.0.unlock();
    }
}

impl SpoolFile for Locked {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        SpoolFile::read_at(&self.0, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        SpoolFile::write_at(&self.0, bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        SpoolFile::set_len(&self.0, bytes)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.0.is_linked()
    }
}
