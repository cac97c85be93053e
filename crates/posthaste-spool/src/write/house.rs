//! One turn of an owner's work: commit what waits, write down what is settled, give space back, make room ahead.
//!
//! Invariants: the cursor is on disk before a segment goes. What is wrong with the disk is told once, and tried again
//! with growing pauses; nothing is lost meanwhile, because what was taken is still pending.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use super::{cursor_file::CursorFile, pending::Completed, writer::Writer};
use crate::{
    error::{DiskError, WriteError},
    log::{Log, Segment},
};

/// By how much the time between tries grows at most.
const RETRY_GROWTH_MAX: u32 = 32;
/// How often to look whether the path still leads to the folder.
const FOLDER_CHECK: Duration = Duration::from_secs(1);
/// How often what is settled is noted for observers, and for a process that comes after a killed one.
const NOTE_INTERVAL: Duration = Duration::from_millis(50);
/// Commits in one turn of the thread, before it looks after the house.
pub(crate) const COMMITS_AT_ONCE: usize = 16;

/// An owner's work.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) log: Arc<Log>,
    writer: Writer,
    cursor: CursorFile,
    write_again: Retry,
    make_again: Retry,
    reclaim_again: Retry,
    /// Why settled segments could not be given back: then this is why there is no room, whatever the limits say.
    not_reclaimed: Option<DiskError>,
    folder_checked: Option<Duration>,
    /// Since when there have been acknowledgements that are not written down.
    acks_since: Option<Duration>,
    noted: Option<Duration>,
    /// The number that the next dead letter gets, where there are some.
    letters: Option<Arc<Log>>,
    /// Set by a neighbour on the same disk that finds no room.
    hungry: Arc<AtomicBool>,
    /// The same of a neighbour, for us to set.
    neighbour: Option<Arc<AtomicBool>>,
}

/// When to try again what the disk refused.
#[derive(Debug)]
struct Retry {
    first: Duration,
    wait: Duration,
    at: Option<Duration>,
}

impl Retry {
    fn new(first: Duration) -> Self {
        Self { first, wait: first, at: None }
    }

    fn may(&self, now: Duration) -> bool {
        self.at.is_none_or(|at| at <= now)
    }

    fn failed(&mut self, now: Duration) {
        self.at = Some(now + self.wait);
        self.wait = self.wait.saturating_mul(2).min(self.first.saturating_mul(RETRY_GROWTH_MAX));
    }

    fn worked(&mut self) {
        *self = Self::new(self.first);
    }

    /// Something has changed that may let it work.
    fn hurry(&mut self) {
        self.at = None;
    }
}

impl House {
    pub(crate) fn new(
        writer: Writer,
        cursor: CursorFile,
        letters: Option<Arc<Log>>,
        hungry: Arc<AtomicBool>,
    ) -> Self {
        let log = Arc::clone(&writer.log);
        let retry = log.options.retry_interval;
        Self {
            log,
            writer,
            cursor,
            write_again: Retry::new(retry),
            make_again: Retry::new(retry),
            reclaim_again: Retry::new(retry),
            not_reclaimed: None,
            folder_checked: None,
            acks_since: None,
            noted: None,
            letters,
            hungry,
            neighbour: None,
        }
    }

    /// Beside a spool that gives up room if this one finds none.
    pub(crate) fn beside(self, neighbour: Arc<AtomicBool>) -> Self {
        Self { neighbour: Some(neighbour), ..self }
    }

    /// Does what there is to do, and says after how long there will be more at the latest.
    pub(crate) fn turn(&mut self, now: Duration, commits_max: usize) -> Duration {
        self.log.state.lock().work_since_turn = false;
        self.check_folder(now);
        let mut left = commits_max;
        while left > 0 && self.commit(now) {
            left -= 1;
            if self.is_low() {
                self.make_room(now);
            }
        }
        self.write_down(now);
        self.reclaim(now);
        self.make_room(now);
        self.answer_syncs();
        self.next_turn(now, left == 0)
    }

    /// One commit, for somebody who waits for it.
    pub(crate) fn lead(&mut self, now: Duration) {
        self.commit(now);
        // Nobody else may come to it in time: whoever waits for each record writes them all.
        if self.is_low() {
            self.make_room(now);
        }
    }

    /// Whether there is less room ahead than there should be.
    fn is_low(&self) -> bool {
        let state = self.log.state.lock();
        !state.closed && state.plan.room() < self.log.options.room_ahead()
    }

