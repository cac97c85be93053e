//! Where events wait. One trait; which queue it is decides what an event survives, never how it is delivered.
//!
//! A queue hands out its items in the order in which it took them, keeps each until it is settled, and never holds
//! more than it may: an item that finds it full goes back to the caller.
//!
//! ```text
//! add ─▶ waiting ─ lease ─▶ leased ─ settle ─▶ gone
//!           ▲                  │
//!           └──── release ─────┘
//! ```

mod bounded;
mod receipt;
#[cfg(feature = "spool")]
mod spool;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

pub use bounded::{BoundedQueue, ChanQueue, Channel, Heap, InMemoryQueue, Inbox};
pub use receipt::Receipt;
pub(crate) use receipt::block_on_within;
#[cfg(feature = "spool")]
pub use spool::{
    Durability, OpenError, SpoolItem, SpoolOptions, SpoolQueue, UnreadableRecord, read_dead_letter,
};

use crate::outcome::{DeadLetterStore, Refusal};

/// A queue of user events or of requests.
///
/// The first four methods are the seed's. The others are what overlapping requests need: while some items are under way,
/// the next ones can be taken without waiting for the first to end.
#[doc(alias = "event.Queue")]
pub trait Queue<T>: fmt::Debug + Send + Sync {
    /// Takes an item in. The receipt resolves once the item is as safe as this queue makes it. A full or closed queue
    /// gives the item back; one that is both says [`Closed`](Refusal::Closed), or whoever waits for room would go on
    /// waiting. Once this has returned, the item is visible to every other method.
    fn add(&self, item: T) -> Result<Receipt, Refused<T>>;

    /// The oldest items, at most `count`, leased ones included. They stay in the queue.
    fn get(&self, count: usize) -> Vec<T>;

    /// Takes the oldest items that are not leased out of the queue, at most `count`, and returns them.
    fn remove(&self, count: usize) -> Vec<T>;

    /// How many items have been added and neither settled nor removed.
    fn size(&self) -> usize;

    /// The most items it may hold.
    fn capacity(&self) -> usize;

    /// The oldest items that are not leased yet, at most `count`, which are now. They stay in the queue.
    fn lease(&self, count: usize) -> Vec<Leased<T>>;

    /// Ends leases by their ids, in any order: the items have come to an end and leave the queue.
    fn settle(&self, ids: &[u64]);

    /// Ends all leases: the items wait again, in their old order.
    fn release(&self);

    /// Refuses further items, at once. From here on, the queue only shrinks.
    fn close(&self);

    /// Takes an item into a full queue at the cost of the oldest ones that are not leased: the fewest whose going makes
    /// room for it. Where nothing would make room, nothing goes, and the item comes back.
    fn add_displacing(&self, item: T) -> Displacing<T> {
        let mut displaced = Vec::new();
        let mut item = item;
        loop {
            item = match self.add(item) {
                Ok(receipt) => return Displacing { displaced, added: Ok(receipt) },
                Err(Refused { item, reason }) if reason.is_full() => item,
                Err(refused) => return Displacing { displaced, added: Err(refused) },
            };
            let oldest = self.remove(1);
            if oldest.is_empty() {
                let reason = Refusal::QueueFull { capacity: self.capacity() };
                return Displacing { displaced, added: Err(Refused { item, reason }) };
            }
            displaced.extend(oldest);
        }
    }

    /// Items that have made room for newer ones and are still in the queue, leased now: whoever delivers is to bury them.
    fn displaced(&self, _count: usize) -> Vec<Leased<T>> {
        Vec::new()
    }

    /// Resolves once everything that was taken is as safe as this queue makes it, and what was settled is written down; or
    /// after this time, which is real time wherever a disk is waited for.
    fn finish(&self, _within: Duration) -> Finish {
        Box::pin(std::future::ready(()))
    }

    /// Stops waiting for whatever makes items safe. Returns those that were taken, have not come to an end, and are not
    /// known to be safe.
    fn give_up(&self) -> Vec<T> {
        Vec::new()
    }

    /// How many items were safe once, and were lost before this was asked for the first time.
    fn lost(&self) -> usize {
        0
    }

    /// Whom to tell of what happens later than the call that caused it. Called once, before anything is leased.
    fn watch(&self, _watcher: Arc<dyn QueueWatcher>) {}

    /// Where this queue keeps the items that will not be delivered; `None`: nowhere, and they are kept in memory.
    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        None
    }
}

/// Told by a queue that stores its items after `add` has returned.
pub trait QueueWatcher: Send + Sync {
    /// Items have become available, or room has.
    fn changed(&self);

    /// This many events were added to the queue itself, past its pipeline.
    fn added(&self, events: usize);

    /// This many items were safe once, and are lost.
    fn lost(&self, items: usize);

    /// This many stored items cannot be read by this version; the queue has set them aside.
    fn unreadable(&self, items: usize);
}

/// What [`Queue::finish`] returns.
pub type Finish = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What has come of [`Queue::add_displacing`].
#[derive(Debug)]
#[must_use = "displaced items are nobody's any more"]
pub struct Displacing<T> {
    /// What had to go, for the caller to bury.
    pub displaced: Vec<T>,
    /// Whether the item is in.
    pub added: Result<Receipt, Refused<T>>,
}

#[cfg(feature = "spool")]
impl<T> Displacing<T> {
    /// Taken, and nothing is to be buried by the caller.
    pub(crate) fn taken(receipt: Receipt) -> Self {
        Self { displaced: Vec::new(), added: Ok(receipt) }
    }

    /// Not taken, and nothing had to go.
    pub(crate) fn refused(item: T, reason: Refusal) -> Self {
        Self { displaced: Vec::new(), added: Err(Refused { item, reason }) }
    }
}

/// An item that somebody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a leased item stays in the queue until it is settled"]
pub struct Leased<T> {
    /// What [`Queue::settle`] knows the item by.
    pub id: u64,
    /// The item.
    pub item: T,
    /// Whether it was in the queue before this process was.
    pub recovered: bool,
}

/// An item that was not taken, handed back with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to add: {reason}")]
pub struct Refused<T> {
    /// What was not taken.
    pub item: T,
    /// Why.
    #[source]
    pub reason: Refusal,
}
