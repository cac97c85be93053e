//! A relay's folder on disk: a folder for each tenant, which says where its events go.
//!
//! ```text
//! DATA/tenants/NAME/tenant.json    {"name": …, "upstream": …}: read by whoever empties the folder of a relay that is gone
//! DATA/tenants/NAME/spool/         its queue
//! ```

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, CWD};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Store, TenantConfig};

const TENANTS: &str = "tenants";
const SPOOL: &str = "spool";
const ABOUT: &str = "tenant.json";

/// Why a relay's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The system does not let the relay.
    #[error("failed to {what} {path:?}: {source}; check the folder and its permissions")]
    System {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The relay may not write there. What is delivered could not be noted, and would go out again at each start.
    #[error(
        "failed to write to {path:?}: {source}; give the relay's user this folder, on a disk that can be written, or give \
         another folder (data)"
    )]
    Unwritable {
        /// The folder, or the nearest above it that there is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It says what nobody can read.
    #[error("{path:?} is not what a relay writes: {source}; is this the folder of a relay?")]
    About {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What a tenant's folder says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct About {
    /// The tenant.
    pub name: String,
    /// Where its events go.
    pub upstream: String,
}

/// A tenant's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantFolder {
    /// What it says.
    pub about: About,
    /// Where its queue is.
    pub spool: PathBuf,
}

/// The tenants whose events a relay's folder holds, by name; none where it is no relay's folder.
pub fn tenants_in(data: &Path) -> Result<Vec<TenantFolder>, FolderError> {
    let folder = data.join(TENANTS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FolderError::System { what: "read", path: folder, source }),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|source| FolderError::System { what: "read", path: folder.clone(), source })?;
        if let Some(about) = read_about(&entry.path().join(ABOUT))? {
            found.push(TenantFolder { about, spool: entry.path().join(SPOOL) });
        }
    }
    found.sort_unstable_by(|one, other| one.about.name.cmp(&other.about.name));
    Ok(found)
}

fn read_about(path: &Path) -> Result<Option<About>, FolderError> {
    match fs::read(path) {
        Ok(text) => {
            let about = serde_json::from_slice(&text);
            about.map(Some).map_err(|source| FolderError::About { path: path.to_owned(), source })
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(FolderError::System { what: "read", path: path.to_owned(), source }),
    }
}

/// Whether the relay could write what it has to. Changes nothing: a folder that is not there yet can be made where the
/// nearest above it can be written.
pub(crate) fn check_writable(data: &Path, tenants: &[String]) -> Result<(), FolderError> {
    let of = |name: &String| [data.join(TENANTS).join(name), data.join(TENANTS).join(name).join(SPOOL)];
    let folders: BTreeSet<PathBuf> = tenants.iter().flat_map(of).map(|folder| nearest(&folder)).collect();
    folders
        .into_iter()
        .try_for_each(|path| may_write(&path).map_err(|source| FolderError::Unwritable { path, source }))
}

/// The folder, or the nearest above it that there is.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    there.unwrap_or(Path::new(".")).to_owned()
}

/// The system is asked, and nothing is tried: files of anybody else's are no part of a queue.
fn may_write(folder: &Path) -> io::Result<()> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::accessat(CWD, folder, all, AtFlags::EACCESS)?)
}

/// Makes the tenant's folder, and writes into it where its events go. Returns where its queue is.
pub(super) fn prepare(data: &Path, tenant: &TenantConfig) -> Result<PathBuf, FolderError> {
    let folder = data.join(TENANTS).join(&tenant.name);
    let failed = |what| {
        let path = folder.clone();
        move |source| FolderError::System { what, path, source }
    };
    make_folder(&folder).map_err(failed("make"))?;
    let about = About { name: tenant.name.clone(), upstream: tenant.upstream.clone() };
    let path = folder.join(ABOUT);
    // A file that is broken is written anew: this config says what is right.
    if read_about(&path).ok().flatten().as_ref() != Some(&about) {
        write_whole(&folder, &about).map_err(failed("write to"))?;
    }
    Ok(folder.join(SPOOL))
}

/// Nobody else's business: events name people.
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// There as a whole, or not at all.
fn write_whole(folder: &Path, about: &About) -> io::Result<()> {
    let draft = folder.join("tenant.json.new");
    let file = fs::File::create(&draft)?;
    serde_json::to_writer(&file, about)?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(ABOUT))?;
    fs::File::open(folder)?.sync_all()
}

/// Tenants of earlier configs whose folders are there: their events are owed to somebody.
pub(super) fn left_behind(config: &Config) -> Result<Vec<TenantConfig>, FolderError> {
    let Store::Disk { folder, .. } = &config.store else { return Ok(Vec::new()) };
    let is_known = |name: &str| config.tenants.iter().any(|tenant| tenant.name == name);
    let left = tenants_in(folder)?.into_iter().filter(|left| !is_known(&left.about.name));
    let as_config = |TenantFolder { about: About { name, upstream }, .. }| TenantConfig {
        name,
        ..TenantConfig::default_to(upstream)
    };
    Ok(left.map(as_config).collect())
}
