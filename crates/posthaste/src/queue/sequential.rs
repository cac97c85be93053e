//! Delivery over a queue that has only the seed's four methods.
//!
//! Such a queue gives up only its front. So what is leased stays in the queue until everything before it has been
//! settled: one slow request keeps the places of those behind it, though their events are delivered meanwhile.
//! Invariant: the first `leased.len()` items of the queue are those in `leased`, in order.

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
    /// What is leased at the front of the queue; `None` once it has been settled.
    leased: VecDeque<Option<T>>,
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
            state: Mutex::new(State { leased: VecDeque::new(), first_id: 0, counts, closed: false }),
        }
    }
}

impl<T> State<T> {
    fn gone(&mut self, events: usize) {
        self.counts.held = self.counts.held.saturating_sub(events as u64);
    }

    /// How many at the front have been settled; they are forgotten.
    fn settled_front(&mut self) -> usize {
        let count = self.leased.iter().take_while(|item| item.is_none()).count();
        self.leased.drain(..count);
        self.first_id += count as u64;
        count
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
        let settled = state.leased.iter().filter(|item| item.is_none()).count();
        let mut items = self.queue.get(count.saturating_add(settled)).into_iter();
        let leased: Vec<T> =
            state.leased.iter().zip(&mut items).filter_map(|(item, _)| item.clone()).collect();
        leased.into_iter().chain(items).take(count).collect()
    }

    /// Such a queue gives up only its front: nothing can be taken past what is leased.
    fn remove(&self, count: usize) -> Vec<T> {
        let mut state = self.state.lock();
        if !state.leased.is_empty() {
            return Vec::new();
        }
        let removed = self.queue.remove(count);
        state.gone(removed.iter().map(QueueItem::events).sum());
        removed
    }

    fn size(&self) -> usize {
        let state = self.state.lock();
        self.queue.size().saturating_sub(state.leased.iter().filter(|item| item.is_none()).count())
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
        let (first_id, leased) = (state.first_id, state.leased.len());
        let new = self.queue.get(leased.saturating_add(count)).into_iter().skip(leased);
        let leases: Vec<_> =
            (first_id + leased as u64..).zip(new).map(|(id, item)| Leased::new(id, item)).collect();
        state.leased.extend(leases.iter().map(|lease| Some(lease.item.clone())));
        Eventually::Now(Ok(leases))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let mut state = self.state.lock();
        for id in ids {
            let place = id.checked_sub(state.first_id).and_then(|at| usize::try_from(at).ok());
            if let Some(item) = place.and_then(|at| state.leased.get_mut(at)).and_then(Option::take) {
                state.gone(item.events());
            }
        }
        let count = state.settled_front();
        drop(self.queue.remove(count));
        Eventually::Now(Ok(()))
    }

    /// Items that were settled behind one that was not are still in the queue. They will be leased again, and delivered
    /// twice; the API counts them once.
    fn release(&self) {
        let mut state = self.state.lock();
        let again = state.leased.iter().filter(|item| item.is_none()).count();
        state.first_id += state.leased.len() as u64;
        state.leased.clear();
        if again > 0 {
            tracing::warn!(again, "delivered events stay in the queue behind others, and will be sent again");
        }
    }

    fn close(&self) {
        self.state.lock().closed = true;
    }
}
