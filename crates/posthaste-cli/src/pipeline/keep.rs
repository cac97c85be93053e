//! The files that keep what was not delivered. They are added to, never emptied: the last run's are as precious.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use crate::common::exit::Failure;

/// A file of lines. Every write goes to the system at once, so that quitting loses none of it.
#[derive(Debug)]
pub(crate) struct Keep {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The first write that failed: what came after it may be missing too.
    trouble: Option<io::Error>,
}

impl Keep {
    /// Opens the file, or makes it, and sees to it that what is added starts on a line of its own.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = open(path).map_err(|source| Failure::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), state: Mutex::new(State { file, trouble: None }) })
    }

    /// Adds bytes. Says whether they are in the file.
    pub(crate) fn put(&self, bytes: &[u8]) -> bool {
        let mut state = self.state.lock();
        let written = state.file.write_all(bytes);
        let is_kept = written.is_ok();
        if let (Err(error), None) = (written, &state.trouble) {
            state.trouble = Some(error);
        }
        is_kept
    }

    /// What went wrong, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state.lock();
        let error = state.trouble.as_ref()?;
        Some(format!(
            "failed to write to {}: {error}; what it should keep is incomplete",
            self.path.display()
        ))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Refuses files that are read or each other: reading what is being written would never end.
pub(crate) fn check_distinct(
    inputs: &[(&str, Option<&Path>)],
    outputs: &[(&str, Option<&Path>)],
) -> Result<(), Failure> {
    let mut taken: Vec<(&str, PathBuf)> =
        inputs.iter().filter_map(|(name, path)| Some((*name, real((*path)?)))).collect();
    for (option, path) in outputs {
        let Some(path) = path else { continue };
        let path = real(path);
        if let Some((other, _)) = taken.iter().find(|(_, other)| *other == path) {
            let text = format!("{option} {} is also {other}; give it a file of its own", path.display());
            return Err(Failure::Usage(text));
        }
        taken.push((option, path));
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let whole = path.canonicalize().ok();
    let in_folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    whole.or_else(in_folder).unwrap_or_else(|| path.to_owned())
}
