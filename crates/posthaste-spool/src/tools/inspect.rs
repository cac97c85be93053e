//! Looks at a spool without owning it: takes no lock for longer than a moment, and changes nothing.
//!
//! While another process owns the spool, what counts is what its cursor tells; what it recycles in the meantime was
//! settled before, and its cursor is read again before anything is called missing.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    dead::{self, DEAD_DIR},
    error::{DiskError, OpenError, ReadError},
    filesystem::{Filesystem, Folder, FolderMode, OpenMode, RealFilesystem},
    format::cursor::{self, Cursor},
    log::{Log, Role, Stats},
    options::SpoolOptions,
    read::{Read, Reader, Record},
    recover::{self, survey::Survey},
    write::{pending::Pending, stock::DAMAGED_DIR},
};

/// How often a survey starts over because the owner recycled a file under it.
const SURVEYS_MAX: usize = 20;
/// How often everything is looked at anew because the spool has got another owner meanwhile.
pub(super) const LOOKS_MAX: usize = 5;
/// What an iteration reads at once.
const READ_RECORDS: usize = 1_024;
const READ_BYTES: usize = 1 << 20;

/// A spool as it was found.
#[derive(Debug)]
pub struct Inspection {
    pub(crate) log: Log,
    pub(crate) survey: Survey,
    is_owned: bool,
    reader: Reader,
    unreadable: u64,
    /// Whether what it holds are dead letters.
    is_dead: bool,
}

/// What there is to say about a spool without reading its records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Numbers. Losses count as far as they have been met: see [`Inspection::check`].
    pub stats: Stats,
    /// The metadata of the last stored batch that had some.
    pub meta: Option<Bytes>,
    /// Process id of who owns the spool now, as far as it is known.
    pub owner: Option<u32>,
    /// Whether somebody owns it.
    pub is_owned: bool,
    /// Records that are settled, which a power cut would bring back: the cursor that says so is not synced yet.
    pub settled_unsynced: u64,
    /// Records that could not be read just now.
    pub unreadable_records: u64,
    /// Empty segments kept for reuse.
    pub spare_segments: usize,
    /// Damaged segments and pieces kept for inspection.
    pub damaged_files: usize,
    /// Their length.
    pub damaged_bytes: u64,
}

/// Looks at the spool in a folder.
pub fn inspect(dir: impl AsRef<Path>) -> Result<Inspection, OpenError> {
    inspect_with(Arc::new(RealFilesystem), dir)
}

/// Looks at a spool on the given filesystem.
#[expect(clippy::needless_pass_by_value, reason = "as for opening a spool")]
pub fn inspect_with(filesystem: Arc<dyn Filesystem>, dir: impl AsRef<Path>) -> Result<Inspection, OpenError> {
    let dir = dir.as_ref();
    let not_one = |reason: &str| OpenError::NotASpool { path: dir.to_path_buf(), reason: reason.to_owned() };
    let folder = filesystem.open_folder(dir, FolderMode::Existing).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => not_one("there is no such folder"),
        io::ErrorKind::NotADirectory => not_one("it is no folder"),
        _ => DiskError::new("open", dir, error).into(),
    })?;
    let inspection = inspect_in(folder, dir)?;
    // One that has an owner is being made.
    if inspection.survey.is_empty() && !inspection.is_owned {
        Err(not_one("it is empty"))
    } else {
        Ok(inspection)
    }
}

fn inspect_in(folder: Arc<dyn Folder>, dir: &Path) -> Result<Inspection, OpenError> {
    let mut tries = 1;
    let (is_owned, survey) = loop {
        let is_owned = folder.is_locked().unwrap_or(false);
        match Survey::take(&*folder, dir) {
            Ok(survey) if !is_owned && has_changed(&*folder, &survey) && tries < SURVEYS_MAX => tries += 1,
            Err(OpenError::Disk(error)) if error.kind() == io::ErrorKind::NotFound && tries < SURVEYS_MAX => {
                tries += 1;
            }
            survey => break (is_owned, survey?),
        }
    };
    let mut state = recover::state(&survey);
    state.pending = Pending::default();
    state.stored = state.next;
    if let (true, Some(cursor)) = (is_owned, &survey.cursor) {
        // What lies behind it is being written.
        (state.stored, state.next) = (cursor.end, cursor.end);
        state.acks = cursor.acks.clone();
        state.counters.unfinished_records = 0;
    }
    state.spare_bytes = survey.spares.iter().map(|(_, bytes)| bytes).sum();
    let id = survey.id.unwrap_or_default();
    let options = SpoolOptions::default();
    let log =
        Log { folder, dir: dir.to_path_buf(), id, options, role: Role::Observer, state: Mutex::new(state) };
    let inspection =
        Inspection { log, survey, is_owned, reader: Reader::default(), unreadable: 0, is_dead: false };
    if !is_owned {
        for range in inspection.survey.missing() {
            inspection.log.lose(u64::MAX, &range, 1);
        }
    }
    Ok(inspection)
}

