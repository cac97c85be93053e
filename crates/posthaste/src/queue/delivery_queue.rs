//! What delivery needs of a queue so that requests may overlap: while some items are under way, the next ones can be
//! taken without waiting for the first to end.
//!
//! Leasing and settling may finish later and may fail, and a lease may be lost: a queue on another machine fits too.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{DeadLetterStore, Eventually, Queue, Receipt, Refused};
use crate::outcome::Refusal;

/// A queue whose items can be under way while others are taken.
///
/// Delivery calls it from its own thread. `close`, `give_up`, `counts` and the methods of [`Queue`] are called from
/// any. None of these may block for long: whoever closes a processor waits for them. A panic ends the pipeline, with
/// the reason in its [`Health`](crate::Health); what is left stays in the queue.
///
/// One queue serves one pipeline. `capacity`, `counts`, `lease`, `settle`, `release` and `close` must be written; the
/// other methods have defaults for queues in memory.
///
/// ```
/// use posthaste::{InMemoryQueue, Queue, queue::DeliveryQueue};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// let queue = InMemoryQueue::new(100);
/// queue.add(event.clone())?.forget();
///
/// let leased = queue.lease(10).wait()?;
/// assert_eq!((leased[0].item.uuid(), queue.size()), (event.uuid(), 1), "leased items stay in the queue");
/// assert!(queue.lease(10).wait()?.is_empty(), "nobody else gets them");
/// queue.settle(&[leased[0].id]).wait()?;
/// assert_eq!((queue.counts().taken, queue.counts().held), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DeliveryQueue<T>: Queue<T> {
    /// The most items it may hold; `usize::MAX` where it is not bounded in items.
    fn capacity(&self) -> usize;

    /// The most bytes that its items may take; `u64::MAX` where they are not bounded, or nobody knows. Where the oldest
    /// are to make room for the newest ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)), delivery leases no more
    /// than a quarter of it, because what is leased makes no room.
    fn capacity_bytes(&self) -> u64 {
        u64::MAX
    }

    /// What it has counted so far, all at one moment.
    fn counts(&self) -> Counts;

    /// About how many bytes its items take, on disk or in memory; 0 where nobody knows.
    fn bytes(&self) -> u64 {
        0
    }

    /// Leases the oldest items that are not leased yet, at most `count`. They stay in the queue. Delivery asks again
    /// only once the answer has come; after one that failed, a second later. No items are an answer too.
    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>>;

    /// The same, and no more of them once they hold so many [bytes](super::QueueItem::bytes), but one at least if there
    /// is one. A queue that holds more than fits into memory should keep to that; by default `bytes` is not looked at.
    ///
    /// ```
    /// use posthaste::{Batch, InMemoryQueue, LogEvent, Queue, queue::{DeliveryQueue, QueueItem}};
    ///
    /// let request = LogEvent::new("http://127.0.0.1/", &Batch::default());
    /// let queue = InMemoryQueue::new(100);
    /// (0..3).for_each(|_| queue.add(request.clone()).unwrap().forget());
    /// assert_eq!(queue.lease_within(10, 2 * request.bytes()).wait()?.len(), 2);
    /// assert_eq!(queue.lease_within(10, 0).wait()?.len(), 1, "one goes through, whatever its size");
    /// # Ok::<(), posthaste::queue::QueueError>(())
    /// ```
    fn lease_within(&self, count: usize, _bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.lease(count)
    }

    /// Ends leases by their ids, in any order: the items have come to an end and leave the queue. From this call on,
    /// [`counts`](Self::counts) no longer counts them as held, whatever the answer will be. Delivery repeats a call
    /// that failed, so ids that are unknown or settled already are no failure.
    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>>;

    /// Ends all leases: the items wait again, in their old order.
    fn release(&self);

    /// A copy of the oldest item, those that are leased included. Asked for every few seconds.
    fn oldest(&self) -> Option<T> {
        self.get(1).pop()
    }

    /// Refuses further items, at once. From here on, the queue only shrinks.
    fn close(&self);

    /// Everything that waits now and is not leased becomes the backlog: from here on, [`lease`](Self::lease) hands out
    /// only what comes later, and [`lease_backlog`](Self::lease_backlog) the rest. What is left of an earlier backlog
    /// stays in it, in front. Delivery calls it where a drain rate is set: at its start, and whenever an end point works
    /// again. False, the default: this queue hands out everything in one order; then all of it is paced, new items
    /// included, until nothing waits any more that is not leased.
    ///
    /// ```
    /// use posthaste::{InMemoryQueue, Queue, queue::DeliveryQueue};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let (old, new) = (event.clone(), event.with_uuid("c280ad37-29a6-42e7-b126-0ebc7d56ab56"));
    /// let queue = InMemoryQueue::new(2);
    /// queue.add(old.clone())?.forget();
    /// assert!(queue.begin_backlog());
    /// queue.add(new.clone())?.forget();
    ///
    /// assert_eq!(queue.newer_than_backlog(), Some(1));
    /// assert_eq!(queue.lease(10).wait()?[0].item, new);
    /// assert_eq!(queue.lease_backlog(10, usize::MAX).wait()?[0].item, old);
    /// assert_eq!(queue.newer_than_backlog(), None, "there is no backlog any more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn begin_backlog(&self) -> bool {
        false
    }

    /// Leases the oldest items of the [backlog](Self::begin_backlog), at most `count`, and no more once they hold so many
    /// bytes; one however many it holds.
    fn lease_backlog(&self, _count: usize, _bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        Eventually::Now(Ok(Vec::new()))
    }

    /// How many items wait, are not leased, and are newer than the [backlog](Self::begin_backlog). `None`: all of the
    /// backlog has been leased, or there has been none.
    fn newer_than_backlog(&self) -> Option<usize> {
        None
    }

    /// How many leased items may be in memory at once while an end point holds back what it has; `None`: delivery
    /// chooses. Each time that a dead end point is asked again, a batch more may be leased, up to what delivery leases
    /// while all end points work. A queue that holds its items in memory anyway says `usize::MAX`.
    fn leases_max(&self) -> Option<usize> {
        None
    }

    /// Whether it is one of the library's own, which do not panic.
    #[doc(hidden)]
    fn is_own(&self) -> bool {
        false
    }

    /// Whether its size grows by what is added here, one item at a time, and by nothing else: then whoever waits for items
    /// need not ask for the size each time.
    #[doc(hidden)]
    fn grows_by_adding_alone(&self) -> bool {
        false
    }

    /// How long a lease lasts; `None`: until it is settled or released. Delivery [renews](Self::renew) leases three
    /// times in this time.
    fn lease_time(&self) -> Option<Duration> {
        None
    }

    /// Makes these leases last for another [`lease_time`](Self::lease_time) from now. Answers with the ids of those
    /// that are lost: their items wait in the queue again, for whoever leases them next.
    fn renew(&self, _ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        Eventually::Now(Ok(Vec::new()))
    }

    /// Takes an item into a full queue in place of the oldest ones that are not leased: of the fewest that make room
    /// for it. Where nothing would make room, nothing goes, and the item comes back. Called for
    /// [`WhenFull::DropOldest`](crate::WhenFull::DropOldest), on the thread of whoever adds.
    fn add_displacing(&self, item: T) -> Displacing<T> {
        let mut displaced = Vec::new();
        let mut item = item;
        loop {
            item = match self.add(item) {
                Ok(receipt) => return Displacing::new(displaced, Ok(receipt)),
                Err(Refused { item, reason }) if reason.is_full() => item,
                Err(refused) => return Displacing::new(displaced, Err(refused)),
            };
            let oldest = self.remove(1);
            if oldest.is_empty() {
                let reason = Refusal::QueueFull { capacity: self.capacity() };
                return Displacing::new(displaced, Err(Refused::new(item, reason)));
            }
            displaced.extend(oldest);
        }
    }

    /// Leases items that have made room for newer ones and are still in the queue, at most `count`. Delivery makes dead
    /// letters of them.
    fn displaced(&self, _count: usize) -> Vec<Leased<T>> {
        Vec::new()
    }

    /// Resolves once everything that was taken is as safe as this queue makes it, and what was settled is written down.
    /// It resolves after `within` at the latest; a queue that waits for a disk measures that in real time.
    fn finish(&self, _within: Duration) -> Finish {
        Box::pin(std::future::ready(()))
    }

    /// Stops waiting for whatever makes items safe. Returns the items that were taken, have not come to an end, and are
    /// not known to be safe, each under the id that it was leased by, or would have been. They leave the queue, and become
    /// dead letters ([`NotStored`](crate::DeadReason::NotStored)).
    fn give_up(&self) -> Vec<Leased<T>> {
        Vec::new()
    }

    /// Hands over whom to tell of what happens later than the call that caused it. Called once, before anything is
    /// leased.
    fn watch(&self, _watcher: Arc<dyn QueueWatcher>) {}

    /// Where this queue keeps the items that will not be delivered. `None`: nowhere, so the pipeline keeps them in
    /// memory. Asked for once.
    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        None
    }
}

