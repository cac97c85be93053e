//! An input that knows how much of it has been read, and the checksum of that.
//!
//! This is what an input is told by when it is taken up again: it begins with just the bytes that were read before.
//! So a file may be renamed, copied and added to; one that was changed, or another one, is told apart.

use std::io::{self, BufRead, Read};

use crc32fast::Hasher;

#[derive(Debug)]
pub(crate) struct Tracked<R> {
    input: R,
    read: u64,
    hasher: Hasher,
}

/// A place in an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes before it.
    pub(crate) bytes: u64,
    /// CRC-32 of those.
    pub(crate) checksum: u32,
}

impl<R: BufRead> Tracked<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, read: 0, hasher: Hasher::new() }
    }

    /// What follows this place.
    pub(crate) fn at(place: Place, input: R) -> Self {
        Self { input, read: place.bytes, hasher: Hasher::new_with_initial_len(place.checksum, place.bytes) }
    }

    /// Behind what has been read.
    pub(crate) fn place(&self) -> Place {
        Place { bytes: self.read, checksum: self.hasher.clone().finalize() }
    }

    /// Reads up to a place, and says whether it is there, at the end of a line.
    pub(crate) fn skip_to(&mut self, place: Place) -> io::Result<bool> {
        let mut last = None;
        while self.read < place.bytes {
            let missing = usize::try_from(place.bytes - self.read).unwrap_or(usize::MAX);
            let piece = self.fill()?;
            let wanted = missing.min(piece.len());
            let Some(&at_end) = piece.get(..wanted).and_then(<[u8]>::last) else { return Ok(false) };
            last = Some(at_end);
            self.consume(wanted);
        }
        // A last line without an end may have got one since, but not become longer.
        let goes_on = last.is_some_and(|byte| byte != b'\n')
            && self.fill()?.first().is_some_and(|next| !matches!(next, b'\n' | b'\r'));
        Ok(self.place() == place && !goes_on)
    }

    fn fill(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.input.fill_buf()
    }
}

impl<R: BufRead> BufRead for Tracked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is buffered is handed out again without reading.
        if amount > 0
            && let Ok(buffered) = self.input.fill_buf()
        {
            self.hasher.update(buffered.get(..amount).unwrap_or(buffered));
        }
        self.read += amount as u64;
        self.input.consume(amount);
    }
}

impl<R: BufRead> Read for Tracked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffered = self.input.fill_buf()?;
        let read = Read::read(&mut buffered, into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place after this many bytes of the first text, looked for in the second.
    fn is_found(text: &str, bytes: usize, again: &str) -> bool {
        let checksum = crc32fast::hash(text.get(..bytes).unwrap().as_bytes());
        let input = io::BufReader::with_capacity(3, again.as_bytes());
        Tracked::new(input).skip_to(Place { bytes: bytes as u64, checksum }).unwrap()
    }

    #[test]
    fn an_input_is_told_by_what_was_read_of_it() {
        for (text, bytes, again, found) in [
            ("one\ntwo\n", 0, "other\n", true),
            ("one\ntwo\n", 4, "one\ntwo\n", true),
            ("one\ntwo\n", 8, "one\ntwo\nthree\n", true),
            ("one\ntwo\n", 4, "one\nchanged behind\n", true),
            ("one\ntwo\n", 8, "One\ntwo\n", false),
            ("one\ntwo\n", 8, "one\n", false),
            ("one\ntwo", 7, "one\ntwo", true),
            ("one\ntwo", 7, "one\ntwo\nthree\n", true),
            ("one\ntwo", 7, "one\ntwo-and-more\n", false),
        ] {
            assert_eq!(is_found(text, bytes, again), found, "{text:?} {bytes} {again:?}");
        }
    }

    #[test]
    fn what_is_read_is_counted_and_summed() {
        let mut input = Tracked::new(io::BufReader::with_capacity(4, &b"one\ntwo\n"[..]));
        let mut line = Vec::new();
        (&mut input).take(9).read_until(b'\n', &mut line).unwrap();
        assert_eq!(input.place(), Place { bytes: 4, checksum: crc32fast::hash(b"one\n") });
        input.read_to_end(&mut line).unwrap();
        assert_eq!(input.place(), Place { bytes: 8, checksum: crc32fast::hash(b"one\ntwo\n") });
    }
}
