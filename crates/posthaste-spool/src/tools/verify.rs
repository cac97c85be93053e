//! Checks every checksum of a spool and tells each thing that is wrong, changing nothing.

use std::{io, ops::Range, path::PathBuf};

use thiserror::Error;

use crate::{
    cursor,
    error::{At, DiskError},
    filesystem::OpenMode,
    frame::{Frame, Kind},
    inspect::Inspection,
    scan::{Item, Scanner},
    segment,
    shared::Segment,
};

/// Something that is wrong with a spool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} at {offset}: {kind}", file.display())]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The record, as far as it is known.
    pub sequence: Option<u64>,
    /// What.
    pub kind: ProblemKind,
}

/// What can be wrong with a spool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProblemKind {
    /// One copy of a segment's header; the other serves, and opening the spool heals it.
    #[error("one copy of the segment's header is damaged")]
    HeaderCopy,
    /// Both copies of a segment's header: its records are lost.
    #[error("the segment's header is damaged, its records cannot be read")]
    Header,
    /// A slot of the cursor; the other serves, and some records may come again.
    #[error("a slot of the cursor is damaged")]
    CursorSlot,
    /// A checksum does not match.
    #[error("{bytes} bytes are damaged")]
    Damaged {
        /// How many bytes it concerns.
        bytes: u64,
    },
    /// Records that should be here are not.
    #[error("{count} records are missing")]
    Missing {
        /// How many.
        count: u64,
    },
    /// A write that was cut off, or is going on; opening the spool cuts it.
    #[error("{bytes} bytes of an unfinished write")]
    Unfinished {
        /// How many bytes.
        bytes: u64,
    },
}

impl Inspection {
    /// Reads everything and lists what is wrong. An empty list means that every unacknowledged record is sound.
    pub fn verify(&self) -> Result<Vec<Problem>, DiskError> {
        let mut problems = self.files_in_bad_shape();
        let segments: Vec<(Segment, u64)> = {
            let state = self.shared.state.lock();
            let bounds = (0..state.segments.len()).map(|index| state.bound(index));
            state.segments.iter().cloned().zip(bounds).collect()
        };
        for (segment, bound) in segments {
            self.verify_segment(&segment, bound, &mut problems)?;
        }
        if let (Some(tail), Some(last)) = (&self.survey.tail, self.survey.segments.last()) {
            let file = PathBuf::from(segment::name(last.header.number));
            problems.extend(tail.torn.iter().map(|piece| Problem {
                file: file.clone(),
                offset: piece.start,
                sequence: None,
                kind: ProblemKind::Unfinished { bytes: piece.end - piece.start },
            }));
        }
        Ok(problems)
    }

    fn files_in_bad_shape(&self) -> Vec<Problem> {
        let problem = |file: String, kind| Problem { file: file.into(), offset: 0, sequence: None, kind };
        let unreadable = self.survey.unreadable.iter();
        let mut problems: Vec<_> =
            unreadable.map(|name| problem(name.clone(), ProblemKind::Header)).collect();
        for segment in self.survey.segments.iter().filter(|segment| segment.healable) {
            problems.push(problem(segment::name(segment.header.number), ProblemKind::HeaderCopy));
        }
        for _ in 0..self.survey.cursor_damage {
            problems.push(problem(cursor::NAME.into(), ProblemKind::CursorSlot));
        }
        problems
    }

    fn verify_segment(
        &self,
        segment: &Segment,
        bound: u64,
        problems: &mut Vec<Problem>,
    ) -> Result<(), DiskError> {
        let path = self.shared.segment_path(segment.number);
        let file = match self.shared.open(&path, OpenMode::Read) {
            // Its owner has recycled it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut scanner = Scanner::new(file, segment.seed.clone(), segment.read_end());
        let mut report = |gap: Gap| {
            if self.shared.has_moved_on(segment.number) {
                return;
            }
            let name = PathBuf::from(segment::name(segment.number));
            for piece in &gap.pieces {
                problems.push(Problem {
                    file: name.clone(),
                    offset: piece.start,
                    sequence: (!gap.missing.is_empty()).then_some(gap.missing.start),
                    kind: ProblemKind::Damaged { bytes: piece.end - piece.start },
                });
            }
            let settled = self.shared.state.lock().acks.contains(gap.missing.start);
            if gap.pieces.is_empty() && !settled {
                let count = gap.missing.end - gap.missing.start;
                let kind = ProblemKind::Missing { count };
                problems.push(Problem {
                    file: name,
                    offset: gap.offset,
                    sequence: Some(gap.missing.start),
                    kind,
                });
            }
        };
        find_gaps(&mut scanner, segment.first, bound, &mut report).at("read", &path)
    }
}

/// A place where a segment is damaged, or records are missing.
#[derive(Debug)]
pub(crate) struct Gap {
    /// Where the next sound frame is, or the end.
    pub(crate) offset: u64,
    pub(crate) pieces: Vec<Range<u64>>,
    pub(crate) missing: Range<u64>,
}

/// Walks a whole segment and reports each gap up to the record `bound`.
pub(crate) fn find_gaps(
    scanner: &mut Scanner,
    first: u64,
    bound: u64,
    report: &mut dyn FnMut(Gap),
) -> std::io::Result<()> {
    let mut expected = first;
    let mut pieces: Vec<Range<u64>> = Vec::new();
    while expected < bound {
        let Some(item) = scanner.next()? else {
            let rest = scanner.rest();
            let offset = rest.end;
            pieces.extend((!rest.is_empty()).then_some(rest));
            report(Gap { offset, pieces, missing: expected..bound });
            return Ok(());
        };
        let (offset, frame) = match item {
            Item::Damage { range, .. } => {
                pieces.push(range);
                continue;
            }
            Item::Frame { offset, frame } => (offset, frame),
        };
        let Some((from, to)) = covers(&frame) else { continue };
        let missing = expected..from.min(bound).max(expected);
        if !pieces.is_empty() || !missing.is_empty() {
            report(Gap { offset, pieces: std::mem::take(&mut pieces), missing });
        }
        expected = expected.max(to);
    }
    Ok(())
}

/// The records that a frame accounts for, from and to.
fn covers(frame: &Frame) -> Option<(u64, u64)> {
    match frame.kind {
        Kind::Record | Kind::Member => Some((frame.sequence, frame.sequence.saturating_add(1))),
        Kind::Hole if frame.count > 0 => {
            Some((frame.sequence, frame.sequence.saturating_add(u64::from(frame.count))))
        }
        _ => None,
    }
}
