//! Records that were given up, kept until somebody looks: a second spool in the folder `dead`.
//!
//! It has a segment from the start, so that a full disk can be drained. A letter carries the number of its record: where a
//! crash comes between the letter and the record's acknowledgement, the next start settles the record, and the letter is
//! stored once.

mod pieces;

use std::sync::{Arc, atomic::AtomicBool};

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;

use self::pieces::Pieces;
use crate::{
    batch::Batch,
    error::{DiskError, OpenError, ReadError, Refusal, WriteError},
    filesystem::FolderMode,
    format::{frame, u64_at},
    log::Log,
    read::{Read, Record},
    receipt::Completion,
    recover::{self, Opened},
    spool::{Core, Writing},
    write::pending::Visibility,
};

/// The folder, within the spool's.
pub const DEAD_DIR: &str = "dead";

/// The number of a letter that is not about a whole record.
const NO_RECORD: u64 = u64::MAX;
/// Bytes of that number, in front of each letter.
const RECORD_BYTES: usize = 8;
/// Letters read at once when a spool opens.
const READ_BYTES: usize = 1 << 20;
/// Up to so many bytes of letters are looked at one by one when a spool opens. Of more, files are small parts.
const WEIGHED_BYTES_MAX: u64 = 16 << 20;

/// The dead letters beside a spool. Clones are the same.
#[derive(Debug, Clone)]
pub struct DeadLetters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The spool that they are beside.
    main: Arc<Log>,
    writing: Writing,
    /// Set to have the spool give up room that it keeps for later.
    hungry: Arc<AtomicBool>,
    /// `None`: the folder could not be opened; tried again when it is needed.
    core: Mutex<Option<Arc<Core>>>,
    pieces: Mutex<Pieces>,
}

