//! What is known of one spool: its folder, its segments, what is settled, what waits to be written. Owner and observers
//! have one each; only an owner has somebody who writes.
//!
//! The lock on [`State`] is held for bookkeeping only, never across disk access.

use std::{collections::VecDeque, ops::Range, path::PathBuf, sync::Arc, task::Waker};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    acks::Acks,
    error::{At, DiskError, WriteError},
    filesystem::{Folder, OpenMode, SpoolFile},
    format::{
        cursor::{self, Cursor},
        frame::Home,
        segment,
    },
    options::{Durability, SpoolOptions},
    write::{
        pending::{Completed, Pending},
        plan::Plan,
    },
};

/// A spool's folder, options and state.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) folder: Arc<dyn Folder>,
    /// Where the folder was when it was opened: for messages, and to see whether it still is.
    pub(crate) dir: PathBuf,
    /// The spool's random id.
    pub(crate) id: u64,
    pub(crate) options: SpoolOptions,
    pub(crate) role: Role,
    pub(crate) state: Mutex<State>,
}

/// Whose look at a spool this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nobody else writes there.
    Owner,
    /// Somebody may, and recycle what is being read.
    Observer,
}

/// What is known of the records.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing, and all of them are true at times")]
pub(crate) struct State {
    /// Oldest first; the last one is being written, or was.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) spare_bytes: u64,
    /// The next number to give out.
    pub(crate) next: u64,
    /// Every record below this is on disk, settled, or lost. The others are pending.
    pub(crate) stored: u64,
    pub(crate) pending: Pending,
    pub(crate) plan: Plan,
    /// What is left of the last segment behind what is stored in it; what waits may be planned into it.
    pub(crate) rest: u64,
    /// The largest batch that found no room, since some was made.
    pub(crate) wanted: u64,
    /// Why nothing can be written, until it can.
    pub(crate) blocked: Option<WriteError>,
    /// Why there is no more room, until there is.
    pub(crate) no_room: Option<WriteError>,
    /// As of `stored`.
    pub(crate) meta: Option<Bytes>,
    pub(crate) acks: Acks,
    /// Acknowledgements since the cursor was written.
    pub(crate) acks_unwritten: u64,
    /// Records below these are in segments that went although older ones stay; see [`State::holes`].
    pub(crate) holes: Vec<u64>,
    /// Dead letters whose records are not settled yet: record to letter.
    pub(crate) letters: std::collections::BTreeMap<u64, u64>,
    /// Letters from this one on could not be read when the spool was opened: their records may not be settled.
    pub(crate) letters_unknown: u64,
    /// Nothing more is taken.
    pub(crate) closed: bool,
    /// Whoever writes is to end once everything is written.
    pub(crate) ending: bool,
    /// Nobody waits any longer for what has not been stored.
    pub(crate) given_up: bool,
    /// The path leads to another folder than the one that is open.
    pub(crate) moved: bool,
    /// To be told once everything taken so far is stored and the cursor written.
    pub(crate) syncs: Vec<oneshot::Sender<Result<u64, WriteError>>>,
    /// The thread that writes is asleep.
    pub(crate) idle: bool,
    /// Somebody who waited has written lately, so that the thread need not be woken for every record.
    pub(crate) led: bool,
    /// How often somebody has.
    pub(crate) leads: u64,
    /// Something has come up since the thread's last turn began.
    pub(crate) work_since_turn: bool,
    /// The time runs in which acknowledgements have to be written down.
    pub(crate) acks_timed: bool,
    pub(crate) ended: bool,
    pub(crate) counters: Counters,
    /// To be woken when something has been stored, or room made.
    pub(crate) waker: Option<Waker>,
}

/// A segment in use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing, and all of them are true at times")]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) first: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// A write or sync of it failed: never written again, and deleted rather than reused.
    pub(crate) is_suspect: bool,
    /// Records in it were lost: it is moved aside rather than reused.
    pub(crate) is_damaged: bool,
    /// A sync of what was written without one failed: nobody can promise any more that it survives a power cut.
    pub(crate) is_unsyncable: bool,
    /// Its records are about to be acknowledged, and its room is counted on.
    pub(crate) is_promised: bool,
}

impl Segment {
    pub(crate) fn new(number: u64, first: u64, bytes: u64) -> Self {
        let (is_suspect, is_damaged, is_unsyncable, is_promised) = (false, false, false, false);
        Self { number, first, bytes, is_suspect, is_damaged, is_unsyncable, is_promised }
    }

    pub(crate) fn name(&self) -> String {
        segment::name(self.number, self.first)
    }
}

