//! Queues in memory: events survive everything but the end of the process.
//!
//! Producers reserve a place, then put the item into an inbox, without a lock. Whoever takes items out first moves them
//! from the inbox into an ordered store, under a lock that producers never touch. The reservation bounds the queue:
//! size and bound are one number, so concurrent callers cannot overshoot. Bytes are bounded in the same way, where a
//! bound is set.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use crossbeam_channel::{Receiver, Sender};
use crossbeam_queue::SegQueue;
use parking_lot::Mutex;

use super::{
    Counts, DeliveryQueue, Eventually, Leased, Queue, QueueError, QueueItem, Receipt, Refused,
    leasing::Leasing,
    store::{Gone, Store},
    tally::{HELD_MAX, NotTaken, Tally},
};
use crate::outcome::Refusal;

/// The queue that takes memory as it fills; the default of processors and queueing dispatchers. Adding never blocks and
/// takes no lock. Its events end with the process.
///
/// ```
/// use posthaste::{InMemoryQueue, Queue, Refusal, UserEvent};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// let queue = InMemoryQueue::new(2_000).bytes_max(64 << 20);
/// queue.add(event.clone())?.forget();
/// assert_eq!(queue.size(), 1);
///
/// let full = InMemoryQueue::<UserEvent>::new(0).add(event).unwrap_err();
/// assert_eq!(full.reason, Refusal::QueueFull { capacity: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "NewInMemoryQueue")]
pub type InMemoryQueue<T> = BoundedQueue<T, Heap<T>>;

/// The queue that hands items over through a channel, whose memory is taken whole at the start: for small bounds. Its
/// events end with the process.
///
/// In the seed an item goes through a goroutine, and so may be invisible for a while after it has been added; here it
/// is in the queue once `add` has returned.
///
/// ```
/// use posthaste::{ChanQueue, Queue};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// let queue = ChanQueue::new(100);
/// queue.add(event.clone())?.forget();
/// assert_eq!(queue.get(10), [event], "visible at once");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "NewChanQueue")]
pub type ChanQueue<T> = BoundedQueue<T, Channel<T>>;

/// A bounded queue in memory over one of two inboxes.
pub struct BoundedQueue<T, I> {
    items: Tally,
    /// Only where items differ in how many events they carry.
    events: Tally,
    capacity: usize,
    bytes: AtomicUsize,
    bytes_max: usize,
    inbox: I,
    store: Mutex<Store<T>>,
}

/// How producers hand items over. Takes no more items than have reserved a place.
pub trait Inbox<T>: Send + Sync {
    /// Takes an item in.
    fn push(&self, item: T);
    /// The oldest item.
    fn pop(&self) -> Option<T>;
}

/// An inbox that grows with what is in it.
#[derive(Debug)]
pub struct Heap<T>(SegQueue<T>);

/// An inbox of a fixed size.
#[derive(Debug)]
pub struct Channel<T>(Sender<T>, Receiver<T>);

impl<T> InMemoryQueue<T> {
    /// An empty queue for at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self::over(Heap(SegQueue::new()), capacity)
    }
}

impl<T> ChanQueue<T> {
    /// An empty queue for at most `capacity` items, whose memory is taken now.
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        Self::over(Channel(sender, receiver), capacity)
    }
}

impl<T, I> BoundedQueue<T, I> {
    fn over(inbox: I, capacity: usize) -> Self {
        Self {
            items: Tally::default(),
            events: Tally::default(),
            capacity: capacity.min(HELD_MAX),
            bytes: AtomicUsize::new(0),
            bytes_max: usize::MAX,
            inbox,
            store: Mutex::new(Store::default()),
        }
    }

    /// The same queue, bounded in bytes of memory too ([`QueueItem::bytes`], an estimate). An empty queue takes an item
    /// of any size: otherwise a large one could never go through.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }
}

impl<T: QueueItem, I: Inbox<T>> BoundedQueue<T, I> {
    /// Items of one size, as events are, need no counting where nothing bounds them.
    fn counts_bytes(&self) -> bool {
        self.bytes_max != usize::MAX || T::EVENTS.is_none()
    }

    /// Room for an item's bytes, if there is.
    fn reserve_bytes(&self, item: &T) -> bool {
        if !self.counts_bytes() {
            return true;
        }
        let more = item.bytes();
        let reserve = |bytes: usize| {
            let has_room = bytes == 0 || bytes.saturating_add(more) <= self.bytes_max;
            has_room.then(|| bytes.saturating_add(more))
        };
        self.bytes.fetch_update(SeqCst, SeqCst, reserve).is_ok()
    }

