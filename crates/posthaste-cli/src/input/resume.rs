//! Where `send --spool` takes up its input: finds the place that the spool has stored, in the file or in one that was
//! rotated away, and refuses a spool that holds the rest of something else.
//!
//! | the place is in | once | following |
//! |---|---|---|
//! | the file at the path | from there | from there |
//! | a rotated one | refused, naming it, unless all of it was read and nothing waits | from there, then its successors |
//! | neither | refused, unless the spool is done with its input, or nothing was stored of it | of the same log: from the file's start, and said aloud |

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use posthaste::{LogEvent, ProjectConfig, Queue, SpoolQueue, SystemClock};

use super::{
    family::{self, Holder, Member},
    line_file::{LineFile, Unended},
    names::{folder_of, is_standard, name, real_name, wrong},
    packed::Format,
    place::{Place, Seen},
    position::Position,
    several::{self, Another, Found},
    source::{Current, Input, Source, Wanted},
    tail::{Tail, Way, nothing_yet},
};
use crate::{
    common::{
        exit::Failure,
        output::{counted, grouped},
        spool_options,
    },
    lines::LineReader,
};

/// `size`: bytes that the spool may have.
pub(super) fn resume(
    wanted: Wanted<'_>,
    dir: &Path,
    size: u64,
    config: Option<&ProjectConfig>,
) -> Result<Source, Failure> {
    let path = plain_files(wanted)?;
    let packed = formats(wanted.paths)?;
    if let (Way::Follow, Some(Some((path, format)))) = (wanted.way, packed.first()) {
        return Err(Failure::Usage(format!(
            "{} is compressed ({}), and nothing can be added to it: leave --follow out",
            path.display(),
            format.name()
        )));
    }
    let queue = spool_options::open_queue(dir, size)?;
    let fresh = Position::start(&real_name(path), config);
    let is_one_plain_file = packed == [None];
    let start = Start { wanted, path };
    match stored(&queue, dir)? {
        None if is_one_plain_file => start.fresh(queue, fresh, None),
        None => Found::first(wanted)?.into_source(wanted, queue, fresh, None),
        Some(stored) => {
            let is_log = is_one_plain_file && stored.earlier.files == 0;
            let take_up = TakeUp { start, dir, waiting: queue.size(), stored };
            if is_log { take_up.run(queue, fresh) } else { take_up.several(queue, fresh) }
        }
    }
}

/// Of compressed files what they are; a log that is not there yet will be none.
fn formats(paths: &[PathBuf]) -> Result<Vec<Option<(&Path, Format)>>, Failure> {
    let format = |path: &PathBuf| match Member::open(path) {
        Ok(Some(member)) => Format::of_file(&member.file),
        other => other.map(|_| None),
    };
    let found = paths
        .iter()
        .map(|path| Ok(format(path).map_err(|source| wrong(path, source))?.map(|is| (&**path, is))));
    found.collect()
}

/// The first one's path: what is there are files, or will be.
fn plain_files(wanted: Wanted<'_>) -> Result<&Path, Failure> {
    let cannot = "cannot be taken up where a run ended, which is what --spool is for; give a FILE";
    let is_stdin = wanted.paths.is_empty() || wanted.paths.iter().any(|path| is_standard(path));
    let first = wanted.paths.first().filter(|_| !is_stdin);
    let first = first.ok_or_else(|| Failure::Usage(format!("standard input {cannot}")))?;
    if wanted.way == Way::Follow && wanted.paths.len() > 1 {
        return Err(Failure::Usage(
            "--follow reads one FILE; its rotated ones are found by themselves".to_owned(),
        ));
    }
    wanted.paths.iter().try_for_each(|path| plain_file(path, wanted.way).map(drop))?;
    Ok(first)
}

fn plain_file(path: &Path, way: Way) -> Result<&Path, Failure> {
    let cannot = "cannot be taken up where a run ended, which is what --spool is for; give a FILE";
    let wrong = |source| Failure::Read { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(wrong(io::ErrorKind::IsADirectory.into())),
        Ok(metadata) if !metadata.is_file() => {
            Err(Failure::Usage(format!("{} is no plain file and {cannot}", path.display())))
        }
        // A log may be between its rotation and its next line.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && way == Way::Follow && folder_of(path).is_dir() =>
        {
            Ok(path)
        }
        Err(error) => Err(wrong(error)),
        Ok(_) => Ok(path),
    }
}