impl<T, Q: DeliveryQueue<T> + ?Sized> DeliveryQueue<T> for Arc<Q> {
    fn capacity(&self) -> usize {
        (**self).capacity()
    }

    fn capacity_bytes(&self) -> u64 {
        (**self).capacity_bytes()
    }

    fn counts(&self) -> Counts {
        (**self).counts()
    }

    fn bytes(&self) -> u64 {
        (**self).bytes()
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        (**self).lease(count)
    }

    fn lease_within(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        (**self).lease_within(count, bytes)
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        (**self).settle(ids)
    }

    fn oldest(&self) -> Option<T> {
        (**self).oldest()
    }

    fn release(&self) {
        (**self).release();
    }

    fn close(&self) {
        (**self).close();
    }

    fn begin_backlog(&self) -> bool {
        (**self).begin_backlog()
    }

    fn lease_backlog(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        (**self).lease_backlog(count, bytes)
    }

    fn newer_than_backlog(&self) -> Option<usize> {
        (**self).newer_than_backlog()
    }

    fn leases_max(&self) -> Option<usize> {
        (**self).leases_max()
    }

    fn is_own(&self) -> bool {
        (**self).is_own()
    }

    fn grows_by_adding_alone(&self) -> bool {
        (**self).grows_by_adding_alone()
    }

