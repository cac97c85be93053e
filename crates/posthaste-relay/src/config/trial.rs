//! Whether what a config names is there: its files can be read, and its folder can be written. Nothing stays changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Config, Store};
use crate::{
    access::{Access, AccessError},
    tenants::{self, FolderError},
};

/// What a config's files and folder hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Found {
    /// Tokens that are known; `None`: nobody needs one.
    pub tokens: Option<usize>,
    /// Accounts that are on the list; `None`: events of all are taken.
    pub accounts: Option<usize>,
    /// Tenants whose events the folder holds.
    pub tenants: Vec<String>,
}

/// Why a relay with this config would not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// A file of tokens or accounts cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The folder says what nobody can read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Nothing can be written there.
    #[error(
        "failed to write to {path:?}: {source}; check the folder and its permissions, or give another (data)"
    )]
    Unwritable {
        /// The folder, or the nearest above it that there is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Config {
    /// Looks whether a relay would start with it, and what it would find. Addresses need not be free.
    pub fn try_out(&self) -> Result<Found, TrialError> {
        let access = Access::open(self.access.clone())?;
        let rules = access.rules();
        let mut found = Found { tokens: rules.tokens(), accounts: rules.accounts(), tenants: Vec::new() };
        if let Store::Disk { folder, .. } = &self.store {
            try_to_write(folder)?;
            found.tenants =
                tenants::tenants_in(folder)?.into_iter().map(|tenant| tenant.about.name).collect();
        }
        Ok(found)
    }
}

/// A folder that is not there yet can be made where the nearest above it can be written.
fn try_to_write(folder: &Path) -> Result<(), TrialError> {
    let there = folder.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    let there = there.unwrap_or(Path::new("."));
    let draft = there.join(format!(".posthaste-relay-check-{}", std::process::id()));
    let written = fs::File::create_new(&draft).and_then(|_| fs::remove_file(&draft));
    written.map_err(|source| TrialError::Unwritable { path: there.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let of = |path: PathBuf| Config::to("http://a/").on_disk(path).try_out();
        assert_eq!(of(folder.path().join("not/there")).unwrap(), Found::default());
        assert_eq!(of(folder.path().to_owned()).unwrap(), Found::default());
        let error = of(file.join("below")).unwrap_err().to_string();
        assert!(error.contains("failed to write to") && error.contains("file"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
