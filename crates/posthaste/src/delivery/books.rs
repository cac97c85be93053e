//! The books. They count what was refused, delivered and buried; the queue counts what it has taken and what it holds.
//!
//! Invariant: whatever ends an event counts its end and takes it out of the queue in one [act](Books::act). Acts come
//! one after the other. So a [snapshot](Books::snapshot) between two acts balances, unless one side has miscounted.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
};

use parking_lot::Mutex;

use crate::{
    metrics,
    outcome::{DeadReason, Ledger, Refusal},
    queue::Counts,
};

/// One pipeline's books.
#[derive(Debug)]
pub(super) struct Books {
    /// Whose they are, in metrics.
    pipeline: String,
    /// Held during an act.
    acts: Mutex<()>,
    /// Odd during an act.
    turn: AtomicU64,
    delivered: AtomicU64,
    buried: [AtomicU64; DeadReason::ALL.len()],
    /// Events that have ended while their item stays in the queue for the sake of its other events.
    early: AtomicU64,
    /// Dead letters that went back into the queue.
    revived: AtomicU64,
    refused: AtomicU64,
    /// Dead letters of an earlier process.
    found: AtomicU64,
}

impl Books {
    pub(super) fn new(pipeline: &str, found: u64) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            acts: Mutex::default(),
            turn: AtomicU64::default(),
            delivered: AtomicU64::default(),
            buried: array::from_fn(|_| AtomicU64::default()),
            early: AtomicU64::default(),
            revived: AtomicU64::default(),
            refused: AtomicU64::default(),
            found: found.into(),
        }
    }

    pub(super) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Does something that changes both the books and the queue: no snapshot sees one change without the other.
    pub(super) fn act<R>(&self, act: impl FnOnce(&Act<'_>) -> R) -> R {
        /// An act that panics is over, too.
        struct Over<'a>(&'a AtomicU64);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let _one = self.acts.lock();
        self.turn.fetch_add(1, SeqCst);
        let _over = Over(&self.turn);
        act(&Act(self))
    }

    /// These went back to their caller. Counted in metrics at once.
    pub(super) fn refuse(&self, events: usize, refusal: &Refusal) {
        self.refused.fetch_add(events as u64, SeqCst);
        let pipeline = self.pipeline.clone();
        ::metrics::counter!(metrics::REFUSED, "pipeline" => pipeline, "reason" => refusal.name())
            .increment(events as u64);
    }

    /// How many events were buried for this reason.
    pub(super) fn buried(&self, reason: DeadReason) -> u64 {
        self.buried.get(reason as usize).map_or(0, |count| count.load(SeqCst))
    }

    /// Dead letters that went back into the queue.
    pub(super) fn revived(&self) -> u64 {
        self.revived.load(SeqCst)
    }

    /// The ledger at one moment between two acts. Where an act lasts very long, it does not wait: then the numbers may
    /// not balance.
    pub(super) fn snapshot(&self, counts: impl Fn() -> Counts) -> Ledger {
        /// Acts are short: a few microseconds each.
        const LOOKS: usize = 10_000;
        for _ in 0..LOOKS {
            let turn = self.turn.load(SeqCst);
            if turn.is_multiple_of(2) {
                let ledger = self.look(counts());
                if self.turn.load(SeqCst) == turn {
                    return ledger;
                }
            }
            thread::yield_now();
        }
        self.look(counts())
    }

    fn look(&self, counts: Counts) -> Ledger {
        let buried: u64 = self.buried.iter().map(|count| count.load(SeqCst)).sum();
        let (found, revived) = (self.found.load(SeqCst), self.revived.load(SeqCst));
        let accepted = counts.taken.wrapping_add(found).wrapping_sub(revived);
        let dead = buried.wrapping_add(found).wrapping_sub(revived) + counts.lost + counts.unreadable;
        let queued = counts.held.wrapping_sub(self.early.load(SeqCst));
        Ledger::new(accepted, self.delivered.load(SeqCst), dead, queued, self.refused.load(SeqCst))
    }
}

/// While this is there, nobody takes a snapshot.
#[derive(Debug)]
pub(super) struct Act<'a>(&'a Books);

impl Act<'_> {
    /// The API has these.
    pub(super) fn deliver(&self, events: usize) {
        self.0.delivered.fetch_add(events as u64, SeqCst);
    }

    /// These will not be delivered.
    pub(super) fn bury(&self, events: usize, reason: DeadReason) {
        if let Some(count) = self.0.buried.get(reason as usize) {
            count.fetch_add(events as u64, SeqCst);
        }
    }

    /// These have ended. Their item stays in the queue for the sake of its other events.
    pub(super) fn end_early(&self, events: usize) {
        self.0.early.fetch_add(events as u64, SeqCst);
    }

    /// The item of these, which had ended early, leaves the queue, or its lease was lost.
    pub(super) fn end_whole(&self, events: usize) {
        self.0.early.fetch_sub(events as u64, SeqCst);
    }

    /// Their lease was lost: whoever has it now delivers them again, and counts them.
    pub(super) fn take_back_delivered(&self, events: usize) {
        self.0.delivered.fetch_sub(events as u64, SeqCst);
    }

    /// Their lease was lost: whoever has it now brings them to an end, and counts that.
    pub(super) fn take_back_buried(&self, events: usize, reason: DeadReason) {
        if let Some(count) = self.0.buried.get(reason as usize) {
            count.fetch_sub(events as u64, SeqCst);
        }
    }

    /// A dead letter is in the queue again. One that an earlier process left was counted as one event.
    pub(super) fn revive(&self, events: usize) {
        let revived = self.0.revived.fetch_add(events as u64, SeqCst) + events as u64;
        let buried: u64 = self.0.buried.iter().map(|count| count.load(SeqCst)).sum();
        self.0.found.fetch_max(revived.saturating_sub(buried), SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_loses_an_event_unbalances_the_books() {
        let books = Books::new("test", 0);
        assert!(books.snapshot(|| Counts::new(3, 3)).balances());
        books.act(|act| act.deliver(1));
        assert!(books.snapshot(|| Counts::new(3, 2)).balances());
        assert!(!books.snapshot(|| Counts::new(3, 1)).balances(), "one has gone without an end");
        assert!(!books.snapshot(|| Counts::new(3, 3)).balances(), "one that is delivered is still there");
        assert!(books.snapshot(|| Counts::new(3, 1).with_lost(1, 0)).balances());
    }

    #[test]
    fn a_look_waits_for_an_act_and_not_for_ever() {
        let books = Books::new("test", 2);
        books.act(|act| {
            act.bury(1, DeadReason::Rejected);
            assert_eq!(books.snapshot(|| Counts::new(1, 1)).dead_lettered, 3, "an act that lasts");
        });
        let panics = || books.act(|_| panic!("in the queue"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        books.act(|act| act.revive(2));
        let ledger = books.snapshot(|| Counts::new(3, 2));
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.accepted, ledger.dead_lettered), (3, 1));
    }
}
