//! Looks at a spool without owning it: takes no lock and changes nothing.
//!
//! Shows what was committed at the moment of looking. While another process owns the spool, its newest
//! acknowledgements may be missing, because they are written down in steps, and segments that it recycles in the
//! meantime are passed over.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    aside,
    dead::DEAD_DIR,
    error::{OpenError, ReadError},
    filesystem::{Filesystem, RealFilesystem},
    log::Stats,
    options::SpoolOptions,
    reader::{Reader, Record},
    recovery,
    shared::Shared,
    survey::Survey,
};

/// How often a survey starts over because the owner recycled a file under it.
const SURVEYS_MAX: usize = 5;
/// What an iteration reads at once.
const READ_RECORDS: usize = 1_024;
const READ_BYTES: usize = 1 << 20;

/// A spool as it was found.
#[derive(Debug)]
pub struct Inspection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) survey: Survey,
    reader: Reader,
}

/// What there is to say about a spool without reading its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Numbers. Damage counts as far as it has been met: see [`Inspection::verify`].
    pub stats: Stats,
    /// The metadata of the last committed batch that had some.
    pub meta: Option<Bytes>,
    /// Process id of who opened the spool last, which may still have it.
    pub owner: Option<u32>,
    /// Empty segments kept for reuse.
    pub spare_segments: usize,
    /// Segments whose header is lost; the next opening moves them aside.
    pub unreadable_segments: usize,
    /// Pieces of damaged records kept for inspection.
    pub damaged_files: usize,
    /// Their length.
    pub damaged_bytes: u64,
}

/// Looks at the spool in a folder.
pub fn inspect(dir: impl AsRef<Path>) -> Result<Inspection, OpenError> {
    inspect_with(Arc::new(RealFilesystem), dir)
}

/// Looks at a spool on the given filesystem.
pub fn inspect_with(filesystem: Arc<dyn Filesystem>, dir: impl AsRef<Path>) -> Result<Inspection, OpenError> {
    let dir = dir.as_ref();
    let mut tries = 1;
    let survey = loop {
        match Survey::take(filesystem.as_ref(), dir) {
            Err(OpenError::Disk(error)) if error.kind() == io::ErrorKind::NotFound && tries < SURVEYS_MAX => {
                tries += 1;
            }
            survey => break survey?,
        }
    };
    let shared = Arc::new(recovery::share(filesystem, dir, SpoolOptions::default(), &survey, true));
    shared.state.lock().spare_bytes = survey.spares.iter().map(|(_, bytes)| bytes).sum();
    Ok(Inspection { reader: Reader::new(Arc::clone(&shared)), shared, survey })
}

impl Inspection {
    /// The numbers.
    pub fn status(&self) -> Status {
        let damaged = self.shared.filesystem.list(&self.shared.path(aside::DIR)).unwrap_or_default();
        let lock = self.shared.path(recovery::LOCK_NAME);
        Status {
            stats: self.shared.stats(),
            meta: self.survey.meta(),
            owner: recovery::read_owner(self.shared.filesystem.as_ref(), &lock),
            spare_segments: self.survey.spares.len(),
            unreadable_segments: self.survey.unreadable.len(),
            damaged_files: damaged.len(),
            damaged_bytes: damaged.iter().map(|entry| entry.bytes).sum(),
        }
    }

    /// Unacknowledged records from `from` on, oldest first, as many as both limits allow, but one at least if there
    /// is one.
    pub fn read(
        &mut self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.reader.read(from, records_max, bytes_max)
    }

    /// All unacknowledged records, oldest first.
    pub fn records(&mut self) -> Records<'_> {
        Records { inspection: self, read: Vec::new().into_iter(), next: 0, failed: false }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Looks at the dead letters beside the spool, if there are any.
    pub fn dead(&self) -> Result<Option<Self>, OpenError> {
        let dir: PathBuf = self.shared.path(DEAD_DIR);
        match inspect_with(Arc::clone(&self.shared.filesystem), &dir) {
            Err(OpenError::Disk(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            inspection => inspection.map(Some),
        }
    }
}

/// Iterates over the unacknowledged records of an [`Inspection`]. Ends after an error.
#[derive(Debug)]
pub struct Records<'a> {
    inspection: &'a mut Inspection,
    read: std::vec::IntoIter<Record>,
    next: u64,
    failed: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.len() == 0 && !self.failed {
            match self.inspection.read(self.next, READ_RECORDS, READ_BYTES) {
                Ok(records) => self.read = records.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        let record = self.read.next()?;
        self.next = record.sequence + 1;
        Some(Ok(record))
    }
}
