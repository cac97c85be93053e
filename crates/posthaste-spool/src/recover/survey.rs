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
        walk::{End, Item, Walker},
    },
    log::Segment,
    recover::tail::{Meta, Tail},
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
    /// Of the newest cursor that was found, whether it is believed or not.
    pub(crate) generation: Option<u64>,
    /// The newest of the cursors that were synced.
    pub(crate) synced: Option<Cursor>,
    pub(crate) damaged_slots: usize,
    /// Why what the cursor says is not believed.
    pub(crate) disbelief: Option<&'static str>,
    pub(crate) tail: Tail,
}

impl Survey {
    pub(crate) fn take(folder: &dyn Folder, dir: &Path) -> Result<Self, OpenError> {
        // First: beside an owner, what the cursor knows of is in the files by now.
        let found = read_cursor(folder, dir)?;
        let mut survey = Self::files(folder, dir)?;
        survey.generation = found.newest.as_ref().map(|cursor| cursor.generation);
        (survey.cursor, survey.synced, survey.damaged_slots) = (found.newest, found.synced, found.damaged);
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
            generation: None,
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

    /// A header tells which spool a segment is of. One that is damaged is not missed.
    fn read_headers(&mut self, folder: &dyn Folder, dir: &Path) -> Result<(), OpenError> {
        let mut headers = Vec::new();
        for segment in &self.segments {
            headers.push(read_header(folder, dir, segment)?);
        }
        let ids = || headers.iter().flatten().map(|header| header.spool);
        if let Some(id) = self.cursor.as_ref().map(|cursor| cursor.spool)
            && ids().next().is_some()
            && ids().all(|other| other != id)
            && !self.segments.iter().any(|segment| holds_frames(folder, segment, id))
        {
            self.disbelief = Some("it is another spool's");
            (self.cursor, self.synced) = (None, None);
        }
        self.id = self.cursor.as_ref().map(|cursor| cursor.spool).or_else(|| majority(ids()));
        if self.id.is_none() && !self.segments.is_empty() {
            // Nothing says which spool this was, so none of its frames can be told from strangers' bytes.
            self.id = Some(super::random_id());
        }
        let id = self.id;
        let mut kept: Vec<Segment> = Vec::new();
        for (segment, header) in self.segments.drain(..).zip(headers) {
            let fits = |header: Header| {
                Some(header.spool) == id && (header.number, header.first) == (segment.number, segment.first)
            };
            // A header of elsewhere may be all that is: frames know better where they belong.
            let header = header
                .filter(|header| fits(*header) || !id.is_some_and(|id| holds_frames(folder, &segment, id)));
            let is_home = header.is_none_or(fits);
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
        let here = self.cursor.as_ref().filter(|cursor| cursor.segment == last.number);
        let known_end = here.map_or(0, |cursor| cursor.offset);
        let path = dir.join(last.name());
        let file = folder.open(&last.name(), OpenMode::Read).at("open", &path)?;
        let home = Home::new(id, last.number);
        // Nobody gives out numbers so far ahead of the last one known.
        let bound = last.first.max(known).saturating_add(1 << 32);
        let mut walker = Walker::new(file, home, last.first..bound, End::Open).at("read", &path)?;
        self.tail = Tail::walk(&mut walker, last.first, known, known_end);
        if let (true, [.., before, last]) = (self.tail.may_lack_meta(), &*self.segments) {
            // One that was just being begun: the metadata before it stands in its predecessor.
            let path = dir.join(before.name());
            let file = folder.open(&before.name(), OpenMode::Read).at("open", &path)?;
            let records = before.first..last.first.saturating_add(1);
            let walker = Walker::new(file, Home::new(id, before.number), records, End::Open);
            self.tail.meta = Tail::last_meta(&mut walker.at("read", &path)?, last.first);
        }
        Ok(())
    }

    /// A cursor that knows more than the log has is of another time.
    fn weigh_cursor(&mut self) {
        if self.cursor.is_none()
            && self.damaged_slots == 0
            && self.disbelief.is_none()
            && !self.segments.is_empty()
        {
            self.disbelief = Some("it is not there");
        }
        let Some(cursor) = &self.cursor else { return };
        if cursor.acks.low() > cursor.next || cursor.end > cursor.next {
            self.disbelief = Some("it contradicts itself");
            (self.cursor, self.synced) = (None, None);
            return;
        }
        let Some(last) = self.segments.last() else { return };
        let is_cut = last.bytes < cursor.offset;
        let is_damaged = is_cut || self.tail.torn.iter().chain(&self.tail.scraps).next().is_some();
        let is_behind = cursor.segment > last.number
            || (cursor.segment == last.number && cursor.offset > self.tail.end && !is_damaged);
        if is_behind && cursor.acks.low() > self.tail.last {
            self.disbelief = Some("it knows of records behind the log's end");
        }
    }

    /// Whether the log ends before what is known to have been stored.
    pub(crate) fn is_short(&self) -> bool {
        let end = self.cursor.as_ref().map_or(0, |cursor| cursor.end);
        !self.segments.is_empty() && self.tail.last < end && self.tail.pending.is_empty()
    }

    /// The first number that may be unsettled.
    fn first(&self) -> u64 {
        self.segments.first().map_or(self.tail.proven, |segment| segment.first)
    }

    /// What is settled, as far as the cursor is believed.
    pub(crate) fn acks(&self) -> Acks {
        let Some(cursor) = &self.cursor else { return Acks::new(self.first()) };
        if self.disbelief.is_none() {
            return cursor.acks.clone();
        }
        // What it calls settled and is not there needs no judgement.
        let mut acks = Acks::new(self.first());
        for range in std::iter::once(0..cursor.acks.low()).chain(cursor.acks.ranges()) {
            acks.settle(range.start.max(self.tail.high)..range.end);
        }
        acks
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

    /// The newest metadata of whole batches that are not known to be on disk.
    pub(crate) fn pending_meta(&self) -> Option<Bytes> {
        self.tail.pending.iter().rev().find_map(|(_, batch, _)| batch.meta.clone())
    }

    pub(crate) fn meta(&self) -> Option<Bytes> {
        let of_tail = self.tail.meta.as_ref();
        let Some(cursor) = self.cursor.as_ref().filter(|_| self.disbelief.is_none()) else {
            return of_tail.map(|meta| meta.bytes.clone());
        };
        // The cursor knows that of all records before its end; of what came alone, that before its place in the log.
        let is_newer = |meta: &&Meta| {
            let is_known = self.is_last(cursor.segment) && meta.end <= cursor.offset;
            meta.before > cursor.end || (meta.before == cursor.end && meta.is_alone && !is_known)
        };
        of_tail.filter(is_newer).map(|meta| meta.bytes.clone()).or_else(|| cursor.meta.clone())
    }

    fn is_last(&self, number: u64) -> bool {
        self.segments.last().is_some_and(|last| last.number == number)
    }

    /// The last segment, and up to where all of it is known to be stored.
    pub(crate) fn known_place(&self) -> (u64, u64) {
        let number = self.segments.last().map_or(0, |last| last.number);
        let here = self.cursor.as_ref().filter(|cursor| self.is_last(cursor.segment));
        (number, here.filter(|_| self.disbelief.is_none()).map_or(0, |cursor| cursor.offset))
    }

    /// Whether the next frame may go behind the last one: nothing that counts, and nothing that was damaged, lies there.
    pub(crate) fn can_go_on(&self) -> bool {
        let Some(last) = self.segments.last() else { return false };
        let is_missed = self.cursor.as_ref().is_some_and(|cursor| {
            cursor.end > self.tail.last && !cursor.acks.covers(self.tail.last..cursor.end)
        });
        self.disbelief.is_none() && !is_missed && self.tail.end < last.bytes && self.tail.is_whole()
    }

    /// What lies behind the last frame, as far as it tells of a write that was cut off.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Range<u64>> {
        let is_end_known = self
            .cursor
            .as_ref()
            .is_some_and(|cursor| self.is_last(cursor.segment) && cursor.offset == self.tail.end);
        let scraps = if is_end_known { &[] } else { &*self.tail.scraps };
        self.tail.torn.iter().chain(scraps)
    }
}

fn read_cursor(folder: &dyn Folder, dir: &Path) -> Result<FoundCursor, OpenError> {
    match folder.open(cursor::NAME, OpenMode::Read) {
        Ok(file) => {
            let found = Cursor::read(&*file);
            if found.is_old && found.newest.is_none() {
                return Err(OpenError::OldLayout { path: dir.to_path_buf() });
            }
            Ok(found)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FoundCursor::default()),
        Err(error) => Err(DiskError::new("open", &dir.join(cursor::NAME), error).into()),
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

/// Whether there is a frame in it that belongs there.
fn holds_frames(folder: &dyn Folder, segment: &Segment, id: u64) -> bool {
    let home = Home::new(id, segment.number);
    let file = folder.open(&segment.name(), OpenMode::Read);
    let walker = file.and_then(|file| Walker::new(file, home, segment.first..u64::MAX, End::Open));
    walker.is_ok_and(|mut walker| {
        std::iter::from_fn(|| walker.next()).any(|item| matches!(item, Item::Frame(_)))
    })
}

fn majority(ids: impl Iterator<Item = u64>) -> Option<u64> {
    let ids: Vec<u64> = ids.collect();
    let count = |id: u64| ids.iter().filter(|other| **other == id).count();
    ids.iter().copied().max_by_key(|id| count(*id))
}
