//! Where events wait. Which queue it is decides what an event survives, never how it is delivered.
//!
//! Two traits: [`Queue`] is the seed's; [`DeliveryQueue`] adds what delivery needs so that requests may overlap.
//!
//! ```text
//! add ─▶ waiting ─ lease ─▶ leased ─ settle ─▶ gone
//!           ▲                  │
//!           └──── release ─────┘
//! ```
//!
//! Invariants: a queue hands out its items in the order in which it took them, but for a backlog, which newer ones pass; it keeps each until it is settled or
//! removed; it never holds more than it may; and it counts what it has taken, what it holds, and what it has lost.

mod backlog;
mod bounded;
mod dead_letter_store;
mod delivery_queue;
mod eventually;
mod item;
#[cfg(feature = "jetstream")]
pub mod jetstream;
mod leasing;
mod places;
mod receipt;
mod run;
mod sequential;
#[cfg(feature = "spool")]
mod spool;
mod store;
mod stripes;

use std::{fmt, sync::Arc};

pub use bounded::{BoundedQueue, ChanQueue, Growing, InMemoryQueue, Preallocated};
pub use dead_letter_store::{DEFAULT_DEAD_LETTERS_MAX, DeadLetterStore, NotKept, Shortage};
pub(crate) use dead_letter_store::{DeadLetters, Forgotten};
pub use delivery_queue::{Counts, DeliveryQueue, Displacing, Finish, Leased, QueueError, QueueWatcher};
pub use eventually::Eventually;
pub use item::QueueItem;
#[cfg(feature = "jetstream")]
pub use jetstream::JetStreamQueue;
pub use receipt::Receipt;
pub(crate) use receipt::block_on_within;
pub use sequential::Sequential;
#[cfg(feature = "spool")]
pub use spool::{
    Durability, OpenError, Spool, SpoolItem, SpoolOptions, SpoolQueue, UnreadableRecord, read_dead_letter,
};

use crate::outcome::Refusal;

/// A queue of user events or of requests: the seed's four methods.
///
/// Every method may be called from any thread at any time, and none may block for long. Delivery takes any such queue
/// through [`Sequential`]; it takes one that is a [`DeliveryQueue`] too as it is.
///
/// ```
/// use posthaste::{InMemoryQueue, Queue};
/// # use posthaste::{Context, LogEvent, Batch};
///
/// let queue = InMemoryQueue::new(100);
/// # let request = LogEvent::new("http://127.0.0.1/v1/events", &Batch::default());
/// queue.add(request.clone())?.forget();
/// assert_eq!((queue.size(), queue.get(10)), (1, vec![request.clone()]));
/// assert_eq!((queue.remove(10), queue.size()), (vec![request], 0));
/// # Ok::<(), posthaste::Refused<LogEvent>>(())
/// ```
#[doc(alias = "event.Queue")]
pub trait Queue<T>: fmt::Debug + Send + Sync {
    /// Takes an item in. The receipt resolves once the item is as safe as this queue makes it. A full or closed queue
    /// gives the item back. One that is both says [`Closed`](Refusal::Closed): after `QueueFull`, a caller would wait
    /// for room that never comes. Once this has returned, the item is visible to every other method.
    #[doc(alias = "Add")]
    fn add(&self, item: T) -> Result<Receipt, Refused<T>>;

    /// The oldest items, at most `count`, in the order in which they were added. They stay in the queue; those that are
    /// under way are among them.
    #[doc(alias = "Get")]
    fn get(&self, count: usize) -> Vec<T>;

    /// Takes the oldest items that are not under way out of the queue, at most `count`, and returns them in order.
    #[doc(alias = "Remove")]
    fn remove(&self, count: usize) -> Vec<T>;

    /// How many items have been added and have not left, those under way included. A queue that several processes share
    /// may give an estimate.
    #[doc(alias = "Size")]
    fn size(&self) -> usize;
}

impl<T, Q: Queue<T> + ?Sized> Queue<T> for Arc<Q> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        (**self).add(item)
    }

    fn get(&self, count: usize) -> Vec<T> {
        (**self).get(count)
    }

    fn remove(&self, count: usize) -> Vec<T> {
        (**self).remove(count)
    }

    fn size(&self) -> usize {
        (**self).size()
    }
}

/// An item that was not taken, handed back with the reason.
///
/// ```
/// use posthaste::{Refusal, Refused};
///
/// let refused = Refused::new("an event", Refusal::Closed);
/// assert_eq!(refused.to_string(), "failed to add: closed: no events are taken any more");
/// assert_eq!(refused.item, "an event", "nothing is lost");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to add: {reason}")]
#[non_exhaustive]
pub struct Refused<T> {
    /// What was not taken.
    pub item: T,
    /// Why.
    #[source]
    pub reason: Refusal,
}

impl<T> Refused<T> {
    /// This item, for this reason.
    pub fn new(item: T, reason: Refusal) -> Self {
        Self { item, reason }
    }
}
