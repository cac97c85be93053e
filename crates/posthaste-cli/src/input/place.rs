//! A place in an input, and what the input is told by: its beginning, and what stands before the place.
//!
//! ```text
//! ├── head, ≤ 4 KiB ──┤ … ├── near, ≤ 4 KiB ──┤ place, so many bytes behind the start
//! ```
//!
//! A file that has both is the input, whatever its name: it may be renamed, copied and added to. Nothing else of it is
//! read again. Device and inode decide only between files that have both: a log and its copy, or files of which nothing
//! has been read yet. What is remembered is what was read, never what the file holds by now: a file that was changed in
//! between is not taken for the one that was read. Of what is unpacked anyway, up to the place, every byte must be as it
//! was: what was read may have been damaged in between, which only shows at its end.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead},
    os::unix::fs::{FileExt, MetadataExt},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes of each print, at most.
pub(crate) const PRINT_BYTES: usize = 4_096;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Bytes before it.
    pub(crate) bytes: u64,
    /// Of the first of those.
    pub(crate) head: Print,
    /// Of the last of those.
    pub(crate) near: Print,
    /// `None`: unknown, or no file.
    pub(crate) file: Option<FileId>,
    /// Of all of them, where all are read again to find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<Print>,
}

/// FNV-1a, 64 bits, of up to [`PRINT_BYTES`]; in JSON 16 hexadecimal digits, since numbers there are less exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print(u64);

/// Which file it is on this machine, for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// What has been read of an input, as far as a place tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    bytes: u64,
    head: Vec<u8>,
    /// The last bytes: at least [`PRINT_BYTES`] of them, if there were so many.
    last: Vec<u8>,
    /// Of all bytes, where it is told by all.
    whole: Option<Print>,
}

impl Seen {
    /// What was read before this place, out of a file that has it; `None`: the file does not.
    pub(crate) fn before(place: &Place, file: &File) -> io::Result<Option<Self>> {
        let Some((head, last)) = ends_before(place.bytes, file)? else { return Ok(None) };
        let is_it = Print::of(&head) == place.head && Print::of(&last) == place.near;
        Ok(is_it.then_some(Self { bytes: place.bytes, head, last, whole: None }))
    }

    /// Whether a file begins with what has been read, as far as two pieces of it show.
    pub(crate) fn is_in(&self, file: &File) -> io::Result<bool> {
        let ends = ends_before(self.bytes, file)?;
        Ok(ends.is_some_and(|(head, last)| head == self.head && last == self.near()))
    }

    /// Passes over what was read before this place, of a stream; `None`: it is another one, or was damaged when it was
    /// read, be it by one bit.
    pub(crate) fn pass_over(place: &Place, stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut seen = Self { whole: Some(Print::default()), ..Self::default() };
        while seen.bytes < place.bytes {
            let piece = match stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                piece => piece?,
            };
            let missing = usize::try_from(place.bytes - seen.bytes).unwrap_or(usize::MAX);
            let passed = piece.len().min(missing);
            if passed == 0 {
                return Ok(None);
            }
            seen.pass(piece.get(..passed).unwrap_or(piece));
            stream.consume(passed);
        }
        let found = seen.place(place.file);
        // Earlier versions did not store it.
        let is_it = Place { whole: place.whole.and(found.whole), ..found } == *place;
        Ok(is_it.then_some(seen))
    }

    /// Takes in what was read next.
    pub(crate) fn pass(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.whole = self.whole.map(|whole| whole.and(piece));
        let missing = PRINT_BYTES.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(piece.get(..missing).unwrap_or_default());
        let new = piece.get(piece.len().saturating_sub(PRINT_BYTES)..).unwrap_or(piece);
        if self.last.len() + new.len() > 4 * PRINT_BYTES {
            self.last.drain(..self.last.len().saturating_sub(PRINT_BYTES));
        }
        self.last.extend_from_slice(new);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last bytes, as many as a print is of.
    pub(crate) fn near(&self) -> &[u8] {
        self.last.get(self.last.len().saturating_sub(PRINT_BYTES)..).unwrap_or(&self.last)
    }

    /// Whether it ends within a line.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.last.last().is_some_and(|byte| *byte != b'\n')
    }

    pub(crate) fn place(&self, file: Option<FileId>) -> Place {
        Place {
            bytes: self.bytes,
            head: Print::of(&self.head),
            near: Print::of(self.near()),
            file,
            whole: self.whole,
        }
    }
}

impl Print {
    fn of(bytes: &[u8]) -> Self {
        Self(0xCBF2_9CE4_8422_2325).and(bytes)
    }

