//! Queues in memory: events survive everything but the end of the process.
//!
//! Producers reserve a place, then put the item into an inbox that takes no lock; whoever takes items out moves them
//! from the inbox into an ordered store first, under a lock that producers never touch. The reservation is what bounds
//! the queue: size and bound are one number, so concurrent callers cannot overshoot.

use std::{
    collections::VecDeque,
    fmt,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use crossbeam_channel::{Receiver, Sender};
use crossbeam_queue::SegQueue;
use parking_lot::Mutex;

use super::{Leased, Queue, Receipt, Refused};
use crate::outcome::Refusal;

/// The queue that takes memory as it fills. The processor's default.
#[doc(alias = "NewInMemoryQueue")]
pub type InMemoryQueue<T> = BoundedQueue<T, Heap<T>>;

/// The queue that hands items over through a channel, allocated whole at the start: for small bounds.
///
/// In the seed an item goes through a goroutine, and so may be invisible for a while after it has been added; here it is
/// in the queue once `add` has returned.
#[doc(alias = "NewChanQueue")]
pub type ChanQueue<T> = BoundedQueue<T, Channel<T>>;

/// A bounded queue in memory over one of two inboxes.
pub struct BoundedQueue<T, I> {
    /// Places taken, and [`CLOSED`].
    places: AtomicUsize,
    capacity: usize,
    inbox: I,
    store: Mutex<Store<T>>,
}

/// Set in `places` once the queue is closed.
const CLOSED: usize = 1 << (usize::BITS - 1);

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
            places: AtomicUsize::new(0),
            capacity: capacity.min(CLOSED - 1),
            inbox,
            store: Mutex::new(Store::default()),
        }
    }

    fn places(&self) -> usize {
        self.places.load(SeqCst) & !CLOSED
    }
}

impl<T: Clone + Send, I: Inbox<T>> Queue<T> for BoundedQueue<T, I> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let reserve = |places: usize| (places & CLOSED == 0 && places < self.capacity).then(|| places + 1);
        match self.places.fetch_update(SeqCst, SeqCst, reserve) {
            Ok(_) => {
                self.inbox.push(item);
                Ok(Receipt::stored())
            }
            Err(places) if places & CLOSED != 0 => Err(Refused { item, reason: Refusal::Closed }),
            Err(_) => Err(Refused { item, reason: Refusal::QueueFull { capacity: self.capacity } }),
        }
    }

    fn get(&self, count: usize) -> Vec<T> {
        self.store.lock().filled_from(&self.inbox).items.iter().flatten().take(count).cloned().collect()
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let removed = self.store.lock().filled_from(&self.inbox).remove(count);
        self.places.fetch_sub(removed.len(), SeqCst);
        removed
    }

    fn size(&self) -> usize {
        self.places()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn lease(&self, count: usize) -> Vec<Leased<T>> {
        self.store.lock().filled_from(&self.inbox).lease(count)
    }

    fn settle(&self, ids: &[u64]) {
        let settled = self.store.lock().settle(ids);
        self.places.fetch_sub(settled, SeqCst);
    }

    fn release(&self) {
        self.store.lock().leased = 0;
    }

    fn close(&self) {
        self.places.fetch_or(CLOSED, SeqCst);
        // Whoever reserved a place before that is about to put an item in it.
        while self.store.lock().filled_from(&self.inbox).live != self.places() {
            std::thread::yield_now();
        }
    }
}

impl<T, I> fmt::Debug for BoundedQueue<T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("size", &self.places())
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

/// Items in order. An item's id is its distance from the first item that ever was.
///
/// ```text
/// first_id ─▶ [leased, gone, leased | waiting, waiting, …]
///              └───── leased ──────┘
/// ```
struct Store<T> {
    items: VecDeque<Option<T>>,
    first_id: u64,
    /// How many places at the front have been leased.
    leased: usize,
    /// How many items there are: places that are not gone.
    live: usize,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), first_id: 0, leased: 0, live: 0 }
    }
}

impl<T: Clone> Store<T> {
    fn filled_from(&mut self, inbox: &impl Inbox<T>) -> &mut Self {
        while let Some(item) = inbox.pop() {
            self.items.push_back(Some(item));
            self.live += 1;
        }
        self
    }

    fn lease(&mut self, count: usize) -> Vec<Leased<T>> {
        let mut leases = Vec::with_capacity(count.min(self.items.len() - self.leased));
        while leases.len() < count {
            let Some(place) = self.items.get(self.leased) else { break };
            if let Some(item) = place {
                let id = self.first_id + self.leased as u64;
                leases.push(Leased { id, item: item.clone(), recovered: false });
            }
            self.leased += 1;
        }
        leases
    }

    fn settle(&mut self, ids: &[u64]) -> usize {
        let before = self.live;
        for id in ids {
            let place = id.checked_sub(self.first_id).and_then(|at| usize::try_from(at).ok());
            if place.and_then(|at| self.items.get_mut(at)).and_then(Option::take).is_some() {
                self.live -= 1;
            }
        }
        self.drop_gone();
        before - self.live
    }

    fn remove(&mut self, count: usize) -> Vec<T> {
        let mut removed = Vec::new();
        while removed.len() < count {
            let Some(place) = self.items.remove(self.leased) else { break };
            removed.extend(place);
        }
        self.live -= removed.len();
        removed
    }

    fn drop_gone(&mut self) {
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first_id += 1;
            self.leased = self.leased.saturating_sub(1);
        }
        if self.items.is_empty() {
            self.items.shrink_to(1024);
        }
    }
}