    /// False: nothing waits, or nothing can be written now.
    fn commit(&mut self, now: Duration) -> bool {
        if !self.write_again.may(now) {
            return false;
        }
        let mut completed = Completed::default();
        let committed = self.make_sure().and_then(|()| self.writer.commit(&mut completed));
        match &committed {
            Ok(true) => {
                self.write_again.worked();
                let waker = {
                    let mut state = self.log.state.lock();
                    state.blocked = None;
                    state.waker.clone()
                };
                // Before the disk is asked for anything more: it may stall.
                completed.call();
                waker.inspect(std::task::Waker::wake_by_ref);
                self.note();
            }
            Ok(false) => {}
            Err(error) => {
                let error = self.cause(error.clone());
                self.write_again.failed(now);
                let mut state = self.log.state.lock();
                if state.waits_for_promise(&error) {
                    return false;
                }
                if state.blocked.is_none() {
                    tracing::error!(dir = %self.log.dir.display(), %error, "the spool cannot be written; what it has taken waits in memory");
                }
                state.blocked = Some(error);
            }
        }
        matches!(committed, Ok(true))
    }

    /// Before anything is built on what was found, what was found to be unfinished is written down as settled.
    fn make_sure(&mut self) -> Result<(), WriteError> {
        if self.cursor.is_sure || self.log.state.lock().pending.is_empty() {
            return Ok(());
        }
        Ok(self.write_cursor()?)
    }

    /// The path may lead elsewhere now. Then what was taken is finished here, and nothing new is taken.
    fn check_folder(&mut self, now: Duration) {
        // A neighbour within finishes what the other has taken.
        let is_within = self.neighbour.is_some();
        if is_within || self.folder_checked.is_some_and(|at| now < at + FOLDER_CHECK) {
            return;
        }
        self.folder_checked = Some(now);
        let moved = self.log.folder.is_at(&self.log.dir).is_ok_and(|is_at| !is_at);
        let was = std::mem::replace(&mut self.log.state.lock().moved, moved);
        if moved && !was {
            tracing::error!(dir = %self.log.dir.display(), "the path no longer leads to this spool; nothing new is taken, the rest is finished where it is");
        }
    }

    fn write_down(&mut self, now: Duration) {
        let unwritten = self.log.state.lock().acks_unwritten;
        self.log.state.lock().acks_timed = unwritten > 0;
        if unwritten == 0 {
            self.acks_since = None;
            return;
        }
        let since = *self.acks_since.get_or_insert(now);
        let options = &self.log.options;
        let is_due = unwritten >= options.cursor_acks_max || now >= since + options.cursor_interval;
        if is_due && self.write_cursor().is_err() {
            // Counted there. What is not written down comes again after a crash.
            self.acks_since = Some(now);
        } else if !is_due && self.noted.is_none_or(|at| now >= at + NOTE_INTERVAL) {
            self.noted = Some(now);
            self.note();
        }
    }

    fn note(&mut self) {
        let place = self.writer.place();
        self.cursor.note(&self.log, place, self.letters.as_deref());
    }

    pub(crate) fn write_cursor(&mut self) -> Result<(), DiskError> {
        self.writer.make_sure_of_names()?;
        let place = self.writer.place();
        self.acks_since = None;
        self.log.state.lock().acks_timed = false;
        self.cursor.write(&self.log, place, self.letters.as_deref())
    }

    /// Gives back the segments of which everything is settled.
    fn reclaim(&mut self, now: Duration) {
        let has_any = self.log.state.lock().reclaimable().is_some();
        let retires = self.is_short_of_room() && self.writer.can_retire();
        if !has_any && !retires || !self.reclaim_again.may(now) {
            return;
        }
        // Before the cursor is written, so that it names no segment which is then missing; and so that it knows of all that
        // lets these go: more is acknowledged while it is written.
        let mut gone: Vec<_> = if retires { self.writer.retire() } else { None }.into_iter().collect();
        let no_room = {
            let mut state = self.log.state.lock();
            while let Some(index) = state.reclaimable() {
                gone.extend(state.take_segment(index));
            }
            // Whoever finds no room meanwhile waits for theirs, unless that is counted on, and lets nothing more go.
            if gone.iter().all(|segment| segment.is_promised) { None } else { state.no_room.take() }
        };
        if gone.is_empty() {
            return;
        }
        if let Err(error) = self.write_cursor() {
            if no_room.is_some() {
                self.log.state.lock().no_room = no_room;
            }
            self.reclaim_again.failed(now);
            return self.keep(gone, error);
        }
        self.reclaim_again.worked();
        self.not_reclaimed = None;
        if let Err(error) = self.writer.stock.take_back(gone) {
            tracing::warn!(%error, "could not take back a segment");
        }
        self.room_made(now);
    }

    /// Keeps settled segments, which cannot be given back for this reason.
    fn keep(&mut self, segments: Vec<Segment>, error: DiskError) {
        self.not_reclaimed = Some(error);
        let mut state = self.log.state.lock();
        state.put_back(segments);
        state.blocked = state.blocked.take().map(|error| self.cause(error));
        state.no_room = state.no_room.take().map(|error| self.cause(error));
    }

