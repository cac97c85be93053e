//! Files in memory that know what a power cut would leave of them.
//!
//! Each file keeps the content that was synced and the changes made since; each folder keeps the names that were
//! synced and the renames made since. [`MemoryFilesystem::crash`] keeps what was synced, and of the rest whatever
//! the dice say: any subset of the writes, any of them torn, and any prefix of the name changes (journals keep
//! their order). Handles from before the crash are dead afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fastrand::Rng;
use parking_lot::Mutex;

use super::{DirEntry, Filesystem, OpenMode, SpoolFile};

/// A filesystem in memory that can crash. Clones share the files.
#[derive(Debug, Clone, Default)]
pub struct MemoryFilesystem {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    names_synced: BTreeMap<PathBuf, usize>,
    names_pending: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, usize>,
    generation: u64,
}

#[derive(Debug, Clone)]
struct NameChange {
    path: PathBuf,
    to: Option<usize>,
    /// Half of a rename: applied together with the change before it, or not at all.
    joined: bool,
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl MemoryFilesystem {
    /// An empty filesystem.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: unsynced changes survive as `rng` decides.
    pub fn crash(&self, rng: &mut Rng) {
        let mut disk = self.disk.lock();
        let kept = rng.usize(..=disk.names_pending.len());
        let changes: Vec<_> = disk.names_pending.drain(..).collect();
        let whole = kept + usize::from(changes.get(kept).is_some_and(|change| change.joined));
        let mut names = std::mem::take(&mut disk.names_synced);
        for change in changes.into_iter().take(whole) {
            apply_name(&mut names, change);
        }
        disk.names.clone_from(&names);
        disk.names_synced = names;
        for file in &mut disk.files {
            file.crash(rng);
        }
        disk.forget_handles();
    }

    /// Ends the process, not the machine: nothing written is lost, but locks and handles are.
    pub fn kill(&self) {
        self.disk.lock().forget_handles();
    }

    /// All files with their content, by path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk = self.disk.lock();
        let content =
            |index: &usize| disk.files.get(*index).map(|file| file.bytes.clone()).unwrap_or_default();
        disk.names.iter().map(|(path, index)| (path.clone(), content(index))).collect()
    }

    /// Puts a file in place, synced.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        if let Some(dir) = path.parent() {
            disk.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        }
        let index = disk.files.len();
        disk.files.push(Content { synced: bytes.clone(), bytes, pending: Vec::new() });
        disk.names.insert(path.to_path_buf(), index);
        disk.names_synced.insert(path.to_path_buf(), index);
    }

    /// Deletes a folder with all that is in it, as a mistaken hand would.
    pub fn delete_dir(&self, path: &Path) {
        let mut disk = self.disk.lock();
        disk.names.retain(|name, _| !name.starts_with(path));
        disk.names_synced.retain(|name, _| !name.starts_with(path));
        disk.names_pending.retain(|change| !change.path.starts_with(path));
        disk.dirs.retain(|dir| !dir.starts_with(path));
        disk.locks.retain(|lock, _| !lock.starts_with(path));
    }

    fn handle(&self, index: usize, generation: u64, lock: Option<PathBuf>) -> Box<dyn SpoolFile> {
        Box::new(MemoryFile { disk: Arc::clone(&self.disk), index, generation, lock })
    }
}

impl Disk {
    fn forget_handles(&mut self) {
        self.generation += 1;
        self.locks.clear();
    }

    fn change_name(&mut self, path: &Path, to: Option<usize>, joined: bool) {
        let change = NameChange { path: path.to_path_buf(), to, joined };
        apply_name(&mut self.names, change.clone());
        self.names_pending.push(change);
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        if !path.parent().is_some_and(|dir| self.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let index = self.files.len();
        self.files.push(Content::default());
        self.change_name(path, Some(index), false);
        Ok(index)
    }
}

impl Content {
    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(target) = bytes.get_mut(*offset..end) {
                    target.copy_from_slice(data);
                }
            }
        }
    }

    fn change(&mut self, change: Change) {
        Self::apply(&mut self.bytes, &change);
        self.pending.push(change);
    }

    fn crash(&mut self, rng: &mut Rng) {
        let mut bytes = std::mem::take(&mut self.synced);
        for mut change in self.pending.drain(..) {
            let fate = rng.u8(..4);
            if let (Change::Write(_, data), 0) = (&mut change, fate) {
                data.truncate(rng.usize(..=data.len()));
            }
            if fate < 3 {
                Self::apply(&mut bytes, &change);
            }
        }
        self.bytes.clone_from(&bytes);
        self.synced = bytes;
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, change: NameChange) {
    match change.to {
        Some(index) => names.insert(change.path, index),
        None => names.remove(&change.path),
    };
}

impl Filesystem for MemoryFilesystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.lock().dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let disk = self.disk.lock();
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = disk.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|(path, index)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some(DirEntry { name, bytes: disk.files.get(*index)?.bytes.len() as u64 })
            })
            .collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        let mut disk = self.disk.lock();
        let index = match (mode, disk.find(path)) {
            (OpenMode::Create, Ok(index)) => {
                if let Some(file) = disk.files.get_mut(index) {
                    file.change(Change::Length(0));
                }
                index
            }
            (OpenMode::Create, Err(_)) => disk.create(path)?,
            (_, found) => found?,
        };
        Ok(self.handle(index, disk.generation, None))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let index = disk.find(from)?;
        disk.change_name(from, None, false);
        disk.change_name(to, Some(index), true);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.find(path)?;
        disk.locks.remove(path);
        disk.change_name(path, None, false);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (synced, pending) =
            disk.names_pending.drain(..).partition(|change: &NameChange| change.path.parent() == Some(dir));
        disk.names_pending = pending;
        for change in synced {
            apply_name(&mut disk.names_synced, change);
        }
        Ok(())
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<Box<dyn SpoolFile>> {
        let mut disk = self.disk.lock();
        if disk.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let index = disk.find(path).or_else(|_| disk.create(path))?;
        if let Some(file) = disk.files.get_mut(index) {
            file.change(Change::Length(0));
            file.change(Change::Write(0, owner.as_bytes().to_vec()));
        }
        disk.locks.insert(path.to_path_buf(), index);
        Ok(self.handle(index, disk.generation, Some(path.to_path_buf())))
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    index: usize,
    generation: u64,
    lock: Option<PathBuf>,
}

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(io::Error::other("this handle is from before the crash"));
        }
        let file = disk.files.get_mut(self.index).ok_or(io::ErrorKind::NotFound)?;
        Ok(act(file))
    }
}

impl SpoolFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|file| {
            let rest = file.bytes.get(position(offset)..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
                to.copy_from_slice(from);
            }
            read
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|file| file.change(Change::Write(position(offset), bytes.to_vec())))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.with(|file| file.change(Change::Length(position(bytes))))
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|file| file.bytes.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|file| {
            let Content { bytes, synced, pending } = file;
            for change in pending.drain(..) {
                Content::apply(synced, &change);
            }
            debug_assert_eq!(bytes, synced, "a synced file is the file");
        })
    }

    fn is_linked(&self) -> io::Result<bool> {
        let disk = self.disk.lock();
        Ok(disk.names.values().any(|index| *index == self.index))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if let Some(path) = &self.lock {
            let mut disk = self.disk.lock();
            if disk.generation == self.generation && disk.locks.get(path) == Some(&self.index) {
                disk.locks.remove(path);
            }
        }
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("files in memory fit into memory")
}
