//! What every queue in memory promises, and what delivery makes of one with the seed's four methods alone.

use std::{collections::HashSet, sync::Arc, thread};

use posthaste::{
    ChanQueue, InMemoryQueue, Queue, Receipt, Refusal, Refused,
    queue::{DeliveryQueue, Leased, QueueItem, Sequential},
};

/// An item that carries as many events as its number says, and takes ten bytes for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct N(u32);

impl QueueItem for N {
    const EVENTS: Option<u64> = None;

    fn events(&self) -> usize {
        self.0 as usize
    }

    fn bytes(&self) -> usize {
        self.0 as usize * 10
    }
}

/// A queue of somebody else's: the seed's four methods.
#[derive(Debug)]
struct Seed(InMemoryQueue<N>);

impl Queue<N> for Seed {
    fn add(&self, item: N) -> Result<Receipt, Refused<N>> {
        self.0.add(item)
    }

    fn get(&self, count: usize) -> Vec<N> {
        self.0.get(count)
    }

    fn remove(&self, count: usize) -> Vec<N> {
        self.0.remove(count)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

type AnyQueue = Arc<dyn DeliveryQueue<N>>;

fn in_memory(capacity: usize) -> Vec<AnyQueue> {
    vec![Arc::new(InMemoryQueue::new(capacity)), Arc::new(ChanQueue::new(capacity))]
}

fn queues(capacity: usize) -> Vec<AnyQueue> {
    let seed = Sequential::over(Seed(InMemoryQueue::new(capacity)), capacity);
    in_memory(capacity).into_iter().chain([Arc::new(seed) as AnyQueue]).collect()
}

fn add(queue: &AnyQueue, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| queue.add(N(item)).unwrap().forget());
}

fn lease(queue: &AnyQueue, count: usize) -> Vec<Leased<N>> {
    queue.lease(count).wait().unwrap()
}

fn settle(queue: &AnyQueue, ids: impl IntoIterator<Item = u64>) {
    queue.settle(&ids.into_iter().collect::<Vec<_>>()).wait().unwrap();
}

fn numbers(items: impl IntoIterator<Item = N>) -> Vec<u32> {
    items.into_iter().map(|item| item.0).collect()
}

fn leased(leases: &[Leased<N>]) -> Vec<u32> {
    numbers(leases.iter().map(|lease| lease.item))
}

#[test]
fn an_added_item_is_visible_at_once_and_oldest_come_first() {
    for queue in queues(100) {
        for item in 0..10 {
            queue.add(N(item)).unwrap().wait().unwrap();
            assert_eq!(queue.size(), item as usize + 1, "{queue:?}");
        }
        assert_eq!(numbers(queue.get(3)), [0, 1, 2]);
        assert_eq!(numbers(queue.get(3)), [0, 1, 2]);
        assert_eq!(numbers(queue.remove(3)), [0, 1, 2]);
        assert_eq!(numbers(queue.get(100)), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((queue.size(), queue.capacity()), (7, 100));
        assert_eq!((queue.get(0).len(), queue.remove(0).len()), (0, 0));
    }
}

#[test]
fn a_full_or_closed_queue_returns_the_item() {
    for queue in queues(2) {
        add(&queue, [1, 2]);
        let refused = queue.add(N(3)).unwrap_err();
        assert_eq!((refused.item, refused.reason), (N(3), Refusal::QueueFull { capacity: 2 }));
        queue.remove(1);
        add(&queue, [4]);
        queue.close();
        let refused = queue.add(N(5)).unwrap_err();
        assert_eq!((refused.item, refused.reason), (N(5), Refusal::Closed));
        assert_eq!(numbers(queue.get(9)), [2, 4]);
    }
}

#[test]
fn leased_items_stay_until_settled_in_any_order() {
    for queue in queues(100) {
        add(&queue, 0..6);
        let leases = lease(&queue, 4);
        assert_eq!(leased(&leases), [0, 1, 2, 3]);
        assert_eq!((queue.size(), numbers(queue.get(9))), (6, vec![0, 1, 2, 3, 4, 5]));
        settle(&queue, [leases[2].id, leases[0].id]);
        assert_eq!((queue.size(), numbers(queue.get(9))), (4, vec![1, 3, 4, 5]), "{queue:?}");
        settle(&queue, [leases[2].id, 999]);
        assert_eq!(queue.size(), 4);
        settle(&queue, [leases[1].id, leases[3].id]);
        assert_eq!((queue.size(), leased(&lease(&queue, 9))), (2, vec![4, 5]));
        queue.release();
        assert_eq!(leased(&lease(&queue, 9)), [4, 5]);
    }
}

#[test]
fn what_is_leased_is_not_removed() {
    for queue in in_memory(100) {
        add(&queue, 0..6);
        let leases = lease(&queue, 4);
        assert_eq!(numbers(queue.remove(1)), [4]);
        settle(&queue, [leases[2].id, leases[0].id]);
        queue.release();
        assert_eq!(leased(&lease(&queue, 9)), [1, 3, 5]);
    }
    let seed: AnyQueue = Arc::new(Sequential::over(Seed(InMemoryQueue::new(9)), 9));
    add(&seed, 0..3);
    let leases = lease(&seed, 1);
    assert!(seed.remove(9).is_empty(), "such a queue gives up only its front, which is leased");
    settle(&seed, leases.iter().map(|lease| lease.id));
    assert_eq!(numbers(seed.remove(9)), [1, 2]);
}

/// A queue that gives up only its front still knows what was settled behind it.
#[test]
fn what_was_settled_is_not_left_behind_others() {
    let seed: AnyQueue = Arc::new(Sequential::over(Seed(InMemoryQueue::new(9)), 9));
    add(&seed, 1..6);
    let leases = lease(&seed, 3);
    settle(&seed, [leases[1].id]);
    seed.release();
    assert_eq!((seed.size(), numbers(seed.get(9)), seed.counts().held), (4, vec![1, 3, 4, 5], 13));
    assert_eq!(leased(&lease(&seed, 2)), [1, 3]);
    seed.release();
    assert_eq!(leased(&lease(&seed, 9)), [1, 3, 4, 5]);
    seed.release();
    assert_eq!((numbers(seed.remove(2)), numbers(seed.get(9))), (vec![1, 3], vec![4, 5]));
    assert_eq!((seed.size(), seed.counts().held, leased(&lease(&seed, 9))), (2, 9, vec![4, 5]));
}

/// Over random calls: events taken and held, as the test counts them itself.
#[test]
fn queues_count_events_by_themselves() {
    for (seed, queue) in queues(50).into_iter().cycle().take(300).enumerate() {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let (mut taken, mut gone, mut leases) = (queue.counts().taken, 0, Vec::new());
        let before = queue.counts().held;
        let mut held = before;
        for _ in 0..200 {
            match random.u8(0..6) {
                0..3 => {
                    let item = N(random.u32(1..9));
                    if queue.add(item).is_ok() {
                        (taken, held) = (taken + u64::from(item.0), held + u64::from(item.0));
                    }
                }
                3 => leases.extend(lease(&queue, random.usize(0..9))),
                4 => {
                    let ended = leases.split_off(random.usize(0..=leases.len()));
                    gone = ended.iter().map(|lease| u64::from(lease.item.0)).sum();
                    settle(&queue, ended.iter().map(|lease| lease.id));
                    held -= gone;
                }
                _ => {
                    held -=
                        queue.remove(random.usize(0..4)).iter().map(|item| u64::from(item.0)).sum::<u64>();
                }
            }
            let counts = queue.counts();
            assert_eq!((counts.taken, counts.held), (taken, held), "seed {seed}, {gone} gone: {queue:?}");
        }
    }
}

#[test]
fn bytes_are_bounded_like_items() {
    let queues: [AnyQueue; 2] =
        [Arc::new(InMemoryQueue::new(3).bytes_max(100)), Arc::new(ChanQueue::new(3).bytes_max(100))];
    for queue in queues {
        add(&queue, [6, 4]);
        let refused = queue.add(N(1)).unwrap_err();
        assert_eq!((refused.item, refused.reason), (N(1), Refusal::QueueBytesFull { bytes_max: 100 }));
        settle(&queue, lease(&queue, 1).iter().map(|lease| lease.id));
        add(&queue, [5, 1]);
        assert_eq!(queue.add(N(1)).unwrap_err().reason, Refusal::QueueBytesFull { bytes_max: 100 });
        assert_eq!(numbers(queue.remove(9)), [4, 5, 1]);
        add(&queue, [1, 1, 1]);
        let refused = queue.add(N(1)).unwrap_err();
        assert_eq!(refused.reason, Refusal::QueueFull { capacity: 3 }, "its bytes are free again");
        queue.remove(9);
        add(&queue, [1_000]);
        assert!(queue.add(N(1)).is_err(), "an item alone may be larger, and then nothing else is taken");
        queue.close();
        assert_eq!(queue.add(N(1)).unwrap_err().reason, Refusal::Closed, "closed before full");
    }
}

/// The seed checks the size and adds in two steps, so that callers at the same time overshoot.
#[test]
fn concurrent_callers_cannot_overshoot_nor_lose_an_item() {
    const THREADS: u32 = 8;
    const EACH: u32 = 2_000;
    for queue in in_memory(1_000) {
        let taken: HashSet<N> = thread::scope(|scope| {
            let add = |thread| (0..EACH).filter(|n| queue.add(N(thread * EACH + n)).is_ok()).count();
            let producers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || add(thread))).collect();
            let mut taken = HashSet::new();
            let mut added = 0;
            let mut drain = || {
                assert!(queue.size() <= 1_000);
                let leases = lease(&queue, 100);
                settle(&queue, leases.iter().map(|lease| lease.id));
                leases.into_iter().filter(|leased| !taken.insert(leased.item)).count()
            };
            for producer in producers {
                while !producer.is_finished() {
                    assert_eq!(drain(), 0, "an item came twice");
                }
                added += producer.join().unwrap();
            }
            queue.close();
            while queue.size() > 0 {
                assert_eq!(drain(), 0, "an item came twice");
            }
            assert_eq!(taken.len(), added);
            taken
        });
        assert!(taken.len() >= 1_000);
        let events: u64 = taken.iter().map(|item| u64::from(item.0)).sum();
        assert_eq!((queue.counts().taken, queue.counts().held), (events, 0));
    }
}
