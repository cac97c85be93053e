//! Takes a spool over: locks its folder, and starts from what the survey found.
//!
//! A sync that failed in an earlier life may say now that all is well, and it is not. So what is whole but not known to be
//! on disk is written over with the same bytes and synced, before anything is built on it: that needs no room, and whatever
//! comes between, the bytes are the same. An old segment is written on only where no frame, and nothing that was damaged, lies
//! behind the last one.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use parking_lot::Mutex;

use super::survey::Survey;
use crate::{
    acks::Acks,
    error::{At, DiskError, OpenError},
    filesystem::{Filesystem, Folder, FolderMode, OpenMode},
    format::{
        cursor::{self, Cursor},
        segment,
    },
    log::{Counters, Log, Role, Segment, State},
    options::SpoolOptions,
    receipt::Completion,
    write::{
        cursor_file::CursorFile,
        house::House,
        pending::{Entry, Pending, Visibility},
        plan::Plan,
        stock::{self, DAMAGED_DIR, Spare, Stock},
        writer::{Active, Recovered, Writer},
    },
};

/// A spool that is this process's own, before anything is written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) log: Arc<Log>,
    pub(crate) survey: Survey,
}

/// Opens the spool in a folder, made if it is not there.
pub(crate) fn open(
    filesystem: &dyn Filesystem,
    dir: &Path,
    options: SpoolOptions,
) -> Result<Opened, OpenError> {
    options.check()?;
    let folder = filesystem.open_folder(dir, FolderMode::Create).map_err(|error| not_a_folder(dir, error))?;
    open_in(folder, dir, options)
}

fn not_a_folder(dir: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            OpenError::NotASpool { path: dir.to_path_buf(), reason: "it is no folder".to_owned() }
        }
        _ => DiskError::new("open", dir, error).into(),
    }
}

/// Opens the spool in a folder that is open.
pub(crate) fn open_in(
    folder: Arc<dyn Folder>,
    dir: &Path,
    options: SpoolOptions,
) -> Result<Opened, OpenError> {
    options.check()?;
    lock(&*folder, dir)?;
    let survey = Survey::take(&*folder, dir)?;
    let id = survey.id.unwrap_or_else(random_id);
    let state = state(&survey);
    let role = Role::Owner;
    let log = Arc::new(Log { folder, dir: dir.to_path_buf(), id, options, role, state: Mutex::new(state) });
    for range in survey.missing() {
        log.lose(u64::MAX, &range, 1);
    }
    tell(&log, &survey);
    tidy(&log, &survey);
    Ok(Opened { log, survey })
}

fn lock(folder: &dyn Folder, dir: &Path) -> Result<(), OpenError> {
    match folder.lock() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let owner = folder.open(cursor::NAME, OpenMode::Read).ok();
            let owner = owner.and_then(|file| Cursor::read(&*file).newest).map(|cursor| cursor.owner);
            Err(OpenError::Locked { path: dir.to_path_buf(), owner: owner.filter(|owner| *owner != 0) })
        }
        locked => Ok(locked.at("lock", dir)?),
    }
}

/// Different for every spool: from the seeds of the standard library's maps, which the system's randomness fills.
pub(crate) fn random_id() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// What is known of a spool that was surveyed, before anybody owns it.
pub(crate) fn state(survey: &Survey) -> State {
    let mut acks = survey.acks();
    let next = survey.next();
    let mut pending = Pending::default();
    let mut unfinished_from = survey.tail.proven;
    for (first, batch, _) in &survey.tail.pending {
        let (first, end) = (*first, first + batch.records.len() as u64);
        // Numbers of writes that did not finish are nobody's.
        acks.settle(unfinished_from..first.max(unfinished_from));
        unfinished_from = end.max(unfinished_from);
        let visibility = if batch.meta.is_some() { Visibility::Stored } else { Visibility::AtOnce };
        pending.push(Entry::new(first, batch.clone(), visibility, Completion::Nobody));
    }
    acks.settle(unfinished_from..next);
    let holes = holes(survey, &acks);
    let lost_before = survey.cursor.as_ref().map_or(0, |cursor| cursor.lost);
    State {
        segments: survey.segments.iter().cloned().collect(),
        spare_bytes: 0,
        next,
        stored: if survey.tail.pending.is_empty() { next } else { survey.tail.proven },
        pending,
        plan: Plan::default(),
        rest: 0,
        wanted: 0,
        blocked: None,
        no_room: None,
        meta: survey.meta(),
        acks,
        acks_unwritten: 0,
        holes,
        letters: std::collections::BTreeMap::new(),
        letters_unknown: u64::MAX,
        closed: false,
        ending: false,
        given_up: false,
        moved: false,
        syncs: Vec::new(),
        idle: false,
        led: false,
        leads: 0,
        work_since_turn: false,
        acks_timed: false,
        ended: false,
        counters: Counters {
            lost_records: lost_before,
            lost_before,
            unfinished_records: survey.tail.unfinished,
            damaged_slots: survey.damaged_slots as u64,
            ..Counters::default()
        },
        waker: None,
    }
}

