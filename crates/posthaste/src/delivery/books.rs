//! The books. They count what was refused, delivered and buried; the queue counts what it has taken and what it holds.
//!
//! Invariant: whatever ends an event counts its end and takes it out of the queue in one [act](Books::act), and acts come
//! one after the other. So a [statement](Books::statement) between two acts balances, unless somebody has miscounted.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{
    metrics,
    outcome::{Breakdown, DeadReason, Ledger, Refusal},
    queue::Counts,
};

/// Acts are short, a few microseconds each; one that takes longer is stuck in somebody's queue.
const LASTING: Duration = Duration::from_millis(500);

/// One pipeline's books.
#[derive(Debug)]
pub(super) struct Books {
    /// Whose they are, in metrics.
    pipeline: String,
    /// Held during an act, and during a look.
    acts: Mutex<()>,
    delivered: AtomicU64,
    buried: [AtomicU64; DeadReason::ALL.len()],
    /// Events that have ended while their item stays in the queue for the sake of its other events, by the queue's id of
    /// the item. There are few: only items that were split.
    early: Mutex<FxHashMap<u64, u64>>,
    /// Dead letters that went back into the queue.
    revived: AtomicU64,
    /// In the order of [`Refusal::NAMES`].
    refused: [AtomicU64; Refusal::NAMES.len()],
    /// Accepted and buried in one: they never were in the queue.
    direct: AtomicU64,
    /// Dead letters of an earlier process.
    found: AtomicU64,
    /// How many events a letter that was found is counted as before it is put back.
    found_as: u64,
}

impl Books {
    /// `found`: dead letters of an earlier process; `None`: others count them.
    pub(super) fn new(pipeline: &str, found: Option<u64>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            acts: Mutex::default(),
            delivered: AtomicU64::default(),
            buried: array::from_fn(|_| AtomicU64::default()),
            early: Mutex::default(),
            revived: AtomicU64::default(),
            refused: array::from_fn(|_| AtomicU64::default()),
            direct: AtomicU64::default(),
            found: found.unwrap_or_default().into(),
            found_as: u64::from(found.is_some()),
        }
    }

    pub(super) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Does something that changes both the books and the queue: no snapshot sees one change without the other.
    pub(super) fn act<R>(&self, act: impl FnOnce(&Act<'_>) -> R) -> R {
        let _one = self.acts.lock();
        act(&Act(self))
    }

    /// The same, unless another act lasts: somebody's queue may block in it.
    pub(super) fn try_act<R>(&self, act: impl FnOnce(&Act<'_>) -> R) -> Option<R> {
        let _one = self.acts.try_lock_for(LASTING)?;
        Some(act(&Act(self)))
    }

    /// Callers have these back.
    pub(super) fn refuse(&self, events: usize, refusal: &Refusal) {
        let at = Refusal::NAMES.iter().position(|name| *name == refusal.name());
        if let Some(count) = at.and_then(|at| self.refused.get(at)) {
            count.fetch_add(events as u64, SeqCst);
        }
        let pipeline = self.pipeline.clone();
        ::metrics::counter!(metrics::REFUSED, "pipeline" => pipeline, "reason" => refusal.name())
            .increment(events as u64);
    }

    /// Everything at one moment, between two acts. An act that lasts is not waited for.
    pub(super) fn statement(&self, counts: impl FnOnce() -> Counts) -> Statement {
        let _none = self.acts.try_lock_for(LASTING);
        self.look(counts())
    }

    fn look(&self, counts: Counts) -> Statement {
        let by_reason = DeadReason::ALL.map(|reason| self.buried(reason));
        let buried: u64 = by_reason.iter().sum();
        let (found, revived) = (self.found.load(SeqCst), self.revived.load(SeqCst));
        let taken = counts.taken.wrapping_add(self.direct.load(SeqCst));
        let accepted = taken.wrapping_add(found).wrapping_sub(revived);
        // A queue may say anything.
        let gone = counts.lost.saturating_add(counts.unreadable);
        let dead = buried.wrapping_add(found).wrapping_sub(revived).saturating_add(gone);
        let queued = counts.held.wrapping_sub(self.early.lock().values().sum());
        let refused: [u64; Refusal::NAMES.len()] = array::from_fn(|at| load(&self.refused, at));
        let in_all = refused.iter().sum();
        let ledger = Ledger::new(accepted, self.delivered.load(SeqCst), dead, queued, in_all)
            .with_handed_over(counts.handed_over);
        Statement { ledger, buried: by_reason, refused, revived, found, counts }
    }

    fn buried(&self, reason: DeadReason) -> u64 {
        load(&self.buried, reason as usize)
    }
}

fn load(counts: &[AtomicU64], at: usize) -> u64 {
    counts.get(at).map_or(0, |count| count.load(SeqCst))
}

/// What the books and the queue said at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) ledger: Ledger,
    /// In the order of [`DeadReason::ALL`].
    buried: [u64; DeadReason::ALL.len()],
    /// In the order of [`Refusal::NAMES`].
    refused: [u64; Refusal::NAMES.len()],
    /// Dead letters that went back into the queue.
    pub(super) revived: u64,
    /// Dead letters of an earlier process.
    found: u64,
    counts: Counts,
}

impl Statement {
    /// How many of each reason were buried by this process, or lost by the queue.
    pub(super) fn buried(&self) -> impl Iterator<Item = (DeadReason, u64)> {
        let counts = self.counts;
        DeadReason::ALL.into_iter().zip(self.buried).map(move |(reason, buried)| match reason {
            DeadReason::Lost => (reason, counts.lost),
            DeadReason::Unreadable => (reason, counts.unreadable),
            reason => (reason, buried),
        })
    }

