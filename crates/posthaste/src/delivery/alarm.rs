//! Wakes the machine once as many items have been added as it waits for.
//!
//! While it is not set, which is while the machine is awake or wants no more, whoever adds only reads it. While it is set,
//! the machine sleeps, and each item is counted down.
//!
//! Invariant: of the items that are added after it was set, the one that makes the queue as large as wanted rings, or one
//! before it. To ring early is harmless: the machine looks at the queue and sets it again.

use crate::sync::{AtomicI64, AtomicUsize, Ordering::SeqCst};

/// What it counts down from while the machine looks how many items there are: more than will ever be added.
const COUNTING: i64 = 1 << 62;

#[derive(Debug)]
pub(super) struct Alarm {
    /// How many items are missing; 0 and less: it is not set.
    missing: AtomicI64,
    /// The size that is waited for while it is set.
    size: AtomicUsize,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { missing: AtomicI64::new(0), size: AtomicUsize::new(usize::MAX) }
    }

    /// Sets it to ring once the queue has this size. It counts already while `size` is asked for, so that no item is
    /// missed; one that comes meanwhile may count twice. False: it has come to that, and nothing will ring.
    pub(super) fn set(&self, at: usize, size: impl FnOnce() -> usize) -> bool {
        self.size.store(at, SeqCst);
        self.missing.store(COUNTING, SeqCst);
        let missing = i64::try_from(at.saturating_sub(size())).unwrap_or(i64::MAX).min(COUNTING / 2);
        let surplus = COUNTING - missing;
        self.missing.fetch_sub(surplus, SeqCst) > surplus
    }

    pub(super) fn stop(&self) {
        self.missing.store(0, SeqCst);
    }

    /// One more item is in the queue. True: this rings.
    pub(super) fn one_more(&self) -> bool {
        self.is_set() && self.count_down()
    }

    /// The queue may have grown by any number, to a size that is asked for only where it matters. True: this rings.
    pub(super) fn grown(&self, size: impl FnOnce() -> usize) -> bool {
        self.is_set() && size() >= self.size.load(SeqCst) && self.missing.swap(0, SeqCst) > 0
    }

    fn is_set(&self) -> bool {
        self.missing.load(SeqCst) > 0
    }

    #[cold]
    fn count_down(&self) -> bool {
        let one_less = |missing: i64| (missing > 0).then(|| missing - 1);
        self.missing.fetch_update(SeqCst, SeqCst, one_less) == Ok(1)
    }
}
