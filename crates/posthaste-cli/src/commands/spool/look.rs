//! What all of the commands do: look at a spool that is there, read its records, and close it.

use std::{path::Path, time::Duration};

use posthaste::{
    DeadLetter, LogEvent, UserEvent,
    queue::{SpoolItem, UnreadableRecord, read_dead_letter},
};
use posthaste_spool::{Inspection, Spool, SpoolReceipt, WriteError, inspect};

use crate::common::{
    exit::{Exit, Failure},
    output::{self, Audience, Output},
};

/// How long a command waits for records to be stored, beyond what a stalled disk may take.
const STORED_WITHIN: Duration = Duration::from_secs(15);
/// How long a command waits for a disk that takes its time.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// Looks at the spool in a folder, which has to be one.
pub(super) fn look(dir: &Path) -> Result<Inspection, Failure> {
    Ok(inspect(dir)?)
}

/// Tells what could not be written out, and how that ends the command.
pub(super) fn told(lost: u64, unreadable: u64, what: &str) -> Exit {
    let Some(losses) = output::losses(lost, unreadable) else { return Exit::Fine };
    Output::new(Audience::People).note(format_args!("posthaste: not all {what} are there: {losses}"));
    Exit::Failed
}

/// Records that this look has found lost, and nobody before.
pub(super) fn newly_lost(found: &Inspection) -> u64 {
    let counters = found.status().stats.counters;
    counters.lost_records - counters.lost_before
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
        let letter = DeadLetter::new(of_event(&of.item), of.reason, of.time_ms);
        Some((letter.answered(of.status, of.text), record))
    })
}

fn of_event(event: &UserEvent) -> LogEvent {
    LogEvent::of_event(event.context().region().event_end_point(), event)
}

/// Waits until the disk has it, or for long enough.
pub(super) fn stored(spool: &Spool, receipt: SpoolReceipt) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let stored = runtime.block_on(async { tokio::time::timeout(STORED_WITHIN, receipt).await });
    stored.map_err(|_| give_up(spool, WriteError::GivenUp))?.map(drop).map_err(Failure::Store)
}

/// Writes everything down, or says why not.
pub(super) fn close(spool: &Spool) -> Result<(), Failure> {
    spool.close(CLOSE_WITHIN).map_err(|error| give_up(spool, error))
}

/// Nobody waits once more.
fn give_up(spool: &Spool, error: WriteError) -> Failure {
    spool.give_up();
    Failure::Store(error)
}