    pub(super) fn breakdown(&self) -> Breakdown {
        Breakdown {
            ledger: self.ledger,
            dead_lettered: self.buried().collect(),
            found: self.found,
            replayed: self.revived,
            refused: Refusal::NAMES.into_iter().zip(self.refused).collect(),
        }
    }
}

/// While this is there, nobody makes a statement.
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

    /// These are accepted, and will not be delivered: they never were in the queue.
    pub(super) fn bury_directly(&self, events: usize, reason: DeadReason) {
        self.0.direct.fetch_add(events as u64, SeqCst);
        self.bury(events, reason);
    }

    /// These events of the item of this id have ended. It stays in the queue for the sake of its other events.
    pub(super) fn end_early(&self, id: u64, events: usize) {
        *self.0.early.lock().entry(id).or_default() += events as u64;
    }

    /// The item of this id leaves the queue, or its lease was lost. Returns how many of its events had ended early.
    pub(super) fn end_whole(&self, id: u64) -> u64 {
        self.0.early.lock().remove(&id).unwrap_or_default()
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

    /// A dead letter is in the queue again. One that an earlier process left was counted as one event, or not at all where
    /// others count it.
    pub(super) fn revive(&self, events: usize, was_found: bool) {
        self.0.revived.fetch_add(events as u64, SeqCst);
        if was_found {
            self.0.found.fetch_add((events as u64).saturating_sub(self.0.found_as), SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_loses_an_event_unbalances_the_books() {
        let books = Books::new("test", Some(0));
        assert!(books.statement(|| Counts::new(3, 3)).ledger.balances());
        books.act(|act| act.deliver(1));
        assert!(books.statement(|| Counts::new(3, 2)).ledger.balances());
        assert!(!books.statement(|| Counts::new(3, 1)).ledger.balances(), "one has gone without an end");
        assert!(
            !books.statement(|| Counts::new(3, 3)).ledger.balances(),
            "one that is delivered is still there"
        );
        assert!(books.statement(|| Counts::new(3, 1).with_lost(1, 0)).ledger.balances());
    }

    #[test]
    fn what_is_buried_directly_is_accepted_and_dead_at_once_and_can_be_revived() {
        let books = Books::new("test", Some(0));
        books.act(|act| act.bury_directly(2, DeadReason::Unusable));
        let ledger = books.statement(|| Counts::new(3, 3)).ledger;
        assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.balances()), (5, 2, true));
        books.act(|act| act.revive(2, false));
        let ledger = books.statement(|| Counts::new(5, 5)).ledger;
        assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.balances()), (5, 0, true));
    }

    #[test]
    fn what_ended_early_is_counted_once_when_its_item_goes() {
        let books = Books::new("test", Some(0));
        // Two items of three events each, of which one and two have ended.
        books.act(|act| {
            act.deliver(1);
            act.end_early(7, 1);
            act.bury(2, DeadReason::Rejected);
            act.end_early(8, 2);
        });
        let ledger = books.statement(|| Counts::new(6, 6)).ledger;
        assert_eq!(
            (ledger.delivered, ledger.dead_lettered, ledger.queued, ledger.balances()),
            (1, 2, 3, true)
        );
        // The second is given up: only its third event is not stored.
        books.act(|act| {
            let ended = act.end_whole(8);
            assert_eq!((ended, act.end_whole(9)), (2, 0));
            act.bury(1, DeadReason::NotStored);
        });
        let ledger = books.statement(|| Counts::new(6, 3)).ledger;
        assert_eq!(
            (ledger.delivered, ledger.dead_lettered, ledger.queued, ledger.balances()),
            (1, 3, 2, true)
        );
    }

    #[test]
    fn the_reasons_add_up_to_the_ledger() {
        let books = Books::new("test", Some(4));
        books.act(|act| {
            act.bury(2, DeadReason::Rejected);
            act.bury(1, DeadReason::Displaced);
            act.revive(1, false);
        });
        books.refuse(3, &Refusal::Closed);
        books.refuse(2, &Refusal::Storage("the disk fails".to_owned()));
        let Breakdown { ledger, dead_lettered, found, replayed, refused } =
            books.statement(|| Counts::new(5, 3).with_lost(0, 0)).breakdown();
        let dead: u64 = dead_lettered.iter().map(|(_, events)| events).sum();
        assert_eq!((dead + found - replayed, ledger.dead_lettered), (6, 6));
        let some: Vec<_> = refused.iter().filter(|(_, events)| *events > 0).copied().collect();
        assert_eq!((some, ledger.refused), (vec![("closed", 3), ("storage", 2)], 5));
        assert_eq!(refused.len(), Refusal::NAMES.len(), "those of which there were none too");
    }

    #[test]
    fn a_look_waits_for_an_act_and_not_for_ever() {
        let books = Books::new("test", Some(2));
        books.act(|act| {
            act.bury(1, DeadReason::Rejected);
            assert_eq!(books.statement(|| Counts::new(1, 1)).ledger.dead_lettered, 3, "an act that lasts");
        });
        let panics = || books.act(|_| panic!("in the queue"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        books.act(|act| act.revive(2, true));
        let ledger = books.statement(|| Counts::new(3, 2)).ledger;
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!((ledger.accepted, ledger.dead_lettered), (4, 2), "one of two letters had two events");
    }
}
