//! Reads everything in a spool, and tells each thing that is wrong, changing nothing.
//!
//! What is lost is counted by the same walk, and settled by the same rule, as when the owner reads: so every tool tells
//! the same number. Only what is not settled is judged: what was acknowledged, or lost and counted before, is nobody's
//! concern.

use std::{io, ops::Range, path::PathBuf};

use thiserror::Error;

use super::{Inspection, inspect::LOOKS_MAX};
use crate::{
    error::{At, DiskError},
    filesystem::OpenMode,
    format::{
        cursor,
        walk::{End, Gap, Item, Walker},
    },
    log::{Log, Segment},
};

/// Something that is wrong with a spool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} at {offset}: {kind}", file.display())]
#[non_exhaustive]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The first record that it concerns, as far as it is known.
    pub sequence: Option<u64>,
    /// What.
    pub kind: ProblemKind,
}

/// What can be wrong with a spool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Records that were stored are gone.
    #[error("{lost} lost; {}", damaged(*bytes))]
    Lost {
        /// How many records.
        lost: u64,
        /// How many bytes are there instead of them.
        bytes: u64,
    },
    /// Records that the disk would not hand out just now; another try may.
    #[error("{records} unreadable: the disk would not hand them out")]
    Unreadable {
        /// How many records.
        records: u64,
    },
    /// Damage that cost no record.
    #[error("{}, which cost no record", damaged(*bytes))]
    Damaged {
        /// How many bytes.
        bytes: u64,
    },
    /// A segment's header, which is not needed.
    #[error("the segment's header is damaged, which cost no record")]
    Header,
    /// A slot of the cursor; another serves.
    #[error("a slot of the cursor is damaged, which cost no record")]
    CursorSlot,
    /// The cursor, so that everything that is there comes again.
    #[error("the cursor is not used, because {0}: everything that is there comes again")]
    Cursor(&'static str),
    /// A file that is not this spool's, or not in its place; the next owner moves it aside.
    #[error("the segment is not this spool's, or not in its place")]
    Foreign,
    /// A write that was cut off; nobody was told that it had been finished.
    #[error("{} of an unfinished write", counted(*bytes))]
    Unfinished {
        /// How many bytes.
        bytes: u64,
    },
}

fn counted(bytes: u64) -> String {
    format!("{bytes} {}", if bytes == 1 { "byte" } else { "bytes" })
}

fn damaged(bytes: u64) -> String {
    format!("{} {} damaged", counted(bytes), if bytes == 1 { "is" } else { "are" })
}

impl ProblemKind {
    /// Whether it keeps stored records from being delivered.
    pub fn costs_records(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unreadable { .. })
    }
}

/// What a look at everything has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Each thing that is wrong.
    pub problems: Vec<Problem>,
    /// Records lost, those that were counted before included.
    pub lost: u64,
    /// Of those, records that an earlier owner, or a repair, had counted and settled.
    pub lost_before: u64,
    /// Records that could not be read just now.
    pub unreadable: u64,
}

impl Inspection {
    /// Reads everything and lists what is wrong. `progress` is told how many bytes have been read, of how many.
    pub fn check(&mut self, mut progress: impl FnMut(u64, u64)) -> Result<Check, DiskError> {
        let mut check = self.check_once(&mut progress)?;
        // An owner that came meanwhile has put things elsewhere.
        for _ in 0..LOOKS_MAX {
            if !self.look_anew() {
                break;
            }
            check = self.check_once(&mut progress)?;
        }
        Ok(check)
    }

