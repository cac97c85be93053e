//! Many threads at a queue in memory: the bound is exact, each thread's items keep their order, and none is lost. The test
//! counts by itself what was taken and what came out.

use std::{
    collections::HashMap,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use posthaste::{
    ChanQueue, InMemoryQueue, Refusal,
    queue::{DeliveryQueue, QueueItem},
};

const THREADS: usize = 8;

/// Which thread added it, and as which of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    thread: usize,
    number: usize,
}

impl QueueItem for Mark {
    const EVENTS: Option<u64> = Some(1);

    fn events(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

fn both(capacity: usize) -> [Box<dyn DeliveryQueue<Mark>>; 2] {
    [Box::new(InMemoryQueue::new(capacity)), Box::new(ChanQueue::new(capacity))]
}

/// What each thread has seen come out, in its order and without gaps: it adds again what was refused.
#[derive(Default)]
struct Seen(HashMap<usize, usize>);

impl Seen {
    fn note(&mut self, items: impl IntoIterator<Item = Mark>) {
        for Mark { thread, number } in items {
            let next = self.0.entry(thread).or_default();
            assert_eq!(number, *next, "of thread {thread}");
            *next += 1;
        }
    }

    fn count(&self) -> usize {
        self.0.values().sum()
    }
}

/// All threads at once, until each has been refused: as many are in as may be.
fn fill(queue: &dyn DeliveryQueue<Mark>, first: impl Fn(usize) -> usize + Sync) -> Vec<usize> {
    let start = Barrier::new(THREADS);
    let until_full = |thread: usize| {
        start.wait();
        let mut number = first(thread);
        loop {
            match queue.add(Mark { thread, number }) {
                Ok(receipt) => receipt.forget(),
                Err(refused) => {
                    assert_eq!(refused.item, Mark { thread, number });
                    assert_eq!(refused.reason, Refusal::QueueFull { capacity: queue.capacity() });
                    return number;
                }
            }
            number += 1;
        }
    };
    thread::scope(|scope| {
        let until_full = &until_full;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || until_full(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_crowd_fills_a_queue_to_its_last_place_each_time() {
    for capacity in [0, 1, 2, 3, 7, 64, 129, 1_000, 20_011] {
        for queue in both(capacity) {
            let (mut seen, mut next) = (Seen::default(), vec![0; THREADS]);
            for round in 0..5 {
                next = fill(&*queue, |thread| next[thread]);
                let added: usize = next.iter().sum();
                assert_eq!((queue.size(), added - seen.count()), (capacity, capacity), "round {round}");
                seen.note(queue.remove(capacity.div_ceil(round + 1)));
            }
            seen.note(queue.remove(usize::MAX));
            let counts = queue.counts();
            let added: usize = next.iter().sum();
            assert_eq!((seen.count(), counts.taken, counts.held), (added, added as u64, 0));
        }
    }
}

/// A test that fails lets go of those who wait for room.
struct CloseAtEnd<'a>(&'a dyn DeliveryQueue<Mark>);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Tries until there is room. False: the queue is closed.
fn add_patiently(queue: &dyn DeliveryQueue<Mark>, mark: Mark) -> bool {
    loop {
        match queue.add(mark) {
            Ok(receipt) => {
                receipt.forget();
                return true;
            }
            Err(refused) if refused.reason == Refusal::Closed => return false,
            Err(_) => thread::yield_now(),
        }
    }
}

#[test]
fn a_crowd_that_adds_while_others_take_and_count_loses_nothing() {
    const EACH: usize = 300;
    for capacity in [1, 2, 100, 1_000] {
        for queue in both(capacity) {
            let (at_work, queue) = (AtomicUsize::new(THREADS), &*queue);
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let at_work = &at_work;
                    scope.spawn(move || {
                        (0..EACH).all(|number| add_patiently(queue, Mark { thread, number }));
                        at_work.fetch_sub(1, SeqCst);
                    });
                }
                scope.spawn(|| {
                    while at_work.load(SeqCst) > 0 {
                        let counts = queue.counts();
                        assert!(counts.held <= capacity as u64 && counts.held <= counts.taken, "{counts:?}");
                        thread::yield_now();
                    }
                });
                let _end = CloseAtEnd(queue);
                let mut seen = Seen::default();
                while at_work.load(SeqCst) > 0 || queue.size() > 0 {
                    let leases = queue.lease(50).wait().unwrap();
                    let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
                    seen.note(leases.into_iter().map(|lease| lease.item));
                    queue.settle(&ids).wait().unwrap();
                    let counts = queue.counts();
                    assert_eq!(counts.taken - counts.held, seen.count() as u64);
                    seen.note(queue.remove(3));
                    thread::yield_now();
                }
                assert_eq!((seen.count(), queue.counts().taken), (THREADS * EACH, (THREADS * EACH) as u64));
            });
        }
    }
}

/// What a thread has added before it wakes another stands before what that one adds.
#[test]
fn threads_that_take_turns_keep_their_order() {
    for queue in both(1_000) {
        for number in 0..500 {
            let add = || queue.add(Mark { thread: 0, number }).unwrap().forget();
            thread::scope(|scope| scope.spawn(add).join().unwrap());
        }
        let mut seen = Seen::default();
        seen.note(queue.remove(1_000));
        assert_eq!(seen.count(), 500);
    }
}

#[test]
fn once_closed_a_queue_holds_what_the_crowd_was_told_it_took() {
    for _ in 0..50 {
        for queue in both(100_000) {
            let (start, queue) = (Barrier::new(THREADS + 1), &*queue);
            let until_closed = |thread| {
                start.wait();
                let mut numbers = 0..1_000;
                numbers.find(|number| queue.add(Mark { thread, number: *number }).is_err()).unwrap_or(1_000)
            };
            let (there, told) = thread::scope(|scope| {
                let until_closed = &until_closed;
                let threads: Vec<_> =
                    (0..THREADS).map(|thread| scope.spawn(move || until_closed(thread))).collect();
                start.wait();
                queue.close();
                let there = queue.get(usize::MAX).len();
                (there, threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>())
            });
            assert_eq!((there, queue.size()), (told, told));
        }
    }
}
