//! The items of a queue in memory, in order, and how far leasing has come.
//!
//! Invariant: an item keeps its id for as long as it is leased, or others behind it are.

use std::collections::VecDeque;

use super::{
    QueueItem,
    backlog::Backlog,
    leasing::Leasing,
    places::Tally,
    run::{self, Memory, Run},
    stripes::Stripes,
};

/// Items in order. An item's id is its distance from the first item that ever was.
///
/// ```text
/// first_id ─▶ [leased, gone, leased | waiting, waiting, …]
///              └───── leased ──────┘
/// ```
///
/// What is leased may have gaps: ranges that wait behind newer items.
pub(super) struct Store<T> {
    items: VecDeque<Option<T>>,
    first_id: u64,
    /// How many places at the front have been leased, or are the backlog's.
    leased: usize,
    backlog: Backlog,
    /// What is taken out of the stripes, on its way to `items`: empty in between.
    runs: Vec<Run<T>>,
    memory: Memory,
}

impl<T> Store<T> {
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            items: VecDeque::with_capacity(memory.at_start),
            first_id: 0,
            leased: 0,
            backlog: Backlog::default(),
            runs: vec![Run::new(memory)],
            memory,
        }
    }
}

impl<T: QueueItem> Store<T> {
    /// Everything that has been added so far is here from now on.
    pub(super) fn filled_from(&mut self, stripes: &Stripes<T>) -> &mut Self {
        stripes.take(&mut self.runs, self.memory);
        run::merge(&mut self.runs, &mut self.items, self.memory);
        self
    }

    pub(super) fn lease(&mut self, leasing: &mut Leasing<T>) {
        while leasing.wants_more() {
            let Some(place) = self.items.get(self.leased) else { break };
            if let Some(item) = place {
                let id = self.first_id + self.leased as u64;
                leasing.take(id, item.clone());
            }
            self.leased += 1;
        }
    }

    /// The oldest.
    pub(super) fn get(&self, count: usize) -> Vec<T> {
        self.items.iter().flatten().take(count).cloned().collect()
    }

    /// How many items are neither leased nor of the backlog; `None`: no backlog is left.
    pub(super) fn newer_than_backlog(&self) -> Option<usize> {
        // No place behind those that were leased is empty.
        (!self.backlog.is_empty()).then(|| self.items.len() - self.leased)
    }

    /// All leases have ended: everything waits, in one line.
    pub(super) fn release(&mut self) {
        self.leased = 0;
        self.backlog.clear();
    }

    pub(super) fn begin_backlog(&mut self) {
        let end = self.first_id + self.items.len() as u64;
        self.backlog.join(self.first_id + self.leased as u64..end);
        self.leased = self.items.len();
    }

    pub(super) fn lease_backlog(&mut self, leasing: &mut Leasing<T>) {
        while leasing.wants_more()
            && let Some(id) = self.next_of_backlog()
        {
            if let Some(item) = self.place_mut(id).and_then(|place| place.clone()) {
                leasing.take(id, item);
            }
        }
    }

    /// The oldest of the backlog, which then is no longer in it.
    fn next_of_backlog(&mut self) -> Option<u64> {
        let id = self.backlog.front()?.start;
        self.backlog.passed(id + 1);
        Some(id)
    }

    pub(super) fn settle(&mut self, ids: &[u64]) -> Gone {
        let gone = ids.iter().filter_map(|id| self.take(*id)).map(|item| Gone::of(&item)).sum::<Gone>();
        self.drop_gone();
        gone
    }

    fn take(&mut self, id: u64) -> Option<T> {
        self.place_mut(id)?.take()
    }

    fn place_mut(&mut self, id: u64) -> Option<&mut Option<T>> {
        let place = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        self.items.get_mut(place)
    }

    pub(super) fn remove(&mut self, count: usize) -> Vec<T> {
        let mut removed = Vec::new();
        // Others behind these have been leased by their places, which stay.
        while removed.len() < count
            && let Some(id) = self.next_of_backlog()
        {
            removed.extend(self.take(id));
        }
        while removed.len() < count {
            let Some(place) = self.items.remove(self.leased) else { break };
            removed.extend(place);
        }
        self.drop_gone();
        removed
    }

    fn drop_gone(&mut self) {
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first_id += 1;
            self.leased = self.leased.saturating_sub(1);
        }
        if self.items.is_empty() {
            self.items.shrink_to(self.memory.kept);
        }
    }
}

/// What has left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gone {
    pub(super) tally: Tally,
    pub(super) bytes: usize,
}