/// What has happened to a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that were stored and are lost, ever: each is counted once, wherever it was.
    pub lost_records: u64,
    /// How many of those an earlier process had counted.
    pub lost_before: u64,
    /// Records of a write that did not finish, found and passed over when the spool was opened. Nobody was told that
    /// they were stored.
    pub unfinished_records: u64,
    /// Places in the log that were damaged.
    pub damaged_places: u64,
    /// Slots of the cursor that were damaged; others served.
    pub damaged_slots: u64,
    /// Segments sealed after a failed write or sync.
    pub suspect_segments: u64,
    /// Times that the cursor could not be written.
    pub cursor_failures: u64,
    /// Syncs of a segment: commits.
    pub commits: u64,
    /// Segments that were put to use again.
    pub recycled_segments: u64,
}

/// How a spool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records that are neither acknowledged nor known to be lost.
    pub records: u64,
    /// Of those, records that are not on disk yet.
    pub pending_records: u64,
    /// Records besides, which are in the spool once they are stored.
    pub hidden_records: u64,
    /// Bytes of all segment files, spare ones included.
    pub disk_bytes: u64,
    /// Segments in use.
    pub segments: usize,
    /// The oldest record that is not settled, or the number of the next.
    pub first_sequence: u64,
    /// The number of the next record.
    pub next_sequence: u64,
    /// What has happened.
    pub counters: Counters,
    /// Why nothing can be written at the moment, if so.
    pub trouble: Option<String>,
    /// Whether that is because the disk fails, and not for want of room.
    pub is_failing: bool,
}

impl Log {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn home(&self, number: u64) -> Home {
        Home::new(self.id, number)
    }

    pub(crate) fn open(&self, name: &str, mode: OpenMode) -> Result<Box<dyn SpoolFile>, DiskError> {
        let action = if mode == OpenMode::Create { "create" } else { "open" };
        self.folder.open(name, mode).at(action, &self.path(name))
    }

    /// Whether records have to survive a power cut.
    pub(crate) fn is_synced(&self) -> bool {
        self.options.durability == Durability::Disk
    }

    /// Syncs a file, where records have to survive a power cut.
    pub(crate) fn sync_file(&self, file: &dyn SpoolFile, name: &str) -> Result<(), DiskError> {
        if self.is_synced() { file.sync().at("sync", &self.path(name)) } else { Ok(()) }
    }

    /// Syncs the folder, where records have to survive a power cut.
    pub(crate) fn sync_folder(&self) -> Result<(), DiskError> {
        if self.is_synced() { self.folder.sync().at("sync", &self.dir) } else { Ok(()) }
    }

    /// Settles records and says how many of them were not before. What was never given out cannot be acknowledged.
    pub(crate) fn ack(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> u64 {
        let mut completed = Completed::default();
        let mut new = 0;
        {
            let mut state = self.state.lock();
            let state = &mut *state;
            for range in ranges {
                let range = range.start..range.end.min(state.next);
                new += state.acks.settle(range.clone());
                if range.end > state.stored {
                    state.pending.acknowledged(&range, &state.acks, &mut completed);
                }
                if !state.letters.is_empty() {
                    state.letters.retain(|record, _| !range.contains(record));
                }
            }
            state.acks_unwritten += new;
        }
        completed.call();
        new
    }

    /// Whether so many bytes more are likely to find room: they have it, or nothing has said that there is none.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        let state = self.state.lock();
        let left = self.options.size_bytes_max.saturating_sub(state.disk_bytes());
        bytes <= state.plan.room() || (state.no_room.is_none() && bytes <= left)
    }

    /// Settles records that are lost, and counts those that nobody had counted before.
    pub(crate) fn lose(&self, segment: u64, missing: &Range<u64>, places: usize) {
        if self.role == Role::Observer {
            self.look_again();
        }
        let mut state = self.state.lock();
        let new = state.acks.settle(missing.clone());
        state.acks_unwritten += new;
        state.counters.lost_records += new;
        if new > 0 {
            state.counters.damaged_places += places as u64;
            let segment = state.segments.iter_mut().find(|known| known.number == segment);
            if let Some(segment) = segment {
                segment.is_damaged = true;
            }
            drop(state);
            // Those who only look say it in their own words.
            if self.role == Role::Observer {
                return;
            }
            tracing::error!(
                dir = %self.dir.display(), first = missing.start, last = missing.end - 1, new,
                "records of the spool are lost"
            );
        }
    }