/// Why dead letters could not be kept or read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DeadError {
    /// Their folder did not open.
    #[error("could not open the dead letters: {0}")]
    Open(#[from] OpenError),
    /// The letter was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// They could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl DeadLetters {
    pub(crate) fn new(main: &Arc<Log>, writing: Writing, hungry: Arc<AtomicBool>) -> Self {
        let (main, core, pieces) = (Arc::clone(main), Mutex::new(None), Mutex::default());
        let dead = Self(Arc::new(Inner { main, writing, hungry, core, pieces }));
        if let Err(error) = dead.open() {
            tracing::error!(dir = %dead.0.main.dir.display(), %error, "dead letters cannot be kept; the events that they are about will wait");
        }
        dead
    }

    /// Hands over a letter about the record `of`, if it is about the whole of one, and calls `then` on the writing thread
    /// once it is stored. Returns the letter's number. A letter may be a little longer than the spool's longest record. A
    /// refusal takes nothing.
    pub fn add(
        &self,
        of: Option<u64>,
        letter: &[u8],
        then: impl FnOnce(Result<u64, WriteError>) + Send + 'static,
    ) -> Result<u64, DeadError> {
        let record = [&of.unwrap_or(NO_RECORD).to_le_bytes(), letter].concat();
        let (core, bytes) = (self.open()?, frame::size(record.len()) as u64);
        // So that no cursor is written between the letter's number and the note that its record waits for it.
        let mut main = self.0.main.state.lock();
        let added = core.add(Batch::record(record), Visibility::AtOnce, Completion::Call(Box::new(then)));
        let number = added.map_err(|refused| refused.reason)?;
        self.0.pieces.lock().add(number, bytes);
        if let Some(of) = of {
            main.letters.insert(of, number);
        }
        Ok(number)
    }

    /// Whether letters of so many bytes together are likely to find room beside those that there are.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let fits = |core: Arc<Core>| {
            let most = core.log.options.dead_bytes_max;
            self.bytes_of(&core).saturating_add(bytes) <= most && core.log.has_room_for(bytes)
        };
        self.open().is_ok_and(fits)
    }

    /// Letters that are on disk from the number `from` on, oldest first, as many as both limits allow. They stay.
    pub fn list(&self, from: u64, records_max: usize, bytes_max: usize) -> Result<Read, DeadError> {
        let mut read = self.open()?.read(from, records_max, bytes_max)?;
        read.records.iter_mut().for_each(unwrap);
        Ok(read)
    }

    /// Removes letters by number and says how many there were. That is written down like acknowledgements are.
    pub fn remove(&self, sequences: &[u64]) -> Result<u64, DeadError> {
        let core = self.open()?;
        let removed = core.log.ack(sequences.iter().map(|sequence| *sequence..sequence.saturating_add(1)));
        core.wake_if_due();
        Ok(removed)
    }

    /// Removes all letters and says how many there were.
    pub fn purge(&self) -> Result<u64, DeadError> {
        let core = self.open()?;
        let removed = core.log.ack(std::iter::once(0..u64::MAX));
        core.wake_if_due();
        Ok(removed)
    }

    /// How many letters there are.
    pub fn len(&self) -> Result<u64, DeadError> {
        Ok(self.open()?.log.state.lock().unsettled())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> Result<bool, DeadError> {
        Ok(self.len()? == 0)
    }

    /// About how many bytes they take. Files are larger: space comes back by the file.
    pub fn bytes(&self) -> Result<u64, DeadError> {
        Ok(self.bytes_of(&*self.open()?))
    }

    fn bytes_of(&self, core: &Core) -> u64 {
        let (mut pieces, state) = (self.0.pieces.lock(), core.log.state.lock());
        pieces.bytes(&state.acks, state.next)
    }

    /// How many bytes they may take.
    pub fn bytes_max(&self) -> Result<u64, DeadError> {
        Ok(self.open()?.log.options.dead_bytes_max)
    }

    /// Whether files have to go for a letter of so many bytes to find room at once: it is made before it is needed.
    pub fn is_tight(&self, bytes: u64) -> Result<bool, DeadError> {
        let core = self.open()?;
        let (size, segment) = (core.log.options.size_bytes_max, core.log.options.segment_length());
        let in_files = core.log.state.lock().unsettled_bytes();
        Ok(in_files > 0 && in_files.saturating_add(bytes) > size.saturating_sub(2 * segment).max(segment))
    }

    /// Removes the oldest letters, a sixteenth of all or one, and says how many there were.
    pub fn remove_oldest(&self) -> Result<u64, DeadError> {
        let core = self.open()?;
        let oldest = {
            let (mut pieces, state) = (self.0.pieces.lock(), core.log.state.lock());
            // What is not on disk yet is not the oldest.
            pieces.oldest(&state.acks, state.next).map(|letters| letters.start..letters.end.min(state.stored))
        };
        let removed = core.log.ack(oldest.filter(|letters| !letters.is_empty()));
        core.wake_if_due();
        Ok(removed)
    }

    /// Removes the letters of the oldest file that holds some, and says how many there were.
    pub fn remove_oldest_file(&self) -> Result<u64, DeadError> {
        let core = self.open()?;
        let oldest = core.log.state.lock().oldest_unsettled();
        let removed = core.log.ack(oldest);
        core.wake_if_due();
        Ok(removed)
    }

    fn open(&self) -> Result<Arc<Core>, OpenError> {
        let mut slot = self.0.core.lock();
        if let Some(core) = &*slot {
            return Ok(Arc::clone(core));
        }
        let main = &self.0.main;
        let dir = main.path(DEAD_DIR);
        let folder = main.folder.open_folder(DEAD_DIR, FolderMode::Create);
        let folder = folder.map_err(|error| DiskError::new("open", &dir, error))?;
        let opened = recover::open_in(folder, &dir, main.options.for_dead())?;
        let house = opened.into_house(None, Arc::default()).beside(Arc::clone(&self.0.hungry));
        let core = Core::start(house, self.0.writing)
            .map_err(|error| DiskError::new("start the writer of", &dir, error))?;
        *self.0.pieces.lock() = weigh(&core);
        Ok(Arc::clone(slot.insert(core)))
    }

    fn opened(&self) -> Option<Arc<Core>> {
        self.0.core.lock().clone()
    }

    pub(crate) fn log(&self) -> Option<Arc<Log>> {
        self.opened().map(|core| Arc::clone(&core.log))
    }

    /// Settles the records that have their letters already. Letters that the cursor knew of have been dealt with.
    pub(crate) fn settle_known(&self, opened: &Opened) {
        let Some(core) = self.opened() else { return };
        // Without a cursor nobody knows whether the letters are about these records, so everything comes again.
        let cursor = opened.survey.cursor.as_ref().filter(|_| opened.survey.disbelief.is_none());
        let Some(mut from) = cursor.map(|cursor| cursor.letters) else { return };
        loop {
            let read = core.read(from, usize::MAX, READ_BYTES).unwrap_or_else(|_| {
                let everything = from..u64::MAX;
                Read { unreadable: vec![everything], ..Read::default() }
            });
            let records = read.records.iter().filter_map(|letter| u64_at(&letter.bytes, 0));
            self.0.main.ack(records.filter(|of| *of != NO_RECORD).map(|of| of..of + 1));
            if let Some(unreadable) = read.unreadable.first() {
                // The next start tries again.
                let mut main = self.0.main.state.lock();
                main.letters_unknown = main.letters_unknown.min(unreadable.start);
            }
            if read.records.is_empty() {
                return;
            }
            from = read.next;
        }
    }

    /// Does what there is to do, where no thread does.
    #[cfg(feature = "test-util")]
    pub(crate) fn turn(&self, now: std::time::Duration) -> std::time::Duration {
        self.opened().map_or(std::time::Duration::MAX, |core| core.turn(now))
    }

    pub(crate) fn close(&self, within: std::time::Duration) -> Result<(), WriteError> {
        let Some(core) = self.opened() else { return Ok(()) };
        core.end();
        core.wait_ended(within)
    }

    /// Stops waiting for the disk. The records of letters that it has not got stay.
    pub(crate) fn give_up(&self) {
        if let Some(core) = self.opened() {
            core.give_up();
        }
    }
}

/// How many bytes the letters take that were found: each, or, where they are many, each file's.
fn weigh(core: &Core) -> Pieces {
    let (files, in_files) = {
        let state = core.log.state.lock();
        (state.unsettled_files().collect::<Vec<_>>(), state.unsettled_bytes())
    };
    let each = if in_files <= WEIGHED_BYTES_MAX { weigh_each(core) } else { None };
    each.unwrap_or_else(|| {
        let mut pieces = Pieces::default();
        for (first, bytes) in files {
            pieces.add(first, bytes);
        }
        pieces
    })
}

/// `None`: they cannot be read.
fn weigh_each(core: &Core) -> Option<Pieces> {
    let (mut pieces, mut from) = (Pieces::default(), 0);
    loop {
        let read = core.read(from, usize::MAX, READ_BYTES).ok()?;
        for letter in &read.records {
            pieces.add(letter.sequence, frame::size(letter.bytes.len()) as u64);
        }
        if read.records.is_empty() {
            return Some(pieces);
        }
        from = read.next;
    }
}

/// A letter without the number in front of it.
pub(crate) fn unwrap(record: &mut Record) {
    record.bytes =
        if record.bytes.len() < RECORD_BYTES { Bytes::new() } else { record.bytes.slice(RECORD_BYTES..) };
}
