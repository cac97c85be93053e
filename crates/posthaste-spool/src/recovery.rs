//! Opening a spool: takes the lock, surveys the folder, and puts right what it can.
//!
//! Damage never keeps a spool from opening. Whatever is put right here is an improvement only: if the disk refuses
//! it, the spool opens all the same, and a later opening tries again. The one write that matters, cutting the torn
//! end, has an alternative: the segment is left as it is and the next record starts a new one.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use crate::{
    aside::{self, Aside},
    cursor::CursorFile,
    error::{At, DiskError, OpenError},
    filesystem::{Filesystem, OpenMode, SpoolFile},
    options::SpoolOptions,
    segment,
    shared::{Counters, Segment, Shared, State},
    stock::Stock,
    survey::{NEW_NAME, Survey},
    tail::Tail,
    writer::{Active, Writer},
};

/// The lock file's name.
pub(crate) const LOCK_NAME: &str = "lock";

/// Opens the spool in `dir`, made if it is not there.
pub(crate) fn open(
    filesystem: Arc<dyn Filesystem>,
    dir: &Path,
    options: SpoolOptions,
) -> Result<Writer, OpenError> {
    options.check()?;
    filesystem.create_dir(dir).at("create", dir)?;
    let lock = take_lock(filesystem.as_ref(), dir)?;
    let survey = Survey::take(filesystem.as_ref(), dir)?;
    let shared = Arc::new(share(filesystem, dir, options, &survey, false));
    tidy(&shared, &survey);
    let spares = sort_spares(&shared, &survey);
    let active = survey.tail.as_ref().and_then(|tail| continue_tail(&shared, tail));
    let generation = survey.cursor.as_ref().map_or(0, |cursor| cursor.generation);
    let stock = Stock::new(Arc::clone(&shared), lock, spares, survey.number_max.saturating_add(1));
    let mut writer = Writer::new(shared, stock, active, CursorFile::new(generation));
    writer.reclaim();
    // Without a cursor file, acknowledging would need space just when there is none.
    if survey.cursor.is_none()
        && let Err(error) = writer.write_cursor()
    {
        tracing::warn!(%error, "could not write the cursor");
    }
    Ok(writer)
}

pub(crate) fn take_lock(filesystem: &dyn Filesystem, dir: &Path) -> Result<Box<dyn SpoolFile>, OpenError> {
    let path = dir.join(LOCK_NAME);
    match filesystem.lock(&path, &std::process::id().to_string()) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(OpenError::Locked { path: dir.to_path_buf(), owner: read_owner(filesystem, &path) })
        }
        Err(error) => Err(DiskError::new("lock", &path, error).into()),
    }
}

/// The process id in a lock file.
pub(crate) fn read_owner(filesystem: &dyn Filesystem, path: &Path) -> Option<u32> {
    let mut buffer = [0; 20];
    let read = filesystem.open(path, OpenMode::Read).and_then(|file| file.read_at(&mut buffer, 0)).ok()?;
    std::str::from_utf8(buffer.get(..read)?).ok()?.parse().ok()
}

/// The state that a survey amounts to.
pub(crate) fn share(
    filesystem: Arc<dyn Filesystem>,
    dir: &Path,
    options: SpoolOptions,
    survey: &Survey,
    observes: bool,
) -> Shared {
    let mut segments: VecDeque<_> =
        survey.segments.iter().map(|segment| Segment::new(&segment.header, segment.bytes, None)).collect();
    if let (Some(segment), Some(tail)) = (segments.back_mut(), &survey.tail) {
        segment.end = Some(tail.end);
    }
    let counters = Counters {
        damaged_records: survey.lost_in_front(),
        torn_pieces: survey.tail.as_ref().map_or(0, |tail| tail.torn.len() as u64),
        ..Counters::default()
    };
    let state = State {
        segments,
        spare_bytes: 0,
        next: survey.next(),
        meta: survey.meta(),
        acks: survey.acks(),
        acks_unwritten: 0,
        counters,
    };
    let damaged_bytes_max = if observes { 0 } else { options.damaged_bytes_max };
    let aside = Aside::new(dir.join(aside::DIR), damaged_bytes_max);
    Shared {
        filesystem,
        dir: dir.to_path_buf(),
        options,
        state: Mutex::new(state),
        aside,
        observes,
        on_commit: OnceLock::new(),
    }
}

/// Heals headers, moves unreadable segments aside, removes what was left half made.
fn tidy(shared: &Shared, survey: &Survey) {
    for segment in survey.segments.iter().filter(|segment| segment.healable) {
        let path = shared.segment_path(segment.header.number);
        let healed = shared.filesystem.open(&path, OpenMode::Write).and_then(|file| {
            segment.header.write(file.as_ref())?;
            file.sync()
        });
        note(shared, &path, healed, |counters| counters.healed += 1);
    }
    for name in &survey.unreadable {
        let (from, dir) = (shared.path(name), shared.path(aside::DIR));
        let moved = shared.filesystem.create_dir(&dir);
        let moved = moved.and_then(|()| shared.filesystem.rename(&from, &dir.join(name)));
        note(shared, &from, moved, |counters| counters.damaged_pieces += 1);
    }
    if survey.has_leftover {
        let _ = shared.filesystem.remove(&shared.path(NEW_NAME));
    }
    shared.state.lock().counters.healed += survey.cursor_damage as u64;
}

fn note(shared: &Shared, path: &Path, result: io::Result<()>, count: impl FnOnce(&mut Counters)) {
    match result {
        Ok(()) => count(&mut shared.state.lock().counters),
        Err(error) => tracing::warn!(path = %path.display(), %error, "could not repair"),
    }
}

/// The spares of the right size; others are removed.
fn sort_spares(shared: &Shared, survey: &Survey) -> Vec<u64> {
    let mut kept = Vec::new();
    for (number, bytes) in &survey.spares {
        if *bytes == shared.options.segment_bytes && kept.len() < shared.options.spare_segments_max {
            kept.push(*number);
        } else {
            let _ = shared.filesystem.remove(&shared.path(&segment::spare_name(*number)));
        }
    }
    kept
}

/// Cuts what is torn and opens the last segment for writing. `None` if that cannot be done.
fn continue_tail(shared: &Shared, tail: &Tail) -> Option<Active> {
    let last = shared.state.lock().segments.back().cloned()?;
    let path = shared.segment_path(last.number);
    let file = shared.filesystem.open(&path, OpenMode::Write).ok()?;
    for piece in &tail.torn {
        shared.aside.keep(shared.filesystem.as_ref(), last.number, piece.clone(), file.as_ref());
    }
    if let Err(error) = settle_tail(shared, file.as_ref(), tail) {
        tracing::warn!(path = %path.display(), %error, "could not go on with the last segment");
        return None;
    }
    Some(Active { number: last.number, seed: last.seed, file, path, offset: tail.end })
}

/// Cuts what is torn, and makes what was found survive: a process that was killed may not have come to its sync,
/// and from now on these records are seen.
fn settle_tail(shared: &Shared, file: &dyn SpoolFile, tail: &Tail) -> Result<(), DiskError> {
    write_zeros(file, tail.end, tail.high).at("write", &shared.dir)?;
    shared.sync_file(file).at("sync", &shared.dir)?;
    shared.sync_dir()
}

/// Writes zeros, a bounded piece at a time.
pub(crate) fn write_zeros(file: &dyn SpoolFile, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 18] = [0; 1 << 18];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_at(ZEROS.get(..length).unwrap_or(&ZEROS), at)?;
        at += length as u64;
    }
    Ok(())
}
