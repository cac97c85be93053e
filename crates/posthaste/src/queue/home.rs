//! Which stripe of a queue a thread keeps to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// This thread's number: threads are numbered round and round, so that few share a stripe.
pub(super) fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static HOME: usize = NEXT.fetch_add(1, Relaxed));
    // A thread that ends may add from a destructor.
    HOME.try_with(|home| *home).unwrap_or_default()
}
