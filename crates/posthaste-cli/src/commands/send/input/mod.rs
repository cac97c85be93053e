//! What lines come from: a stream, read once, or a file, whose place is known and which may be growing.
//!
//! ```text
//! source    opens it; with --spool by way of resume, which finds where the last run ended
//! stream    standard input, a pipe, a file without --spool: read until it ends
//! tail      a file with --spool: whole lines only; with --follow also what is added, and the files that come after it
//!   line_file   hands out whole lines, and notices that a file is no longer what was read
//!   family      the file at the path and those that were rotated away
//!   place       what a file is told by
//! ```

mod family;
mod line_file;
mod place;
mod resume;
mod source;
mod stream;
mod tail;

use std::io::{self, BufRead};

use self::tail::Tail;
pub(crate) use self::{place::Place, source::Source, stream::Stream};
use crate::lines::{LineReader, Size};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line, to be dealt with.
    Line(Size),
    /// What has been added to a line that was taken without its end: no more than the end is to be there.
    Rest(Size),
    /// Lines of another file follow, or of the same from its start. For people: why.
    Begin(String),
    /// Nothing more for now: ask again in a while.
    Wait,
    /// Nothing more.
    End,
    /// Nothing more but a line without its end, which has this number.
    Unfinished(u64),
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