/// What the spool says of an input; `None`: it is empty.
fn stored(queue: &SpoolQueue<LogEvent>, dir: &Path) -> Result<Option<Position>, Failure> {
    match queue.spool().meta() {
        None if queue.size() == 0 => Ok(None),
        None => Err(Failure::Refused(format!(
            "{} holds {} of another program; {}",
            dir.display(),
            counted(queue.size() as u64, "record", "records"),
            advice(dir)
        ))),
        Some(meta) => Position::read(&meta)
            .map(Some)
            .map_err(|foreign| Failure::Refused(format!("{} cannot be used: {foreign}", dir.display()))),
    }
}

/// Begins to read a file somewhere.
#[derive(Clone, Copy)]
struct Start<'a> {
    wanted: Wanted<'a>,
    path: &'a Path,
}

impl Start<'_> {
    /// From the first line of the file at the path.
    fn fresh(
        self,
        queue: SpoolQueue<LogEvent>,
        start: Position,
        note: Option<String>,
    ) -> Result<Source, Failure> {
        let found = Member::open(self.path).map_err(|error| self.wrong(error))?;
        let holder = found.map(|member| Holder { member, seen: Seen::default() });
        let waiting = format!("waiting for {} to appear", self.path.display());
        let note = match (&holder, note) {
            (Some(_), note) => note,
            (None, _) if !self.follows() => return Err(self.wrong(io::ErrorKind::NotFound.into())),
            (None, None) => Some(waiting),
            (None, Some(note)) => Some(format!("{note}; {waiting}")),
        };
        self.behind(holder, queue, start, note)
    }

    fn behind(
        self,
        holder: Option<Holder>,
        queue: SpoolQueue<LogEvent>,
        mut start: Position,
        note: Option<String>,
    ) -> Result<Source, Failure> {
        let (file, seen, id, length, aside) = if let Some(Holder { member, seen }) = holder {
            (member.file, seen, Some(member.id), Some(member.length), member.path)
        } else {
            let nothing = nothing_yet().map_err(|error| self.wrong(error))?;
            (nothing, Seen::default(), None, None, self.path.to_owned())
        };
        start.place = seen.place(id);
        let lines = LineReader::after(start.lines, LineFile::behind(&seen, file), self.wanted.line_bytes_max);
        let way = self.wanted.way;
        let tail = Tail::new(self.path, way, Arc::new(SystemClock), lines, seen, id).in_member(aside);
        let length = length.filter(|_| way == Way::Once);
        let input = Input::new(Current::File(Box::new(tail)), name(self.path));
        Ok(Source { input, length, start, queue: Some(queue), note })
    }

    fn follows(self) -> bool {
        self.wanted.way == Way::Follow
    }

    fn wrong(self, source: io::Error) -> Failure {
        wrong(self.path, source)
    }
}

/// A spool that has a position.
struct TakeUp<'a> {
    start: Start<'a>,
    dir: &'a Path,
    waiting: usize,
    stored: Position,
}

