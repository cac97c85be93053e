//! Puts a spool right for good: what opening it does, and a pass over every record.
//!
//! Damaged bytes are copied aside and covered with a frame that says so; nothing sound is touched. A repaired spool
//! passes [`verify`](crate::Inspection::verify).

use std::{ops::Range, path::Path, sync::Arc};

use crate::{
    error::{At, DiskError, OpenError},
    filesystem::{Filesystem, OpenMode, RealFilesystem, SpoolFile},
    frame::{ALIGN, Frame, HEADER_BYTES, Kind, Seed},
    log::{Log, Stats},
    options::SpoolOptions,
    scan::Scanner,
    shared::Segment,
    verify::{Gap, find_gaps},
};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Damaged pieces covered.
    pub covered_pieces: u64,
    /// How the spool stands now; the counters tell what was lost, cut and healed.
    pub stats: Stats,
}

/// Repairs the spool in a folder. Nobody else may have it open.
pub fn repair(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Repair, OpenError> {
    repair_with(Arc::new(RealFilesystem), dir, options)
}

/// Repairs a spool on the given filesystem.
pub fn repair_with(
    filesystem: Arc<dyn Filesystem>,
    dir: impl AsRef<Path>,
    options: SpoolOptions,
) -> Result<Repair, OpenError> {
    let mut log = Log::open_with(filesystem, dir, options)?;
    let segments: Vec<(Segment, u64)> = {
        let state = log.shared.state.lock();
        let bounds = (0..state.segments.len()).map(|index| state.bound(index));
        state.segments.iter().cloned().zip(bounds).collect()
    };
    let mut covered_pieces = 0;
    for (segment, bound) in segments {
        covered_pieces += repair_segment(&log, &segment, bound)?;
    }
    log.sync()?;
    Ok(Repair { covered_pieces, stats: log.stats() })
}

fn repair_segment(log: &Log, segment: &Segment, bound: u64) -> Result<u64, DiskError> {
    let shared = &log.shared;
    let path = shared.segment_path(segment.number);
    let file = shared.open(&path, OpenMode::Write)?;
    let mut scanner =
        Scanner::new(shared.open(&path, OpenMode::Read)?, segment.seed.clone(), segment.read_end());
    let mut gaps = Vec::new();
    find_gaps(&mut scanner, segment.first, bound, &mut |gap| gaps.push(gap)).at("read", &path)?;
    let mut covered = 0;
    for gap in &gaps {
        shared.lose(segment.number, gap.missing.clone(), &gap.pieces, Some(file.as_ref()));
        covered += cover(file.as_ref(), &segment.seed, gap).at("write", &path)?;
    }
    if covered > 0 {
        file.sync().at("sync", &path)?;
    }
    Ok(covered)
}

/// Covers the pieces of a gap; the first of them accounts for the missing records.
fn cover(file: &dyn SpoolFile, seed: &Seed, gap: &Gap) -> std::io::Result<u64> {
    let mut missing = gap.missing.clone();
    let mut covered = 0;
    for piece in &gap.pieces {
        let Some(length) = hole_length(piece) else { continue };
        let count = u32::try_from(missing.end - missing.start).unwrap_or(u32::MAX);
        let hole = Frame::new(Kind::Hole, missing.start, 0).count(count);
        file.write_at(&hole.header_over(seed, length), piece.start)?;
        missing.start = missing.end;
        covered += 1;
    }
    Ok(covered)
}

/// Payload length of a frame over this piece; `None` if it is shorter than a header.
fn hole_length(piece: &Range<u64>) -> Option<u32> {
    let bytes = (piece.end - piece.start) / ALIGN as u64 * ALIGN as u64;
    u32::try_from(bytes.checked_sub(HEADER_BYTES as u64)?).ok()
}
