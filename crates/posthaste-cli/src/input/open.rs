//! Opens what `send` reads: standard input, files, or with `--spool` files from where the last run ended.

use std::{
    collections::VecDeque,
    fs::{File, Metadata},
    io::{self, IsTerminal, Seek},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use posthaste::ProjectConfig;

use super::{
    names::{is_standard, name, wrong},
    position::Position,
    resume::resume,
    source::{Input, Source, Wanted, stream},
};
use crate::common::exit::Failure;

/// Opens it, and finds where reading begins.
pub(crate) fn open(wanted: Wanted<'_>, config: Option<&ProjectConfig>) -> Result<Source, Failure> {
    if let Some((dir, size)) = wanted.spool {
        return resume(wanted, dir, size, config);
    }
    let standard = [PathBuf::from("-")];
    let paths = if wanted.paths.is_empty() { &standard } else { wanted.paths };
    if paths.iter().filter(|path| is_standard(path)).count() > 1 {
        return Err(Failure::Usage("standard input (-) can be read once only".to_owned()));
    }
    // All of them are looked at before the first line is sent.
    let lengths = paths.iter().map(|path| look(path)).collect::<Result<Vec<_>, _>>()?;
    let mut next: VecDeque<PathBuf> = paths.iter().cloned().collect();
    let first = next.pop_front().unwrap_or_default();
    let current = stream(&first, wanted.line_bytes_max).map_err(|source| wrong(&first, source))?;
    let input = Input::new(current, name(&first)).followed_by(next, wanted.line_bytes_max);
    let length = lengths.into_iter().sum();
    let note = paths.iter().any(|path| is_standard(path)).then(terminal_note).flatten();
    Ok(Source { input, length, start: Position::start("-", config), queue: None, note })
}

/// For people who wonder why nothing happens.
pub(crate) fn terminal_note() -> Option<String> {
    io::stdin().is_terminal().then(|| "reading events from the terminal; end with Ctrl-D".to_owned())
}

/// How long one is, where it has an end, and whether it can be read at all.
fn look(path: &Path) -> Result<Option<u64>, Failure> {
    if is_standard(path) {
        return Ok(rest_of_stdin());
    }
    // Opening anything else may wait for somebody, as a pipe does, or take something out of it.
    let look = || {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_file() {
            File::open(path)?;
        }
        Ok(metadata)
    };
    let metadata = look().map_err(|source| wrong(path, source))?;
    if metadata.is_dir() {
        return Err(wrong(path, io::ErrorKind::IsADirectory.into()));
    }
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// Of a file that the shell has opened.
fn rest_of_stdin() -> Option<u64> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some(metadata.len().saturating_sub(file.stream_position().ok()?))
}
