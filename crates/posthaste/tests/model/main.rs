//! What threads do together where items enter a queue in memory, and where the machine goes to sleep, in every order:
//! loom runs the library's own files over its own locks and words, with so many switches between threads in the midst of
//! something.
//!
//! The files here know nothing of the rest of the library.

#![expect(clippy::unwrap_used, reason = "a test says what it expects; where it is not so, it is to fail")]

#[path = "../../src/delivery/alarm.rs"]
mod alarm;
#[path = "../../src/queue/places.rs"]
mod places;
#[path = "../../src/queue/run.rs"]
mod run;
#[path = "../../src/queue/stripes.rs"]
mod stripes;

mod bound;
mod sleep;
mod sync;
mod together;

use std::collections::VecDeque;

use loom::sync::Arc;

use crate::{
    run::{Memory, merge},
    stripes::{NotTaken, Stripes},
};

const MEMORY: Memory = Memory { at_start: 0, kept: 4 };

type Queue = Arc<Stripes<u32>>;

/// A queue of two stripes, both in use.
fn two_stripes(capacity: usize) -> Queue {
    let queue = Arc::new(Stripes::new(capacity, 2, MEMORY));
    queue.spread(1);
    queue
}

/// What came of adding these, one after the other.
fn add(queue: &Queue, home: usize, items: impl IntoIterator<Item = u32>) -> Vec<Result<(), NotTaken>> {
    items.into_iter().map(|item| queue.add(home, item, 1).map_err(|(_, why)| why)).collect()
}

/// The same, where there is room for all.
fn add_all(queue: &Queue, home: usize, items: impl IntoIterator<Item = u32>) {
    assert!(add(queue, home, items).iter().all(Result::is_ok), "refused though there is room");
}

fn count_ok(results: &[Result<(), NotTaken>]) -> usize {
    results.iter().filter(|result| result.is_ok()).count()
}

/// Everything that is there now, in order.
fn take(queue: &Queue) -> Vec<u32> {
    let (mut runs, mut line) = (Vec::new(), VecDeque::new());
    queue.take(&mut runs, MEMORY);
    merge(&mut runs, &mut line, MEMORY);
    line.into_iter().flatten().collect()
}

/// Tries every order with at most so many switches in the midst of something.
fn in_every_order(switches: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}