    /// Something was refused, or cannot be written, for want of room.
    fn is_short_of_room(&self) -> bool {
        let state = self.log.state.lock();
        state.wanted > 0 || state.blocked.is_some()
    }

    /// There is an empty segment ahead of need, as far as there can be.
    fn make_room(&mut self, now: Duration) {
        self.writer.stock.remove_doomed();
        let is_hungry = self.hungry.load(SeqCst);
        if is_hungry {
            self.writer.give_up_spares(|_| true);
        }
        let (wanted, is_low, closed) = {
            let state = self.log.state.lock();
            let is_low = state.plan.room() < self.log.options.room_ahead();
            (state.wanted, is_low || state.wanted > state.plan.room(), state.closed)
        };
        if wanted > 0 && self.fits(wanted) {
            return self.room_made(now);
        }
        // What a neighbour needs to let events go comes before what is taken next.
        if !(is_low || wanted > 0) || closed || is_hungry || !self.make_again.may(now) {
            return;
        }
        let mut made = self.writer.stock.make(wanted);
        if made.is_err() && wanted > 0 && self.writer.give_up_spares(|capacity| capacity < wanted) {
            // Several that were too small may make room for one that is not.
            made = self.writer.stock.make(wanted);
        }
        match made {
            Ok(()) => {
                self.make_again.worked();
                self.writer.replan();
                self.room_made(now);
            }
            Err(error) => {
                self.make_again.failed(now);
                self.cry(wanted > 0);
                self.log.state.lock().no_room = Some(self.cause(error));
            }
        }
    }

    /// Where room is missing because settled segments cannot be given back, what keeps them is the cause.
    fn cause(&self, error: WriteError) -> WriteError {
        let kept = self.not_reclaimed.clone().filter(|_| error.is_full());
        kept.map_or(error, WriteError::from)
    }

    /// Has the neighbour give up room, or tells it that it need not any more.
    fn cry(&self, is_hungry: bool) {
        self.neighbour.iter().for_each(|neighbour| neighbour.store(is_hungry, SeqCst));
    }

    fn fits(&self, wanted: u64) -> bool {
        self.log.state.lock().plan.clone().take(wanted)
    }

    /// Whoever waits for room may try again.
    fn room_made(&mut self, now: Duration) {
        self.writer.replan();
        self.cry(false);
        self.make_again.hurry();
        if !self.write_again.may(now) {
            self.write_again.hurry();
        }
        let waker = {
            let mut state = self.log.state.lock();
            (state.wanted, state.no_room) = (0, None);
            state.waker.clone()
        };
        waker.inspect(std::task::Waker::wake_by_ref);
    }

    /// Whoever asked for a sync is told once everything is stored, and the cursor written.
    fn answer_syncs(&mut self) {
        let syncs = {
            let mut state = self.log.state.lock();
            if !state.pending.is_empty() {
                return;
            }
            std::mem::take(&mut state.syncs)
        };
        if syncs.is_empty() {
            return;
        }
        let synced = if self.log.is_synced() { Ok(()) } else { self.writer.sync_segments() };
        let synced = synced.and_then(|()| self.write_cursor()).map(|()| 0).map_err(WriteError::from);
        for sync in syncs {
            drop(sync.send(synced.clone()));
        }
    }

    fn next_turn(&self, now: Duration, has_more: bool) -> Duration {
        if has_more || (self.is_low() && self.make_again.may(now) && !self.hungry.load(SeqCst)) {
            return Duration::ZERO;
        }
        let until = |at: Duration| at.saturating_sub(now);
        let state = self.log.state.lock();
        let folder = self.folder_checked.map(|at| until(at + FOLDER_CHECK));
        let acks =
            self.acks_since.map(|since| until(since + self.log.options.cursor_interval).min(NOTE_INTERVAL));
        let write = self.write_again.at.filter(|_| !state.pending.is_empty()).map(until);
        let make = self.make_again.at.filter(|_| state.wanted > 0).map(until);
        let reclaim = self.reclaim_again.at.filter(|_| state.reclaimable().is_some()).map(until);
        [folder, acks, write, make, reclaim].into_iter().flatten().min().unwrap_or(FOLDER_CHECK)
    }

    /// The last words: everything is stored that can be, and nobody owns the spool.
    pub(crate) fn end(&mut self) -> Result<(), DiskError> {
        let synced = if self.log.is_synced() { Ok(()) } else { self.writer.sync_segments() };
        self.cursor.owner = 0;
        self.writer.stock.keep(self.log.options.spare_segments_max.max(usize::from(self.letters.is_none())));
        self.write_cursor().and(synced)
    }
}
