//! What all of the commands do: look at a spool that is there, and read its records.

use std::path::Path;

use posthaste::{
    DeadLetter, LogEvent, UserEvent,
    queue::{SpoolItem, UnreadableRecord, read_dead_letter},
};
use posthaste_spool::{Inspection, inspect};

use super::opening;
use crate::exit::Failure;

/// Every spool has one.
const LOCK: &str = "lock";

/// Looks at the spool in a folder, which has to be one.
pub(super) fn look(dir: &Path) -> Result<Inspection, Failure> {
    if !dir.join(LOCK).exists() {
        return Err(Failure::Refused(format!("there is no spool in {}; check the path", dir.display())));
    }
    inspect(dir).map_err(|source| opening(dir, source))
}

/// The process that owns the spool now. Asking takes the lock for a moment, shared.
pub(super) fn owner(dir: &Path, last: Option<u32>) -> Option<u32> {
    let lock = std::fs::File::open(dir.join(LOCK)).ok()?;
    match lock.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => last,
        _ => None,
    }
}

/// A record as a request. Of a program that keeps single events, the event alone.
pub(super) fn request(record: &[u8]) -> Result<LogEvent, UnreadableRecord> {
    if holds_an_event(record) {
        let event = UserEvent::from_record(record, &mut None)?;
        return Ok(of_event(&event));
    }
    LogEvent::from_record(record, &mut None)
}

/// Whether a record is one of a program that keeps single events.
pub(super) fn holds_an_event(record: &[u8]) -> bool {
    record.first() == Some(&b'E')
}

/// A dead letter as a request, and the record that it was.
pub(super) fn letter(letter: &[u8]) -> Option<(DeadLetter<LogEvent>, &[u8])> {
    read_dead_letter::<LogEvent>(letter).or_else(|| {
        let (of, record) = read_dead_letter::<UserEvent>(letter)?;
        let DeadLetter { item, reason, status, text, time_ms } = of;
        Some((DeadLetter { item: of_event(&item), reason, status, text, time_ms }, record))
    })
}

fn of_event(event: &UserEvent) -> LogEvent {
    LogEvent::of_event(event.context().region.event_end_point(), event)
}
