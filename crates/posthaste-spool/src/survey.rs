//! What is in a spool's folder, read without changing anything.
//!
//! Reads the headers, the cursor and the last segment, whatever the size of the backlog. Opening a spool acts on a
//! survey; inspecting one stops here.

use std::{io, path::Path};

use bytes::Bytes;

use crate::{
    acks::Acks,
    cursor::{self, Cursor},
    error::{At, DiskError, OpenError},
    filesystem::{Filesystem, OpenMode},
    scan::Scanner,
    segment::{self, Found, Header},
    tail::Tail,
};

/// The name under which a segment is made.
pub(crate) const NEW_NAME: &str = "new.tmp";

#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// By number, and so by sequence number.
    pub(crate) segments: Vec<Surveyed>,
    /// Names of segments whose header is lost, or contradicts its name or neighbours.
    pub(crate) unreadable: Vec<String>,
    /// Numbers and lengths of empty segments.
    pub(crate) spares: Vec<(u64, u64)>,
    pub(crate) has_leftover: bool,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) cursor_damage: usize,
    pub(crate) tail: Option<Tail>,
    pub(crate) number_max: u64,
}

/// A segment by its header.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) header: Header,
    pub(crate) bytes: u64,
    /// One copy of the header is damaged.
    pub(crate) healable: bool,
}

impl Survey {
    pub(crate) fn take(filesystem: &dyn Filesystem, dir: &Path) -> Result<Self, OpenError> {
        let mut survey = Self::default();
        let mut entries = filesystem.list(dir).at("list", dir)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            if let Some(number) = segment::number_of(&entry.name) {
                survey.number_max = survey.number_max.max(number);
                survey.take_segment(filesystem, &dir.join(&entry.name), number, entry.bytes)?;
            } else if let Some(number) = segment::spare_number_of(&entry.name) {
                survey.number_max = survey.number_max.max(number);
                survey.spares.push((number, entry.bytes));
            } else if entry.name == NEW_NAME {
                survey.has_leftover = true;
            }
        }
        survey.read_tail(filesystem, dir)?;
        survey.read_cursor(filesystem, dir)?;
        Ok(survey)
    }

    fn take_segment(
        &mut self,
        filesystem: &dyn Filesystem,
        path: &Path,
        number: u64,
        bytes: u64,
    ) -> Result<(), OpenError> {
        // The owner may recycle it between opening and reading. Then the second look finds nothing.
        let mut found = read_header(filesystem, path, number)?;
        if matches!(found, Some(Found::Unreadable)) {
            found = read_header(filesystem, path, number)?;
        }
        let (header, healable) = match found {
            None => return Ok(()),
            Some(Found::Sound(header)) => (Some(header), false),
            Some(Found::Healable(header)) => (Some(header), true),
            Some(Found::Newer(found)) => return Err(OpenError::Version { path: path.to_path_buf(), found }),
            Some(Found::Unreadable) => (None, false),
        };
        let first_min = self.segments.last().map_or(0, |last| last.header.first);
        match header.filter(|header| header.first >= first_min) {
            Some(header) => self.segments.push(Surveyed { header, bytes, healable }),
            None => self.unreadable.push(segment::name(number)),
        }
        Ok(())
    }

    fn read_tail(&mut self, filesystem: &dyn Filesystem, dir: &Path) -> Result<(), DiskError> {
        let Some(last) = self.segments.last() else { return Ok(()) };
        let path = dir.join(segment::name(last.header.number));
        let file = filesystem.open(&path, OpenMode::Read).at("open", &path)?;
        // An owner that is writing may have made the file longer since it was listed.
        let end = file.size().at("measure", &path)?;
        let mut scanner = Scanner::new(file, last.header.seed(), end);
        self.tail = Some(Tail::scan(&mut scanner, &last.header).at("read", &path)?);
        Ok(())
    }

    fn read_cursor(&mut self, filesystem: &dyn Filesystem, dir: &Path) -> Result<(), DiskError> {
        let path = dir.join(cursor::NAME);
        match filesystem.open(&path, OpenMode::Read) {
            Ok(file) => (self.cursor, self.cursor_damage) = Cursor::read(file.as_ref()).at("read", &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::new("open", &path, error)),
        }
        Ok(())
    }

    /// The next sequence number: never one that the cursor knows as used.
    pub(crate) fn next(&self) -> u64 {
        let cursor = self.cursor.as_ref().map_or(1, |cursor| cursor.next.max(cursor.acks.low()));
        let next = self.tail.as_ref().map_or(cursor, |tail| tail.next.max(cursor));
        // No log gets there, but a forged one could ask for a number beyond the last.
        next.min(u64::MAX / 2)
    }

    /// What is settled. What lies before the oldest segment was, or its segment would be there.
    pub(crate) fn acks(&self) -> Acks {
        let first = self.segments.first().map_or(self.next(), |segment| segment.header.first);
        let mut acks = self.cursor.as_ref().map_or_else(|| Acks::new(first), |cursor| cursor.acks.clone());
        acks.settle(acks.low()..first);
        acks
    }

    /// Records that went with their segment's header, as far as the cursor tells.
    pub(crate) fn lost_in_front(&self) -> u64 {
        let first = self.segments.first().map_or(self.next(), |segment| segment.header.first);
        let known = self.cursor.as_ref().filter(|_| !self.unreadable.is_empty());
        known.map_or(0, |cursor| first.saturating_sub(cursor.acks.low()))
    }

    pub(crate) fn meta(&self) -> Option<Bytes> {
        self.tail.as_ref().and_then(|tail| tail.meta.clone())
    }
}

/// Reads the header of the segment of this number; `None` if its owner has recycled it since the folder was listed.
fn read_header(filesystem: &dyn Filesystem, path: &Path, number: u64) -> Result<Option<Found>, DiskError> {
    let file = match filesystem.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.at("open", path)?,
    };
    Ok(Some(match Header::read(file.as_ref()).at("read", path)? {
        Found::Sound(header) | Found::Healable(header) if header.number != number => Found::Unreadable,
        found => found,
    }))
}
