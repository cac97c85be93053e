//! Queues in memory: events survive everything but the end of the process.
//!
//! Producers put items into stripes, each thread into one; whoever takes items out first moves them from there into an
//! ordered store, under a lock that producers never touch. The stripes' places bound the queue, so that concurrent callers
//! cannot overshoot. Bytes are bounded by a number that all share, where a bound is set or items differ in size.

use std::{fmt, marker::PhantomData, sync::atomic::Ordering::SeqCst};

use crossbeam_utils::CachePadded;

use super::{
    Counts, DeliveryQueue, Eventually, Leased, Queue, QueueError, QueueItem, Receipt, Refused,
    leasing::Leasing,
    run::Memory,
    store::{Gone, Store},
    stripes::{NotTaken, Stripes},
};
use crate::{
    outcome::Refusal,
    sync::{AtomicUsize, Mutex},
    threads,
};

/// Stripes for each core: two threads that run at the same time seldom meet, though there may be more of them.
const STRIPES_EACH: usize = 2;

/// More stripes gain nothing, and whoever takes items out visits them all.
const STRIPES_MAX: usize = 64;

/// Places for each stripe, at least: with fewer, a stripe has to ask for each.
const PLACES_EACH: usize = 128;

/// Items that a growing queue keeps memory for in each of its parts.
const KEPT: usize = 256;

/// The queue that takes memory as it fills; the default of processors and queueing dispatchers. Adding never waits for
/// whoever takes events out, nor for threads that add as well: those share nothing but the last places. Its events end
/// with the process.
///
/// Events of one thread come out in the order in which it added them. So do events of several threads, as long as these
/// do not add at the very same time; where they do, an event may pass some hundred others of other threads.
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
pub type InMemoryQueue<T> = BoundedQueue<T, Growing>;

/// The queue whose memory is taken whole at the start: for small bounds. All of its events come out in the order in which
/// they were added. They end with the process.
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
pub type ChanQueue<T> = BoundedQueue<T, Preallocated>;

/// A bounded queue in memory, which takes its memory in one of two ways: [`Growing`] or [`Preallocated`].
pub struct BoundedQueue<T, M> {
    stripes: Stripes<T>,
    capacity: usize,
    bytes_max: usize,
    bytes: CachePadded<AtomicUsize>,
    store: CachePadded<Mutex<Store<T>>>,
    memory: PhantomData<fn() -> M>,
}

/// Memory grows with what is in the queue.
#[derive(Debug)]
pub enum Growing {}

/// Memory is taken whole at the start.
#[derive(Debug)]
pub enum Preallocated {}

impl<T> InMemoryQueue<T> {
    /// An empty queue for at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        let stripes = (threads::cores() * STRIPES_EACH).min(STRIPES_MAX).min(capacity / PLACES_EACH);
        Self::with(capacity, stripes, Memory { at_start: 0, kept: KEPT })
    }
}

impl<T> ChanQueue<T> {
    /// An empty queue for at most `capacity` items, whose memory is taken now.
    pub fn new(capacity: usize) -> Self {
        Self::with(capacity, 1, Memory { at_start: capacity, kept: capacity })
    }
}

impl<T, M> BoundedQueue<T, M> {
    fn with(capacity: usize, stripes: usize, memory: Memory) -> Self {
        Self {
            stripes: Stripes::new(capacity, stripes, memory),
            capacity,
            bytes_max: usize::MAX,
            bytes: CachePadded::new(AtomicUsize::new(0)),
            store: CachePadded::new(Mutex::new(Store::new(memory))),
            memory: PhantomData,
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

impl<T: QueueItem, M> BoundedQueue<T, M> {
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
        self.stripes.give_back(gone.tally);
    }

    fn refused(&self, item: T, why: NotTaken) -> Refused<T> {
        let reason = match why {
            NotTaken::Closed => Refusal::Closed,
            NotTaken::Full => Refusal::QueueFull { capacity: self.capacity },
        };
        Refused::new(item, reason)
    }
}

impl<T: QueueItem, M> Queue<T> for BoundedQueue<T, M> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let home = threads::number();
        if !self.reserve_bytes(&item) {
            let is_closed = self.stripes.is_closed(home);
            let full = Refusal::QueueBytesFull { bytes_max: self.bytes_max };
            return Err(Refused::new(item, if is_closed { Refusal::Closed } else { full }));
        }
        let events = T::EVENTS.unwrap_or_else(|| item.events() as u64);
        match self.stripes.add(home, item, events) {
            Ok(()) => Ok(Receipt::stored()),
            Err((item, why)) => {
                self.give_bytes(item.bytes());
                Err(self.refused(item, why))
            }
        }
    }

    fn get(&self, count: usize) -> Vec<T> {
        self.store.lock().filled_from(&self.stripes).get(count)
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let removed = {
            let mut store = self.store.lock();
            let mut removed = store.remove(count);
            if removed.len() < count {
                removed.extend(store.filled_from(&self.stripes).remove(count - removed.len()));
            }
            removed
        };
        self.gone(removed.iter().map(Gone::of).sum());
        removed
    }

    fn size(&self) -> usize {
        usize::try_from(self.stripes.count().held.items).unwrap_or(usize::MAX)
    }
}

impl<T: QueueItem, M> DeliveryQueue<T> for BoundedQueue<T, M> {
    fn capacity(&self) -> usize {
        self.capacity
    }

    fn capacity_bytes(&self) -> u64 {
        if self.bytes_max == usize::MAX { u64::MAX } else { self.bytes_max as u64 }
    }

    fn counts(&self) -> Counts {
        let count = self.stripes.count();
        Counts::new(count.taken.events, count.held.events)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst) as u64
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.lease_within(count, usize::MAX)
    }

    fn lease_within(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let mut leasing = Leasing::new(count, bytes);
        let mut store = self.store.lock();
        store.lease(&mut leasing);
        if leasing.wants_more() {
            store.filled_from(&self.stripes).lease(&mut leasing);
        }
        drop(store);
        Eventually::Now(Ok(leasing.leases))
    }

    fn begin_backlog(&self) -> bool {
        self.store.lock().filled_from(&self.stripes).begin_backlog();
        true
    }

    fn lease_backlog(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let mut leasing = Leasing::new(count, bytes);
        self.store.lock().lease_backlog(&mut leasing);
        Eventually::Now(Ok(leasing.leases))
    }

    fn newer_than_backlog(&self) -> Option<usize> {
        self.store.lock().filled_from(&self.stripes).newer_than_backlog()
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
        self.stripes.close();
    }

    fn leases_max(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn is_own(&self) -> bool {
        true
    }

    fn grows_by_adding_alone(&self) -> bool {
        true
    }
}

impl<T, M> fmt::Debug for BoundedQueue<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("size", &self.stripes.count().held.items)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
