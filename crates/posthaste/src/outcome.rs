//! What can become of an event, each reason named once; the ledger that counts them; the dead letters that keep them.
//!
//! ```text
//! process_event ─ refused ─▶ the caller has it back, with a Refusal
//!       │
//!    accepted ─▶ queued ─▶ delivered
//!                   └────▶ dead-lettered, with a DeadReason
//! ```
//!
//! At every moment `accepted = delivered + dead_lettered + queued`.

use std::{
    collections::VecDeque,
    fmt,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use parking_lot::Mutex;

use crate::{metrics, queue::Receipt};

/// Why an event or a request was not accepted. The caller has it back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The queue holds as many as it may.
    #[error(
        "queue is full: it holds the {capacity} items that it may; offer it again later, or raise queue_size"
    )]
    QueueFull {
        /// How many items the queue may hold.
        capacity: usize,
    },
    /// The processor or dispatcher has been closed.
    #[error("closed: no events are taken any more")]
    Closed,
    /// The event alone is larger than a request may be.
    #[error(
        "too large: the event takes {bytes} bytes and a request may have {bytes_max}; send fewer or shorter tags"
    )]
    TooLarge {
        /// Bytes that a request with this event alone takes.
        bytes: usize,
        /// Bytes that a request may have (`max_batch_bytes`).
        bytes_max: usize,
    },
    /// The API would throw the event away.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// The queue on disk has no room, or its disk is full.
    #[error("no room to store it: {0}")]
    StorageFull(String),
    /// The queue could not store it.
    #[error("not stored: {0}")]
    Storage(String),
}

impl Refusal {
    /// Whether there may be room later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::QueueFull { .. } | Self::StorageFull(_))
    }

    /// The reason's name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::Closed => "closed",
            Self::TooLarge { .. } => "too_large",
            Self::Invalid(_) => "invalid",
            Self::StorageFull(_) => "storage_full",
            Self::Storage(_) => "storage",
        }
    }
}

/// Why an accepted event will not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// The API refused this event, alone in its request (400, 422).
    Rejected,
    /// The API says that this event alone is too large (413).
    TooLarge,
    /// A newer event took its place in a full queue ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
    Displaced,
    /// The program took it back out of the queue (`remove`).
    Withdrawn,
    /// It is in the queue on disk, but this version cannot read it; it is kept as it is.
    Unreadable,
    /// It was stored, and the disk has lost it. It is counted, and there is no letter.
    Lost,
    /// It was taken, and the process gave up waiting for its disk, at the end. The disk may still store it: then whoever
    /// opens the queue next delivers it.
    NotStored,
}

impl DeadReason {
    const ALL: [Self; 7] = [
        Self::Rejected,
        Self::TooLarge,
        Self::Displaced,
        Self::Withdrawn,
        Self::Unreadable,
        Self::Lost,
        Self::NotStored,
    ];

    /// The reason of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The reason's name in metrics and in dead-letter files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::TooLarge => "too_large",
            Self::Displaced => "displaced",
            Self::Withdrawn => "withdrawn",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
            Self::NotStored => "not_stored",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An accepted event that will not be delivered, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter<T> {
    /// The event, or the request of a single event.
    pub item: T,
    /// Why it is here.
    pub reason: DeadReason,
    /// The status of the API's last answer, where there was one.
    pub status: Option<u16>,
    /// The beginning of the API's last answer; empty where there was none.
    pub text: String,
    /// When it came here: milliseconds since 1970, UTC.
    pub time_ms: i64,
}

/// How many events there have been, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Events taken.
    pub accepted: u64,
    /// Events that the API has confirmed.
    pub delivered: u64,
    /// Events that will not be delivered, each with a [`DeadReason`].
    pub dead_lettered: u64,
    /// Events that have not come to an end yet.
    pub queued: u64,
    /// Events that were never taken; callers have them back. No part of the balance.
    pub refused: u64,
}

impl Ledger {
    /// Whether every accepted event is accounted for.
    pub fn balances(&self) -> bool {
        self.accepted == self.delivered + self.dead_lettered + self.queued
    }
}

impl std::ops::Add for Ledger {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            delivered: self.delivered + other.delivered,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            queued: self.queued + other.queued,
            refused: self.refused + other.refused,
        }
    }
}

/// The ledger's counters. What is queued follows from them; tests hold it against what the queue holds.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Never goes down.
    accepted: AtomicU64,
    refused: AtomicU64,
    /// What became of accepted events. Together under one lock, so that a snapshot never sees half of a change.
    ended: Mutex<Ended>,
    /// What queues buried on threads of their own, for the delivery thread to publish.
    unpublished: Mutex<Vec<(u64, DeadReason)>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    delivered: u64,
    dead_lettered: u64,
}

impl Counters {
    /// What an earlier process left. Each item counts as one event until it has been looked at.
    pub(crate) fn recover(&self, queued: usize, dead: usize) {
        self.accept(queued + dead);
        self.ended.lock().dead_lettered += dead as u64;
    }

    /// Counted once an event is in the queue, so that one which is being refused never shows.
    pub(crate) fn accept(&self, events: usize) {
        self.accepted.fetch_add(events as u64, SeqCst);
    }

