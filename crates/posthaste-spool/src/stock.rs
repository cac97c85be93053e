//! Where segments come from and where they go: made, put to use, recycled, deleted.
//!
//! Invariants: a file is named a segment only while its header is on disk, and segments go from the front only, so
//! that those left are without a gap. Nothing is made in a folder that may belong to another.

use std::{io, sync::Arc};

use crate::{
    error::{At, DiskError, OpenError, WriteError},
    filesystem::{OpenMode, SpoolFile},
    recovery,
    segment::{self, DATA_START, Header},
    shared::{Segment, Shared},
    survey::NEW_NAME,
    writer::Active,
};

/// The lock, and the empty segments behind it.
#[derive(Debug)]
pub(crate) struct Stock {
    shared: Arc<Shared>,
    /// Held for as long as the stock lives.
    lock: Box<dyn SpoolFile>,
    /// The folder was deleted and belongs to another now. There is no way back: its files are not ours.
    is_lost: bool,
    /// Numbers of empty segments, ready for use.
    spares: Vec<u64>,
    next_number: u64,
}

/// What a new segment holds before it is used.
#[derive(Debug, Clone, Copy)]
enum Filling {
    /// Zeros on the disk: no sync of it has anything to record but data. Made ahead of need.
    Written,
    /// Nothing: its length only. Made while records wait, which would otherwise wait for twice the bytes to be
    /// written; space is found as it is needed.
    Sparse,
}

