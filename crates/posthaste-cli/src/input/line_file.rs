//! A file that may be growing, of which only whole lines are handed out.
//!
//! ```text
//! ├─ near ─┤ at ── handed out next ── limit ── a line without its end ── end of the file
//! ```
//!
//! Whoever reads meets the end of the stream at the limit: behind the last end of a line that has been found. Each
//! piece is read together with what stands before it, which has to be what was read before: so a file that was
//! truncated, or written anew, is noticed before anything is taken out of its middle.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, Read},
};

use super::place::{PRINT_BYTES, Seen, fill_from, read_up_to};
use crate::lines::unmarked;

/// Few system calls for a fast reader, little memory for all others.
const PIECE_BYTES: usize = 256 * 1_024;

/// The file is no longer what was read: shorter, or different before the place.
#[derive(Debug, thiserror::Error)]
#[error("it was truncated or changed while it was being read")]
pub(crate) struct Changed;

/// What stands behind the last end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unended {
    /// No more than blanks.
    Nothing,
    /// A whole JSON value, which cannot go on.
    Whole,
    /// Anything else.
    Part,
}

#[derive(Debug)]
pub(crate) struct LineFile {
    file: File,
    /// What stands at `start`, up to [`PRINT_BYTES`] before `at` included.
    buffer: Vec<u8>,
    /// Bytes of the buffer that are in use.
    filled: usize,
    start: u64,
    /// The next byte to hand out.
    at: u64,
    limit: u64,
    /// Up to here, no end of a line was found behind the limit.
    searched: u64,
}

impl LineFile {
    /// What follows in a file of which this much has been read.
    pub(crate) fn behind(seen: &Seen, file: File) -> Self {
        let buffer = vec![0; PRINT_BYTES + PIECE_BYTES];
        let mut behind = Self { file, buffer, filled: 0, start: 0, at: 0, limit: 0, searched: 0 };
        behind.go_back_to(seen);
        behind
    }

    /// Reads again from behind what has been dealt with.
    pub(crate) fn go_back_to(&mut self, seen: &Seen) {
        (self.at, self.limit, self.searched) = (seen.bytes(), seen.bytes(), seen.bytes());
        self.keep_only(seen.near());
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Looks for further whole lines, once all that were known have been handed out. Says whether there are any.
    pub(crate) fn extend(&mut self) -> io::Result<bool> {
        debug_assert_eq!(self.at, self.limit, "what is known goes first");
        self.read_piece()?;
        if let Some(end) = last_end(self.unread()) {
            self.limit = self.at + end as u64;
            return Ok(true);
        }
        self.search_long_line()
    }

    /// A line longer than a piece: looks for its end, and keeps in mind where it has looked.
    fn search_long_line(&mut self) -> io::Result<bool> {
        let length = self.metadata()?.len();
        self.searched = if length < self.searched { self.end() } else { self.searched.max(self.end()) };
        while self.searched < length {
            let piece = read_up_to(&self.file, self.searched, PIECE_BYTES)?;
            if let Some(end) = last_end(&piece) {
                self.limit = self.searched + end as u64;
                return Ok(true);
            }
            if piece.is_empty() {
                break;
            }
            self.searched += piece.len() as u64;
        }
        Ok(false)
    }

    /// What stands behind the last line, of the file's first `length` bytes.
    pub(crate) fn unended(&self, length: u64, line_bytes_max: usize) -> io::Result<Unended> {
        let bytes = usize::try_from(length.saturating_sub(self.limit)).unwrap_or(usize::MAX);
        // One more than a line may have shows that it is too long.
        let text = read_up_to(&self.file, self.limit, bytes.min(line_bytes_max.saturating_add(1)))?;
        let text = unmarked(&text);
        Ok(match text.trim_ascii() {
            b"" => Unended::Nothing,
            _ if text.len() > line_bytes_max => Unended::Part,
            value if is_whole(value) => Unended::Whole,
            _ => Unended::Part,
        })
    }

    /// Hands out what stands behind the last line as well, of the file's first `length` bytes.
    pub(crate) fn take_unended(&mut self, length: u64) {
        self.limit = self.limit.max(length);
        self.searched = self.limit;
    }

    /// Reads on at `at`, and sees to it that what stands before is what was read.
    fn read_piece(&mut self) -> io::Result<()> {
        let before = self.before().to_vec();
        self.start = self.at - before.len() as u64;
        self.filled = fill_from(&self.file, self.start, &mut self.buffer)?;
        if self.held().starts_with(&before) {
            return Ok(());
        }
        // For whoever tries again: what was read, not what is there now.
        self.keep_only(&before);
        Err(io::Error::new(io::ErrorKind::InvalidData, Changed))
    }

    /// Holds these bytes, which stand before `at`, and nothing else.
    fn keep_only(&mut self, before: &[u8]) {
        self.start = self.at - before.len() as u64;
        self.filled = before.len();
        self.buffer.iter_mut().zip(before).for_each(|(to, from)| *to = *from);
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// The last bytes that were handed out.
    fn before(&self) -> &[u8] {
        let handed_out = self.held().get(..self.offset(self.at)).unwrap_or_default();
        handed_out.get(handed_out.len().saturating_sub(PRINT_BYTES)..).unwrap_or_default()
    }

    fn unread(&self) -> &[u8] {
        self.held().get(self.offset(self.at)..).unwrap_or_default()
    }

    fn end(&self) -> u64 {
        self.start + self.filled as u64
    }

    /// Where in the buffer a byte of the file stands.
    fn offset(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.start)).map_or(self.filled, |at| at.min(self.filled))
    }
}

