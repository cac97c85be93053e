//! Dead letters on their way: an item leaves the queue only once its letter is kept.
//!
//! Until then its lease goes on. A letter that cannot be kept is tried again, and told.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt};

use super::{item::Item, job::Lease, machine::Machine};
use crate::outcome::{DeadLetter, NotKept, Refusal};

/// How long to leave a store alone that could not keep a letter.
const RETRY: Duration = Duration::from_secs(1);

/// A letter, and the lease that ends with it.
#[derive(Debug)]
pub(super) struct Burial<T> {
    lease: Lease,
    letter: DeadLetter<T>,
}

/// A letter that its store is writing.
pub(super) type Burying<T> = Pin<Box<dyn Future<Output = (Burial<T>, Result<(), Refusal>)> + Send>>;

/// A letter whose event its queue is writing again.
pub(super) type Replaying = Pin<Box<dyn Future<Output = (u64, Result<(), Refusal>)> + Send>>;

impl<T: Item> Machine<T> {
    /// Hands a letter to its store. The lease ends once it is kept.
    pub(super) fn bury_letter(&mut self, lease: Lease, letter: DeadLetter<T>) {
        // Of an item in several parts, the others may be delivered.
        let of = (!self.splits.contains_key(&lease.sequence)).then_some(lease.id);
        match self.shared.dead_letters.push(letter.clone(), of) {
            Ok(receipt) if receipt.is_stored() => self.buried(&Burial { lease, letter }),
            Ok(receipt) => {
                self.burying.push(Box::pin(receipt.map(move |kept| (Burial { lease, letter }, kept))));
            }
            Err(NotKept { letter, reason }) => self.not_buried(Burial { lease, letter }, &reason),
        }
    }

    /// What the queue has let go to make room for newer items.
    pub(super) fn bury_displaced(&mut self) {
        /// Keeps one call's memory and time small.
        const AT_ONCE: usize = 1_024;
        if self.unburied.is_empty() {
            for leased in self.shared.queue.displaced(AT_ONCE) {
                let lease = self.count_lease(leased.id);
                if leased.recovered {
                    self.shared.counters.recovered_item_has(leased.item.events());
                }
                let letter =
                    self.shared.letter(leased.item, crate::DeadReason::Displaced, None, String::new());
                self.bury_letter(lease, letter);
            }
        }
    }

    /// Letters that are kept by now, without waiting; and those that could not be, once more.
    pub(super) fn take_burials(&mut self) {
        while let Some(Some((burial, kept))) = self.burying.next().now_or_never() {
            self.take_burial(burial, kept);
        }
        if self.bury_from.is_some_and(|from| from <= self.now()) {
            self.bury_from = None;
            for Burial { lease, letter } in std::mem::take(&mut self.unburied) {
                self.bury_letter(lease, letter);
            }
        }
    }

    pub(super) fn take_burial(&mut self, burial: Burial<T>, kept: Result<(), Refusal>) {
        match kept {
            Ok(()) => self.buried(&burial),
            Err(refusal) => self.not_buried(burial, &refusal.to_string()),
        }
    }

    fn buried(&mut self, Burial { lease, letter }: &Burial<T>) {
        self.shared.tell(letter);
        self.shared.counters.bury(letter.item.events(), letter.reason);
        self.end([*lease].into_iter());
    }

    fn not_buried(&mut self, burial: Burial<T>, reason: &str) {
        if self.unburied.is_empty() {
            tracing::error!(reason, "a dead letter cannot be kept; its event waits until it can");
        }
        self.bury_from.get_or_insert(self.shared.clock.elapsed() + RETRY);
        self.unburied.push(burial);
    }

    /// Letters whose events are safe in the queue again.
    pub(super) fn take_replayed(&mut self) {
        let receipts = std::mem::take(&mut self.shared.replayed.lock().receipts);
        for (id, receipt) in receipts {
            self.replaying.push(Box::pin(receipt.map(move |stored| (id, stored))));
        }
        while let Some(Some((id, stored))) = self.replaying.next().now_or_never() {
            self.replayed(id, stored.is_ok());
        }
    }

    pub(super) fn replayed(&mut self, id: u64, is_safe: bool) {
        if is_safe {
            self.shared.dead_letters.remove(&[id]);
        }
        self.shared.replayed.lock().ids.remove(&id);
    }

    /// Gives letters under way the time that is left.
    pub(super) async fn finish_burials(&mut self, until: Duration) {
        while !self.burying.is_empty() && self.now() < until {
            let sleep = self.shared.clock.sleep(until.saturating_sub(self.now()));
            tokio::select! {
                Some((burial, kept)) = self.burying.next() => self.take_burial(burial, kept),
                () = sleep => break,
            }
        }
    }
}
