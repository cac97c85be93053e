//! A look at a spool as it lies on disk: its files, its cursor, its last segment. Nothing is changed.
//!
//! How far the log is known to have gone (`proven`) comes from the cursor, from the last segment's first record, and from
//! its frames, each of which says how far the log was stored when it was written. Below that, what is missing is lost.
//! From there on, whole batches are taken, and the rest is a write that did not finish.

use std::{io, ops::Range, path::Path};

use bytes::Bytes;

use crate::{
    acks::Acks,
    dead::DEAD_DIR,
    error::{At, DiskError, OpenError},
    filesystem::{Folder, OpenMode},
    format::{
        cursor::{self, Cursor, FoundCursor},
        frame::Home,
        segment::{self, Found, HEADER_BYTES, Header},
        walk::{End, Walker},
    },
    log::Segment,
    recover::tail::Tail,
    write::stock::{DAMAGED_DIR, NEW_NAME},
};

/// What the unreleased layout had and this one has not.
const OLD_LOCK: &str = "lock";

/// What was found in the folder.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The spool's id; `None`: nothing says, because there is nothing yet.
    pub(crate) id: Option<u64>,
    /// By number.
    pub(crate) segments: Vec<Segment>,
    /// Segments whose header is damaged; it is not needed.
    pub(crate) damaged_headers: Vec<String>,
    /// Segments of another spool, or in the place of another segment: not read.
    pub(crate) foreign: Vec<String>,
    /// Numbers and lengths of the empty segments.
    pub(crate) spares: Vec<(u64, u64)>,
    /// What an earlier owner was making.
    pub(crate) has_leftover: bool,
    pub(crate) cursor: Option<Cursor>,
    /// The newest of the cursors that were synced.
    pub(crate) synced: Option<Cursor>,
    pub(crate) damaged_slots: usize,
    /// Why what the cursor says is not believed.
    pub(crate) disbelief: Option<&'static str>,
    pub(crate) tail: Tail,
}

impl Survey {
    pub(crate) fn take(folder: &dyn Folder, dir: &Path) -> Result<Self, OpenError> {
        let mut survey = Self::files(folder, dir)?;
        survey.read_cursor(folder, dir)?;
        survey.read_headers(folder, dir)?;
        survey.read_tail(folder, dir)?;
        survey.weigh_cursor();
        Ok(survey)
    }

    fn files(folder: &dyn Folder, dir: &Path) -> Result<Self, OpenError> {
        let mut survey = Self {
            id: None,
            segments: Vec::new(),
            damaged_headers: Vec::new(),
            foreign: Vec::new(),
            spares: Vec::new(),
            has_leftover: false,
            cursor: None,
            synced: None,
            damaged_slots: 0,
            disbelief: None,
            tail: Tail::default(),
        };
        let (mut has_cursor, mut is_old, mut strangers) = (false, false, Vec::new());
        for entry in folder.list().at("list", dir)? {
            if let Some((number, first)) = segment::parse_name(&entry.name) {
                survey.segments.push(Segment::new(number, first, entry.bytes));
            } else if let Some(number) = segment::parse_spare_name(&entry.name) {
                survey.spares.push((number, entry.bytes));
            } else {
                match &*entry.name {
                    NEW_NAME => survey.has_leftover = true,
                    cursor::NAME => has_cursor = true,
                    OLD_LOCK => is_old = true,
                    // What is kept beside a spool does not make one, and does not keep one from being made.
                    DEAD_DIR | DAMAGED_DIR => {}
                    name if segment::is_old_name(name) => is_old = true,
                    _ => strangers.push(entry.name),
                }
            }
        }
        survey.segments.sort_by_key(|segment| (segment.number, segment.first));
        survey.spares.sort_unstable();
        if is_old && survey.segments.is_empty() {
            return Err(OpenError::OldLayout { path: dir.to_path_buf() });
        }
        let is_ours = has_cursor || !survey.segments.is_empty() || !survey.spares.is_empty();
        match strangers.into_iter().next() {
            Some(name) if !is_ours => {
                let reason = format!("it holds {name:?} and nothing of a spool");
                Err(OpenError::NotASpool { path: dir.to_path_buf(), reason })
            }
            _ => Ok(survey),
        }
    }

