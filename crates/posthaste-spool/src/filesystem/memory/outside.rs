//! What hands from outside do to a filesystem in memory: put, damage, remove, rename. Each is on disk at once.

use std::{io, path::Path};

use super::{
    MemoryFilesystem,
    content::Content,
    disk::{Disk, FileId, FolderId, position, text},
};
use crate::filesystem::FolderMode;

impl MemoryFilesystem {
    /// Puts a new file in place of what is there, if anything; makes the folders it needs.
    ///
    /// # Panics
    ///
    /// If the path cannot be that of a file.
    pub fn put(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) {
        let mut disk = self.disk.lock();
        let (folder, name) = disk.split(path.as_ref(), FolderMode::Create).expect("the path of a file");
        let file = disk.files.len();
        disk.files.push(Content::durable(bytes.into()));
        disk.name_durably(folder, &name, Some(file));
    }

    /// Removes a file.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let (folder, name) = disk.split(path.as_ref(), FolderMode::Existing)?;
        disk.find(folder, &name)?;
        disk.name_durably(folder, &name, None);
        Ok(())
    }

    /// Sets the length of a file; what is added reads as zeros.
    pub fn truncate(&self, path: impl AsRef<Path>, bytes: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let file = disk.find_path(path.as_ref())?;
        disk.content(file).set_length_durably(position(bytes));
        Ok(())
    }

    /// Replaces bytes of a file, as a decaying disk does.
    pub fn overwrite(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let file = disk.find_path(path.as_ref())?;
        disk.content(file).overwrite_durably(position(offset), bytes);
        Ok(())
    }

    /// Renames a folder; handles of it stay handles of the same folder. There must be nothing at `to` yet but the
    /// folder it is to be in.
    pub fn rename_folder(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let (from_parent, from) = disk.split(from.as_ref(), FolderMode::Existing)?;
        let (to_parent, to) = disk.split(to.as_ref(), FolderMode::Existing)?;
        let place = disk.place(to_parent);
        if place.folders.contains_key(&to) || place.names.contains_key(&to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let moved = disk.place_mut(from_parent).folders.remove(&from).ok_or(io::ErrorKind::NotFound)?;
        disk.place_mut(to_parent).folders.insert(to, moved);
        disk.place_mut(moved).parent = Some(to_parent);
        Ok(())
    }

    /// Deletes a folder with all that is in it, as a mistaken hand would. Handles of its files go on working on files
    /// without a name. No folder there is fine too.
    pub fn delete_dir(&self, path: impl AsRef<Path>) {
        let mut disk = self.disk.lock();
        let Ok((parent, name)) = disk.split(path.as_ref(), FolderMode::Existing) else { return };
        let mut doomed: Vec<_> = disk.place_mut(parent).folders.remove(&name).into_iter().collect();
        while let Some(folder) = doomed.pop() {
            let place = disk.place_mut(folder);
            doomed.extend(std::mem::take(&mut place.folders).into_values());
            place.names.clear();
            place.durable.clear();
            place.deleted = true;
            disk.forget_changes(|in_folder, _| in_folder == folder);
        }
    }

    /// The content of a file.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut disk = self.disk.lock();
        let file = disk.find_path(path.as_ref())?;
        Ok(disk.bytes(file).to_vec())
    }
}

impl Disk {
    /// The folder a path leads into, and the name within.
    fn split(&mut self, path: &Path, mode: FolderMode) -> io::Result<(FolderId, String)> {
        let name = text(path.file_name().ok_or(io::ErrorKind::InvalidInput)?)?.to_owned();
        let folder = self.open_path(path.parent().unwrap_or(Path::new("")), mode)?;
        Ok((folder, name))
    }

    fn find_path(&mut self, path: &Path) -> io::Result<FileId> {
        let (folder, name) = self.split(path, FolderMode::Existing)?;
        self.find(folder, &name)
    }

    fn name_durably(&mut self, folder: FolderId, name: &str, file: Option<FileId>) {
        self.forget_changes(|in_folder, changed| in_folder == folder && changed == name);
        let place = self.place_mut(folder);
        for names in [&mut place.names, &mut place.durable] {
            match file {
                Some(file) => names.insert(name.to_owned(), file),
                None => names.remove(name),
            };
        }
    }

    /// Takes back the changes that are not on disk yet, of those names for which `which` holds.
    fn forget_changes(&mut self, which: impl Fn(FolderId, &str) -> bool) {
        for change in &mut self.pending {
            change.0.retain(|new| !which(new.folder, &new.name));
        }
        self.pending.retain(|change| !change.0.is_empty());
    }
}
