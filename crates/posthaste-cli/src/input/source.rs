//! What there is to read: as it is asked for, and once it is open.

use std::{
    io::{self, BufRead},
    path::Path,
};

use posthaste::{LogEvent, SpoolQueue};

use super::{
    place::Place,
    position::Position,
    step::Step,
    stream::Stream,
    tail::{Tail, Way},
};
use crate::lines::LineReader;

/// What to read, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `None` for standard input.
    pub(crate) path: Option<&'a Path>,
    /// The spool that knows where the last run ended, and how many bytes it may have.
    pub(crate) spool: Option<(&'a Path, u64)>,
    pub(crate) way: Way,
    pub(crate) line_bytes_max: usize,
}

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
    /// No lines, behind those that have been read.
    pub(crate) fn nothing(start: &Position) -> Input {
        let nothing: Box<dyn BufRead + Send> = Box::new(io::empty());
        Input::Stream(Stream::new(LineReader::after(start.lines, nothing, 1)))
    }
}

#[derive(Debug)]
pub(crate) enum Input {
    Stream(Stream),
    File(Box<Tail>),
}

impl Input {
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        match self {
            Self::Stream(stream) => stream.step(),
            Self::File(tail) => tail.step(),
        }
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &LineReader<dyn BufRead> {
        match self {
            Self::Stream(stream) => stream.line(),
            Self::File(tail) => tail.line(),
        }
    }

    /// Hands on what is left of a line that is too long.
    pub(crate) fn rest(&mut self, keep: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.rest(keep),
            Self::File(tail) => tail.rest(keep),
        }
    }

    /// Tells that the line needs to be read no more.
    pub(crate) fn dealt_with(&mut self) {
        match self {
            Self::Stream(stream) => stream.dealt_with(),
            Self::File(tail) => tail.dealt_with(),
        }
    }

    /// Bytes that need to be read no more.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Stream(stream) => stream.bytes(),
            Self::File(tail) => tail.bytes(),
        }
    }

    /// Behind those; a stream cannot be taken up again.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Stream(_) => None,
            Self::File(tail) => Some(tail.place()),
        }
    }
}
