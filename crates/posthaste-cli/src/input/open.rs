//! Opens what `send` reads: standard input, a file, or with `--spool` a file from where the last run ended.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use posthaste::ProjectConfig;

use super::{
    position::Position,
    resume::resume,
    source::{Input, Source, Wanted},
    stream::Stream,
};
use crate::{common::exit::Failure, lines::LineReader};

/// Few system calls for a fast reader, little memory for all others.
const READ_BYTES: usize = 256 * 1_024;

/// Opens it, and finds where reading begins.
pub(crate) fn open(wanted: Wanted<'_>, config: Option<&ProjectConfig>) -> Result<Source, Failure> {
    if let Some((dir, size)) = wanted.spool {
        return resume(wanted, dir, size, config);
    }
    let (stream, length) = open_stream(wanted.path)?;
    let input = Input::Stream(Stream::new(LineReader::new(stream, wanted.line_bytes_max)));
    Ok(Source { input, length, start: Position::start("-", config), queue: None, note: None })
}

/// The input, and its length where it has one.
fn open_stream(path: Option<&Path>) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
    let Some(path) = path else {
        return Ok((Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), None));
    };
    let wrong = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if metadata.is_dir() {
        return Err(wrong(io::ErrorKind::IsADirectory.into()));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), length))
}