impl TakeUp<'_> {
    fn run(self, queue: SpoolQueue<LogEvent>, fresh: Position) -> Result<Source, Failure> {
        if !self.stored.is_of_project_of(&fresh) {
            return self.fresh_or(queue, fresh, "the datafile is another project's");
        }
        let start = self.start;
        let holder = family::holder(start.path, &self.stored.place).map_err(|error| start.wrong(error))?;
        let is_lost = holder.as_ref().is_none_or(|holder| self.may_be_another(holder));
        match holder {
            _ if is_lost && start.follows() && self.stored.input == fresh.input => self.lost(queue, fresh),
            Some(holder) if start.follows() || holder.member.path == start.path => {
                let note = Some(self.note(&holder));
                let project = fresh.project.or(self.stored.project);
                let position =
                    Position { input: fresh.input, project, done: false, given_up: false, ..self.stored };
                start.behind(Some(holder), queue, position, note)
            }
            Some(rotated) => self.behind_rotated(&rotated, queue, fresh),
            None => {
                let why = format!("{} does not begin with what was read", start.path.display());
                self.fresh_or(queue, fresh, &why)
            }
        }
    }

    /// Of several files, or of a compressed one.
    fn several(self, queue: SpoolQueue<LogEvent>, fresh: Position) -> Result<Source, Failure> {
        let wanted = self.start.wanted;
        let found = if self.stored.is_of_project_of(&fresh) {
            several::take_up(wanted, &self.stored)?
        } else {
            Err(Another("the datafile is another project's".to_owned()))
        };
        match found {
            Ok(found) => {
                let path = found.path(wanted).display();
                let note = Some(self.taking_up(&path));
                let project = fresh.project.or(self.stored.project);
                let position = Position { project, done: false, given_up: false, ..self.stored };
                found.into_source(wanted, queue, position, note)
            }
            Err(_) if self.stored.is_free() && self.waiting == 0 => {
                Found::first(wanted)?.into_source(wanted, queue, fresh, None)
            }
            Err(Another(why)) => Err(self.refusal(&why, "Run the same command with those files again, or")),
        }
    }

    /// The log goes on, though nobody knows where.
    fn lost(self, queue: SpoolQueue<LogEvent>, fresh: Position) -> Result<Source, Failure> {
        let start = self.start;
        let truncated =
            family::truncated(start.path, &self.stored.place).map_err(|error| start.wrong(error))?;
        let note = Some(self.not_found(truncated.as_ref()));
        match truncated {
            Some(member) => start.behind(Some(Holder { member, seen: Seen::default() }), queue, fresh, note),
            None => start.fresh(queue, fresh, note),
        }
    }

    /// From the file's start, if the spool is done with what it has; else refused, with this reason.
    fn fresh_or(self, queue: SpoolQueue<LogEvent>, fresh: Position, why: &str) -> Result<Source, Failure> {
        if self.stored.is_free() && self.waiting == 0 {
            return self.start.fresh(queue, fresh, None);
        }
        Err(self.refusal(why, "Run the same command with that input again, or"))
    }

    /// Lines that were added before the rotation go first.
    fn behind_rotated(
        self,
        rotated: &Holder,
        queue: SpoolQueue<LogEvent>,
        fresh: Position,
    ) -> Result<Source, Failure> {
        let unread = self.first_unread(rotated).map_err(|error| self.start.wrong(error))?;
        let is_free = unread.is_none() || self.stored.given_up;
        if is_free && self.stored.done && self.waiting == 0 {
            return self.start.fresh(queue, fresh, None);
        }
        let (path, aside) = (self.start.path.display(), rotated.member.path.display());
        let first = unread.unwrap_or_else(|| rotated.member.path.clone());
        let why = format!("{path} does not begin with what was read, but {aside} does: the file was rotated");
        Err(self.refusal(&why, &format!("Run the same command with {} first, or", first.display())))
    }

    /// The first file before the one at the path that has lines which were not read.
    fn first_unread(&self, rotated: &Holder) -> io::Result<Option<PathBuf>> {
        let Holder { member, seen } = rotated;
        let rest = LineFile::behind(seen, member.file.try_clone()?);
        if rest.unended(member.length, self.start.wanted.line_bytes_max)? != Unended::Nothing {
            return Ok(Some(member.path.clone()));
        }
        let following = family::successors(self.start.path, &member.file.metadata()?, seen)?;
        let unread = following.into_iter().find(|next| next.length > 0 && next.path != self.start.path);
        Ok(unread.map(|next| next.path))
    }

    fn refusal(&self, why: &str, what_to_do: &str) -> Failure {
        Failure::Refused(format!(
            "{} is in use for {}, and holds {}; {why}. {what_to_do} {}",
            self.dir.display(),
            self.stored.in_words(),
            counted(self.waiting as u64, "record", "records"),
            advice(self.dir)
        ))
    }

    /// Nothing had been read, so content says nothing, and it is not the file that was there.
    fn may_be_another(&self, holder: &Holder) -> bool {
        let Place { bytes, file, .. } = self.stored.place;
        bytes == 0 && file.is_some_and(|file| file != holder.member.id)
    }

    fn not_found(&self, truncated: Option<&Member>) -> String {
        let (path, line) = (self.start.path.display(), grouped(self.stored.lines));
        match truncated {
            Some(member) => format!(
                "{} was truncated or written anew: reading it from its first line. Lines that were added behind line {line} \
                 and cut off before they could be read are not sent",
                member.path.display()
            ),
            None => format!(
                "{path} was rotated, and the old file is not found: lines that were added to the old file after line {line} \
                 are not sent. Reading {path} from its first line"
            ),
        }
    }

    fn note(&self, holder: &Holder) -> String {
        let (path, lines) = (self.start.path.display(), grouped(self.stored.lines));
        if holder.member.path != self.start.path {
            let (aside, waiting) = (holder.member.path.display(), self.waiting_first());
            return format!("{path} was rotated: taking up {aside} behind line {lines} first{waiting}");
        }
        self.taking_up(&path)
    }

    fn waiting_first(&self) -> String {
        match self.waiting {
            0 => String::new(),
            waiting => {
                format!("; {} to be delivered first", counted(waiting as u64, "record is", "records are"))
            }
        }
    }

    fn taking_up(&self, path: &dyn Display) -> String {
        let (lines, waiting) = (grouped(self.stored.lines), self.waiting_first());
        if self.stored.done {
            format!("{path} was read to its end, line {lines}, before{waiting}")
        } else {
            format!("taking up {path} behind line {lines}{waiting}")
        }
    }
}

fn advice(dir: &Path) -> String {
    format!("send what is there first: posthaste spool drain {}", dir.display())
}
