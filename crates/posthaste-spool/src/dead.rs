//! Records that were given up, kept until somebody looks: a second spool in the folder `dead`.
//!
//! Rare and precious, so everything here is synchronous and durable when it returns, removals included. Nothing is
//! made on disk before the first dead letter.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use thiserror::Error;

use crate::{
    batch::Batch,
    error::{DiskError, OpenError, ReadError, Refusal, WriteError},
    filesystem::Filesystem,
    log::Log,
    options::SpoolOptions,
    reader::Record,
};

/// The folder, within the spool's.
pub const DEAD_DIR: &str = "dead";

/// The dead letters beside a spool.
#[derive(Debug)]
pub struct DeadLetters {
    filesystem: Arc<dyn Filesystem>,
    dir: PathBuf,
    options: SpoolOptions,
    log: Mutex<Option<Log>>,
}

/// Why dead letters could not be kept, read or removed.
#[derive(Debug, Clone, Error)]
pub enum DeadError {
    /// Their folder did not open.
    #[error("could not open the dead letters: {0}")]
    Open(#[from] OpenError),
    /// The letter was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The letter could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// They could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The removal could not be written down; it may come undone after a restart.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl DeadLetters {
    pub(crate) fn new(filesystem: Arc<dyn Filesystem>, dir: &Path, options: &SpoolOptions) -> Self {
        Self { filesystem, dir: dir.join(DEAD_DIR), options: options.for_dead(), log: Mutex::new(None) }
    }

    /// Keeps a letter and returns its number. It may be a little longer than the spool's longest record.
    pub fn add(&self, letter: impl Into<Bytes>) -> Result<u64, DeadError> {
        let batch = Batch::record(letter);
        batch.check(&self.options)?;
        let mut log = self.open()?;
        Ok(log.write(&[batch]).pop().unwrap_or(Err(WriteError::Closed))?)
    }

    /// Letters from the number `from` on, oldest first, as many as both limits allow. They stay.
    pub fn list(&self, from: u64, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, DeadError> {
        match self.open_if_there()? {
            Some(mut log) => Ok(log.read(from, records_max, bytes_max)?),
            None => Ok(Vec::new()),
        }
    }

    /// Removes letters by number and says how many there were.
    pub fn remove(&self, sequences: &[u64]) -> Result<u64, DeadError> {
        let Some(mut log) = self.open_if_there()? else { return Ok(0) };
        let removed = log.ack(sequences);
        log.sync()?;
        Ok(removed)
    }

    /// Removes all letters and says how many there were.
    pub fn purge(&self) -> Result<u64, DeadError> {
        let Some(mut log) = self.open_if_there()? else { return Ok(0) };
        let removed = log.ack_up_to(u64::MAX - 1);
        log.sync()?;
        Ok(removed)
    }

    /// How many letters there are.
    pub fn len(&self) -> Result<u64, DeadError> {
        Ok(self.open_if_there()?.map_or(0, |log| log.stats().records))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> Result<bool, DeadError> {
        Ok(self.len()? == 0)
    }

    fn open(&self) -> Result<MappedMutexGuard<'_, Log>, OpenError> {
        let mut slot = self.log.lock();
        let log = match slot.take() {
            Some(log) => log,
            None => Log::open_with(Arc::clone(&self.filesystem), &self.dir, self.options.clone())?,
        };
        Ok(MutexGuard::map(slot, |slot| slot.insert(log)))
    }

    fn open_if_there(&self) -> Result<Option<MappedMutexGuard<'_, Log>>, DeadError> {
        match self.filesystem.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new("list", &self.dir, error).into()),
            Ok(_) => Ok(Some(self.open()?)),
        }
    }
}