/// Where numbers of segments are missing, what lay there was settled, and has to stay so; see `State::holes`.
fn holes(survey: &Survey, acks: &Acks) -> Vec<u64> {
    let pairs = survey.segments.windows(2);
    let gaps = pairs.filter_map(|pair| match pair {
        [left, right] if left.number + 1 < right.number => right.first.checked_sub(1),
        _ => None,
    });
    gaps.filter(|hole| acks.contains(*hole)).collect()
}

fn tell(log: &Log, survey: &Survey) {
    let dir = log.dir.display();
    if let Some(why) = survey.disbelief {
        tracing::error!(%dir, "the spool's cursor is not used, because {why}: everything that is there comes again");
    }
    for name in &survey.foreign {
        tracing::error!(%dir, name, "a segment is not this spool's, or not in its place; it is moved aside");
    }
    if survey.tail.unfinished > 0 {
        tracing::warn!(%dir, records = survey.tail.unfinished, "a write had not finished; nobody was told that it had");
    }
}

/// Removes what an earlier owner was making, and puts aside what does not belong here.
fn tidy(log: &Log, survey: &Survey) {
    if survey.has_leftover {
        let _ = log.folder.remove(stock::NEW_NAME);
    }
    for (number, _) in survey.spares.iter().filter(|(_, bytes)| *bytes < segment::MIN_SEGMENT_BYTES) {
        let _ = log.folder.remove(&segment::spare_name(*number));
    }
    if !survey.foreign.is_empty() && log.folder.open_folder(DAMAGED_DIR, FolderMode::Create).is_ok() {
        for name in &survey.foreign {
            let _ = log.folder.rename(name, &format!("{DAMAGED_DIR}/{name}"));
        }
    }
}

impl Opened {
    /// Hands over to somebody who writes. `letters`: the dead letters beside this spool.
    pub(crate) fn into_house(self, letters: Option<Arc<Log>>, hungry: Arc<AtomicBool>) -> House {
        let Self { log, survey } = self;
        let recovered = recovered(&log, &survey);
        let numbers = survey.segments.iter().map(|segment| segment.number);
        let spares = survey.spares.iter().map(|(number, _)| *number);
        let cursor = survey.cursor.iter().map(|cursor| cursor.segment);
        let next_number = numbers.chain(spares).chain(cursor).max().unwrap_or(0) + 1;
        let spares = survey.spares.iter().filter(|(_, bytes)| *bytes >= segment::MIN_SEGMENT_BYTES);
        // Whether an earlier owner has written all of it is not known.
        let spares =
            spares.map(|(number, bytes)| Spare { number: *number, bytes: *bytes, is_written: false });
        let stock = Stock::new(Arc::clone(&log), spares, next_number);
        // Also beyond those of a cursor that is not believed: it is not to be found again.
        let generation = survey.generation.unwrap_or(0);
        let is_short = survey.is_short();
        let mut writer = Writer::new(log, stock, recovered);
        writer.replan();
        if is_short && let Err(error) = writer.begin() {
            tracing::warn!(%error, "could not begin a new segment behind what is lost");
        }
        let mut house = House::new(writer, CursorFile::new(generation), letters, hungry);
        if let Err(error) = house.write_cursor() {
            tracing::warn!(%error, "could not write the spool's cursor");
        }
        house
    }
}

/// What is whole in the last segment, and not known to be on disk.
fn recovered(log: &Log, survey: &Survey) -> Recovered {
    let then = survey.can_go_on().then(|| resume(log, survey)).flatten();
    Recovered {
        name: survey.segments.last().map(Segment::name).unwrap_or_default(),
        pieces: survey.tail.pending.iter().map(|(.., piece)| piece.clone()).collect(),
        batches: log
            .state
            .lock()
            .pending
            .iter()
            .map(|entry| (entry.first, Arc::clone(&entry.batch)))
            .collect(),
        then,
        known: survey.known_place(),
        end: survey.tail.pending.last().map_or(0, |(.., piece)| piece.end),
    }
}

/// The last segment, to be written on.
fn resume(log: &Log, survey: &Survey) -> Option<Active> {
    let last = survey.segments.last()?;
    let file = log.folder.open(&last.name(), OpenMode::Write).ok()?;
    Some(Active::resumed(last.number, log.home(last.number), file, last.name(), survey.tail.end, last.bytes))
}
