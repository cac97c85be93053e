//! An input that is read once: a last line without an end is a line.
//!
//! With `--spool` that is a compressed file: its place is one in what is unpacked, and is found again by unpacking and
//! passing over what was read.

use std::{
    fmt,
    io::{self, BufRead},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    place::{FileId, Place, Seen},
    step::Step,
};
use crate::lines::LineReader;

type Lines = LineReader<Box<dyn BufRead + Send>>;

pub(crate) struct Stream {
    lines: Lines,
    /// Of the input, as it is packed.
    read_bytes: Arc<AtomicU64>,
    /// Where it is to be taken up again.
    seen: Option<SeenOf>,
}

/// What has been dealt with of a file.
struct SeenOf {
    file: FileId,
    seen: Seen,
    /// The same and the current line, where that is too long to be held.
    seen_and_rest: Option<Seen>,
}

impl Stream {
    /// Whoever reads the bytes counts them.
    pub(crate) fn new(lines: Lines, read_bytes: Arc<AtomicU64>) -> Self {
        Self { lines, read_bytes, seen: None }
    }

    /// Knows its place in this file, of which this much has been read.
    pub(super) fn behind(self, seen: Seen, file: FileId) -> Self {
        Self { seen: Some(SeenOf { file, seen, seen_and_rest: None }), ..self }
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        Ok(self.lines.advance()?.map_or(Step::End, Step::Line))
    }

    pub(super) fn line(&self) -> &LineReader<dyn BufRead> {
        &self.lines
    }

    pub(super) fn rest(&mut self, mut keep: impl FnMut(&[u8])) -> io::Result<()> {
        let mut seen = self.seen.as_ref().map(|of| of.seen.clone());
        if let Some(seen) = &mut seen {
            seen.pass(self.lines.raw());
        }
        self.lines.rest(|piece| {
            if let Some(seen) = &mut seen {
                seen.pass(piece);
            }
            keep(piece);
        })?;
        if let Some(of) = &mut self.seen {
            of.seen_and_rest = seen;
        }
        Ok(())
    }

    pub(super) fn dealt_with(&mut self) {
        if let Some(of) = &mut self.seen {
            match of.seen_and_rest.take() {
                Some(seen) => of.seen = seen,
                None => of.seen.pass(self.lines.raw()),
            }
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.read_bytes.load(Relaxed)
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.seen.as_ref().map(|of| of.seen.place(Some(of.file)))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
