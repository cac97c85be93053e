//! What every queue in memory promises.

use std::{collections::HashSet, sync::Arc, thread};

use posthaste::{ChanQueue, InMemoryQueue, Queue, Refusal};

fn queues(capacity: usize) -> Vec<Arc<dyn Queue<u32>>> {
    vec![Arc::new(InMemoryQueue::new(capacity)), Arc::new(ChanQueue::new(capacity))]
}

#[test]
fn an_added_item_is_visible_at_once_and_oldest_come_first() {
    for queue in queues(100) {
        for item in 0..10 {
            queue.add(item).unwrap().wait().unwrap();
            assert_eq!(queue.size(), item as usize + 1, "{queue:?}");
        }
        assert_eq!(queue.get(3), [0, 1, 2]);
        assert_eq!(queue.get(3), [0, 1, 2]);
        assert_eq!(queue.remove(3), [0, 1, 2]);
        assert_eq!(queue.get(100), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((queue.size(), queue.capacity()), (7, 100));
        assert_eq!((queue.get(0).len(), queue.remove(0).len()), (0, 0));
    }
}

#[test]
fn a_full_or_closed_queue_returns_the_item() {
    for queue in queues(2) {
        queue.add(1).unwrap().forget();
        queue.add(2).unwrap().forget();
        let refused = queue.add(3).unwrap_err();
        assert_eq!((refused.item, refused.reason), (3, Refusal::QueueFull { capacity: 2 }));
        queue.remove(1);
        queue.add(4).unwrap().forget();
        queue.close();
        let refused = queue.add(5).unwrap_err();
        assert_eq!((refused.item, refused.reason), (5, Refusal::Closed));
        assert_eq!(queue.get(9), [2, 4]);
    }
}

#[test]
fn leased_items_stay_until_settled_in_any_order() {
    for queue in queues(100) {
        (0..6).for_each(|item| drop(queue.add(item).unwrap()));
        let leases = queue.lease(4);
        assert_eq!(leases.iter().map(|leased| leased.item).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!((queue.size(), queue.get(9)), (6, vec![0, 1, 2, 3, 4, 5]));
        queue.settle(&[leases[2].id, leases[0].id]);
        assert_eq!((queue.size(), queue.get(9)), (4, vec![1, 3, 4, 5]));
        queue.settle(&[leases[2].id, 999]);
        assert_eq!(queue.size(), 4);
        // What is leased cannot be taken back.
        assert_eq!(queue.remove(1), [4]);
        queue.release();
        assert_eq!(queue.lease(9).iter().map(|leased| leased.item).collect::<Vec<_>>(), [1, 3, 5]);
    }
}

/// The seed checks the size and adds in two steps, so that callers at the same time overshoot.
#[test]
fn concurrent_callers_cannot_overshoot_nor_lose_an_item() {
    const THREADS: u32 = 8;
    const EACH: u32 = 2_000;
    for queue in queues(1_000) {
        let taken: HashSet<u32> = thread::scope(|scope| {
            let producers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let queue = &queue;
                    scope.spawn(move || (0..EACH).filter(|n| queue.add(thread * EACH + n).is_ok()).count())
                })
                .collect();
            let mut taken = HashSet::new();
            let mut added = 0;
            let mut drain = || {
                assert!(queue.size() <= 1_000);
                let leases = queue.lease(100);
                queue.settle(&leases.iter().map(|leased| leased.id).collect::<Vec<_>>());
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
    }
}
