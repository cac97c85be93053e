//! What each thread keeps to, where several work at the same time: a number of its own, and how many there can be at once.

use std::{
    num::NonZero,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// How many threads can run at the same time, as the system said when it was first asked: it reads files for the answer.
pub(crate) fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));
    *CORES
}

/// This thread's number: threads are numbered from nothing on, so that few share a stripe, whatever the number of these.
#[inline]
pub(crate) fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Relaxed));
    // A thread that ends may ask from a destructor.
    NUMBER.try_with(|number| *number).unwrap_or_default()
}
