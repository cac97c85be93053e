//! The bound is exact: never more than it, and nobody is refused while there is room.

use loom::{sync::Arc, thread};

use crate::{
    MEMORY, Queue, add, add_all, count_ok, in_every_order,
    places::Tally,
    stripes::{NotTaken, Stripes},
    take, two_stripes,
};

/// Two threads add one item more than fits: exactly one is refused.
fn one_is_refused(queue: &Queue, capacity: u32) {
    let other = Arc::clone(queue);
    let adds = thread::spawn(move || add(&other, 1, 100..=100 + capacity / 2));
    let mut results = add(queue, 0, 0..capacity - capacity / 2);
    results.extend(adds.join().unwrap());
    assert_eq!(count_ok(&results), capacity as usize, "{results:?}");
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused, [NotTaken::Full]);
    assert_eq!((queue.count().held.items, take(queue).len()), (u64::from(capacity), capacity as usize));
}

#[test]
fn as_many_are_taken_as_there_are_places() {
    for capacity in [1, 2, 3] {
        in_every_order(3, move || one_is_refused(&two_stripes(capacity as usize), capacity));
    }
}

/// Blocks have two places here: a thread meets its end while the other has one that it has not used.
#[test]
fn unused_places_of_others_are_found() {
    in_every_order(2, || {
        let queue = two_stripes(8);
        add_all(&queue, 0, 0..5);
        one_more_than(&queue, 3);
    });
}

fn one_more_than(queue: &Queue, places: u32) {
    let other = Arc::clone(queue);
    let adds = thread::spawn(move || add(&other, 1, 100..100 + places - 1));
    let mut results = add(queue, 0, 0..2);
    results.extend(adds.join().unwrap());
    assert_eq!(count_ok(&results), places as usize, "{results:?}");
}

#[test]
fn without_places_nothing_is_taken() {
    in_every_order(3, || {
        let queue = Arc::new(Stripes::new(0, 1, MEMORY));
        let other = Arc::clone(&queue);
        let adds = thread::spawn(move || add(&other, 1, [1]));
        assert_eq!(add(&queue, 0, [2]), [Err(NotTaken::Full)]);
        assert_eq!(adds.join().unwrap(), [Err(NotTaken::Full)]);
    });
}

/// A place that was given back before somebody adds is there; the number of stripes may change meanwhile.
#[test]
fn a_place_that_comes_back_is_used_once() {
    in_every_order(3, || {
        let queue = Arc::new(Stripes::new(2, 2, MEMORY));
        add_all(&queue, 0, [1, 2]);
        let others = [1, 2].map(|home| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || count_ok(&add(&queue, home, [10])))
        });
        queue.give_back(Tally { items: 1, events: 1 });
        queue.spread(1);
        let added: usize = others.into_iter().map(|other| other.join().unwrap()).sum();
        let last = count_ok(&add(&queue, 0, [20]));
        assert_eq!((added + last, queue.count().held.items), (1, 2));
    });
}
