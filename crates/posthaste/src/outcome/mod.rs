//! What can become of an event: each reason named once, the ledger, and the reports. Plain data, below everything that
//! makes it.
//!
//! ```text
//! process_event ─ refused ─▶ the caller has it back, with a Refusal
//!       │
//!    accepted ─▶ queued ─▶ delivered
//!                   └────▶ dead-lettered, with a DeadReason
//! ```
//!
//! At every moment `accepted = delivered + dead_lettered + queued`.

mod breakdown;
mod dead_letter;
mod health;
mod ledger;
mod pulse;
mod report;

use std::fmt;

pub use breakdown::Breakdown;
pub use dead_letter::DeadLetter;
pub(crate) use health::merged;
pub use health::{Health, Trouble, UpstreamHealth, UpstreamState};
pub use ledger::Ledger;
pub use pulse::Pulse;
pub use report::{CloseReport, FlushReport};

/// Why an event or a request was not accepted. The caller has it back, in [`Refused`](crate::Refused).
///
/// ```
/// use posthaste::{Queue, Refusal, InMemoryQueue};
/// # use posthaste::{Batch, LogEvent};
/// # let request = LogEvent::new("http://127.0.0.1/", &Batch::default());
///
/// let queue = InMemoryQueue::new(1);
/// queue.add(request.clone()).unwrap().forget();
/// let refused = queue.add(request).unwrap_err();
/// assert_eq!(refused.reason, Refusal::QueueFull { capacity: 1 });
/// assert!(refused.reason.is_full(), "worth offering again");
/// ```
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
    /// The queue holds as many bytes as it may.
    #[error(
        "queue is full: it holds about the {bytes_max} bytes that it may; offer it again later, or raise queue_bytes"
    )]
    QueueBytesFull {
        /// How many bytes the queue may hold.
        bytes_max: usize,
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
    pub(crate) const NAMES: [&'static str; 7] =
        ["queue_full", "queue_bytes_full", "closed", "too_large", "invalid", "storage_full", "storage"];

    /// Whether there may be room later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::QueueFull { .. } | Self::QueueBytesFull { .. } | Self::StorageFull(_))
    }

    /// The reason's name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::QueueBytesFull { .. } => "queue_bytes_full",
            Self::Closed => "closed",
            Self::TooLarge { .. } => "too_large",
            Self::Invalid(_) => "invalid",
            Self::StorageFull(_) => "storage_full",
            Self::Storage(_) => "storage",
        }
    }
}

/// Why an accepted event will not be delivered.
///
/// ```
/// use posthaste::DeadReason;
///
/// assert_eq!(DeadReason::Displaced.name(), "displaced");
/// assert_eq!(DeadReason::from_name("displaced"), Some(DeadReason::Displaced));
/// assert_eq!(DeadReason::from_name("mislaid"), None);
/// ```
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
    /// It was taken, and the process gave up waiting for its disk, at the end. The disk may still store it: then
    /// whoever opens the queue next delivers it.
    NotStored,
    /// It was older than it may be when it was to be sent
    /// ([`age_max`](crate::processor::QueueEventDispatcherBuilder::age_max)).
    Expired,
    /// Whoever took it could make nothing of it ([`bury`](crate::QueueEventDispatcher::bury)).
    Unusable,
}

impl DeadReason {
    pub(crate) const ALL: [Self; 9] = [
        Self::Rejected,
        Self::TooLarge,
        Self::Displaced,
        Self::Withdrawn,
        Self::Unreadable,
        Self::Lost,
        Self::NotStored,
        Self::Expired,
        Self::Unusable,
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
            Self::Expired => "expired",
            Self::Unusable => "unusable",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
