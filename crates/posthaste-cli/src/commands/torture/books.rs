//! The books that the parent keeps: both pipes write into them, and everybody may look.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;
use posthaste_oracle::{Fact, Oracle, Verdict};

#[derive(Debug, Default)]
pub(super) struct Books {
    oracle: Mutex<Oracle>,
    /// The highest id that was claimed.
    claimed_to: AtomicU64,
}

impl Books {
    pub(super) fn note(&self, fact: Fact) {
        self.oracle.lock().note(fact);
        if let Fact::Claimed { id, .. } = fact {
            self.claimed_to.fetch_max(id, SeqCst);
        }
    }

    pub(super) fn claimed(&self) -> u64 {
        self.oracle.lock().claimed()
    }

    pub(super) fn claimed_to(&self) -> u64 {
        self.claimed_to.load(SeqCst)
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.oracle.lock().verdict()
    }
}
