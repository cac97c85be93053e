//! Takes a stream apart into lines, never holding more than one of them.
//!
//! A line that is longer than it may be stays in the stream; [`LineReader::rest`] hands it on piece by piece, so that
//! it can be kept without being held.

use std::io::{self, BufRead, Read};

/// Whether a line is whole in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// The whole line.
    Whole,
    /// Its beginning; [`LineReader::rest`] has the others of its bytes.
    TooLong,
}

/// Lines of a stream, numbered from 1.
#[derive(Debug)]
pub(crate) struct LineReader<R: ?Sized> {
    line: Vec<u8>,
    number: u64,
    bytes_max: usize,
    input: R,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, line: Vec::new(), number: 0, bytes_max }
    }

    /// Lines of an input of which this many have been read already.
    pub(crate) fn after(lines: u64, input: R, bytes_max: usize) -> Self {
        Self { number: lines, ..Self::new(input, bytes_max) }
    }

    /// What it reads from.
    pub(crate) fn input(&self) -> &R {
        &self.input
    }

    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }
}

impl<R: BufRead + ?Sized> LineReader<R> {
    /// Reads the next line; `None` at the end.
    pub(crate) fn advance(&mut self) -> io::Result<Option<Size>> {
        self.line.clear();
        // A giant line's memory is not kept for the small ones after it.
        self.line.shrink_to(64 * 1_024);
        // Two more, for the end of the line.
        let limit = (self.bytes_max as u64).saturating_add(2);
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(if self.content().len() > self.bytes_max { Size::TooLong } else { Size::Whole }))
    }

    /// Counts what was read last as a part of the line before.
    pub(crate) fn is_same_line(&mut self) {
        self.number -= 1;
    }

    /// The line as it came, its end included.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.line
    }

    /// The line without its end (LF or CRLF).
    pub(crate) fn content(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The line's number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that a line may have, its end not counted.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Hands on what is left of a line that is too long.
    pub(crate) fn rest(&mut self, mut keep: impl FnMut(&[u8])) -> io::Result<()> {
        let mut ended = self.line.ends_with(b"\n");
        while !ended {
            let piece = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                piece => piece?,
            };
            let end = piece.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(piece.len(), |at| at + 1);
            ended = end.is_some() || piece.is_empty();
            keep(piece.get(..taken).unwrap_or(piece));
            self.input.consume(taken);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], bytes_max: usize) -> Vec<(Size, Vec<u8>, Vec<u8>)> {
        let mut reader = LineReader::new(io::BufReader::with_capacity(3, text), bytes_max);
        let mut lines = Vec::new();
        while let Some(size) = reader.advance().unwrap() {
            let (mut raw, content) = (reader.raw().to_vec(), reader.content().to_vec());
            if size == Size::TooLong {
                reader.rest(|piece| raw.extend_from_slice(piece)).unwrap();
            }
            lines.push((size, raw, content));
        }
        lines
    }

    #[test]
    fn every_byte_belongs_to_a_line() {
        let text = b"\xEF\xBB\xBFa\r\n\n\xff\xfe\r\nlong long line\r\nb";
        let raw: Vec<u8> = lines(text, 4).into_iter().flat_map(|(_, raw, _)| raw).collect();
        assert_eq!(raw, text);
    }

    #[test]
    fn a_line_of_just_the_limit_is_whole_whatever_its_end() {
        for (text, size) in [
            (&b"abcd"[..], Size::Whole),
            (b"abcd\n", Size::Whole),
            (b"abcd\r\n", Size::Whole),
            (b"abcde", Size::TooLong),
            (b"abcde\n", Size::TooLong),
            (b"abcdefgh\r\n", Size::TooLong),
        ] {
            let lines = lines(text, 4);
            assert_eq!((lines.len(), lines[0].0), (1, size), "{text:?}");
            assert_eq!(lines[0].1, text);
        }
    }

    #[test]
    fn content_has_no_end() {
        let contents: Vec<Vec<u8>> = lines(b"a\r\n b \n\r\n", 9).into_iter().map(|l| l.2).collect();
        assert_eq!(contents, [&b"a"[..], b" b ", b""]);
    }
}