    /// Whether there is anything of a spool.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.spares.is_empty() && self.cursor.is_none() && self.damaged_slots == 0
    }

    fn read_cursor(&mut self, folder: &dyn Folder, dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(cursor::NAME);
        match folder.open(cursor::NAME, OpenMode::Read) {
            Ok(file) => {
                let FoundCursor { newest, synced, damaged, is_old } = Cursor::read(&*file);
                if is_old && newest.is_none() {
                    return Err(OpenError::OldLayout { path: dir.to_path_buf() });
                }
                (self.cursor, self.synced, self.damaged_slots) = (newest, synced, damaged);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::new("open", &path, error).into()),
        }
        Ok(())
    }

    /// A header tells which spool a segment is of. One that is damaged is not missed.
    fn read_headers(&mut self, folder: &dyn Folder, dir: &Path) -> Result<(), OpenError> {
        let mut headers = Vec::new();
        for segment in &self.segments {
            headers.push(read_header(folder, dir, segment)?);
        }
        let ids = || headers.iter().flatten().map(|header| header.spool);
        let cursor_id = self.cursor.as_ref().map(|cursor| cursor.spool);
        if cursor_id.is_some_and(|id| ids().next().is_some() && ids().all(|other| other != id)) {
            self.disbelief = Some("it is another spool's");
            (self.cursor, self.synced) = (None, None);
        }
        self.id = self.cursor.as_ref().map(|cursor| cursor.spool).or_else(|| majority(ids()));
        let id = self.id;
        let mut kept: Vec<Segment> = Vec::new();
        for (segment, header) in self.segments.drain(..).zip(headers) {
            let is_home = header.is_none_or(|header| {
                Some(header.spool) == id && (header.number, header.first) == (segment.number, segment.first)
            });
            let is_in_order =
                kept.last().is_none_or(|last| last.number < segment.number && last.first <= segment.first);
            if !is_home || !is_in_order {
                self.foreign.push(segment.name());
                continue;
            }
            if header.is_none() {
                self.damaged_headers.push(segment.name());
            }
            kept.push(segment);
        }
        self.segments = kept;
        Ok(())
    }

    fn read_tail(&mut self, folder: &dyn Folder, dir: &Path) -> Result<(), OpenError> {
        let known = self.cursor.as_ref().map_or(0, |cursor| cursor.end);
        let (Some(last), Some(id)) = (self.segments.last(), self.id) else {
            let end = known.max(1);
            self.tail = Tail::without_segment(end);
            return Ok(());
        };
        let path = dir.join(last.name());
        let file = folder.open(&last.name(), OpenMode::Read).at("open", &path)?;
        let home = Home::new(id, last.number);
        // Nobody gives out numbers so far ahead of the last one known.
        let bound = last.first.max(known).saturating_add(1 << 32);
        let mut walker = Walker::new(file, home, last.first..bound, End::Open).at("read", &path)?;
        self.tail = Tail::walk(&mut walker, last.first, known);
        Ok(())
    }

    /// A cursor that knows more than the log has is of another time.
    fn weigh_cursor(&mut self) {
        let Some(cursor) = &self.cursor else { return };
        let has_records = !self.segments.is_empty();
        if has_records && cursor.end > self.tail.last && cursor.acks.low() > self.tail.last {
            self.disbelief = Some("it knows of records behind the log's end");
        } else if cursor.acks.low() > cursor.next || cursor.end > cursor.next {
            self.disbelief = Some("it contradicts itself");
        }
    }

    /// The first number that may be unsettled.
    fn first(&self) -> u64 {
        self.segments.first().map_or(self.tail.proven, |segment| segment.first)
    }

    /// What is settled, as far as the cursor is believed.
    pub(crate) fn acks(&self) -> Acks {
        match &self.cursor {
            Some(cursor) if self.disbelief.is_none() => cursor.acks.clone(),
            _ => Acks::new(self.first()),
        }
    }

    /// The next number to give out: none that may have been used.
    pub(crate) fn next(&self) -> u64 {
        let cursor = self.cursor.as_ref().map_or(1, |cursor| cursor.next.max(cursor.end));
        // No log gets there, but a forged one could ask for a number beyond the last.
        cursor.max(self.tail.high).min(u64::MAX / 2)
    }

    /// Records that are missing in front of the first segment, or behind the last one's end, though they were stored.
    pub(crate) fn missing(&self) -> Vec<Range<u64>> {
        let Some(cursor) = &self.cursor else { return Vec::new() };
        let (mut front, back) = (cursor.acks.low()..self.first(), self.tail.last..cursor.end);
        if self.disbelief.is_some() {
            front = 0..0;
        }
        [front, back].into_iter().filter(|range| !range.is_empty()).collect()
    }

    pub(crate) fn meta(&self) -> Option<Bytes> {
        let of_cursor = self.cursor.as_ref().and_then(|cursor| Some((cursor.end, cursor.meta.clone()?)));
        let newest = [of_cursor, self.tail.meta.clone()].into_iter().flatten();
        newest.max_by_key(|(before, _)| *before).map(|(_, meta)| meta)
    }

    /// Whether the next frame may go behind the last one: the end is known to be on disk, and nothing lies behind it.
    pub(crate) fn is_clean(&self) -> bool {
        let Some((cursor, last)) = self.cursor.as_ref().zip(self.segments.last()) else { return false };
        self.disbelief.is_none()
            && cursor.segment == last.number
            && cursor.offset == self.tail.end
            && cursor.end == self.tail.last
            && cursor.offset < last.bytes
            && self.tail.pending.is_empty()
            && self.tail.unfinished == 0
            && self.tail.torn.is_empty()
    }
}

/// The header of a segment; `None`: damaged, or not to be read.
fn read_header(folder: &dyn Folder, dir: &Path, segment: &Segment) -> Result<Option<Header>, OpenError> {
    let path = dir.join(segment.name());
    let file = folder.open(&segment.name(), OpenMode::Read).at("open", &path)?;
    let mut bytes = vec![0; HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    match Header::decode(&bytes) {
        Found::Sound(header) => Ok(Some(header)),
        Found::Newer(found) => Err(OpenError::Version { path, found }),
        Found::Damaged => Ok(None),
    }
}

fn majority(ids: impl Iterator<Item = u64> + Clone) -> Option<u64> {
    let count = |id: u64| ids.clone().filter(|other| *other == id).count();
    ids.clone().max_by_key(|id| count(*id))
}
