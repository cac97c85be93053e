//! The lines that `send` reads, `validate` checks, and dead-letter and leftover files are made of.
//!
//! ```text
//! bytes ─ reader ─▶ one line ─ text ─ parse ─▶ Line::Event ─ EventMaker ─▶ UserEvent ─ write ─▶ one line again
//!                                         └──▶ Line::Batch (a request body, judged, and passed on as it is)
//! ```

mod fault;
mod make;
mod metadata;
mod parse;
mod reader;
mod write;

pub(crate) use fault::{Fault, Told};
pub(crate) use make::EventMaker;
pub(crate) use parse::{EventLine, Kind, Line, parse, text};
pub(crate) use reader::{LineReader, Size};
pub(crate) use write::{dead_batch_line, dead_event_line, event_line};

/// Bytes that a line may have, unless told otherwise: a full request of the Event API (3.5 MB), and room to wrap it.
pub(crate) const LINE_BYTES_MAX: usize = 4_000_000;

/// Bytes that a request may have, unless told otherwise: what the Event API takes.
pub(crate) const REQUEST_BYTES_MAX: usize = 3_500_000;

/// What some editors put before a text.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line without the one mark that may stand before it, in whichever line of an input: files are put together.
pub(crate) fn unmarked(line: &[u8]) -> &[u8] {
    line.strip_prefix(MARK).unwrap_or(line)
}

/// Whether there is nothing in a line to be read.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    unmarked(line).trim_ascii().is_empty()
}