impl BufRead for LineFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.limit && self.at >= self.end() {
            self.read_piece()?;
            if self.unread().is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Changed));
            }
        }
        let (from, to) = (self.offset(self.at), self.offset(self.limit));
        Ok(self.held().get(from..to).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
    }
}

impl Read for LineFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffered = self.fill_buf()?;
        let read = Read::read(&mut buffered, into)?;
        self.consume(read);
        Ok(read)
    }
}

/// Whether an error says that the file is no longer what was read.
pub(crate) fn is_changed(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Changed>()).is_some()
}

/// Behind the last end of a line.
fn last_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1)
}

/// A number may go on: of all other JSON, the last byte shows that it is all.
fn is_whole(value: &[u8]) -> bool {
    let goes_on = value.last().is_some_and(u8::is_ascii_digit);
    !goes_on && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        io::{Seek, SeekFrom, Write},
    };

    use super::*;

    struct Log {
        writer: File,
        file: LineFile,
    }

    impl Log {
        fn new(content: &[u8]) -> Self {
            let path = tempfile::NamedTempFile::new().unwrap();
            let mut writer = OpenOptions::new().append(true).open(path.path()).unwrap();
            writer.write_all(content).unwrap();
            Self { writer, file: LineFile::behind(&Seen::default(), path.reopen().unwrap()) }
        }

        fn add(&mut self, bytes: &[u8]) {
            self.writer.write_all(bytes).unwrap();
        }

        fn rewrite(&mut self, content: &[u8]) {
            self.writer.set_len(0).unwrap();
            self.writer.seek(SeekFrom::Start(0)).unwrap();
            self.add(content);
        }

        /// All that is handed out now.
        fn read(&mut self) -> Vec<u8> {
            let mut all = Vec::new();
            while self.file.extend().unwrap() {
                self.file.read_to_end(&mut all).unwrap();
            }
            all
        }
    }

    #[test]
    fn only_whole_lines_are_handed_out_wherever_the_last_one_is_cut() {
        let text = "{\"a\":\"é\"}\r\n{\"b\":\"→\"}\r\n".as_bytes();
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut log = Log::new(&text[..first]);
                let mut read = log.read();
                assert!(read.is_empty() || read.ends_with(b"\n"));
                log.add(&text[first..second]);
                read.extend(log.read());
                assert!(read.is_empty() || read.ends_with(b"\n"));
                log.add(&text[second..]);
                read.extend(log.read());
                assert_eq!(read, text, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_line_longer_than_a_piece_is_handed_out_once_it_has_its_end() {
        let long = [vec![b'x'; 3 * PIECE_BYTES], b"\n".to_vec()].concat();
        for cut in [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let mut log = Log::new(b"first\n");
            assert_eq!(log.read(), b"first\n");
            log.add(&long[..cut]);
            assert!(log.read().is_empty());
            log.add(&long[cut..]);
            log.add(b"next\nha");
            assert_eq!(log.read(), [&long[..], b"next\n"].concat(), "cut at {cut}");
            log.add(b"lf\n");
            assert_eq!(log.read(), b"half\n");
        }
    }

    #[test]
    fn a_file_that_is_not_what_was_read_is_noticed_before_more_is_handed_out() {
        for changed in [&b""[..], b"one", b"one\ntw", b"One\ntwo\n", b"new\nlines\nof another time\n"] {
            let mut log = Log::new(b"one\ntwo\n");
            assert_eq!(log.read(), b"one\ntwo\n");
            log.rewrite(changed);
            // Whoever asks again hears the same.
            for _ in 0..2 {
                assert!(is_changed(&log.file.extend().unwrap_err()), "{changed:?}");
            }
        }
        let mut log = Log::new(b"one\ntwo\n");
        assert_eq!(log.read(), b"one\ntwo\n");
        log.rewrite(b"one\ntwo\nthree\n");
        assert_eq!(log.read(), b"three\n", "the same and more is no change");
    }

    #[test]
    fn a_file_cut_off_between_looking_and_reading_is_noticed() {
        let mut log = Log::new(&[vec![b'x'; 2 * PIECE_BYTES], b"\n".to_vec()].concat());
        assert!(log.file.extend().unwrap());
        log.writer.set_len(5).unwrap();
        assert!(is_changed(&log.file.read_to_end(&mut Vec::new()).unwrap_err()));
    }

    #[test]
    fn what_has_no_end_is_whole_only_where_it_cannot_go_on() {
        let whole = "{\"a\": [1, \"é\"]}";
        for (text, unended) in [
            ("", Unended::Nothing),
            (" \r", Unended::Nothing),
            (whole, Unended::Whole),
            ("{}  ", Unended::Whole),
            ("\"x\"", Unended::Whole),
            ("12", Unended::Part),
            ("{} {", Unended::Part),
            ("bad", Unended::Part),
            ("{\"far\": \"too long to be a line\"}", Unended::Part),
        ] {
            let mut log = Log::new(format!("line\n{text}").as_bytes());
            log.read();
            assert_eq!(log.file.unended(999, 20).unwrap(), unended, "{text:?}");
        }
        for cut in 1..whole.len() {
            let mut log = Log::new(&whole.as_bytes()[..cut]);
            log.read();
            assert_eq!(log.file.unended(999, 20).unwrap(), Unended::Part, "cut at {cut}");
        }
        let log = Log::new(b"\xEF\xBB\xBF{}");
        assert_eq!(log.file.unended(999, 20).unwrap(), Unended::Whole);
    }
}