    fn give_bytes(&self, bytes: usize) {
        if self.counts_bytes() {
            self.bytes.fetch_sub(bytes, SeqCst);
        }
    }

    /// Places and bytes come back only once the items are gone.
    fn gone(&self, gone: Gone) {
        self.give_bytes(gone.bytes);
        if T::EVENTS.is_none() {
            self.events.give(gone.events);
        }
        self.items.give(gone.items);
    }

    fn refusal(&self, why: NotTaken) -> Refusal {
        match why {
            NotTaken::Closed => Refusal::Closed,
            NotTaken::Full => Refusal::QueueFull { capacity: self.capacity },
        }
    }
}

impl<T: QueueItem, I: Inbox<T>> Queue<T> for BoundedQueue<T, I> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        if !self.reserve_bytes(&item) {
            let is_closed = self.items.is_closed();
            let full = Refusal::QueueBytesFull { bytes_max: self.bytes_max };
            return Err(Refused::new(item, if is_closed { Refusal::Closed } else { full }));
        }
        if let Err(why) = self.items.take_one(self.capacity) {
            self.give_bytes(item.bytes());
            return Err(Refused::new(item, self.refusal(why)));
        }
        if T::EVENTS.is_none() {
            self.events.take(item.events());
        }
        self.inbox.push(item);
        Ok(Receipt::stored())
    }

    fn get(&self, count: usize) -> Vec<T> {
        self.store.lock().filled_from(&self.inbox).get(count)
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let removed = self.store.lock().filled_from(&self.inbox).remove(count);
        self.gone(removed.iter().map(Gone::of).sum());
        removed
    }

    fn size(&self) -> usize {
        self.items.held()
    }
}

impl<T: QueueItem, I: Inbox<T>> DeliveryQueue<T> for BoundedQueue<T, I> {
    fn capacity(&self) -> usize {
        self.capacity
    }

    fn capacity_bytes(&self) -> u64 {
        if self.bytes_max == usize::MAX { u64::MAX } else { self.bytes_max as u64 }
    }

    fn counts(&self) -> Counts {
        let (taken, held) = match T::EVENTS {
            Some(each) => {
                let (taken, held) = self.items.taken_and_held();
                (taken * each, held * each)
            }
            None => self.events.taken_and_held(),
        };
        Counts::new(taken, held)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst) as u64
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.lease_within(count, usize::MAX)
    }

    fn lease_within(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let mut leasing = Leasing::new(count, bytes);
        self.store.lock().filled_from(&self.inbox).lease(&mut leasing);
        Eventually::Now(Ok(leasing.leases))
    }

    fn begin_backlog(&self) -> bool {
        self.store.lock().filled_from(&self.inbox).begin_backlog();
        true
    }

    fn lease_backlog(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let mut leasing = Leasing::new(count, bytes);
        self.store.lock().lease_backlog(&mut leasing);
        Eventually::Now(Ok(leasing.leases))
    }

    fn newer_than_backlog(&self) -> Option<usize> {
        let others = self.store.lock().older_than_new()?;
        // Whoever has reserved a place counts as having added.
        Some(self.items.held().saturating_sub(others))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let settled = self.store.lock().settle(ids);
        self.gone(settled);
        Eventually::Now(Ok(()))
    }

    fn release(&self) {
        self.store.lock().release();
    }

    fn close(&self) {
        self.items.close();
        // Whoever reserved a place before that is about to put an item in it.
        while self.store.lock().filled_from(&self.inbox).live() != self.items.held() {
            std::thread::yield_now();
        }
    }

    fn leases_max(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn is_own(&self) -> bool {
        true
    }
}

impl<T, I> fmt::Debug for BoundedQueue<T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("size", &self.items.held())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T: Send> Inbox<T> for Heap<T> {
    fn push(&self, item: T) {
        self.0.push(item);
    }

    fn pop(&self) -> Option<T> {
        self.0.pop()
    }
}

impl<T: Send> Inbox<T> for Channel<T> {
    /// The channel is as large as the queue, and both of its ends are here: a reserved place is free in it.
    fn push(&self, item: T) {
        self.0.try_send(item).map_err(drop).expect("a reserved place is free");
    }

    fn pop(&self) -> Option<T> {
        self.1.try_recv().ok()
    }
}
