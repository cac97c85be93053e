//! Several files, or a compressed one, with `--spool`: where in which of them the last run ended.
//!
//! The spool stores how many files were read to their end, what those are told by, and the place in the one after them.
//! The same files in the same order are taken up there; anything else is refused, unless the spool is done. Only the
//! last file may be growing, and only if it is not compressed.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use posthaste::{LogEvent, SpoolQueue, SystemClock};

use super::{
    line_file::LineFile,
    names::{self, real_name, wrong},
    packed::{Format, Unpacked},
    place::{FileId, Place, Seen},
    position::{Earlier, Position},
    source::{Current, Input, Source, Spooled, Wanted},
    stream::Stream,
    tail::{Tail, Way},
};
use crate::{
    common::{exit::Failure, output::grouped},
    lines::LineReader,
};

/// Why files are not those that were being read.
#[derive(Debug)]
pub(super) struct Another(pub(super) String);

/// Takes up what was stored, or says why that cannot be.
pub(super) fn take_up(wanted: Wanted<'_>, stored: &Position) -> Result<Result<Found, Another>, Failure> {
    let paths = wanted.paths;
    let index = usize::try_from(stored.earlier.files).unwrap_or(usize::MAX);
    let Some(path) = paths.get(index) else {
        let why = format!("{index} files came before the one that was being read, and these are fewer");
        return Ok(Err(Another(why)));
    };
    let before = paths.get(..index).unwrap_or_default();
    let (earlier, earlier_bytes) = print(before)?;
    if earlier != stored.earlier {
        return Ok(Err(Another(
            "the first files are not those that were read before, or have changed since".to_owned(),
        )));
    }
    let is_last = index + 1 == paths.len();
    let start = Start { path, lines: stored.lines, is_last, line_bytes_max: wanted.line_bytes_max };
    Ok(match start.behind(&stored.place).map_err(|source| wrong(path, source))? {
        Some(current) => Ok(Found { current, index, earlier, earlier_bytes }),
        None => Err(Another(not_it(path, stored.lines).map_err(|source| wrong(path, source))?)),
    })
}

/// Of a compressed file what was read may have been damaged, and this one may be sound.
fn not_it(path: &Path, lines: u64) -> io::Result<String> {
    let why = format!("{} does not begin with what was read", path.display());
    Ok(match Format::of_file(&File::open(path)?)? {
        None => why,
        Some(_) => format!(
            "{why}. If that was a damaged copy of it, lines may have been taken that are wrong: once the spool is drained, \
             send all of its lines if each has a uuid and a timestamp, of which no event counts twice; else those that \
             were not delivered: about from line {} on, and before it what was rejected or is wrong",
            grouped(lines + 1)
        ),
    })
}

/// Where reading goes on.
#[derive(Debug)]
pub(super) struct Found {
    current: Current,
    index: usize,
    earlier: Earlier,
    earlier_bytes: u64,
}

impl Found {
    /// At the start of the first file.
    pub(super) fn first(wanted: Wanted<'_>) -> Result<Self, Failure> {
        let path = wanted.paths.first().expect("there is a file, or it would be standard input");
        let is_last = wanted.paths.len() == 1;
        let start = Start { path, lines: 0, is_last, line_bytes_max: wanted.line_bytes_max };
        let current = start.behind(&Place::default()).map_err(|source| wrong(path, source))?;
        let current = current.expect("nothing stands before the start of a file");
        Ok(Self { current, index: 0, earlier: Earlier::default(), earlier_bytes: 0 })
    }

    /// Where that is.
    pub(super) fn path<'a>(&self, wanted: Wanted<'a>) -> &'a Path {
        wanted.paths.get(self.index).expect("it was opened")
    }

    pub(super) fn into_source(
        self,
        wanted: Wanted<'_>,
        queue: SpoolQueue<LogEvent>,
        start: Position,
        note: Option<String>,
    ) -> Result<Source, Failure> {
        let path = self.path(wanted);
        let next: VecDeque<PathBuf> = wanted.paths.iter().skip(self.index + 1).cloned().collect();
        let mut length = 0;
        for path in wanted.paths {
            length += std::fs::metadata(path).map_err(|source| wrong(path, source))?.len();
        }
        let start = Position { input: real_name(path), earlier: self.earlier, ..start };
        let spooled = Spooled { path: path.to_owned(), earlier: self.earlier };
        let input = Input::new(self.current, names::name(path))
            .followed_by(next, wanted.line_bytes_max)
            .spooled(spooled, self.earlier_bytes);
        let place = input.place().unwrap_or_default();
        Ok(Source {
            input,
            length: Some(length),
            start: Position { place, ..start },
            queue: Some(queue),
            note,
        })
    }
}

/// Where in a file reading starts.
struct Start<'a> {
    path: &'a Path,
    lines: u64,
    is_last: bool,
    line_bytes_max: usize,
}

impl Start<'_> {
    /// `None`: the file does not have this place.
    fn behind(&self, place: &Place) -> io::Result<Option<Current>> {
        let file = File::open(self.path)?;
        let id = FileId::of(&file.metadata()?);
        if Format::of_file(&file)?.is_some() {
            return self.packed_behind(&Place { file: Some(id), ..place.clone() }, id);
        }
        let Some(seen) = Seen::before(place, &file)? else { return Ok(None) };
        let lines = LineReader::after(self.lines, LineFile::behind(&seen, file), self.line_bytes_max);
        let way = if self.is_last { Way::Once } else { Way::Complete };
        let tail = Tail::new(self.path, way, Arc::new(SystemClock), lines, seen, Some(id));
        Ok(Some(Current::File(Box::new(tail))))
    }

    fn packed_behind(&self, place: &Place, id: FileId) -> io::Result<Option<Current>> {
        let Unpacked { mut stream, read_bytes } = names::unpacked(self.path)?;
        let Some(seen) = Seen::pass_over(place, &mut stream)? else { return Ok(None) };
        let lines = LineReader::after(self.lines, stream, self.line_bytes_max);
        Ok(Some(Current::Stream(Box::new(Stream::new(lines, read_bytes).behind(seen, id)))))
    }
}

/// What files that were read to their end are told by, and their bytes.
fn print(paths: &[PathBuf]) -> Result<(Earlier, u64), Failure> {
    let (mut earlier, mut all) = (Earlier::default(), 0);
    for path in paths {
        let mut add = || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            all += bytes;
            earlier = earlier.and(&file, bytes)?.ok_or_else(changed)?;
            io::Result::Ok(())
        };
        add().map_err(|source| wrong(path, source))?;
    }
    Ok((earlier, all))
}

/// The next file, once this one has been read to its end.
pub(super) fn go_on(
    spooled: &mut Spooled,
    next: &Path,
    is_last: bool,
    line_bytes_max: usize,
) -> io::Result<Current> {
    let file = File::open(&spooled.path)?;
    let bytes = file.metadata()?.len();
    let earlier = spooled.earlier.and(&file, bytes)?.ok_or_else(changed)?;
    let start = Start { path: next, lines: 0, is_last, line_bytes_max };
    let current = start.behind(&Place::default())?.ok_or_else(changed)?;
    *spooled = Spooled { path: next.to_owned(), earlier };
    Ok(current)
}

fn changed() -> io::Error {
    io::Error::other("it was truncated while it was being read")
}
