//! Datafiles: reading one, and the one that is built in.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use posthaste::ProjectConfig;

use super::{exit::Failure, output::Output};
use crate::input;

/// A project to play with.
pub(crate) const LARKSPUR: &str = include_str!("larkspur.json");

/// Bytes that a datafile may have, unpacked: many times the largest that are known.
const BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// Warnings that are told one by one, where the datafile is not what was asked about.
const TOLD_MAX: usize = 20;

/// Reads a datafile from disk, compressed or not, and tells what is odd about it, as far as there is room.
pub(crate) fn read_and_tell(path: &Path, output: &Output) -> Result<ProjectConfig, Failure> {
    let config = read(path)?;
    let (path, warnings) = (path.display(), config.warnings());
    for warning in warnings.iter().take(TOLD_MAX) {
        output.note(format_args!("{path}: warning: {warning}"));
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(TOLD_MAX) {
        output.note(format_args!("{path}: … and {more} more; `posthaste validate {path}` lists all"));
    }
    Ok(config)
}

/// Reads a datafile from disk, compressed or not.
pub(crate) fn read(path: &Path) -> Result<ProjectConfig, Failure> {
    let named = || PathBuf::from(path);
    let text = read_bounded(path).map_err(|source| Failure::Read { path: named(), source })?;
    ProjectConfig::from_datafile(text).map_err(|source| Failure::Datafile { path: named(), source })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    input::unpacked_file(path)?.stream.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        let why =
            format!("it has more than {BYTES_MAX} bytes, and is no datafile; give the project's datafile");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}