impl Gone {
    pub(super) fn of(item: &impl QueueItem) -> Self {
        Self { tally: Tally { items: 1, events: item.events() as u64 }, bytes: item.bytes() }
    }
}

impl std::iter::Sum for Gone {
    fn sum<I: Iterator<Item = Self>>(gone: I) -> Self {
        gone.fold(Self::default(), |mut sum, gone| {
            sum.tally += gone.tally;
            sum.bytes += gone.bytes;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        batch::{Batch, LogEvent},
        queue::{DeliveryQueue, InMemoryQueue, Queue},
    };

    fn request(n: usize) -> LogEvent {
        LogEvent::new(format!("http://127.0.0.1/{n}"), &Batch::default())
    }

    fn add(queue: &InMemoryQueue<LogEvent>, numbers: std::ops::Range<usize>) {
        numbers.for_each(|n| queue.add(request(n)).unwrap().forget());
    }

    fn numbers(requests: impl IntoIterator<Item = LogEvent>) -> Vec<usize> {
        let number = |request: LogEvent| request.end_point().rsplit('/').next().unwrap().parse().unwrap();
        requests.into_iter().map(number).collect()
    }

    fn lease(queue: &InMemoryQueue<LogEvent>, count: usize) -> (Vec<u64>, Vec<usize>) {
        let leased = queue.lease(count).wait().unwrap();
        (leased.iter().map(|lease| lease.id).collect(), numbers(leased.into_iter().map(|lease| lease.item)))
    }

    fn lease_backlog(queue: &InMemoryQueue<LogEvent>, count: usize) -> (Vec<u64>, Vec<usize>) {
        let leased = queue.lease_backlog(count, usize::MAX).wait().unwrap();
        (leased.iter().map(|lease| lease.id).collect(), numbers(leased.into_iter().map(|lease| lease.item)))
    }

    #[test]
    fn what_is_new_passes_the_backlog_and_a_second_backlog_stands_behind_the_first() {
        let queue = InMemoryQueue::new(100);
        add(&queue, 0..6);
        let (first, _) = lease(&queue, 2);
        assert!(queue.begin_backlog());
        assert_eq!((queue.newer_than_backlog(), lease(&queue, 9).1), (Some(0), vec![]));
        add(&queue, 6..10);
        assert_eq!(queue.newer_than_backlog(), Some(4));
        let (new, numbers) = lease(&queue, 2);
        assert_eq!((numbers, queue.newer_than_backlog()), (vec![6, 7], Some(2)));
        queue.settle(&[first, new].concat()).wait().unwrap();
        assert_eq!((queue.newer_than_backlog(), queue.size()), (Some(2), 6));
        queue.begin_backlog();
        add(&queue, 10..11);
        let (ids, numbers) = lease_backlog(&queue, 5);
        assert_eq!((numbers, queue.newer_than_backlog()), (vec![2, 3, 4, 5, 8], Some(1)));
        queue.settle(&ids).wait().unwrap();
        assert_eq!((lease_backlog(&queue, 5).1, queue.newer_than_backlog()), (vec![9], None));
        assert_eq!(lease(&queue, 5).1, [10]);
        assert_eq!(queue.counts(), crate::queue::Counts::new(0, 0), "requests without events");
    }

    #[test]
    fn the_oldest_of_the_backlog_makes_room_and_what_is_leased_behind_it_keeps_its_id() {
        let queue = InMemoryQueue::new(100);
        add(&queue, 0..3);
        queue.begin_backlog();
        add(&queue, 3..6);
        let (new, _) = lease(&queue, 1);
        assert_eq!(numbers(queue.remove(2)), [0, 1]);
        assert_eq!((queue.size(), queue.newer_than_backlog()), (4, Some(2)));
        queue.settle(&new).wait().unwrap();
        assert_eq!(numbers(queue.get(9)), [2, 4, 5], "the one that was leased has gone");
        assert_eq!(numbers(queue.remove(2)), [2, 4]);
        assert_eq!((queue.newer_than_backlog(), lease(&queue, 9).1), (None, vec![5]));
    }

    #[test]
    fn after_a_release_everything_waits_in_its_old_order() {
        let queue = InMemoryQueue::new(100);
        add(&queue, 0..2);
        queue.begin_backlog();
        add(&queue, 2..4);
        let _ = lease(&queue, 1);
        queue.release();
        assert_eq!((queue.newer_than_backlog(), lease(&queue, 9).1), (None, vec![0, 1, 2, 3]));
    }
}
