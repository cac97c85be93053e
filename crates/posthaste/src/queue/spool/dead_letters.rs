//! Dead letters beside the spool: on disk before the event leaves the queue.
//!
//! ```text
//! letter = length:u32 head, record     (little-endian; head: JSON with reason, status, text, time_ms)
//! ```
//!
//! The record is the one that the spool had. Where the disk refuses a letter, the event stays in the queue.

use std::{
    fmt,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use posthaste_spool::{DeadError, DeadLetters, Spool};
use serde::{Deserialize, Serialize};

use super::codec::{SpoolItem, UnreadableRecord};
use crate::{
    outcome::{DeadLetter, DeadReason, Refusal},
    queue::{DeadLetterStore, NotKept, Receipt, Shortage},
};

/// Letters read at once, at most: there may be more of them than memory holds.
const READ_MAX: usize = 10_000;
/// Bytes of letters read at once, at most.
const READ_BYTES_MAX: usize = 64 << 20;
/// Bytes of a page of letters, at most.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// By how much a letter of an event that made room is larger than its record, at most.
const LETTER_EXTRA_BYTES: u64 = 256;

pub(super) struct DiskDeadLetters<T> {
    letters: DeadLetters,
    /// The number of the first letter that this process has added.
    first_own: AtomicU64,
    /// The oldest go where others find no room.
    may_oldest_go: AtomicBool,
    of: PhantomData<fn() -> T>,
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

fn written(head: &Head, record: &[u8]) -> Vec<u8> {
    let head = serde_json::to_vec(head).expect("JSON with text keys, written to memory, cannot fail");
    let length = u32::try_from(head.len()).expect("a head is a few kilobytes at most");
    [&length.to_le_bytes(), &head[..], record].concat()
}

impl Head {
    fn with<T>(self, item: T) -> Option<DeadLetter<T>> {
        let Self { reason, status, text, time_ms } = self;
        Some(DeadLetter::new(item, DeadReason::from_name(&reason)?, time_ms).answered(status, text))
    }
}

impl<T> DiskDeadLetters<T> {
    pub(super) fn new(letters: DeadLetters) -> Self {
        let (first_own, may_oldest_go) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Self { letters, first_own, may_oldest_go, of: PhantomData }
    }

    /// Keeps a record that is no item, and calls `then` once the letter is stored. False: the disk would not take it.
    pub(super) fn keep_unreadable(
        &self,
        sequence: u64,
        record: &[u8],
        reason: &UnreadableRecord,
        then: impl FnOnce() + Send + 'static,
    ) -> bool {
        let reason_name = DeadReason::Unreadable.name().to_owned();
        let head = Head { reason: reason_name, status: None, text: reason.to_string(), time_ms: 0 };
        let kept = self.letters.add(Some(sequence), &written(&head, record), move |stored| {
            if stored.is_ok() {
                then();
            }
        });
        kept.inspect_err(
            |error| tracing::error!(%error, "failed to store a dead letter; its event waits in the queue"),
        )
        .is_ok()
    }

    /// Whether letters about these records, which are those of a segment, are likely to find room.
    pub(super) fn has_room_for(&self, spool: &Spool, records: &Range<u64>) -> bool {
        let letters = records.end.saturating_sub(records.start).saturating_mul(LETTER_EXTRA_BYTES);
        let bytes = spool.segment_bytes().saturating_add(letters);
        self.may_oldest_go.load(SeqCst) || self.letters.has_room_for(bytes)
    }
}

impl<T: SpoolItem> DiskDeadLetters<T> {
    /// The letters on disk with their sequence numbers; those that are no items of this kind are passed over.
    fn read(&self, from: u64, max: usize, bytes_max: usize) -> Found<T> {
        let read = self.letters.list(from, max, bytes_max).unwrap_or_else(|error| {
            tracing::error!(%error, "failed to read the dead letters");
            posthaste_spool::Read::default()
        });
        let next = read.next;
        let is_end = read.records.is_empty();
        let mut context = None;
        let letter = |record: posthaste_spool::Record| {
            let (record_of_item, letter) = split(&record.bytes)?;
            let item = T::from_record(record_of_item, &mut context).ok()?;
            Some((record.sequence, letter.with(item)?))
        };
        Found { letters: read.records.into_iter().filter_map(letter).collect(), next, is_end }
    }
}

/// What one read has found.
struct Found<T> {
    letters: Vec<(u64, DeadLetter<T>)>,
    /// Where to read on, unless this is the end.
    next: u64,
    is_end: bool,
}

fn or_none<R: Default>(result: Result<R, DeadError>) -> R {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "failed to look at the dead letters");
        R::default()
    })
}

