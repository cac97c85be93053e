//! Where segments come from and where they go: made, put to use, recycled, moved aside, deleted.
//!
//! Invariants: a file is named a segment only while its header is on disk. A segment goes only after the cursor that tells
//! of its records is on disk. A spare has its room on disk, so that writing into it needs none.

use std::{collections::VecDeque, io, sync::Arc};

use super::plan;
use crate::{
    error::{At, DiskError, WriteError},
    filesystem::{FolderMode, OpenMode, SpoolFile},
    format::segment::{self, Header, MIN_SEGMENT_BYTES},
    log::{Log, Segment},
    write::writer::Active,
};

/// A segment being made; removed at the next start.
pub(crate) const NEW_NAME: &str = "new.tmp";
/// Where damaged segments are kept.
pub(crate) const DAMAGED_DIR: &str = "damaged";
/// No segment takes more of what is free on a disk than this share of it.
const SHARE_OF_FREE: u64 = 8;
/// Zeros are written in pieces of this length.
const ZEROS_BYTES: usize = 1 << 20;

/// The empty segments.
#[derive(Debug)]
pub(crate) struct Stock {
    log: Arc<Log>,
    spares: VecDeque<Spare>,
    /// Files that are of no use and could not be removed, with their lengths: they still take room.
    doomed: Vec<(String, u64)>,
    next_number: u64,
}

/// An empty segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// Whether all of its blocks have been written before: then a sync has nothing to record but data.
    pub(crate) is_written: bool,
}

impl Stock {
    pub(crate) fn new(log: Arc<Log>, spares: impl IntoIterator<Item = Spare>, next_number: u64) -> Self {
        let stock = Self { log, spares: spares.into_iter().collect(), doomed: Vec::new(), next_number };
        stock.count();
        stock
    }

