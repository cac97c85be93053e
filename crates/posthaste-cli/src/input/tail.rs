//! A file read by whole lines, until its end or for as long as lines are added: like `tail -F`, but that it knows its
//! place.
//!
//! ```text
//!                       whole lines ──▶ Line
//! no more of them, once:      nothing ──▶ End       whole JSON, quiet for a second ──▶ Line      else ──▶ Unfinished
//!                  following: still at its path ──▶ Wait
//!                             moved away, quiet for a second, and its successor has lines ──▶ (last) Line, Begin
//! not what it was, following: Begin: of a copy that has what was read, or else of the path from its start
//! ```
//!
//! A line is taken once its end is there: until then nobody knows what it will be. Only where nothing more is to be
//! expected, it is taken without, if it is whole JSON. Should it go on all the same, what is added is a `Rest`.
//!
//! A file that was moved away is left only when its successor has something in it: until then whoever writes may still
//! have the old one open. What is added later than a second after that is not seen.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use posthaste::Clock;

use super::{
    family::{self, Holder, Member},
    line_file::{LineFile, Unended, is_changed},
    place::{FileId, Place, Seen},
    step::Step,
};
use crate::{
    common::output::grouped,
    lines::{LineReader, Size},
};

/// For how long a file is unchanged that nobody writes to.
const QUIET: Duration = Duration::from_secs(1);

/// What the end of the file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is the end, and the last line may still be growing.
    Once,
    /// It is the end: another file follows.
    Complete,
    /// More may come, here or in a file that takes its place.
    Follow,
}

#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    /// The one that is being read: at the path, or moved aside.
    member: PathBuf,
    way: Way,
    clock: Arc<dyn Clock>,
    lines: LineReader<LineFile>,
    /// What has been dealt with.
    seen: Seen,
    /// The same and the current line, where that is too long to be held.
    seen_and_rest: Option<Seen>,
    /// `None`: there is no file yet.
    id: Option<FileId>,
    quiet: Quiet,
    /// The successors that were found last: what is found twice is no snapshot of a rotation that is under way.
    sighted: Vec<FileId>,
}