    fn lease_time(&self) -> Option<Duration> {
        (**self).lease_time()
    }

    fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        (**self).renew(ids)
    }

    fn add_displacing(&self, item: T) -> Displacing<T> {
        (**self).add_displacing(item)
    }

    fn displaced(&self, count: usize) -> Vec<Leased<T>> {
        (**self).displaced(count)
    }

    fn finish(&self, within: Duration) -> Finish {
        (**self).finish(within)
    }

    fn give_up(&self) -> Vec<Leased<T>> {
        (**self).give_up()
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        (**self).watch(watcher);
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        (**self).dead_letters()
    }
}

/// What a queue has counted, in events. `taken` is `held`, `handed_over`, and everything that has ended.
///
/// ```
/// use posthaste::queue::Counts;
///
/// // A thousand taken, of which ten are there; the disk has lost three, and one could not be read.
/// let counts = Counts::new(1_000, 10).with_lost(3, 1);
/// assert_eq!((counts.taken, counts.held, counts.lost, counts.unreadable), (1_000, 10, 3, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Events taken, with what was there when the queue was opened.
    pub taken: u64,
    /// Events that are in the queue.
    pub held: u64,
    /// Events that left because the queue lost them.
    pub lost: u64,
    /// Events that left because this version cannot read them; the queue has set them aside.
    pub unreadable: u64,
    /// Events that others have now: a queue that several processes share has them, and whoever leases them next brings
    /// them to an end. 0 where one process has the whole queue.
    pub handed_over: u64,
}