    pub(crate) fn refuse(&self, events: usize, refusal: &Refusal) {
        self.refused.fetch_add(events as u64, SeqCst);
        ::metrics::counter!(metrics::REFUSED, "reason" => refusal.name()).increment(events as u64);
    }

    pub(crate) fn deliver(&self, events: usize) {
        self.ended.lock().delivered += events as u64;
        ::metrics::counter!(metrics::DELIVERED).increment(events as u64);
    }

    pub(crate) fn bury(&self, events: usize, reason: DeadReason) {
        self.ended.lock().dead_lettered += events as u64;
        ::metrics::counter!(metrics::DEAD_LETTERED, "reason" => reason.name()).increment(events as u64);
    }

    /// The same on a queue's own thread; [`publish`](Self::publish) makes a metric of it.
    pub(crate) fn bury_elsewhere(&self, events: usize, reason: DeadReason) {
        self.ended.lock().dead_lettered += events as u64;
        self.unpublished.lock().push((events as u64, reason));
    }

    pub(crate) fn publish(&self) {
        for (events, reason) in std::mem::take(&mut *self.unpublished.lock()) {
            ::metrics::counter!(metrics::DEAD_LETTERED, "reason" => reason.name()).increment(events);
        }
    }

    /// An item that an earlier process left, counted as one event so far, has been looked at.
    pub(crate) fn recovered_item_has(&self, events: usize) {
        self.accept(events.saturating_sub(1));
    }

    /// A dead letter has been taken back into the queue. One that an earlier process left counted as one event.
    pub(crate) fn revive(&self, events: usize) {
        let mut ended = self.ended.lock();
        let known = ended.dead_lettered.min(events as u64);
        self.accepted.fetch_add(events as u64 - known, SeqCst);
        ended.dead_lettered -= known;
        drop(ended);
        ::metrics::counter!(metrics::REPLAYED).increment(events as u64);
    }

    pub(crate) fn snapshot(&self) -> Ledger {
        let ended = self.ended.lock();
        // An event may end before whoever offered it has been told that it was accepted.
        let accepted = self.accepted.load(SeqCst).max(ended.delivered + ended.dead_lettered);
        let queued = accepted - ended.delivered - ended.dead_lettered;
        let refused = self.refused.load(SeqCst);
        Ledger { accepted, delivered: ended.delivered, dead_lettered: ended.dead_lettered, queued, refused }
    }
}

/// Where dead letters are kept, oldest first.
pub trait DeadLetterStore<T>: fmt::Debug + Send + Sync {
    /// How many are kept.
    fn count(&self) -> usize;

    /// Keeps one more. `of` is the queue's id of the item, where the letter is about the whole of it. The receipt resolves
    /// once the letter is kept; until then, and where it is handed back, its item stays in the queue.
    fn push(&self, letter: DeadLetter<T>, of: Option<u64>) -> Result<Receipt, NotKept<T>>;

    /// The oldest that are kept, as many as may be in memory at once, each with the id that [`remove`](Self::remove) knows
    /// it by.
    fn list(&self) -> Vec<(u64, DeadLetter<T>)>;

    /// Keeps these no longer.
    fn remove(&self, ids: &[u64]);
}

/// A dead letter that could not be kept, handed back with the reason.
#[derive(Debug, thiserror::Error)]
#[error("a dead letter could not be kept: {reason}")]
pub struct NotKept<T> {
    /// The letter.
    pub letter: DeadLetter<T>,
    /// Why not.
    pub reason: String,
}

/// How many dead letters are kept in memory, unless told otherwise.
pub const DEFAULT_DEAD_LETTERS_MAX: usize = 1_000;

/// The last dead letters, in memory, oldest first. One too many pushes out the oldest, which stays counted.
#[derive(Debug)]
pub(crate) struct DeadLetters<T> {
    kept: Mutex<Kept<T>>,
    max: usize,
}

#[derive(Debug)]
struct Kept<T> {
    letters: VecDeque<(u64, DeadLetter<T>)>,
    last_id: u64,
}

impl<T> DeadLetters<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: Mutex::new(Kept { letters: VecDeque::new(), last_id: 0 }), max }
    }
}

impl<T: Clone + fmt::Debug + Send + Sync> DeadLetterStore<T> for DeadLetters<T> {
    fn count(&self) -> usize {
        self.kept.lock().letters.len()
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        self.kept.lock().letters.iter().cloned().collect()
    }

    fn remove(&self, ids: &[u64]) {
        self.kept.lock().letters.retain(|(id, _)| !ids.contains(id));
    }

    fn push(&self, letter: DeadLetter<T>, _of: Option<u64>) -> Result<Receipt, NotKept<T>> {
        if self.max == 0 {
            return Ok(Receipt::stored());
        }
        let mut kept = self.kept.lock();
        if kept.letters.len() >= self.max {
            kept.letters.pop_front();
            ::metrics::counter!(metrics::DEAD_LETTERS_FORGOTTEN).increment(1);
        }
        kept.last_id += 1;
        let id = kept.last_id;
        kept.letters.push_back((id, letter));
        Ok(Receipt::stored())
    }
}
