//! What `send` reads: standard input, a file, or with `--spool` a file from where the last run ended.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use posthaste::{LogEvent, ProjectConfig, SpoolQueue};

use super::{Input, Stream, resume};
use crate::{
    commands::{send::SendArgs, spool::Position},
    common::exit::Failure,
    lines::LineReader,
};

/// Few system calls for a fast reader, little memory for all others.
const READ_BYTES: usize = 256 * 1_024;

/// Where lines come from, and where in it reading begins.
pub(crate) struct Source {
    pub(crate) input: Input,
    /// Where it has one.
    pub(crate) length: Option<u64>,
    pub(crate) start: Position,
    /// With `--spool`.
    pub(crate) queue: Option<SpoolQueue<LogEvent>>,
    /// What people want to know of where it is taken up.
    pub(crate) note: Option<String>,
}

impl Source {
    pub(crate) fn open(args: &SendArgs, config: Option<&ProjectConfig>) -> Result<Self, Failure> {
        let Some(dir) = &args.spool else {
            let (stream, length) = open(args.input())?;
            let input = Input::Stream(Stream::new(LineReader::new(stream, args.max_line_bytes)));
            return Ok(Self { input, length, start: Position::start("-", config), queue: None, note: None });
        };
        resume::resume(args, dir, config)
    }

    /// No lines, behind those that have been read.
    pub(crate) fn nothing(start: &Position) -> Input {
        let nothing: Box<dyn BufRead + Send> = Box::new(io::empty());
        Input::Stream(Stream::new(LineReader::after(start.lines, nothing, 1)))
    }
}

/// The input, and its length where it has one.
fn open(path: Option<&Path>) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
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
