//! A queue that may panic, since somebody else may have written it. A panic ends the pipeline with a reason; the
//! process goes on, and whoever called has the item back.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Duration,
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::outcome::Refusal;
use crate::queue::{
    Counts, DeadLetterStore, DeliveryQueue, Displacing, Eventually, Finish, Leased, QueueError, QueueWatcher,
    Receipt, Refused,
};

/// A queue, and what became of it.
#[derive(Debug)]
pub(super) struct Guarded<T> {
    queue: Arc<dyn DeliveryQueue<T>>,
    /// Whether it is one of ours.
    is_own: bool,
    /// Whether it grows by what is added, one at a time, and by nothing else.
    grows_by_adding_alone: bool,
    broken: OnceLock<String>,
    /// What it counted last. Whoever adds reads what is beside it.
    counts: CachePadded<Mutex<Counts>>,
}

impl<T> Guarded<T> {
    pub(super) fn new(queue: Arc<dyn DeliveryQueue<T>>) -> Self {
        let says = |what: fn(&dyn DeliveryQueue<T>) -> bool| {
            catch_unwind(AssertUnwindSafe(|| what(&*queue))).unwrap_or_default()
        };
        let (is_own, grows_by_adding_alone) =
            (says(|queue| queue.is_own()), says(|queue| queue.grows_by_adding_alone()));
        Self { queue, is_own, grows_by_adding_alone, broken: OnceLock::new(), counts: CachePadded::default() }
    }

    /// The queue as the caller gave it: a panic is the caller's.
    pub(super) fn bare(&self) -> &dyn DeliveryQueue<T> {
        &*self.queue
    }

    /// Whether each item that is added makes it larger by one, and nothing else does.
    pub(super) fn grows_by_adding_alone(&self) -> bool {
        self.grows_by_adding_alone
    }

    /// What it said when it panicked.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    fn call<R>(&self, what: &str, call: impl FnOnce(&dyn DeliveryQueue<T>) -> R) -> Option<R> {
        catch_unwind(AssertUnwindSafe(|| call(&*self.queue)))
            .inspect_err(|panic| self.note(what, &**panic))
            .ok()
    }

    fn note(&self, what: &str, panic: &(dyn Any + Send)) {
        let said = panic_text(panic);
        tracing::error!(what, said, "the queue panicked; delivery ends, and what is left stays in the queue");
        self.broken.get_or_init(|| format!("the queue panicked in {what}: {said}"));
    }

    pub(super) fn remove(&self, count: usize) -> Vec<T> {
        self.call("remove", |queue| queue.remove(count)).unwrap_or_default()
    }

    pub(super) fn size(&self) -> usize {
        self.call("size", |queue| queue.size()).unwrap_or_default()
    }

    pub(super) fn capacity(&self) -> usize {
        self.call("capacity", |queue| queue.capacity()).unwrap_or_default()
    }

    pub(super) fn capacity_bytes(&self) -> u64 {
        self.call("capacity_bytes", |queue| queue.capacity_bytes()).unwrap_or(u64::MAX)
    }

    pub(super) fn counts(&self) -> Counts {
        let counted = self.call("counts", |queue| queue.counts());
        let mut last = self.counts.lock();
        *last = counted.unwrap_or(*last);
        *last
    }

    pub(super) fn lease(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.call("lease", |queue| queue.lease_within(count, bytes))
            .unwrap_or_else(|| Eventually::Now(Err(panicked())))
    }

    pub(super) fn begin_backlog(&self) -> bool {
        self.call("begin_backlog", |queue| queue.begin_backlog()).unwrap_or_default()
    }

    pub(super) fn lease_backlog(
        &self,
        count: usize,
        bytes: usize,
    ) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.call("lease_backlog", |queue| queue.lease_backlog(count, bytes))
            .unwrap_or_else(|| Eventually::Now(Err(panicked())))
    }

    pub(super) fn newer_than_backlog(&self) -> Option<usize> {
        self.call("newer_than_backlog", |queue| queue.newer_than_backlog()).flatten()
    }

    pub(super) fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.call("settle", |queue| queue.settle(ids)).unwrap_or_else(|| Eventually::Now(Err(panicked())))
    }

    pub(super) fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        self.call("renew", |queue| queue.renew(ids)).unwrap_or_else(|| Eventually::Now(Err(panicked())))
    }

    pub(super) fn lease_time(&self) -> Option<Duration> {
        self.call("lease_time", |queue| queue.lease_time()).flatten()
    }

    pub(super) fn leases_max(&self) -> Option<usize> {
        self.call("leases_max", |queue| queue.leases_max()).flatten()
    }

    pub(super) fn release(&self) {
        self.call("release", |queue| queue.release());
    }

    pub(super) fn close(&self) {
        self.call("close", |queue| queue.close());
    }

    pub(super) fn displaced(&self, count: usize) -> Vec<Leased<T>> {
        self.call("displaced", |queue| queue.displaced(count)).unwrap_or_default()
    }

    pub(super) fn finish(&self, within: Duration) -> Finish {
        self.call("finish", |queue| queue.finish(within)).unwrap_or_else(|| Box::pin(std::future::ready(())))
    }

    pub(super) fn give_up(&self) -> Vec<Leased<T>> {
        self.call("give_up", |queue| queue.give_up()).unwrap_or_default()
    }

    pub(super) fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.call("watch", |queue| queue.watch(watcher));
    }

    pub(super) fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        self.call("dead_letters", |queue| queue.dead_letters()).flatten()
    }
}

/// A panic takes the item with it, so one that others' queues get is a copy. Our own do not panic, and save the copy.
impl<T: Clone> Guarded<T> {
    pub(super) fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        if self.is_own {
            return self.queue.add(item);
        }
        let copy = item.clone();
        self.call("add", |queue| queue.add(copy)).unwrap_or_else(|| Err(Refused::new(item, self.refusal())))
    }

    pub(super) fn add_displacing(&self, item: T) -> Displacing<T> {
        if self.is_own {
            return self.queue.add_displacing(item);
        }
        let copy = item.clone();
        let refused = || Displacing::new(Vec::new(), Err(Refused::new(item, self.refusal())));
        self.call("add_displacing", |queue| queue.add_displacing(copy)).unwrap_or_else(refused)
    }

    fn refusal(&self) -> Refusal {
        Refusal::Storage(self.broken().unwrap_or_default().to_owned())
    }
}

fn panicked() -> QueueError {
    QueueError::new("the queue panicked")
}

/// What a panic said, where it said something.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batch::LogEvent, queue::InMemoryQueue};

    #[test]
    fn what_a_queue_says_of_itself_is_passed_on() {
        let guarded = Guarded::<LogEvent>::new(Arc::new(InMemoryQueue::new(3)));
        assert_eq!((guarded.capacity(), guarded.leases_max()), (3, Some(usize::MAX)));
        assert_eq!((guarded.lease_time(), guarded.broken()), (None, None));
    }
}