impl Stock {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lock: Box<dyn SpoolFile>,
        spares: Vec<u64>,
        next_number: u64,
    ) -> Self {
        let stock = Self { shared, lock, is_lost: false, spares, next_number };
        stock.count_spares();
        stock
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Whether the lock still keeps others out.
    pub(crate) fn check_lock(&self) -> Result<(), WriteError> {
        let path = self.shared.path(recovery::LOCK_NAME);
        if self.lock.is_linked().at("look up", &path)? { Ok(()) } else { Err(WriteError::Deleted { path }) }
    }

    /// Puts an empty segment to use, one made now if there is none.
    pub(crate) fn start_segment(&mut self) -> Result<Active, WriteError> {
        self.ensure_folder()?;
        while let Some(spare) = self.spares.pop() {
            let reused = self.start(spare);
            self.count_spares();
            if let Ok(active) = reused {
                self.shared.state.lock().counters.recycled_segments += 1;
                return Ok(active);
            }
        }
        let spare = self.make_spare(Filling::Sparse)?;
        Ok(self.start(spare)?)
    }

    /// Turns a spare into a segment. Its new header is on disk before it gets its name.
    fn start(&mut self, spare: u64) -> Result<Active, DiskError> {
        let shared = &self.shared;
        let from = shared.path(&segment::spare_name(spare));
        let (first, meta) = {
            let state = shared.state.lock();
            (state.next, state.meta.clone())
        };
        let header = Header::new(self.next_number, first, meta);
        let to = shared.segment_path(header.number);
        let started = shared.open(&from, OpenMode::Write).and_then(|file| {
            header.write(file.as_ref()).at("write", &from)?;
            shared.sync_file(file.as_ref()).at("sync", &from)?;
            shared.filesystem.rename(&from, &to).at("rename", &from)?;
            shared.sync_dir()?;
            Ok(file)
        });
        self.next_number += 1;
        if started.is_err() {
            let _ = self.shared.filesystem.remove(&from);
            let _ = self.shared.filesystem.remove(&to);
        }
        let file = started?;
        let segment = Segment::new(&header, self.shared.options.segment_bytes, Some(DATA_START));
        self.shared.state.lock().segments.push_back(segment);
        let (number, seed) = (header.number, header.seed());
        Ok(Active { number, seed, file, path: to, offset: DATA_START })
    }

    /// Makes an empty segment.
    fn make_spare(&mut self, filling: Filling) -> Result<u64, WriteError> {
        let shared = &self.shared;
        let (bytes, bytes_max) = (shared.options.segment_bytes, shared.options.size_bytes_max);
        if shared.state.lock().disk_bytes() + bytes > bytes_max {
            return Err(WriteError::SizeLimit { bytes_max });
        }
        let number = self.next_number;
        self.next_number += 1;
        let (from, to) = (shared.path(NEW_NAME), shared.path(&segment::spare_name(number)));
        let made = shared.open(&from, OpenMode::Create).and_then(|file| {
            preallocate(shared, file.as_ref(), filling).at("allocate", &from)?;
            shared.filesystem.rename(&from, &to).at("rename", &from)
        });
        if made.is_err() {
            let _ = shared.filesystem.remove(&from);
        }
        made?;
        Ok(number)
    }

    /// Makes an empty segment ahead of need.
    pub(crate) fn prepare(&mut self) {
        if self.spares.is_empty()
            && let Ok(spare) = self.make_spare(Filling::Written)
        {
            self.spares.push(spare);
            self.count_spares();
        }
    }

    /// Makes the folder and the lock anew where they were deleted, unless another has come first.
    fn ensure_folder(&mut self) -> Result<(), WriteError> {
        let dir = &self.shared.dir;
        let lost = WriteError::LostLock { path: dir.clone() };
        if self.is_lost {
            return Err(lost);
        }
        if self.check_lock().is_ok() {
            return Ok(());
        }
        self.shared.filesystem.create_dir(dir).at("create", dir)?;
        match recovery::take_lock(self.shared.filesystem.as_ref(), dir) {
            Ok(lock) => self.lock = lock,
            Err(OpenError::Disk(error)) => return Err(error.into()),
            Err(_) => self.is_lost = true,
        }
        self.is_lost |= self.has_foreign_segments()?;
        if self.is_lost { Err(lost) } else { Ok(()) }
    }

    /// Whether there is a segment in the folder that is not one of ours.
    fn has_foreign_segments(&self) -> Result<bool, DiskError> {
        let dir = &self.shared.dir;
        let entries = self.shared.filesystem.list(dir).at("list", dir)?;
        let mut numbers = entries.iter().filter_map(|entry| segment::number_of(&entry.name));
        Ok(numbers.any(|number| !self.shared.is_still_there(number)))
    }

    /// Recycles the segments of which everything is settled.
    pub(crate) fn reclaim(&mut self) {
        let mut recycled = Vec::new();
        while let Some(segment) = self.take_reclaimable() {
            let from = self.shared.segment_path(segment.number);
            let room = self.spares.len() + recycled.len() < self.shared.options.spare_segments_max;
            let reusable = room && !segment.suspect && segment.bytes == self.shared.options.segment_bytes;
            let to = self.shared.path(&segment::spare_name(segment.number));
            if reusable && self.shared.filesystem.rename(&from, &to).is_ok() {
                recycled.push(segment.number);
            } else if let Err(error) = self.shared.filesystem.remove(&from)
                && error.kind() != io::ErrorKind::NotFound
            {
                // A segment left behind among missing ones would look like damage.
                tracing::warn!(path = %from.display(), %error, "could not remove a segment");
                self.shared.state.lock().segments.push_front(segment);
                break;
            }
        }
        // Until its old name is gone for good, a spare must not be written: it would come back as a segment.
        if !recycled.is_empty() && self.shared.sync_dir().is_ok() {
            self.spares.append(&mut recycled);
        }
        for number in recycled {
            let _ = self.shared.filesystem.remove(&self.shared.path(&segment::spare_name(number)));
        }
        self.count_spares();
    }

    fn take_reclaimable(&self) -> Option<Segment> {
        let mut state = self.shared.state.lock();
        if state.is_reclaimable() { state.segments.pop_front() } else { None }
    }

    fn count_spares(&self) {
        self.shared.state.lock().spare_bytes = self.spares.len() as u64 * self.shared.options.segment_bytes;
    }
}

fn preallocate(shared: &Shared, file: &dyn SpoolFile, filling: Filling) -> io::Result<()> {
    let bytes = shared.options.segment_bytes;
    match filling {
        Filling::Written if shared.is_synced() => recovery::write_zeros(file, 0, bytes)?,
        Filling::Written | Filling::Sparse => file.set_len(bytes)?,
    }
    if shared.is_synced() { file.sync() } else { Ok(()) }
}
