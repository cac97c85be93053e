//! Settles what is lost, and keeps what is left of it.
//!
//! Nothing sound is touched, and nothing is written over: pieces of damaged segments are copied aside, headers written
//! anew, and the cursor says that what they held is settled. A repaired spool has nothing left to be judged.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use crate::{
    error::{At, DiskError, OpenError},
    filesystem::{Filesystem, FolderMode, OpenMode, RealFilesystem, SpoolFile},
    format::{segment::Header, walk::Gap},
    log::{Log, Segment, Stats},
    options::SpoolOptions,
    recover,
    write::stock::DAMAGED_DIR,
};

/// What a repair has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// Damaged places that were met.
    pub damaged_places: u64,
    /// Records that could not be read just now: they stay, for another try.
    pub unreadable: u64,
    /// Headers that were written anew.
    pub headers: u64,
    /// The spool after it.
    pub stats: Stats,
}

/// Repairs the spool in a folder, which nobody else may own. `progress` is told how many bytes have been read, of how
/// many.
pub fn repair(
    dir: impl AsRef<Path>,
    options: SpoolOptions,
    progress: impl FnMut(u64, u64),
) -> Result<Repair, OpenError> {
    repair_with(Arc::new(RealFilesystem), dir, options, progress)
}

/// Repairs a spool on the given filesystem.
#[expect(clippy::needless_pass_by_value, reason = "as for opening a spool")]
pub fn repair_with(
    filesystem: Arc<dyn Filesystem>,
    dir: impl AsRef<Path>,
    options: SpoolOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<Repair, OpenError> {
    let opened = recover::open(&*filesystem, dir.as_ref(), options)?;
    let log = Arc::clone(&opened.log);
    let headers = write_headers(&log, &opened.survey.damaged_headers)?;
    let segments = log.bounded_segments();
    let total = segments.iter().map(|(segment, _)| segment.bytes).sum();
    let (mut done, mut damaged_places, mut unreadable) = (0, 0, 0);
    for (segment, bound) in &segments {
        for gap in log.gaps(segment, *bound)? {
            let unsettled = log.state.lock().acks.unsettled_in(gap.missing.clone());
            if gap.is_unreadable {
                unreadable += unsettled;
                continue;
            }
            damaged_places += u64::from(unsettled > 0 || gap.missing.is_empty());
            if unsettled > 0 {
                keep_pieces(&log, segment, &gap);
            }
            log.lose(segment.number, &gap.missing, gap.pieces.len());
        }
        done += segment.bytes;
        progress(done, total);
    }
    let mut house = opened.into_house(None, Arc::<AtomicBool>::default());
    // What had not been told to be stored is now.
    house.turn(std::time::Duration::ZERO, usize::MAX);
    house.end()?;
    Ok(Repair { damaged_places, unreadable, headers, stats: log.stats() })
}

fn write_headers(log: &Log, names: &[String]) -> Result<u64, DiskError> {
    let segments: Vec<Segment> = log.state.lock().segments.iter().cloned().collect();
    let damaged = segments.iter().filter(|segment| names.contains(&segment.name()));
    let mut written = 0;
    for segment in damaged {
        let name = segment.name();
        let header = Header { spool: log.id, number: segment.number, first: segment.first };
        let file = log.open(&name, OpenMode::Write)?;
        file.write_at(&header.encode(), 0).at("write", &log.path(&name))?;
        log.sync_file(&*file, &name)?;
        written += 1;
    }
    Ok(written)
}

/// Best effort and bounded: what cannot be kept is counted all the same.
fn keep_pieces(log: &Log, segment: &Segment, gap: &Gap) {
    let kept = || -> io::Result<()> {
        let damaged = log.folder.open_folder(DAMAGED_DIR, FolderMode::Create)?;
        let mut used: u64 = damaged.list()?.iter().map(|entry| entry.bytes).sum();
        let file = log.folder.open(&segment.name(), OpenMode::Read)?;
        for piece in &gap.pieces {
            let room = log.options.damaged_bytes_max.saturating_sub(used);
            let bytes = read_meant(&*file, piece.start, (piece.end - piece.start).min(room))?;
            if !bytes.is_empty() {
                let name = format!("{}-at-{:012}.bin", segment.name(), piece.start);
                damaged.open(&name, OpenMode::Create)?.write_at(&bytes, 0)?;
            }
            used += bytes.len() as u64;
        }
        Ok(())
    };
    if let Err(error) = kept() {
        tracing::warn!(dir = %log.dir.display(), %error, "could not keep what is left of damaged records");
    }
}

/// Behind the last record of a segment there may be megabytes of nothing.
fn read_meant(file: &dyn SpoolFile, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    let meant = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(meant);
    Ok(bytes)
}
