//! What lines come from: a stream, read once, or a file, whose place is known and which may be growing; and how far an
//! input has been read into a spool.
//!
//! ```text
//! open      opens it; with --spool by way of resume, which finds where the last run ended
//! names     what inputs are called, and how one is opened
//! source    what there is to read, opened, and where reading begins
//! position    how far an input was read, as a spool stores it
//! step      what comes next of it
//! packed    compressed inputs, told by how they begin
//! stream    standard input, a pipe, a file without --spool, a compressed file: read until it ends
//! several   several files, or a compressed one, with --spool: in which of them the last run ended
//! tail      a file with --spool: whole lines only; with --follow also what is added, and the files that come after it
//!   line_file   hands out whole lines, and notices that a file is no longer what was read
//!   family      the file at the path and those that were rotated away
//!   place       what a file is told by
//! ```

mod family;
mod line_file;
mod names;
mod open;
mod packed;
mod place;
mod position;
mod resume;
mod several;
mod source;
mod step;
mod stream;
mod tail;

pub(crate) use self::{
    names::{is_standard, name, unpacked, unpacked_file},
    open::{open, terminal_note},
    packed::is_broken,
    position::Position,
    source::{Input, Source, Wanted},
    step::Step,
    tail::Way,
};