fn shortage(error: &DeadError) -> Option<Shortage> {
    use posthaste_spool::Refusal;
    match error {
        DeadError::Refused(Refusal::Blocked(why)) if why.is_full() => Some(Shortage::Lasting),
        DeadError::Refused(why) if why.is_full() => Some(Shortage::Passing),
        _ => None,
    }
}

impl<T: SpoolItem> DeadLetterStore<T> for DiskDeadLetters<T> {
    fn count(&self) -> usize {
        let on_disk = self.letters.len().unwrap_or_else(|error| {
            tracing::error!(%error, "failed to count the dead letters");
            0
        });
        usize::try_from(on_disk).unwrap_or(usize::MAX)
    }

    fn was_found(&self, id: u64) -> bool {
        id < self.first_own.load(SeqCst)
    }

    fn push(&self, letter: DeadLetter<T>, of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let head = Head {
            reason: letter.reason.name().to_owned(),
            status: letter.status,
            text: letter.text.clone(),
            time_ms: letter.time_ms,
        };
        let (told, stored) = tokio::sync::oneshot::channel();
        let then = move |result: Result<u64, posthaste_spool::WriteError>| {
            drop(told.send(result.map(drop).map_err(|error| Refusal::Storage(error.to_string()))));
        };
        match self.letters.add(of, &written(&head, &letter.item.to_record()), then) {
            Err(error) => {
                let shortage = shortage(&error);
                Err(NotKept::new(letter, error.to_string()).short_of_room(shortage))
            }
            Ok(id) => {
                self.first_own.fetch_min(id, SeqCst);
                Ok((id, Receipt::pending(async move { stored.await.unwrap_or(Err(Refusal::Closed)) })))
            }
        }
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        self.read(0, READ_MAX, READ_BYTES_MAX).letters
    }

    fn page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<T>)> {
        let mut from = after.map_or(0, |after| after.saturating_add(1));
        loop {
            let found = self.read(from, max, PAGE_BYTES_MAX);
            if found.is_end || !found.letters.is_empty() {
                return found.letters;
            }
            from = found.next;
        }
    }

    fn bytes(&self) -> u64 {
        or_none(self.letters.bytes())
    }

    fn bytes_max(&self) -> u64 {
        self.letters.bytes_max().unwrap_or(u64::MAX)
    }

    fn forget_oldest(&self) -> usize {
        usize::try_from(or_none(self.letters.remove_oldest())).unwrap_or(usize::MAX)
    }

    fn is_tight(&self, bytes: u64) -> bool {
        or_none(self.letters.is_tight(bytes))
    }

    fn forget_for_room(&self) -> usize {
        usize::try_from(or_none(self.letters.remove_oldest_file())).unwrap_or(usize::MAX)
    }

    fn oldest_may_go(&self) {
        self.may_oldest_go.store(true, SeqCst);
    }

    fn remove(&self, ids: &[u64]) {
        if let Err(error) = self.letters.remove(ids) {
            tracing::error!(%error, "failed to remove dead letters; they will be there again");
        }
    }
}

impl<T> fmt::Debug for DiskDeadLetters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskDeadLetters").finish_non_exhaustive()
    }
}
