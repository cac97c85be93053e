//! Keeps what is left of damaged records, for a human to look at.
//!
//! Best effort and bounded: what cannot be kept is counted all the same, and nothing waits for it. A piece is named
//! by where it lay, so the same damage found again after a restart is kept once.

use std::{io, ops::Range, path::PathBuf};

use parking_lot::Mutex;

use crate::{
    filesystem::{Filesystem, OpenMode, SpoolFile},
    scan::read_past_bad_blocks,
};

/// The folder, within the spool's.
pub(crate) const DIR: &str = "damaged";

/// The folder of damaged pieces.
#[derive(Debug)]
pub(crate) struct Aside {
    dir: PathBuf,
    bytes_max: u64,
    bytes: Mutex<Option<u64>>,
}

impl Aside {
    pub(crate) fn new(dir: PathBuf, bytes_max: u64) -> Self {
        Self { dir, bytes_max, bytes: Mutex::new(None) }
    }

    /// Copies a piece of a segment into the folder.
    pub(crate) fn keep(
        &self,
        filesystem: &dyn Filesystem,
        number: u64,
        piece: Range<u64>,
        file: &dyn SpoolFile,
    ) {
        if let Err(error) = self.try_keep(filesystem, number, piece, file) {
            tracing::warn!(dir = %self.dir.display(), %error, "could not keep damaged bytes");
        }
    }

    fn try_keep(
        &self,
        filesystem: &dyn Filesystem,
        number: u64,
        piece: Range<u64>,
        file: &dyn SpoolFile,
    ) -> io::Result<()> {
        if self.bytes_max == 0 || piece.is_empty() {
            return Ok(());
        }
        filesystem.create_dir(&self.dir)?;
        let mut used = self.bytes.lock();
        let before = match *used {
            Some(bytes) => bytes,
            None => filesystem.list(&self.dir)?.iter().map(|entry| entry.bytes).sum(),
        };
        let bytes = (piece.end - piece.start).min(self.bytes_max.saturating_sub(before));
        let mut buffer = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        let read = read_past_bad_blocks(file, &mut buffer, piece.start)?;
        buffer.truncate(read);
        // Behind the last record of a segment there may be megabytes of nothing.
        let meant = buffer.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        buffer.truncate(meant);
        *used = Some(before + meant as u64);
        if meant == 0 {
            return Ok(());
        }
        let path = self.dir.join(format!("seg-{number:020}-at-{:012}.bin", piece.start));
        filesystem.open(&path, OpenMode::Create)?.write_at(&buffer, 0)
    }
}