    fn check_once(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Check, DiskError> {
        let mut problems = self.files_in_bad_shape();
        let segments = self.log.bounded_segments();
        let total: u64 = segments.iter().map(|(segment, _)| segment.bytes).sum();
        let (mut done, mut unreadable) = (0, 0);
        for (segment, bound) in &segments {
            for gap in self.log.gaps(segment, *bound)? {
                problems.extend(problem(&self.log, segment, &gap));
                if gap.is_unreadable {
                    unreadable += self.log.state.lock().acks.unsettled_in(gap.missing);
                } else {
                    self.log.lose(segment.number, &gap.missing, gap.pieces.len());
                }
            }
            done += segment.bytes;
            progress(done, total);
        }
        if !self.is_owned() {
            problems.extend(self.unfinished());
        }
        let counters = self.log.stats().counters;
        Ok(Check { problems, lost: counters.lost_records, lost_before: counters.lost_before, unreadable })
    }

    fn files_in_bad_shape(&self) -> Vec<Problem> {
        let problem = |file: &str, kind| Problem { file: file.into(), offset: 0, sequence: None, kind };
        let mut problems = Vec::new();
        problems.extend(self.survey.foreign.iter().map(|name| problem(name, ProblemKind::Foreign)));
        problems.extend(self.survey.damaged_headers.iter().map(|name| problem(name, ProblemKind::Header)));
        problems.extend(self.survey.disbelief.map(|why| problem(cursor::NAME, ProblemKind::Cursor(why))));
        // Beside an owner, a slot may be being written.
        let slots = if self.is_owned() { 0 } else { self.survey.damaged_slots };
        problems.extend((0..slots).map(|_| problem(cursor::NAME, ProblemKind::CursorSlot)));
        if !self.is_owned() {
            let settled = self.survey.acks();
            for missing in self.survey.missing() {
                let lost = settled.unsettled_in(missing.clone());
                if lost == 0 {
                    continue;
                }
                let kind = ProblemKind::Lost { lost, bytes: 0 };
                problems.push(Problem { sequence: Some(missing.start), ..problem(".", kind) });
            }
        }
        problems
    }

    fn unfinished(&self) -> Vec<Problem> {
        let Some(last) = self.survey.segments.last() else { return Vec::new() };
        let problem = |piece: &Range<u64>| Problem {
            file: last.name().into(),
            offset: piece.start,
            sequence: None,
            kind: ProblemKind::Unfinished { bytes: piece.end - piece.start },
        };
        self.survey.unfinished().map(problem).collect()
    }
}

/// What a gap is for those who look, or nothing, where all of it is settled.
fn problem(log: &Log, segment: &Segment, gap: &Gap) -> Option<Problem> {
    if !gap.missing.is_empty() {
        log.look_again();
    }
    let records = log.state.lock().acks.unsettled_in(gap.missing.clone());
    let bytes = gap.pieces.iter().map(|piece| piece.end - piece.start).sum();
    let kind = match (gap.missing.is_empty(), records, gap.is_unreadable) {
        (true, _, _) => ProblemKind::Damaged { bytes },
        (false, 0, _) => return None,
        (false, records, true) => ProblemKind::Unreadable { records },
        (false, lost, false) => ProblemKind::Lost { lost, bytes },
    };
    let offset = gap.pieces.first().map_or(gap.offset, |piece| piece.start);
    let sequence = (!gap.missing.is_empty()).then_some(gap.missing.start);
    Some(Problem { file: segment.name().into(), offset, sequence, kind })
}

impl Log {
    /// The segments, each with the number at which it stops to count.
    pub(crate) fn bounded_segments(&self) -> Vec<(Segment, u64)> {
        let state = self.state.lock();
        let bounds = (0..state.segments.len()).map(|index| state.bound(index));
        state.segments.iter().cloned().zip(bounds).collect()
    }

    /// Everything in a segment that is not as it should be. A segment that is gone is one gap.
    pub(crate) fn gaps(&self, segment: &Segment, bound: u64) -> Result<Vec<Gap>, DiskError> {
        let name = segment.name();
        let records = segment.first..bound;
        let file = match self.folder.open(&name, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(vec![Gap {
                    missing: records,
                    pieces: Vec::new(),
                    is_unreadable: false,
                    is_scrap: false,
                    offset: 0,
                }]);
            }
            file => file.at("open", &self.path(&name))?,
        };
        let walker = Walker::new(file, self.home(segment.number), records, End::Known);
        let mut walker = walker.at("measure", &self.path(&name))?;
        let mut gaps = Vec::new();
        while let Some(item) = walker.next() {
            if let Item::Gap(gap) = item {
                gaps.push(gap);
            }
        }
        Ok(gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_reads_as_one() {
        for (kind, text) in [
            (ProblemKind::Lost { lost: 1, bytes: 1 }, "1 lost; 1 byte is damaged"),
            (ProblemKind::Damaged { bytes: 2 }, "2 bytes are damaged, which cost no record"),
            (ProblemKind::Unfinished { bytes: 1 }, "1 byte of an unfinished write"),
        ] {
            assert_eq!(kind.to_string(), text);
        }
    }
}
