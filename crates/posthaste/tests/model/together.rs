//! Adding while others take out, close and count: nothing is lost, doubled or out of a thread's order.

use loom::{sync::Arc, thread};

use crate::{
    MEMORY, add, add_all, count_ok, in_every_order, places::Tally, stripes::Stripes, take, two_stripes,
};

/// The items of the thread that adds from `first` on.
fn of(items: &[u32], first: u32) -> Vec<u32> {
    items.iter().copied().filter(|item| (first..first + 10).contains(item)).collect()
}

#[test]
fn what_is_added_comes_out_once_and_in_its_threads_order() {
    in_every_order(2, || {
        let queue = two_stripes(9);
        let threads = [(0, 10), (1, 20)].map(|(home, first)| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || add_all(&queue, home, first..first + 2))
        });
        let mut items = take(&queue);
        for thread in threads {
            thread.join().unwrap();
        }
        items.extend(take(&queue));
        assert_eq!((of(&items, 10), of(&items, 20), items.len()), (vec![10, 11], vec![20, 21], 4));
    });
}

/// A thread moves to another stripe, in which others have been.
#[test]
fn a_threads_order_stays_while_stripes_become_more() {
    in_every_order(3, || {
        let queue = Arc::new(Stripes::new(9, 2, MEMORY));
        let threads = [(1, 10), (3, 20)].map(|(home, first)| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || add_all(&queue, home, first..first + 2))
        });
        queue.spread(1);
        let mut items = take(&queue);
        for thread in threads {
            thread.join().unwrap();
        }
        items.extend(take(&queue));
        assert_eq!((of(&items, 10), of(&items, 20), items.len()), (vec![10, 11], vec![20, 21], 4));
    });
}

/// As long as nobody has had to wait for another, one thread after the other is the order.
#[test]
fn threads_that_add_one_after_the_other_keep_their_order() {
    in_every_order(3, || {
        let queue = Arc::new(Stripes::new(9, 2, MEMORY));
        add_all(&queue, 0, [1]);
        let other = Arc::clone(&queue);
        let adds = thread::spawn(move || add_all(&other, 1, [2]));
        let mut items = take(&queue);
        adds.join().unwrap();
        add_all(&queue, 0, [3]);
        items.extend(take(&queue));
        assert_eq!(items, [1, 2, 3]);
    });
}

#[test]
fn what_was_taken_is_there_once_close_returns() {
    in_every_order(3, || {
        let queue = two_stripes(9);
        let threads = [0, 1].map(|home| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || count_ok(&add(&queue, home, [1, 2])))
        });
        queue.close();
        let there = take(&queue).len();
        let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!((there, take(&queue).len(), queue.is_closed(5)), (taken, 0, true));
    });
}

#[test]
fn counts_are_of_one_moment() {
    in_every_order(2, || {
        let queue = two_stripes(2);
        add_all(&queue, 0, [1]);
        let adds = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || count_ok(&add(&queue, 1, [2, 3])) as u64)
        };
        let gives = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.give_back(Tally { items: 1, events: 1 }))
        };
        let count = queue.count();
        let (taken, held) = (count.taken.items, count.held.items);
        assert!(held <= 2 && (1..=3).contains(&taken) && (0..=1).contains(&(taken - held)), "{count:?}");
        assert!(taken < 3 || taken - held == 1, "the third needs the place that was given back: {count:?}");
        assert_eq!((count.taken.events, count.held.events), (taken, held));
        let added = adds.join().unwrap();
        gives.join().unwrap();
        let count = queue.count();
        assert_eq!((count.taken.items, count.held.items), (1 + added, added));
    });
}
