//! Delivery over a queue that has only the seed's four methods.
//!
//! Such a queue gives up only its front. So what is leased stays in the queue until everything before it has been
//! settled: one slow request keeps the places of those behind it, though their events are delivered meanwhile.
//! Invariant: the first `known.len()` items of the queue are those in `known`, in order; the first `handed` of them are
//! leased or settled.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::{Counts, DeliveryQueue, Eventually, Leased, Queue, QueueError, QueueItem, Receipt, Refused};

/// Makes a [`DeliveryQueue`] of any [`Queue`]. Hand the queue over whole: where somebody else adds to it or removes
/// from it, the ledger no longer balances, and events may be lost.
///
/// ```
/// use posthaste::{BatchEventProcessor, InMemoryQueue, dispatch, queue::Sequential};
///
/// // Stands for a queue of your own, which implements `Queue<UserEvent>`.
/// let queue = InMemoryQueue::new(500);
/// let dispatcher = dispatch::from_fn(|_| Ok(dispatch::Response::status(204)));
/// let processor =
///     BatchEventProcessor::builder().queue(Sequential::over(queue, 500)).event_dispatcher(dispatcher).build()?;
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug)]
pub struct Sequential<T, Q> {
    queue: Q,
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// What has been leased at the front of the queue; `None` once it has been settled.
    known: VecDeque<Option<T>>,
    /// How many of these are not to be leased again.
    handed: usize,
    /// The id of the first of these.
    first_id: u64,
    counts: Counts,
    closed: bool,
}

impl<T: QueueItem, Q: Queue<T>> Sequential<T, Q> {
    /// Over this queue, which holds at most `capacity` items. What it holds already is delivered first.
    pub fn over(queue: Q, capacity: usize) -> Self {
        let found = queue.get(queue.size()).iter().map(|item| item.events() as u64).sum();
        let counts = Counts::new(found, found);
        Self {
            queue,
            capacity,
            state: Mutex::new(State {
                known: VecDeque::new(),
                handed: 0,
                first_id: 0,
                counts,
                closed: false,
            }),
        }
    }
}

impl<T> State<T> {
    fn gone(&mut self, events: usize) {
        self.counts.held = self.counts.held.saturating_sub(events as u64);
    }

    /// How many at the front have been settled; they are forgotten.
    fn settled_front(&mut self) -> usize {
        let count = self.known.iter().take_while(|item| item.is_none()).count();
        self.forget(count);
        count
    }

    fn forget(&mut self, count: usize) {
        self.known.drain(..count);
        self.handed = self.handed.saturating_sub(count);
        self.first_id += count as u64;
    }

    fn settled(&self) -> usize {
        self.known.iter().filter(|item| item.is_none()).count()
    }
}

impl<T: QueueItem, Q: Queue<T>> Queue<T> for Sequential<T, Q> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let events = item.events() as u64;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::new(item, crate::outcome::Refusal::Closed));
        }
        let receipt = self.queue.add(item)?;
        state.counts.taken += events;
        state.counts.held += events;
        Ok(receipt)
    }

    fn get(&self, count: usize) -> Vec<T> {
        let state = self.state.lock();
        let mut items = self.queue.get(count.saturating_add(state.settled())).into_iter();
        let known: Vec<T> = state.known.iter().zip(&mut items).filter_map(|(item, _)| item.clone()).collect();
        known.into_iter().chain(items).take(count).collect()
    }

    /// Such a queue gives up only its front: nothing can be taken past what is leased.
    fn remove(&self, count: usize) -> Vec<T> {
        let mut state = self.state.lock();
        let mut removed = Vec::new();
        while removed.len() < count && state.handed == 0 {
            let front = self.queue.remove(1);
            if front.is_empty() {
                break;
            }
            match state.known.front() {
                Some(None) => {}
                _ => removed.extend(front),
            }
            let known = state.known.len().min(1);
            state.forget(known);
        }
        state.gone(removed.iter().map(QueueItem::events).sum());
        removed
    }

    fn size(&self) -> usize {
        let state = self.state.lock();
        self.queue.size().saturating_sub(state.settled())
    }
}

impl<T: QueueItem, Q: Queue<T>> DeliveryQueue<T> for Sequential<T, Q> {
    fn capacity(&self) -> usize {
        self.capacity
    }

    fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let mut state = self.state.lock();
        let known = state.known.len();
        let new = self.queue.get(known.saturating_add(count)).into_iter().skip(known).map(Some);
        state.known.extend(new);
        let mut leases = Vec::new();
        while leases.len() < count
            && let Some(item) = state.known.get(state.handed)
        {
            let id = state.first_id + state.handed as u64;
            leases.extend(item.clone().map(|item| Leased::new(id, item)));
            state.handed += 1;
        }
        Eventually::Now(Ok(leases))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let mut state = self.state.lock();
        for id in ids {
            let place = id.checked_sub(state.first_id).and_then(|at| usize::try_from(at).ok());
            if let Some(item) = place.and_then(|at| state.known.get_mut(at)).and_then(Option::take) {
                state.gone(item.events());
            }
        }
        let count = state.settled_front();
        drop(self.queue.remove(count));
        Eventually::Now(Ok(()))
    }

    /// Items that were settled behind one that was not stay known: they are not leased again, and whoever closes the queue
    /// below finds them there.
    fn release(&self) {
        self.state.lock().handed = 0;
    }

    fn close(&self) {
        self.state.lock().closed = true;
    }
}
