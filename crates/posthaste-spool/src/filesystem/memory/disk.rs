//! The tree of folders, and the room that the files in them take.
//!
//! A folder and a file are numbers that are never used again, so that a handle means the same one for ever.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
};

use fastrand::Rng;

use super::{content::Content, names::NameChange};
use crate::filesystem::{DirEntry, FolderMode, Space};

/// Number of a folder.
pub(super) type FolderId = usize;
/// Number of a file.
pub(super) type FileId = usize;

/// Where absolute paths begin.
const ROOT: FolderId = 0;
/// Where relative paths begin.
const HERE: FolderId = 1;

/// The size of a disk without a limit.
const ENDLESS_BYTES: u64 = 1 << 50;

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) files: Vec<Content>,
    pub(super) folders: Vec<Place>,
    /// In the order of time.
    pub(super) pending: Vec<NameChange>,
    /// Who has locked which folder.
    locks: BTreeMap<FolderId, u64>,
    handles: u64,
    generation: u64,
    capacity: Option<u64>,
}

/// A folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) parent: Option<FolderId>,
    pub(super) folders: BTreeMap<String, FolderId>,
    /// As reads see it.
    pub(super) names: BTreeMap<String, FileId>,
    /// As it is on disk.
    pub(super) durable: BTreeMap<String, FileId>,
    /// Nothing can be made in a folder that was deleted.
    pub(super) deleted: bool,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            folders: vec![Place::default(), Place::default()],
            pending: Vec::new(),
            locks: BTreeMap::new(),
            handles: 0,
            generation: 0,
            capacity: None,
        }
    }
}

impl Disk {
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.crash_names(rng);
        for file in &mut self.files {
            file.crash(rng);
        }
        self.forget_handles();
    }

    pub(super) fn forget_handles(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.forget_orphans();
    }

    /// Files that no name leads to any more are of use to handles only.
    fn forget_orphans(&mut self) {
        let mut named: Vec<_> =
            self.pending.iter().flat_map(|change| &change.0).filter_map(|new| new.file).collect();
        for place in &self.folders {
            named.extend(place.names.values().chain(place.durable.values()));
        }
        named.sort_unstable();
        for (file, content) in self.files.iter_mut().enumerate() {
            if named.binary_search(&file).is_err() {
                *content = Content::default();
            }
        }
    }

    /// A number for a handle, and the generation it belongs to.
    pub(super) fn new_handle(&mut self) -> (u64, u64) {
        self.handles += 1;
        (self.handles, self.generation)
    }

    pub(super) fn check(&self, generation: u64) -> io::Result<()> {
        if generation == self.generation {
            Ok(())
        } else {
            Err(io::Error::other("this handle is from before the crash"))
        }
    }

    pub(super) fn forget_pending(&mut self, identity: u64) {
        if let Some(file) = usize::try_from(identity).ok().and_then(|file| self.files.get_mut(file)) {
            file.forget_pending();
        }
    }
}

/// Folders.
impl Disk {
    pub(super) fn place(&self, folder: FolderId) -> &Place {
        self.folders.get(folder).expect("folders are never forgotten")
    }

    pub(super) fn place_mut(&mut self, folder: FolderId) -> &mut Place {
        self.folders.get_mut(folder).expect("folders are never forgotten")
    }

    pub(super) fn open_path(&mut self, path: &Path, mode: FolderMode) -> io::Result<FolderId> {
        let mut folder = HERE;
        for component in path.components() {
            folder = match component {
                Component::RootDir => ROOT,
                Component::ParentDir => self.place(folder).parent.unwrap_or(folder),
                Component::Normal(name) => self.open_within(folder, text(name)?, mode)?,
                Component::CurDir | Component::Prefix(_) => folder,
            };
        }
        Ok(folder)
    }

    pub(super) fn open_within(
        &mut self,
        parent: FolderId,
        name: &str,
        mode: FolderMode,
    ) -> io::Result<FolderId> {
        let place = self.place(parent);
        if place.names.contains_key(name) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match (place.folders.get(name), mode) {
            (Some(folder), _) => Ok(*folder),
            (None, FolderMode::Create) if !place.deleted => {
                let folder = self.folders.len();
                self.folders.push(Place { parent: Some(parent), ..Place::default() });
                self.place_mut(parent).folders.insert(name.to_owned(), folder);
                Ok(folder)
            }
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn list(&self, folder: FolderId) -> Vec<DirEntry> {
        let names = self.place(folder).names.iter();
        names.map(|(name, file)| DirEntry { name: name.clone(), bytes: self.size(*file) }).collect()
    }

    pub(super) fn lock(&mut self, folder: FolderId, handle: u64) -> io::Result<()> {
        match self.locks.get(&folder) {
            Some(owner) if *owner != handle => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                self.locks.insert(folder, handle);
                Ok(())
            }
        }
    }

    pub(super) fn is_locked(&self, folder: FolderId, handle: u64) -> bool {
        self.locks.get(&folder).is_some_and(|owner| *owner != handle)
    }

    pub(super) fn unlock(&mut self, folder: FolderId, handle: u64) {
        if self.locks.get(&folder) == Some(&handle) {
            self.locks.remove(&folder);
        }
    }

    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![(PathBuf::from("/"), ROOT), (PathBuf::new(), HERE)];
        while let Some((path, folder)) = waiting.pop() {
            let place = self.place(folder);
            for (name, file) in &place.names {
                files.insert(path.join(name), self.bytes(*file).to_vec());
            }
            waiting.extend(place.folders.iter().map(|(name, folder)| (path.join(name), *folder)));
        }
        files
    }
}

/// The content of files, and room for it.
impl Disk {
    pub(super) fn content(&mut self, file: FileId) -> &mut Content {
        self.files.get_mut(file).expect("files are never forgotten")
    }

    pub(super) fn bytes(&self, file: FileId) -> &[u8] {
        self.files.get(file).map(Content::bytes).unwrap_or_default()
    }

    pub(super) fn size(&self, file: FileId) -> u64 {
        self.bytes(file).len() as u64
    }

    pub(super) fn write(&mut self, file: FileId, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = self.size(file).saturating_add(self.space().free).saturating_sub(offset);
        let fits = bytes.get(..position(end)).unwrap_or(bytes);
        if !fits.is_empty() {
            self.content(file).write(position(offset), fits);
        }
        if fits.len() < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn allocate(&mut self, file: FileId, bytes: u64) -> io::Result<()> {
        if bytes.saturating_sub(self.size(file)) > self.space().free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content(file).set_length(position(bytes));
        Ok(())
    }

    pub(super) fn set_space(&mut self, bytes: Option<u64>) {
        self.capacity = bytes.map(|bytes| bytes.saturating_add(self.used()));
    }

    pub(super) fn space(&self) -> Space {
        let total = self.capacity.unwrap_or(ENDLESS_BYTES);
        Space { free: total.saturating_sub(self.used()), total }
    }

    fn used(&self) -> u64 {
        self.folders.iter().flat_map(|place| place.names.values()).map(|file| self.size(*file)).sum()
    }
}

/// What a path is called in here.
pub(super) fn text(name: &std::ffi::OsStr) -> io::Result<&str> {
    name.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

pub(super) fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
