//! Datafiles: reading one, and the one that is built in.

use std::path::{Path, PathBuf};

use posthaste::ProjectConfig;

use super::exit::Failure;

/// A project to play with.
pub(crate) const LARKSPUR: &str = include_str!("larkspur.json");

/// Reads a datafile from disk.
pub(crate) fn read(path: &Path) -> Result<ProjectConfig, Failure> {
    let named = || PathBuf::from(path);
    let text = std::fs::read(path).map_err(|source| Failure::Read { path: named(), source })?;
    ProjectConfig::from_datafile(text).map_err(|source| Failure::Datafile { path: named(), source })
}