impl Tail {
    /// Reads a file, `lines` of which have been read.
    pub(crate) fn new(
        path: &Path,
        way: Way,
        clock: Arc<dyn Clock>,
        lines: LineReader<LineFile>,
        from: Seen,
        id: Option<FileId>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            member: path.to_owned(),
            way,
            clock,
            lines,
            seen: from,
            seen_and_rest: None,
            id,
            quiet: Quiet::default(),
            sighted: Vec::new(),
        }
    }

    /// The file is there by now.
    pub(super) fn in_member(self, member: PathBuf) -> Self {
        Self { member, ..self }
    }

    /// Where lines are read.
    pub(super) fn member(&self) -> &Path {
        &self.member
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        match self.read_on() {
            Err(error) if self.way == Way::Follow && is_changed(&error) => self.find_again(),
            step => step,
        }
    }

    fn read_on(&mut self) -> io::Result<Step> {
        loop {
            if let Some(size) = self.lines.advance()? {
                return Ok(self.line_or_rest(size));
            }
            if self.lines.input_mut().extend()? {
                continue;
            }
            let step = match self.way {
                Way::Once | Way::Complete => self.at_the_end()?,
                Way::Follow => self.at_the_end_for_now()?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn line_or_rest(&mut self, size: Size) -> Step {
        if !self.seen.is_mid_line() {
            return Step::Line(size);
        }
        self.lines.is_same_line();
        Step::Rest(size)
    }

    /// `None`: there is something to read now.
    fn at_the_end(&mut self) -> io::Result<Option<Step>> {
        let metadata = self.lines.input().metadata()?;
        Ok(match self.unended(&metadata)? {
            Unended::Nothing => Some(Step::End),
            // It will never be more.
            _ if self.way == Way::Complete => self.take_unended(&metadata),
            Unended::Part => {
                Some(Step::Unfinished(self.lines.number() + u64::from(!self.seen.is_mid_line())))
            }
            Unended::Whole if self.quiet.is_over(&metadata, self.clock.elapsed()) => {
                self.take_unended(&metadata)
            }
            Unended::Whole => Some(Step::Wait),
        })
    }

    fn at_the_end_for_now(&mut self) -> io::Result<Option<Step>> {
        if self.is_at_its_path()? {
            self.quiet = Quiet::default();
            self.sighted.clear();
            return Ok(Some(Step::Wait));
        }
        let metadata = self.lines.input().metadata()?;
        if self.id.is_some() && !self.quiet.is_over(&metadata, self.clock.elapsed()) {
            return Ok(Some(Step::Wait));
        }
        let unended = self.unended(&metadata)?;
        if unended == Unended::Whole {
            return Ok(self.take_unended(&metadata));
        }
        match self.successor(&metadata)? {
            None => Ok(Some(Step::Wait)),
            // It will never be whole: a bad line.
            Some(_) if unended == Unended::Part => Ok(self.take_unended(&metadata)),
            Some(next) => self.go_on_in(next, &metadata).map(Some),
        }
    }

    fn unended(&self, metadata: &Metadata) -> io::Result<Unended> {
        self.lines.input().unended(metadata.len(), self.lines.bytes_max())
    }

    fn take_unended(&mut self, metadata: &Metadata) -> Option<Step> {
        self.lines.input_mut().take_unended(metadata.len());
        None
    }

    fn is_at_its_path(&self) -> io::Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(FileId::of(&metadata)) == self.id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file to read next, once nothing seems to move any more and there is something in it.
    fn successor(&mut self, metadata: &Metadata) -> io::Result<Option<Member>> {
        let found = match self.id {
            None => Member::open(&self.path)?.into_iter().collect(),
            Some(_) => family::successors(&self.path, metadata, &self.seen)?,
        };
        let sighted: Vec<FileId> = found.iter().map(|member| member.id).collect();
        let has_lines = found.iter().any(|member| member.length > 0);
        let is_settled = sighted == self.sighted;
        self.sighted = sighted;
        Ok(found.into_iter().next().filter(|_| is_settled && has_lines))
    }

    fn go_on_in(&mut self, next: Member, old: &Metadata) -> io::Result<Step> {
        let path = self.path.display().to_string();
        // As some programs write a file: anew, in the place of the old one.
        if old.nlink() == 0 && self.seen.bytes() > 0 && self.seen.is_in(&next.file)? {
            let number = self.lines.number();
            let note =
                format!("{path} was replaced by a file that begins with what was read; reading on in that");
            return Ok(self.begin(Holder { member: next, seen: self.seen.clone() }, number, note));
        }
        let note = match self.id {
            None => format!("{path} is there"),
            Some(_) => format!(
                "{path} was rotated; its last line was {}. Reading on in {}",
                grouped(self.lines.number()),
                next.path.display()
            ),
        };
        Ok(self.begin(Holder { member: next, seen: Seen::default() }, 0, note))
    }

    /// The file is no longer what was read of it.
    fn find_again(&mut self) -> io::Result<Step> {
        self.lines.input_mut().go_back_to(&self.seen);
        let (path, number) = (self.path.display().to_string(), self.lines.number());
        if let Some(holder) = family::holder(&self.path, &self.place())? {
            if Some(holder.member.id) == self.id {
                return Ok(Step::Wait);
            }
            let copy = holder.member.path.display();
            let note = format!("{path} was truncated; reading its copy {copy} to the end first");
            return Ok(self.begin(holder, number, note));
        }
        let truncated = family::truncated(&self.path, &self.place())?;
        let Some(member) = truncated.map_or_else(|| Member::open(&self.path), |member| Ok(Some(member)))?
        else {
            return Ok(Step::Wait);
        };
        let path = member.path.display();
        let note = format!(
            "{path} was truncated or written anew: reading it from its first line. Lines that were added behind line {} \
             and cut off before they could be read are not sent",
            grouped(number)
        );
        Ok(self.begin(Holder { member, seen: Seen::default() }, 0, note))
    }

    fn begin(&mut self, Holder { member, seen }: Holder, lines: u64, note: String) -> Step {
        let file = LineFile::behind(&seen, member.file);
        self.lines = LineReader::after(lines, file, self.lines.bytes_max());
        (self.seen, self.id, self.member) = (seen, Some(member.id), member.path);
        self.quiet = Quiet::default();
        self.sighted.clear();
        Step::Begin(note)
    }

    pub(super) fn line(&self) -> &LineReader<dyn BufRead> {
        &self.lines
    }

    pub(super) fn rest(&mut self, mut keep: impl FnMut(&[u8])) -> io::Result<()> {
        let mut seen = self.seen.clone();
        seen.pass(self.lines.raw());
        self.lines.rest(|piece| {
            seen.pass(piece);
            keep(piece);
        })?;
        self.seen_and_rest = Some(seen);
        Ok(())
    }

    pub(super) fn dealt_with(&mut self) {
        match self.seen_and_rest.take() {
            Some(seen) => self.seen = seen,
            None => self.seen.pass(self.lines.raw()),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.seen.bytes()
    }

    pub(super) fn place(&self) -> Place {
        self.seen.place(self.id)
    }
}

/// A file that does not exist yet: it is empty, and at no path.
pub(crate) fn nothing_yet() -> io::Result<File> {
    File::open("/dev/null")
}

/// Since when a file has been as it is.
#[derive(Debug, Default)]
struct Quiet(Option<(u64, Option<SystemTime>, Duration)>);

impl Quiet {
    /// Whether it has been as it is for long enough.
    fn is_over(&mut self, metadata: &Metadata, now: Duration) -> bool {
        let state = (metadata.len(), metadata.modified().ok());
        match self.0 {
            Some((length, modified, since)) if (length, modified) == state => {
                now.saturating_sub(since) >= QUIET
            }
            _ => {
                self.0 = Some((state.0, state.1, now));
                false
            }
        }
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
