//! `posthaste spool`: a look into a spool, and what can be done about what is in it.
//!
//! `status`, `cat`, `verify` and `dead` only look, and work while a process owns the spool; the others need it for
//! themselves, and say who has it.

mod limits;
mod position;

use std::path::Path;

use posthaste::{LogEvent, SpoolQueue};

pub(crate) use self::{
    limits::{DEFAULT_SIZE, commit_bytes_max, request_bytes_max, size},
    position::Position,
};
use crate::exit::Failure;

/// Opens a spool as a queue of requests.
pub(crate) fn open_queue(dir: &Path, size: u64) -> Result<SpoolQueue<LogEvent>, Failure> {
    SpoolQueue::open(dir, limits::options(size))
        .map_err(|source| Failure::Spool { dir: dir.to_owned(), source })
}
