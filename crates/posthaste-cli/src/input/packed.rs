//! Compressed inputs, told by how they begin, whatever they are called: gzip and Zstandard, one piece or several behind
//! each other.
//!
//! Memory is bounded by the window that a piece asks for, 128 MiB at most. What is broken, or ends too early, is an error
//! that says where, never an end.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::place::read_up_to;

/// Few system calls for a fast reader, little memory for all others.
const READ_BYTES: usize = 256 * 1_024;
/// How many bytes show what an input is.
const MARK_BYTES: usize = 4;
/// As `zstd` itself has it, unless it is told otherwise.
const WINDOW_BYTES_MAX: u64 = 128 * 1_024 * 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Zstd,
}

/// An input, unpacked if need be. What it is shows once it is read: whoever opens it does not wait for its first bytes.
pub(crate) struct Unpacked {
    pub(crate) stream: Box<dyn BufRead + Send>,
    /// Bytes of the input, as it is packed, that have been read.
    pub(crate) read_bytes: Arc<AtomicU64>,
}

/// Where unpacking failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("its {} data ends too early, behind byte {at}: it was cut off; get it again, or pack it again", .format.name())]
    Cut { format: Format, at: u64 },
    #[error("its {} data is broken before byte {at} ({source}); get it again, or pack it again", .format.name())]
    Damaged { format: Format, at: u64, source: io::Error },
}

impl Format {
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            // A frame, or one that is to be skipped.
            [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Of a file; `None`: it is not compressed.
    pub(super) fn of_file(file: &File) -> io::Result<Option<Self>> {
        Ok(Self::of(&read_up_to(file, 0, MARK_BYTES)?))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
        }
    }
}

/// Looks what it is, and unpacks it, as it is read.
pub(crate) fn open(source: impl Read + Send + 'static) -> Unpacked {
    let taken = Arc::<Taken>::default();
    let read_bytes = Arc::clone(&taken.bytes);
    Unpacked {
        stream: Box::new(Unlooked { source: Some(Box::new(source)), stream: None, taken }),
        read_bytes,
    }
}

/// What nobody has looked at yet, or has.
struct Unlooked {
    source: Option<Box<dyn Read + Send>>,
    stream: Option<Box<dyn BufRead + Send>>,
    taken: Arc<Taken>,
}

impl Unlooked {
    fn stream(&mut self) -> io::Result<&mut dyn BufRead> {
        if let Some(mut source) = self.source.take() {
            let (start, is_all) = start_of(&mut source)?;
            let source = if is_all { Box::new(io::empty()) } else { source };
            self.stream = Some(unpack(start, source, &self.taken));
        }
        let gone = || io::Error::other("it could not be read before");
        self.stream.as_deref_mut().map(|stream| stream as &mut dyn BufRead).ok_or_else(gone)
    }
}

impl BufRead for Unlooked {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stream()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(stream) = &mut self.stream {
            stream.consume(amount);
        }
    }
}

impl Read for Unlooked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream()?.read(into)
    }
}

fn unpack(start: Vec<u8>, rest: Box<dyn Read + Send>, taken: &Arc<Taken>) -> Box<dyn BufRead + Send> {
    let format = Format::of(&start);
    let source = Cursor::new(start).chain(BufReader::with_capacity(READ_BYTES, rest));
    let taken = Arc::clone(taken);
    let counted = Counted { source, taken: Arc::clone(&taken) };
    match format {
        None => Box::new(counted),
        Some(Format::Gzip) => unpacking(MultiGzDecoder::new(counted), Format::Gzip, taken),
        Some(Format::Zstd) => unpacking(Frames::new(counted), Format::Zstd, taken),
    }
}

/// As many bytes as it takes to tell, and whether these are all: who types is asked for no more than that.
fn start_of(source: &mut impl Read) -> io::Result<(Vec<u8>, bool)> {
    let (mut start, mut piece) = (Vec::new(), [0; MARK_BYTES]);
    while start.len() < MARK_BYTES && may_be_packed(&start) {
        let free = piece.get_mut(start.len()..).unwrap_or_default();
        match source.read(free) {
            Ok(0) => return Ok((start, true)),
            Ok(read) => start.extend_from_slice(free.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((start, false))
}

fn may_be_packed(start: &[u8]) -> bool {
    matches!(start.first(), None | Some(0x1F | 0x28 | 0x50..=0x5F))
}

fn unpacking(
    decoder: impl Read + Send + 'static,
    format: Format,
    taken: Arc<Taken>,
) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(READ_BYTES, Unpacking { decoder, format, taken }))
}

/// Whether an error says that what is packed is broken, rather than that it could not be read.
pub(crate) fn is_broken(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Broken>)
}

/// What has been taken of the packed bytes, and how that ended.
#[derive(Debug, Default)]
struct Taken {
    bytes: Arc<AtomicU64>,
    is_at_end: AtomicBool,
    has_failed: AtomicBool,
}

struct Counted<R> {
    source: R,
    taken: Arc<Taken>,
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let filled = self.source.fill_buf();
        match &filled {
            Ok(piece) => self.taken.is_at_end.store(piece.is_empty(), Relaxed),
            Err(error) => self.taken.has_failed.store(error.kind() != io::ErrorKind::Interrupted, Relaxed),
        }
        filled
    }

    fn consume(&mut self, amount: usize) {
        self.taken.bytes.fetch_add(amount as u64, Relaxed);
        self.source.consume(amount);
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

/// Says of an error where it is.
struct Unpacking<D> {
    decoder: D,
    format: Format,
    taken: Arc<Taken>,
}

impl<D: Read> Read for Unpacking<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(into).map_err(|error| self.broken(error))
    }
}

impl<D> Unpacking<D> {
    fn broken(&self, source: io::Error) -> io::Error {
        if source.kind() == io::ErrorKind::Interrupted || self.taken.has_failed.load(Relaxed) {
            return source;
        }
        let (format, at) = (self.format, self.taken.bytes.load(Relaxed));
        let broken = if self.taken.is_at_end.load(Relaxed) {
            Broken::Cut { format, at }
        } else {
            Broken::Damaged { format, at, source }
        };
        io::Error::new(io::ErrorKind::InvalidData, broken)
    }
}

/// The frames of a Zstandard stream, one behind the other.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { source, decoder, is_in_frame: false }
    }

    /// Some bytes of the frame; none: it is over.
    fn read_frame(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let one = BlockDecodingStrategy::UptoBlocks(1);
            self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
        }
        self.decoder.read(into)
    }

    /// Goes into the next frame that has data, if there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    self.skip(length.into())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.source).take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn check(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            Some(sum) if self.decoder.get_calculated_checksum() != Some(sum) => {
                Err(io::Error::other("its checksum is wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if self.is_in_frame {
                let read = self.read_frame(into)?;
                if read > 0 {
                    return Ok(read);
                }
                self.check()?;
            }
            self.is_in_frame = self.next_frame()?;
            if !self.is_in_frame {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
