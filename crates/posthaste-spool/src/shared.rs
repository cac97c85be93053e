//! What the writer, the reader and the acknowledgements of one spool have in common.
//!
//! The lock on [`State`] is held for bookkeeping only, never across disk access. `State` speaks of committed
//! records alone: what is being written is nobody's business but the writer's.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    acks::Acks,
    aside::Aside,
    error::{At, DiskError},
    filesystem::{Filesystem, OpenMode, SpoolFile},
    frame::Seed,
    options::{Durability, SpoolOptions},
    segment::{self, Found, Header},
};

/// A spool's folder, options and state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) filesystem: Arc<dyn Filesystem>,
    pub(crate) dir: PathBuf,
    pub(crate) options: SpoolOptions,
    pub(crate) state: Mutex<State>,
    pub(crate) aside: Aside,
    /// Whether another process may own the spool and recycle what is being read here.
    pub(crate) observes: bool,
    /// Called by the writing thread after each commit.
    pub(crate) on_commit: OnceLock<Listener>,
}

/// Something to be called; a type of its own for `Debug`.
pub(crate) struct Listener(pub(crate) Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// What is known of the committed records.
#[derive(Debug)]
pub(crate) struct State {
    /// Oldest first; the last one is being written, or was.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) spare_bytes: u64,
    /// The next sequence number to give out.
    pub(crate) next: u64,
    pub(crate) meta: Option<Bytes>,
    pub(crate) acks: Acks,
    /// Acknowledgements since the cursor was written.
    pub(crate) acks_unwritten: u64,
    pub(crate) counters: Counters,
}

/// A segment in use.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) salt: u64,
    pub(crate) seed: Seed,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Where its committed frames end, as far as this process knows.
    pub(crate) end: Option<u64>,
    /// A write or sync of it failed: never written again, and deleted rather than reused.
    pub(crate) suspect: bool,
}

/// What has happened since the spool was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records lost to damage and skipped.
    pub damaged_records: u64,
    /// Pieces of the log that were damaged, moved aside as far as `damaged_bytes_max` allows.
    pub damaged_pieces: u64,
    /// Pieces of an unfinished write, cut when the spool was opened.
    pub torn_pieces: u64,
    /// Headers and cursor slots that were damaged and written anew from their copy.
    pub healed: u64,
    /// Segments sealed after a failed write or sync.
    pub suspect_segments: u64,
    /// Records whose receipt promised nothing ([`Durability::Memory`](crate::Durability::Memory)) and which could
    /// not be written.
    pub unwritten_records: u64,
    /// Times that the cursor could not be written.
    pub cursor_failures: u64,
    /// Syncs of a segment: commits.
    pub commits: u64,
    /// Segments that were put to use again.
    pub recycled_segments: u64,
}

impl Segment {
    pub(crate) fn new(header: &Header, bytes: u64, end: Option<u64>) -> Self {
        Self {
            number: header.number,
            first: header.first,
            salt: header.salt,
            seed: header.seed(),
            bytes,
            end,
            suspect: false,
        }
    }

    /// Where reading has to stop.
    pub(crate) fn read_end(&self) -> u64 {
        self.end.unwrap_or(self.bytes)
    }
}

impl Shared {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.path(&segment::name(number))
    }

    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn SpoolFile>, DiskError> {
        let action = if mode == OpenMode::Create { "create" } else { "open" };
        self.filesystem.open(path, mode).at(action, path)
    }

    /// Whether records have to survive a power cut.
    pub(crate) fn is_synced(&self) -> bool {
        self.options.durability == Durability::Disk
    }

    /// Syncs a file, where records have to survive a power cut.
    pub(crate) fn sync_file(&self, file: &dyn SpoolFile) -> io::Result<()> {
        if self.is_synced() { file.sync() } else { Ok(()) }
    }

    /// Syncs the folder, where records have to survive a power cut.
    pub(crate) fn sync_dir(&self) -> Result<(), DiskError> {
        if self.is_synced() { self.filesystem.sync_dir(&self.dir).at("sync", &self.dir) } else { Ok(()) }
    }

    /// Settles records that are lost, counts those not known before, and keeps what is left of them.
    pub(crate) fn lose(
        &self,
        number: u64,
        missing: Range<u64>,
        pieces: &[Range<u64>],
        file: Option<&dyn SpoolFile>,
    ) {
        if self.has_moved_on(number) {
            self.state.lock().acks.settle(missing);
            return;
        }
        let new = {
            let mut state = self.state.lock();
            let new = state.acks.settle(missing.clone());
            state.acks_unwritten += new;
            state.counters.damaged_records += new;
            if new > 0 {
                state.counters.damaged_pieces += pieces.len() as u64;
            }
            new
        };
        if new > 0 {
            let (path, first, last) = (self.segment_path(number), missing.start, missing.end - 1);
            tracing::warn!(path = %path.display(), first, last, "skipped damaged records");
            for (piece, file) in pieces.iter().zip(std::iter::repeat(file).flatten()) {
                self.aside.keep(self.filesystem.as_ref(), number, piece.clone(), file);
            }
        }
    }

    /// Whether the spool's owner has recycled this segment since it was looked at, or there is a successor that was
    /// missed because it came while the folder was listed. What is missing then is not lost.
    pub(crate) fn has_moved_on(&self, number: u64) -> bool {
        self.observes && (!self.is_still_there(number) || self.has_missed_one_after(number))
    }

    fn has_missed_one_after(&self, number: u64) -> bool {
        let known =
            self.state.lock().segments.iter().map(|segment| segment.number).find(|next| *next > number);
        let listed = self.filesystem.list(&self.dir).unwrap_or_default();
        let next =
            listed.iter().filter_map(|entry| segment::number_of(&entry.name)).filter(|next| *next > number);
        // No next one at all, where one is known, is less than that, too: then both are gone.
        next.min() < known
    }

    /// Whether a segment is still what it was when it was first looked at.
    pub(crate) fn is_still_there(&self, number: u64) -> bool {
        let file = self.filesystem.open(&self.segment_path(number), OpenMode::Read);
        let found = file.and_then(|file| Header::read(file.as_ref()));
        let Ok(Found::Sound(header) | Found::Healable(header)) = found else { return false };
        let state = self.state.lock();
        state.segments.iter().any(|segment| segment.number == number && segment.salt == header.salt)
    }
}

impl State {
    /// Index of the segment that holds this record, which is committed or about to be.
    pub(crate) fn segment_of(&self, sequence: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= sequence).checked_sub(1)
    }

    /// The sequence number at which the segment of this index stops to count.
    pub(crate) fn bound(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.next, |next| next.first)
    }

    /// Records that are not settled.
    pub(crate) fn unsettled(&self) -> u64 {
        (self.next - self.acks.low().min(self.next)).saturating_sub(self.acks.above_count())
    }

    /// Bytes of all segment files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.spare_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    /// Whether the oldest segment holds nothing but settled records, and another took its place.
    pub(crate) fn is_reclaimable(&self) -> bool {
        self.segments.get(1).is_some_and(|second| second.first <= self.acks.low())
    }
}
