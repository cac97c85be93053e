//! The names of files, and which changes of names are on disk.
//!
//! At a crash each folder keeps the first so many of its changes. A rename counts in both folders and survives in both
//! or in neither.

use std::{collections::BTreeMap, io};

use fastrand::Rng;

use super::{
    content::Content,
    disk::{Disk, FileId, FolderId},
};
use crate::filesystem::OpenMode;

/// A creation or a removal, or both halves of a rename, which reach the disk together or not at all.
#[derive(Debug, Clone)]
pub(super) struct NameChange(pub(super) Vec<NewName>);

#[derive(Debug, Clone)]
pub(super) struct NewName {
    pub(super) folder: FolderId,
    pub(super) name: String,
    pub(super) file: Option<FileId>,
}

impl Disk {
    pub(super) fn open(&mut self, folder: FolderId, name: &str, mode: OpenMode) -> io::Result<FileId> {
        let (folder, name) = self.resolve(folder, name)?;
        if self.place(folder).folders.contains_key(name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        match (self.place(folder).names.get(name).copied(), mode) {
            (Some(file), OpenMode::Create) => {
                self.content(file).set_length(0);
                Ok(file)
            }
            (Some(file), _) => Ok(file),
            (None, OpenMode::Create) if !self.place(folder).deleted => {
                let file = self.files.len();
                self.files.push(Content::default());
                self.change_names(vec![NewName { folder, name: name.to_owned(), file: Some(file) }]);
                Ok(file)
            }
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn rename(&mut self, folder: FolderId, from: &str, to: &str) -> io::Result<()> {
        let (from_folder, from) = self.resolve(folder, from)?;
        let (to_folder, to) = self.resolve(folder, to)?;
        let file = self.find(from_folder, from)?;
        if self.place(to_folder).folders.contains_key(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if (from_folder, from) != (to_folder, to) {
            self.change_names(vec![
                NewName { folder: from_folder, name: from.to_owned(), file: None },
                NewName { folder: to_folder, name: to.to_owned(), file: Some(file) },
            ]);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, folder: FolderId, name: &str) -> io::Result<()> {
        let (folder, name) = self.resolve(folder, name)?;
        self.find(folder, name)?;
        self.change_names(vec![NewName { folder, name: name.to_owned(), file: None }]);
        Ok(())
    }

    /// Brings the changes of a folder's names to disk, and those of other folders that a rename between the two ties
    /// to them.
    pub(super) fn sync_names(&mut self, folder: FolderId) {
        let mut folders = vec![folder];
        let mut kept = Vec::new();
        let mut synced = Vec::new();
        for change in self.pending.drain(..).rev() {
            if change.0.iter().any(|new| folders.contains(&new.folder)) {
                folders.extend(change.0.iter().map(|new| new.folder));
                synced.push(change);
            } else {
                kept.push(change);
            }
        }
        kept.reverse();
        self.pending = kept;
        for change in synced.into_iter().rev() {
            self.make_durable(change);
        }
    }

    pub(super) fn find(&self, folder: FolderId, name: &str) -> io::Result<FileId> {
        self.place(folder).names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn crash_names(&mut self, rng: &mut Rng) {
        let mut counts = BTreeMap::<FolderId, usize>::new();
        for new in self.pending.iter().flat_map(|change| &change.0) {
            *counts.entry(new.folder).or_default() += 1;
        }
        let mut left: BTreeMap<_, _> =
            counts.into_iter().map(|(folder, count)| (folder, rng.usize(..=count))).collect();
        for change in std::mem::take(&mut self.pending) {
            // A rename within one folder counts twice and may have only one left: then it survives as well.
            let survives = change.0.iter().all(|new| left.get(&new.folder).is_some_and(|left| *left > 0));
            for new in &change.0 {
                let left = left.entry(new.folder).or_default();
                *left = if survives { left.saturating_sub(1) } else { 0 };
            }
            if survives {
                self.make_durable(change);
            }
        }
        for place in &mut self.folders {
            place.names.clone_from(&place.durable);
        }
    }

    fn change_names(&mut self, change: Vec<NewName>) {
        for new in change.clone() {
            apply(&mut self.place_mut(new.folder).names, new);
        }
        self.pending.push(NameChange(change));
    }

    fn make_durable(&mut self, change: NameChange) {
        for new in change.0 {
            apply(&mut self.place_mut(new.folder).durable, new);
        }
    }

    /// The folder a name is in, and the name within.
    fn resolve<'a>(&self, folder: FolderId, name: &'a str) -> io::Result<(FolderId, &'a str)> {
        let Some((within, name)) = name.split_once('/') else { return Ok((folder, name)) };
        match self.place(folder).folders.get(within) {
            Some(folder) if !name.contains('/') => Ok((*folder, name)),
            Some(_) => Err(io::ErrorKind::InvalidInput.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn apply(names: &mut BTreeMap<String, FileId>, new: NewName) {
    match new.file {
        Some(file) => names.insert(new.name, file),
        None => names.remove(&new.name),
    };
}
