//! Dead letters that come from outside: accepted and dead-lettered in one act, without having been in the queue.
//!
//! Invariant: such a letter is its store's, once that has it for certain; until then it is here, and whoever lists the
//! letters sees it. Where the end comes first, memory keeps it.

use std::collections::BTreeMap;

use futures_util::{FutureExt, future::Shared as SharedFuture};

use super::{item::Item, shared::Shared};
use crate::{
    outcome::{DeadLetter, DeadReason, Refusal},
    queue::{NotKept, Receipt, Refused},
};

/// Resolves once a letter is kept, for as many as ask.
pub(super) type Kept = SharedFuture<Receipt>;

/// Letters on their way to the store.
#[derive(Debug)]
pub(super) struct Direct<T> {
    letters: BTreeMap<u64, (DeadLetter<T>, Kept)>,
    /// Those that the machine does not know of yet.
    new: Vec<u64>,
}

impl<T> Default for Direct<T> {
    fn default() -> Self {
        Self { letters: BTreeMap::new(), new: Vec::new() }
    }
}

impl<T: Clone> Direct<T> {
    /// One more; the receipt is for whoever brought it.
    pub(super) fn add(&mut self, id: u64, letter: DeadLetter<T>, receipt: Receipt) -> Receipt {
        let kept = receipt.shared();
        self.letters.insert(id, (letter, kept.clone()));
        self.new.push(id);
        Receipt::pending(kept)
    }

    /// Those to wait for, once.
    pub(super) fn take_new(&mut self) -> Vec<(u64, Kept)> {
        let Self { letters, new } = self;
        new.drain(..).filter_map(|id| Some((id, letters.get(&id)?.1.clone()))).collect()
    }

    /// Those of which somebody who waited has heard that their store has them.
    pub(super) fn known(&self) -> Vec<u64> {
        let is_known = |kept: &Kept| matches!(kept.peek(), Some(Ok(())));
        self.letters.iter().filter(|(_, (_, kept))| is_known(kept)).map(|(id, _)| *id).collect()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<DeadLetter<T>> {
        self.letters.remove(&id).map(|(letter, _)| letter)
    }

    /// Everything, each with whether its store has it by now.
    pub(super) fn take_all(&mut self) -> Vec<(u64, DeadLetter<T>, bool)> {
        let is_kept = |kept: Kept| matches!(kept.now_or_never(), Some(Ok(())));
        let all = std::mem::take(&mut self.letters).into_iter();
        all.map(|(id, (letter, kept))| (id, letter, is_kept(kept))).collect()
    }

    pub(super) fn list(&self) -> BTreeMap<u64, DeadLetter<T>> {
        self.letters.iter().map(|(id, (letter, _))| (*id, letter.clone())).collect()
    }
}

impl<T: Item> Shared<T> {
    /// Accepts an item and dead-letters it, or hands it back. The receipt resolves once the letter is kept.
    pub(super) fn bury(&self, item: T, reason: DeadReason, text: String) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        self.check(item).and_then(|item| self.bury_checked(item, reason, text)).inspect_err(|refused| {
            self.books().refuse(events, &refused.reason);
        })
    }

    fn bury_checked(&self, item: T, reason: DeadReason, text: String) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        let letter = self.letter(item, reason, None, text);
        // In one act with the store, so that nobody puts it back before it is counted.
        let kept = self.books().act(|act| {
            let kept = self.letters().push_direct(letter.clone())?;
            act.bury_directly(events, reason);
            Ok(kept)
        });
        match kept {
            Ok(receipt) => {
                self.letters().tell(&letter);
                self.mailbox().wake();
                Ok(receipt)
            }
            Err(NotKept { letter, reason, shortage, .. }) => {
                let reason = format!("its dead letter cannot be kept: {reason}");
                let why =
                    if shortage.is_some() { Refusal::StorageFull(reason) } else { Refusal::Storage(reason) };
                Err(Refused::new(letter.item, why))
            }
        }
    }
}
