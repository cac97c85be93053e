//! Dead letters beside the spool: on disk before the event leaves the queue.
//!
//! ```text
//! letter = length:u32 head, record     (little-endian; head: JSON with reason, status, text, time_ms)
//! ```
//!
//! The record is the one that the spool had. Where the disk refuses a letter, it is kept in memory, loudly.

use std::{fmt, sync::Arc};

use posthaste_spool::Spool;
use serde::{Deserialize, Serialize};

use super::codec::{SpoolItem, UnreadableRecord};
use crate::outcome::{DEFAULT_DEAD_LETTERS_MAX, DeadLetter, DeadLetterStore, DeadLetters, DeadReason};

/// Letters read at once, at most: there may be more of them than memory holds.
const READ_MAX: usize = 10_000;
/// Bytes of letters read at once, at most.
const READ_BYTES_MAX: usize = 64 << 20;

/// Set in the ids of letters that the disk would not take; sequence numbers never get that far.
const IN_MEMORY: u64 = 1 << 63;

pub(super) struct DiskDeadLetters<T> {
    spool: Arc<Spool>,
    /// What the disk would not take.
    in_memory: DeadLetters<T>,
}

/// What is said of the event.
#[derive(Serialize, Deserialize)]
struct Head {
    reason: String,
    status: Option<u16>,
    text: String,
    time_ms: i64,
}

/// Reads a letter as the spool's folder of dead letters holds it, and the record of its item: for whoever looks into a
/// spool without a queue over it. `None` where either cannot be read.
pub fn read_dead_letter<T: SpoolItem>(letter: &[u8]) -> Option<(DeadLetter<T>, &[u8])> {
    let (record, head) = split(letter)?;
    Some((head.with(T::from_record(record, &mut None).ok()?)?, record))
}

fn split(letter: &[u8]) -> Option<(&[u8], Head)> {
    let (length, rest) = letter.split_first_chunk::<4>()?;
    let (head, record) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((record, serde_json::from_slice(head).ok()?))
}

impl Head {
    fn with<T>(self, item: T) -> Option<DeadLetter<T>> {
        let Self { reason, status, text, time_ms } = self;
        Some(DeadLetter { item, reason: DeadReason::from_name(&reason)?, status, text, time_ms })
    }
}

impl<T> DiskDeadLetters<T> {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, in_memory: DeadLetters::new(DEFAULT_DEAD_LETTERS_MAX) }
    }

    /// Keeps a record that is no item. False: the disk would not take it.
    pub(super) fn keep_unreadable(&self, record: &[u8], reason: &UnreadableRecord) -> bool {
        let reason_name = DeadReason::Unreadable.name().to_owned();
        let head = Head { reason: reason_name, status: None, text: reason.to_string(), time_ms: 0 };
        self.write(&head, record)
    }

    fn write(&self, head: &Head, record: &[u8]) -> bool {
        let head = serde_json::to_vec(head).expect("JSON with text keys, written to memory, cannot fail");
        let length = u32::try_from(head.len()).expect("a head is a few kilobytes at most");
        let letter = [&length.to_le_bytes(), &head[..], record].concat();
        match self.spool.dead().add(letter) {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%error, "cannot write a dead letter");
                false
            }
        }
    }
}

impl<T: SpoolItem> DiskDeadLetters<T> {
    /// The letters on disk with their sequence numbers; those that are no items of this kind are passed over.
    fn read(&self) -> Vec<(u64, DeadLetter<T>)> {
        let records = self.spool.dead().list(0, READ_MAX, READ_BYTES_MAX).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the dead letters");
            Vec::new()
        });
        let mut context = None;
        let letter = |record: posthaste_spool::Record| {
            let (record_of_item, letter) = split(&record.bytes)?;
            let item = T::from_record(record_of_item, &mut context).ok()?;
            Some((record.sequence, letter.with(item)?))
        };
        records.into_iter().filter_map(letter).collect()
    }
}

impl<T: SpoolItem> DeadLetterStore<T> for DiskDeadLetters<T> {
    fn count(&self) -> usize {
        let on_disk = self.spool.dead().len().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot count the dead letters");
            0
        });
        usize::try_from(on_disk).unwrap_or(usize::MAX) + self.in_memory.count()
    }

    fn push(&self, letter: DeadLetter<T>) {
        let head = Head {
            reason: letter.reason.name().to_owned(),
            status: letter.status,
            text: letter.text.clone(),
            time_ms: letter.time_ms,
        };
        if !self.write(&head, &letter.item.to_record()) {
            self.in_memory.push(letter);
        }
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        let in_memory = self.in_memory.list().into_iter().map(|(id, letter)| (id | IN_MEMORY, letter));
        self.read().into_iter().chain(in_memory).collect()
    }

    fn remove(&self, ids: &[u64]) {
        let (in_memory, on_disk): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| *id & IN_MEMORY != 0);
        self.in_memory.remove(&in_memory.into_iter().map(|id| id & !IN_MEMORY).collect::<Vec<_>>());
        if let Err(error) = self.spool.dead().remove(&on_disk) {
            tracing::error!(%error, "cannot write down that dead letters were taken; they will be there again");
        }
    }
}

impl<T> fmt::Debug for DiskDeadLetters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskDeadLetters").finish_non_exhaustive()
    }
}
