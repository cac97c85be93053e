//! What `send` reads: standard input, a file, or with `--spool` a file from where the last run ended.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use posthaste::{LogEvent, ProjectConfig, SpoolQueue};

use super::{
    Input, SendArgs,
    resume::{self, Resumed},
    tracked::Tracked,
};
use crate::{exit::Failure, spool::Position};

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
    pub(crate) note: Option<String>,
}

impl Source {
    pub(crate) fn open(args: &SendArgs, config: Option<&ProjectConfig>) -> Result<Self, Failure> {
        let Some(dir) = &args.spool else {
            let (input, length) = open(args.input())?;
            return Ok(Self { input, length, start: Position::start("-", config), queue: None, note: None });
        };
        let Resumed { queue, input, start, note } = resume::resume(args, dir, config)?;
        let length = args.input().and_then(|path| path.metadata().ok()).map(|metadata| metadata.len());
        Ok(Self { input, length, start, queue: Some(queue), note })
    }
}

/// The input, and its length where it has one.
pub(crate) fn open(path: Option<&Path>) -> Result<(Input, Option<u64>), Failure> {
    let Some(path) = path else {
        let stdin = BufReader::with_capacity(READ_BYTES, io::stdin());
        return Ok((Tracked::new(Box::new(stdin)), None));
    };
    let wrong = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if metadata.is_dir() {
        return Err(wrong(io::ErrorKind::IsADirectory.into()));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Tracked::new(Box::new(BufReader::with_capacity(READ_BYTES, file))), length))
}
