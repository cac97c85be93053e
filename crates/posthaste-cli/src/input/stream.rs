//! An input that is read once: a last line without an end is a line.

use std::{
    fmt,
    io::{self, BufRead},
};

use super::step::Step;
use crate::lines::LineReader;

pub(crate) struct Stream {
    lines: LineReader<Box<dyn BufRead + Send>>,
    /// Of lines that have been dealt with.
    bytes: u64,
    /// Of the current line, behind what is held of it.
    rest_bytes: u64,
}

impl Stream {
    pub(crate) fn new(lines: LineReader<Box<dyn BufRead + Send>>) -> Self {
        Self { lines, bytes: 0, rest_bytes: 0 }
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        self.rest_bytes = 0;
        Ok(self.lines.advance()?.map_or(Step::End, Step::Line))
    }

    pub(super) fn line(&self) -> &LineReader<dyn BufRead> {
        &self.lines
    }

    pub(super) fn rest(&mut self, mut keep: impl FnMut(&[u8])) -> io::Result<()> {
        self.lines.rest(|piece| {
            self.rest_bytes += piece.len() as u64;
            keep(piece);
        })
    }

    pub(super) fn dealt_with(&mut self) {
        self.bytes += self.lines.raw().len() as u64 + self.rest_bytes;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
