//! What there is to read: as it is asked for, and once it is open.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

use posthaste::{LogEvent, SpoolQueue};

use super::{
    names::{self, unpacked},
    packed::Unpacked,
    place::Place,
    position::{Earlier, Position},
    several,
    step::Step,
    stream::Stream,
    tail::{Tail, Way},
};
use crate::lines::LineReader;

/// What to read, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// One behind the other; `-` is standard input, and so is none at all.
    pub(crate) paths: &'a [PathBuf],
    /// The spool that knows where the last run ended, and how many bytes it may have.
    pub(crate) spool: Option<(&'a Path, u64)>,
    pub(crate) way: Way,
    pub(crate) line_bytes_max: usize,
}

/// Where lines come from, and where in it reading begins.
pub(crate) struct Source {
    pub(crate) input: Input,
    /// Bytes of all of it, where it has an end.
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
        let stream = Stream::new(LineReader::after(start.lines, nothing, 1), Arc::default());
        Input::new(Current::Stream(Box::new(stream)), String::new())
    }
}

/// One or several inputs, one behind the other.
#[derive(Debug)]
pub(crate) struct Input {
    current: Current,
    /// As its user calls it.
    name: String,
    /// Of those before it, as they are on disk.
    earlier_bytes: u64,
    next: VecDeque<PathBuf>,
    line_bytes_max: usize,
    /// Where the place is to be known.
    spooled: Option<Spooled>,
}

/// What is kept of a file that is read into a spool.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) path: PathBuf,
    pub(super) earlier: Earlier,
}

/// The one that is being read.
#[derive(Debug)]
pub(super) enum Current {
    Stream(Box<Stream>),
    File(Box<Tail>),
}

impl Input {
    pub(super) fn new(current: Current, name: String) -> Self {
        Self { current, name, earlier_bytes: 0, next: VecDeque::new(), line_bytes_max: 0, spooled: None }
    }

    /// These follow.
    pub(super) fn followed_by(self, next: VecDeque<PathBuf>, line_bytes_max: usize) -> Self {
        Self { next, line_bytes_max, ..self }
    }

    /// So many bytes came before.
    pub(super) fn spooled(self, spooled: Spooled, earlier_bytes: u64) -> Self {
        Self { spooled: Some(spooled), earlier_bytes, ..self }
    }

    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let step = match &mut self.current {
            Current::Stream(stream) => stream.step(),
            Current::File(tail) => tail.step(),
        };
        match step? {
            Step::End => self.go_on(),
            step => Ok(step),
        }
    }

    /// In the next one, if there is one.
    fn go_on(&mut self) -> io::Result<Step> {
        let Some(path) = self.next.pop_front() else { return Ok(Step::End) };
        let current = match &mut self.spooled {
            None => stream(&path, self.line_bytes_max),
            Some(spooled) => several::go_on(spooled, &path, self.next.is_empty(), self.line_bytes_max),
        };
        let current = current.map_err(|error| {
            io::Error::new(error.kind(), format!("the next file, {}: {error}", path.display()))
        })?;
        self.earlier_bytes += self.current.bytes();
        (self.current, self.name) = (current, names::name(&path));
        Ok(Step::Next)
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &LineReader<dyn BufRead> {
        match &self.current {
            Current::Stream(stream) => stream.line(),
            Current::File(tail) => tail.line(),
        }
    }

    /// Where that is, as its user calls it; a file that was moved aside by its own name.
    pub(crate) fn name(&self) -> String {
        match &self.current {
            Current::File(tail) => tail.member().display().to_string(),
            Current::Stream(_) => self.name.clone(),
        }
    }

    /// Hands on what is left of a line that is too long.
    pub(crate) fn rest(&mut self, keep: impl FnMut(&[u8])) -> io::Result<()> {
        match &mut self.current {
            Current::Stream(stream) => stream.rest(keep),
            Current::File(tail) => tail.rest(keep),
        }
    }

    /// Tells that the line needs to be read no more.
    pub(crate) fn dealt_with(&mut self) {
        match &mut self.current {
            Current::Stream(stream) => stream.dealt_with(),
            Current::File(tail) => tail.dealt_with(),
        }
    }

    /// Bytes that need to be read no more.
    pub(crate) fn bytes(&self) -> u64 {
        self.earlier_bytes + self.current.bytes()
    }

    /// Behind those, in the file that is being read; a stream cannot be taken up again.
    pub(crate) fn place(&self) -> Option<Place> {
        match &self.current {
            Current::Stream(stream) => stream.place(),
            Current::File(tail) => Some(tail.place()),
        }
    }

    /// The file of the place, as a spool stores it, and what came before it; `None`: it is the one that it began with.
    pub(crate) fn file(&self) -> Option<(String, Earlier)> {
        let Spooled { path, earlier } = self.spooled.as_ref()?;
        Some((names::real_name(path), *earlier))
    }
}

impl Current {
    fn bytes(&self) -> u64 {
        match self {
            Self::Stream(stream) => stream.bytes(),
            Self::File(tail) => tail.bytes(),
        }
    }
}

pub(super) fn stream(path: &Path, line_bytes_max: usize) -> io::Result<Current> {
    let Unpacked { stream, read_bytes } = unpacked(path)?;
    Ok(Current::Stream(Box::new(Stream::new(LineReader::new(stream, line_bytes_max), read_bytes))))
}