    /// Learns what an owner has settled meanwhile. It writes that down before it recycles a segment, so what is missing
    /// because of that is settled by now.
    pub(crate) fn look_again(&self) {
        /// The owner may be writing a slot just now.
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            let Ok(file) = self.folder.open(cursor::NAME, OpenMode::Read) else { continue };
            let found = Cursor::read(&*file).newest.filter(|cursor| cursor.spool == self.id);
            let Some(cursor) = found else { continue };
            let mut state = self.state.lock();
            state.acks.settle(0..cursor.acks.low());
            for range in cursor.acks.ranges() {
                state.acks.settle(range);
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state.lock();
        let trouble = state.blocked.as_ref().or(state.no_room.as_ref().filter(|_| state.wanted > 0));
        Stats {
            records: state.unsettled(),
            pending_records: state.acks.unsettled_in(state.stored..state.next),
            hidden_records: state.pending.hidden(),
            disk_bytes: state.disk_bytes(),
            segments: state.segments.len(),
            first_sequence: state.acks.low(),
            next_sequence: state.next,
            counters: state.counters,
            trouble: trouble.map(ToString::to_string),
            is_failing: state.blocked.is_some(),
        }
    }
}

impl State {
    /// Index of the segment that holds this record, which is stored.
    pub(crate) fn segment_of(&self, sequence: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= sequence).checked_sub(1)
    }

    /// The number at which the segment of this index stops to count.
    pub(crate) fn bound(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.stored, |next| next.first)
    }

    /// Records that are in the queue: neither settled nor still to appear in it.
    pub(crate) fn unsettled(&self) -> u64 {
        self.acks.unsettled_below(self.next).saturating_sub(self.pending.hidden())
    }

    /// Lengths of the segments whose room is counted on although it is not there yet.
    pub(crate) fn promised(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().filter(|segment| segment.is_promised).map(|segment| segment.bytes)
    }

    /// Whether this error passes once room comes that is promised.
    pub(crate) fn waits_for_promise(&self, error: &WriteError) -> bool {
        error.is_full() && self.promised().next().is_some()
    }

    /// Bytes of all segment files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.spare_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    /// About how many bytes the segments take that hold something unsettled, with what waits to be written. Of the last
    /// one only what is written of it counts.
    pub(crate) fn unsettled_bytes(&self) -> u64 {
        let waiting = self.pending.bytes() as u64;
        waiting + self.unsettled_files().map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// The first record, and the bytes, of each of these segments.
    pub(crate) fn unsettled_files(&self) -> impl Iterator<Item = (u64, u64)> {
        let used = move |index: usize| {
            let segment = self.segments.get(index).filter(|_| self.is_unsettled(index))?;
            let is_last = index + 1 == self.segments.len();
            let rest = if is_last { self.rest } else { 0 };
            Some((segment.first, segment.bytes.saturating_sub(rest)))
        };
        (0..self.segments.len()).filter_map(used)
    }

    /// The records of the oldest segment that holds something unsettled.
    pub(crate) fn oldest_unsettled(&self) -> Option<Range<u64>> {
        let index = (0..self.segments.len()).find(|index| self.is_unsettled(*index))?;
        Some(self.segments.get(index)?.first..self.bound(index))
    }

    fn is_unsettled(&self, index: usize) -> bool {
        self.segments.get(index).is_some_and(|segment| !self.acks.covers(segment.first..self.bound(index)))
    }

    /// The oldest segment of which everything is settled, if it can go: all but the one being written can. Behind older
    /// ones that stay, only so many as the cursor can remember.
    pub(crate) fn reclaimable(&self) -> Option<usize> {
        let last = self.segments.len().checked_sub(1)?;
        let index = (0..last).find(|index| !self.is_unsettled(*index))?;
        (index == 0 || self.holes.len() < HOLES_MAX).then_some(index)
    }

    /// Whether a segment is about to be given back whose room nobody counts on yet.
    pub(crate) fn is_room_coming(&self) -> bool {
        let next = self.reclaimable().and_then(|index| self.segments.get(index));
        next.is_some_and(|segment| !segment.is_promised)
    }

    /// Takes a segment out of use. A record of it is remembered for as long as older segments stay: the range around it
    /// tells that its numbers are not missing.
    pub(crate) fn take_segment(&mut self, index: usize) -> Option<Segment> {
        let segment = self.segments.remove(index)?;
        if index > 0 {
            self.holes.push(segment.first);
        }
        Some(segment)
    }

    /// Puts segments to use again that could not go after all.
    pub(crate) fn put_back(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.holes.retain(|hole| *hole != segment.first);
            let at = self.segments.partition_point(|other| other.number < segment.number);
            self.segments.insert(at, segment);
        }
    }

    /// A record of each range that must stay in the cursor, older ones being settled with the rest.
    pub(crate) fn holes(&mut self) -> Vec<u64> {
        let low = self.acks.low();
        self.holes.retain(|hole| *hole >= low);
        self.holes.clone()
    }
}

/// Segments that may go although older ones stay, until those have gone too.
const HOLES_MAX: usize = 64;