impl Counts {
    /// A queue that loses nothing.
    pub fn new(taken: u64, held: u64) -> Self {
        Self { taken, held, lost: 0, unreadable: 0, handed_over: 0 }
    }

    /// The same, having lost this many, and having set aside that many.
    #[must_use]
    pub fn with_lost(self, lost: u64, unreadable: u64) -> Self {
        Self { lost, unreadable, ..self }
    }

    /// The same, having handed this many over to others.
    ///
    /// ```
    /// use posthaste::queue::Counts;
    ///
    /// // A process that takes events and leaves it to others to deliver them.
    /// let counts = Counts::new(1_000, 10).with_handed_over(990);
    /// assert_eq!((counts.held, counts.handed_over), (10, 990));
    /// ```
    #[must_use]
    pub fn with_handed_over(self, handed_over: u64) -> Self {
        Self { handed_over, ..self }
    }
}

/// Why a queue could not do what it was asked to. It is asked again.
///
/// ```
/// use posthaste::queue::{Eventually, Leased, QueueError};
///
/// fn lease_from_elsewhere() -> Eventually<Result<Vec<Leased<u32>>, QueueError>> {
///     Eventually::later(async { Err(QueueError::new("the broker does not answer")) })
/// }
/// assert_eq!(lease_from_elsewhere().wait().unwrap_err().to_string(), "the broker does not answer");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueueError(String);

impl QueueError {
    /// For this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Hears from a queue what happens later than the call that caused it. May be told from any thread, and as often as it
/// pleases: each call only wakes delivery.
///
/// ```
/// use std::sync::{Arc, OnceLock};
/// use posthaste::queue::QueueWatcher;
///
/// /// A part of a queue whose items come over a network.
/// #[derive(Default)]
/// struct Inbox(OnceLock<Arc<dyn QueueWatcher>>);
///
/// impl Inbox {
///     fn arrived(&self) {
///         if let Some(watcher) = self.0.get() {
///             watcher.changed(); // Delivery leases again.
///         }
///     }
/// }
/// # Inbox::default().arrived();
/// ```
pub trait QueueWatcher: Send + Sync {
    /// Items have become available, or room has.
    fn changed(&self);

    /// Items have left that were not settled: they are lost, or set aside.
    fn gone(&self);
}

/// What [`DeliveryQueue::finish`] returns.
pub type Finish = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What has come of [`DeliveryQueue::add_displacing`].
///
/// ```
/// use posthaste::{InMemoryQueue, Queue, queue::DeliveryQueue};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// let (old, new) = (event.clone(), event.with_uuid("c280ad37-29a6-42e7-b126-0ebc7d56ab56"));
/// let queue = InMemoryQueue::new(1);
/// queue.add(old.clone())?.forget();
/// let displacing = queue.add_displacing(new.clone());
/// displacing.added?.forget();
/// assert_eq!((displacing.displaced, queue.get(2)), (vec![old], vec![new]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "displaced items are nobody's any more"]
#[non_exhaustive]
pub struct Displacing<T> {
    /// What had to go, for the caller to bury.
    pub displaced: Vec<T>,
    /// Whether the item is in.
    pub added: Result<Receipt, Refused<T>>,
}

impl<T> Displacing<T> {
    /// These had to go, and that has come of the item.
    pub fn new(displaced: Vec<T>, added: Result<Receipt, Refused<T>>) -> Self {
        Self { displaced, added }
    }
}

/// An item that somebody works on. It stays in the queue until its lease is settled, released or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a leased item stays in the queue until it is settled"]
#[non_exhaustive]
pub struct Leased<T> {
    /// What [`DeliveryQueue::settle`] knows the item by. No two leases that last have the same.
    pub id: u64,
    /// The item.
    pub item: T,
}

impl<T> Leased<T> {
    /// This item, under this id.
    pub fn new(id: u64, item: T) -> Self {
        Self { id, item }
    }
}