    fn and(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// Of files, one behind the other: this one as well, which is of so many bytes.
    pub(crate) fn and_file(self, file: &File, bytes: u64) -> io::Result<Option<Self>> {
        let Some((head, last)) = ends_before(bytes, file)? else { return Ok(None) };
        Ok(Some(self.and(&bytes.to_le_bytes()).and(&head).and(&last)))
    }
}

/// Of nothing.
impl Default for Print {
    fn default() -> Self {
        Self::of(b"")
    }
}

impl Serialize for Print {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Print {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What the two prints of a place are of; `None`: the file is too short.
fn ends_before(bytes: u64, file: &File) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let length = usize::try_from(bytes).map_or(PRINT_BYTES, |bytes| bytes.min(PRINT_BYTES));
    let head = read_up_to(file, 0, length)?;
    let last = read_up_to(file, bytes - length as u64, length)?;
    Ok((head.len() == length && last.len() == length).then_some((head, last)))
}

/// What stands there, this many bytes at most; less where the file ends.
pub(crate) fn read_up_to(file: &File, at: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes_max];
    let read = fill_from(file, at, &mut buffer)?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Fills a buffer with what stands there, as far as the file goes.
pub(crate) fn fill_from(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn seen(content: &[u8], piece_bytes: usize) -> Seen {
        let mut seen = Seen::default();
        content.chunks(piece_bytes).for_each(|piece| seen.pass(piece));
        seen
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(bytes as u64);
        std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
    }

    #[test]
    fn a_place_is_found_in_what_goes_on_and_nowhere_else() {
        let other = noise(100_000);
        for bytes in [1, 2, 100, 4_095, 4_096, 4_097, 9_000, 50_000] {
            let content = noise(bytes);
            let seen = seen(&content, 777);
            let place = seen.place(None);
            for (again, is_found) in [
                (content.clone(), true),
                ([&content[..], b"more"].concat(), true),
                (content[..bytes - 1].to_vec(), false),
                (other.clone(), false),
                ([&[!content[0]], &content[1..]].concat(), false),
                ([&content[..bytes - 1], &[!content[bytes - 1]]].concat(), false),
            ] {
                let file = file(&again);
                let found = Seen::before(&place, &file).unwrap();
                assert_eq!(found.is_some(), is_found, "{bytes} bytes");
                assert_eq!(seen.is_in(&file).unwrap(), is_found, "{bytes} bytes");
                assert!(found.is_none_or(|found| found.place(None) == place && found.near() == seen.near()));
            }
        }
    }

    #[test]
    fn the_pieces_do_not_matter() {
        let content = noise(30_000);
        for piece_bytes in [1, 3, 4_095, 4_096, 4_097, 16_384, 30_000] {
            assert_eq!(seen(&content, piece_bytes).place(None), seen(&content, 10).place(None));
        }
    }

    #[test]
    fn a_stream_is_passed_over_up_to_the_place_if_it_is_the_one() {
        let content = noise(20_000);
        for bytes in [0, 1, 4_096, 9_000, 20_000] {
            let place = seen(&content[..bytes], 100).place(None);
            let mut stream = io::BufReader::with_capacity(777, &content[..]);
            let found = Seen::pass_over(&place, &mut stream).unwrap().unwrap();
            let whole = found.place(None);
            assert_eq!(
                (Place { whole: None, ..whole.clone() }, found.near()),
                (place.clone(), seen(&content[..bytes], 100).near())
            );
            // Each byte of it counts, where the place tells of all.
            assert!(Seen::pass_over(&whole, &mut &content[..]).unwrap().is_some());
            for at in (0..bytes).step_by(997) {
                let mut other = content.clone();
                other[at] ^= 1;
                assert!(Seen::pass_over(&whole, &mut &other[..]).unwrap().is_none(), "byte {at} of {bytes}");
            }
            let mut rest = Vec::new();
            io::Read::read_to_end(&mut stream, &mut rest).unwrap();
            assert_eq!(rest, content[bytes..]);
            if bytes > 0 {
                assert!(Seen::pass_over(&place, &mut &content[..bytes - 1]).unwrap().is_none());
                assert!(Seen::pass_over(&place, &mut &noise(20_001)[..]).unwrap().is_none());
            }
        }
    }

    #[test]
    fn files_in_another_order_have_another_print() {
        let (one, other) = (file(b"one"), file(b"other"));
        let both = |first: &File, bytes, second: &File, more| {
            let first = Print::default().and_file(first, bytes).unwrap().unwrap();
            first.and_file(second, more).unwrap().unwrap()
        };
        assert_eq!(both(&one, 3, &other, 5), both(&file(b"one"), 3, &file(b"other and more"), 5));
        assert_ne!(both(&one, 3, &other, 5), both(&other, 5, &one, 3));
        assert_ne!(both(&one, 3, &other, 5), both(&one, 2, &other, 5));
        assert!(Print::default().and_file(&one, 4).unwrap().is_none(), "it is shorter by now");
    }

    #[test]
    fn nothing_is_in_every_file() {
        assert!(Seen::default().is_in(&file(b"x")).unwrap());
        assert!(Seen::before(&Place::default(), &file(b"")).unwrap().is_some());
    }

    #[test]
    fn prints_are_those_of_the_standard() {
        for (text, hash) in
            [("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("foobar", 0x8594_4171_F739_67E8)]
        {
            assert_eq!(Print::of(text.as_bytes()), Print(hash));
        }
        let place = Place { bytes: 3, head: Print(1), near: Print(u64::MAX), file: None, whole: None };
        let json = serde_json::to_string(&place).unwrap();
        assert!(json.contains(r#""head":"0000000000000001""#), "{json}");
        assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place);
    }
}