/// Whether somebody has owned the spool since it was surveyed.
fn has_changed(folder: &dyn Folder, survey: &Survey) -> bool {
    let newest = || Cursor::read(&*folder.open(cursor::NAME, OpenMode::Read).ok()?).newest;
    folder.is_locked().unwrap_or(false) || newest().map(|cursor| cursor.generation) != survey.generation
}

/// Whether who owned the spool when it was surveyed owns it no more.
fn has_another_owner(folder: &dyn Folder, survey: &Survey) -> bool {
    let owner = |cursor: &Cursor| cursor.owner;
    let newest = || Cursor::read(&*folder.open(cursor::NAME, OpenMode::Read).ok()?).newest;
    !folder.is_locked().unwrap_or(true) || newest().as_ref().map(owner) != survey.cursor.as_ref().map(owner)
}

impl Inspection {
    /// Looks anew, if the spool has got an owner meanwhile, or another one, who has put things elsewhere. False: there is no
    /// need to.
    pub(crate) fn look_anew(&mut self) -> bool {
        let folder = &*self.log.folder;
        let is_needed = if self.is_owned {
            has_another_owner(folder, &self.survey)
        } else {
            has_changed(folder, &self.survey)
        };
        if !is_needed {
            return false;
        }
        let anew = inspect_in(Arc::clone(&self.log.folder), &self.log.dir);
        anew.map(|anew| *self = Self { is_dead: self.is_dead, ..anew }).is_ok()
    }

    /// The numbers.
    pub fn status(&self) -> Status {
        let damaged = self.log.folder.open_folder(DAMAGED_DIR, FolderMode::Existing);
        let damaged = damaged.and_then(|folder| folder.list()).unwrap_or_default();
        let stats = self.log.stats();
        let end = stats.next_sequence;
        let settled = |acks: &crate::acks::Acks| end.saturating_sub(acks.unsettled_in(0..end));
        let now = self.survey.cursor.as_ref().map_or(0, |cursor| settled(&cursor.acks));
        let synced = self.survey.synced.as_ref().map_or(0, |cursor| settled(&cursor.acks));
        let owner = self.survey.cursor.as_ref().map(|cursor| cursor.owner);
        Status {
            stats,
            // What waits to be stored again will be.
            meta: self.survey.pending_meta().filter(|_| !self.is_owned).or_else(|| self.survey.meta()),
            owner: owner.filter(|owner| self.is_owned && *owner != 0),
            is_owned: self.is_owned,
            settled_unsynced: now.saturating_sub(synced),
            unreadable_records: self.unreadable,
            spare_segments: self.survey.spares.len(),
            damaged_files: damaged.len(),
            damaged_bytes: damaged.iter().map(|entry| entry.bytes).sum(),
        }
    }

    /// Whether a process owns the spool.
    pub fn is_owned(&self) -> bool {
        self.is_owned
    }

    /// Unacknowledged records from `from` on, oldest first, as many as both limits allow, but one at least if there
    /// is one.
    pub fn read(&mut self, from: u64, records_max: usize, bytes_max: usize) -> Result<Read, ReadError> {
        let lost = self.log.stats().counters.lost_records;
        let mut read = self.reader.read(&self.log, from, records_max, bytes_max)?;
        for _ in 0..LOOKS_MAX {
            if self.log.stats().counters.lost_records == lost || !self.look_anew() {
                break;
            }
            // What is lost before is counted anew, too.
            let mut at = 0;
            while at < from {
                let passed = self.reader.read(&self.log, at, READ_RECORDS, READ_BYTES)?;
                if passed.next <= at {
                    break;
                }
                at = passed.next;
            }
            read = self.reader.read(&self.log, from, records_max, bytes_max)?;
        }
        if self.is_dead {
            read.records.iter_mut().for_each(dead::unwrap);
        }
        let unreadable = read.unreadable.iter().map(|range| range.end - range.start);
        self.unreadable += unreadable.sum::<u64>();
        Ok(read)
    }

    /// All unacknowledged records, oldest first.
    pub fn records(&mut self) -> Records<'_> {
        self.unreadable = 0;
        Records { inspection: self, read: Vec::new().into_iter(), next: 0, ended: false }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.log.dir
    }

    /// Looks at the dead letters beside the spool, if there are any.
    pub fn dead(&self) -> Result<Option<Self>, OpenError> {
        let folder = match self.log.folder.open_folder(DEAD_DIR, FolderMode::Existing) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            folder => folder.map_err(|error| DiskError::new("open", &self.log.path(DEAD_DIR), error))?,
        };
        let mut dead = inspect_in(folder, &self.log.path(DEAD_DIR))?;
        dead.is_dead = true;
        Ok((!dead.survey.is_empty()).then_some(dead))
    }
}

/// Iterates over the unacknowledged records of an [`Inspection`]. Ends after an error.
#[derive(Debug)]
pub struct Records<'a> {
    inspection: &'a mut Inspection,
    read: std::vec::IntoIter<Record>,
    next: u64,
    ended: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.read.len() == 0 && !self.ended {
            match self.inspection.read(self.next, READ_RECORDS, READ_BYTES) {
                Ok(read) => {
                    self.ended = read.records.is_empty();
                    self.next = read.next;
                    self.read = read.records.into_iter();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.read.next().map(Ok)
    }
}