    /// Lengths of the empty segments, in the order in which they will be used.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.spares.iter().map(|spare| spare.bytes)
    }

    /// Puts the first empty segment to use that has room for a batch of this size. `None`: there is none.
    pub(crate) fn start(&mut self, bytes: u64) -> Option<Result<Active, DiskError>> {
        let at = self.spares.iter().position(|spare| bytes <= plan::capacity(spare.bytes))?;
        let spare = self.spares.remove(at)?;
        self.count();
        Some(self.put_to_use(spare))
    }

    /// Its new header is on disk before it gets its name.
    fn put_to_use(&mut self, spare: Spare) -> Result<Active, DiskError> {
        let log = &self.log;
        let from = segment::spare_name(spare.number);
        let first = log.state.lock().stored;
        let header = Header { spool: log.id, number: self.next_number, first };
        let to = segment::name(header.number, first);
        self.next_number += 1;
        let started = log.open(&from, OpenMode::Write).and_then(|file| {
            file.write_at(&header.encode(), 0).at("write", &log.path(&from))?;
            log.sync_file(&*file, &from)?;
            log.folder.rename(&from, &to).at("rename", &log.path(&from))?;
            log.sync_folder()?;
            Ok(file)
        });
        if started.is_err() {
            // Whichever name it has now: a segment without a record is as good as none.
            self.doom(from, spare.bytes);
            self.doom(to.clone(), spare.bytes);
        }
        let file = started?;
        let log = &self.log;
        log.state.lock().segments.push_back(Segment::new(header.number, first, spare.bytes));
        Ok(Active::new(&header, log.home(header.number), file, to, spare))
    }

    /// Makes an empty segment with room for a batch of `wanted` bytes, as large as it may be.
    pub(crate) fn make(&mut self, wanted: u64) -> Result<(), WriteError> {
        let mut bytes = self.length_for(wanted)?;
        loop {
            match self.make_of(bytes) {
                Err(WriteError::Disk(error)) if error.is_full() => {
                    let smaller = (bytes / 2).next_multiple_of(4_096);
                    if smaller >= bytes || smaller < MIN_SEGMENT_BYTES || plan::capacity(smaller) < wanted {
                        return Err(error.into());
                    }
                    bytes = smaller;
                }
                made => return made,
            }
        }
    }

    /// How long the next segment may be: no longer than the limits leave room for, and no more than a share of a small disk.
    fn length_for(&self, wanted: u64) -> Result<u64, WriteError> {
        let options = &self.log.options;
        let bytes_max = options.size_bytes_max;
        let left = bytes_max.saturating_sub(self.log.state.lock().disk_bytes());
        let of_disk = self.log.folder.space().map_or(u64::MAX, |space| space.free / SHARE_OF_FREE);
        let needed = plan::length_for(wanted);
        if left < needed {
            return Err(WriteError::SizeLimit { bytes_max });
        }
        let length = options.segment_length().min(left).min(of_disk.max(needed)) / 4_096 * 4_096;
        Ok(length.max(needed))
    }

    fn make_of(&mut self, bytes: u64) -> Result<(), WriteError> {
        let log = &self.log;
        let number = self.next_number;
        let to = segment::spare_name(number);
        let made = log.open(NEW_NAME, OpenMode::Create).and_then(|file| {
            let is_written = allocate(&*file, bytes).at("allocate", &log.path(NEW_NAME))?;
            log.sync_file(&*file, NEW_NAME)?;
            log.folder.rename(NEW_NAME, &to).at("rename", &log.path(NEW_NAME))?;
            Ok(is_written)
        });
        if made.is_err() {
            let _ = log.folder.remove(NEW_NAME);
        }
        self.spares.push_back(Spare { number, bytes, is_written: made? });
        self.next_number += 1;
        self.count();
        Ok(())
    }

    /// Takes back segments that are out of use, whose records the cursor on disk knows as settled.
    pub(crate) fn take_back(&mut self, segments: Vec<Segment>) -> Result<(), DiskError> {
        let mut recycled = Vec::new();
        for segment in segments {
            let name = segment.name();
            if segment.is_damaged && self.move_aside(&segment) {
                continue;
            }
            let to = segment::spare_name(segment.number);
            if self.is_worth_keeping(&segment, recycled.len()) && self.log.folder.rename(&name, &to).is_ok() {
                recycled.push(Spare { number: segment.number, bytes: segment.bytes, is_written: true });
            } else {
                self.doom(name, segment.bytes);
            }
        }
        // Until its old name is gone for good, a spare must not be written: it would come back as a segment.
        let synced = if recycled.is_empty() { Ok(()) } else { self.log.sync_folder() };
        if synced.is_err() {
            for spare in recycled.drain(..) {
                self.doom(segment::spare_name(spare.number), spare.bytes);
            }
        }
        self.log.state.lock().counters.recycled_segments += recycled.len() as u64;
        self.spares.extend(recycled);
        self.count();
        synced
    }

    fn is_worth_keeping(&self, segment: &Segment, more: usize) -> bool {
        let kept = self.spares.len() + more;
        let is_roomy = || self.log.folder.space().is_ok_and(|space| space.free > 2 * segment.bytes);
        !segment.is_suspect
            && !segment.is_damaged
            && kept < self.log.options.spare_segments_max.max(1)
            && (kept == 0 || (segment.bytes == self.log.options.segment_length() && is_roomy()))
    }

    /// False: there is no room for it among the damaged ones.
    fn move_aside(&self, segment: &Segment) -> bool {
        let moved = || -> io::Result<bool> {
            let damaged = self.log.folder.open_folder(DAMAGED_DIR, FolderMode::Create)?;
            let kept: u64 = damaged.list()?.iter().map(|entry| entry.bytes).sum();
            if kept + segment.bytes > self.log.options.damaged_bytes_max {
                return Ok(false);
            }
            let name = segment.name();
            self.log.folder.rename(&name, &format!("{DAMAGED_DIR}/{name}"))?;
            Ok(true)
        };
        moved().unwrap_or(false)
    }

    /// Keeps no more than so many empty segments.
    pub(crate) fn keep(&mut self, count: usize) {
        while self.spares.len() > count {
            self.give_up(self.spares.len() - 1);
        }
    }

    /// Gives up one of the empty segments, for others to have the room.
    pub(crate) fn give_up(&mut self, index: usize) {
        if let Some(spare) = self.spares.remove(index) {
            self.doom(segment::spare_name(spare.number), spare.bytes);
        }
        self.count();
    }

    /// Removes a file that is of no use any more, now or later.
    pub(crate) fn doom(&mut self, name: String, bytes: u64) {
        self.doomed.push((name, bytes));
        self.remove_doomed();
    }

    /// Tries again to remove what could not be removed. What was moved aside from outside is gone as well.
    pub(crate) fn remove_doomed(&mut self) {
        if self.doomed.is_empty() {
            return;
        }
        let folder = &self.log.folder;
        self.doomed.retain(|(name, _)| {
            folder.remove(name).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
        });
        self.count();
    }

    fn count(&self) {
        let doomed: u64 = self.doomed.iter().map(|(_, bytes)| bytes).sum();
        self.log.state.lock().spare_bytes = self.lengths().sum::<u64>() + doomed;
    }
}

/// Gives a file its length, with room on disk for all of it. Says whether its blocks have been written.
pub(crate) fn allocate(file: &dyn SpoolFile, bytes: u64) -> io::Result<bool> {
    match file.allocate(bytes) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            write_zeros(file, 0, bytes).map(|()| true)
        }
        allocated => allocated.map(|()| false),
    }
}

pub(crate) fn write_zeros(file: &dyn SpoolFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES.min(usize::try_from(to.saturating_sub(from)).unwrap_or(ZEROS_BYTES))];
    let mut at = from;
    while at < to {
        let length = zeros.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
        file.write_at(zeros.get(..length).unwrap_or_default(), at)?;
        at += length as u64;
    }
    Ok(())
}
