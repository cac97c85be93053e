//! Where dead letters are kept, who is told of them, and how they come back.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use super::{item::Item, options::OnDeadLetter, shared::Shared};
use crate::{
    outcome::{DeadLetter, DeadReason},
    queue::{DeadLetterStore, DeadLetters, NotKept, Receipt},
};

/// The dead letters of one pipeline.
pub(super) struct Letters<T> {
    store: Arc<dyn DeadLetterStore<T>>,
    /// In memory: where the queue keeps no letters, and for those that its store would not keep.
    in_memory: DeadLetters<T>,
    on_dead_letter: Option<OnDeadLetter<T>>,
    /// Held by whoever takes dead letters, so that none is taken twice.
    taking: Mutex<()>,
    /// Letters whose events are in the queue again, and not safe in it yet.
    replayed: Mutex<Replayed>,
    /// Letters whose items are still in the queue: they are nobody's to take yet. Held while a letter is handed over, so
    /// that none is seen before it is here.
    unburied: Mutex<BTreeSet<u64>>,
}

#[derive(Debug, Default)]
struct Replayed {
    ids: BTreeSet<u64>,
    /// For the machine to wait for.
    receipts: Vec<(u64, Receipt)>,
}

impl<T: Item> Letters<T> {
    /// `store`: where the queue keeps them; in memory where it does not.
    pub(super) fn new(
        store: Option<Arc<dyn DeadLetterStore<T>>>,
        max: usize,
        pipeline: &str,
        on_dead_letter: Option<OnDeadLetter<T>>,
    ) -> Self {
        Self {
            store: store.unwrap_or_else(|| Arc::new(DeadLetters::new(max, pipeline))),
            in_memory: DeadLetters::new(max, pipeline),
            on_dead_letter,
            taking: Mutex::default(),
            replayed: Mutex::default(),
            unburied: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.store.count()
    }

    /// Hands a letter to its store, of an item that is still in the queue: nobody takes it until that item has
    /// [left](Self::buried). `of`: the queue's id of the item, where the letter is about the whole of it.
    pub(super) fn push(&self, letter: DeadLetter<T>, of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let mut unburied = self.unburied.lock();
        let pushed = self.store.push(letter, of)?;
        unburied.insert(pushed.0);
        Ok(pushed)
    }

    /// The item of this letter has left the queue, or the letter could not be kept.
    pub(super) fn buried(&self, id: u64) {
        self.unburied.lock().remove(&id);
    }

    /// Keeps the letter of an item that has left the queue, and calls the callback. Where the store does not keep it,
    /// memory does.
    pub(super) fn keep(&self, letter: DeadLetter<T>) {
        self.tell(&letter);
        if letter.reason == DeadReason::NotStored {
            return self.keep_in_memory(letter);
        }
        match self.store.push(letter, None) {
            // In memory as a rule; nobody waits for the others.
            Ok((_, receipt)) => receipt.forget(),
            Err(not_kept) => {
                tracing::error!(%not_kept, "a dead letter is kept in memory instead, and ends with the process");
                self.keep_in_memory(not_kept.letter);
            }
        }
    }

    fn keep_in_memory(&self, letter: DeadLetter<T>) {
        let (_, receipt) = self.in_memory.push(letter, None).expect("memory takes every letter");
        receipt.forget();
    }

    /// Tells the program of a letter. A callback that panics harms no delivery.
    pub(super) fn tell(&self, letter: &DeadLetter<T>) {
        if let Some(callback) = &self.on_dead_letter
            && catch_unwind(AssertUnwindSafe(|| callback(letter))).is_err()
        {
            tracing::error!("the dead-letter callback panicked");
        }
    }

    /// The letters, oldest first.
    pub(super) fn list(&self) -> Vec<DeadLetter<T>> {
        self.kept().into_iter().chain(self.in_memory.list()).map(|(_, letter)| letter).collect()
    }

    /// Those of the store whose items have left the queue, and have not been put back.
    fn kept(&self) -> Vec<(u64, DeadLetter<T>)> {
        // Asked for before the letters: what has been put back since then is in neither. And those of items that are still in
        // the queue after the letters, since more may have come.
        let put_back = self.replayed.lock().ids.clone();
        let mut letters = self.store.list();
        let unburied = self.unburied.lock();
        letters.retain(|(id, _)| !put_back.contains(id) && !unburied.contains(id));
        letters
    }

    /// Forgets the letters; they stay counted.
    pub(super) fn purge(&self) -> Vec<DeadLetter<T>> {
        let _taking = self.taking.lock();
        let (ids, letters): (Vec<u64>, Vec<_>) = self.kept().into_iter().unzip();
        self.store.remove(&ids);
        let (ids, in_memory): (Vec<u64>, Vec<_>) = self.in_memory.list().into_iter().unzip();
        self.in_memory.remove(&ids);
        letters.into_iter().chain(in_memory).collect()
    }

    /// Whether an earlier process left the letter of this id.
    fn was_found(&self, id: u64) -> bool {
        self.store.was_found(id)
    }

    /// The letters that may be put back, for whoever holds the guard.
    pub(super) fn take_for_replay(&self) -> (MutexGuard<'_, ()>, Vec<(u64, DeadLetter<T>)>) {
        let taking = self.taking.lock();
        let kept = self.kept();
        (taking, kept)
    }

    /// The event of this letter is in the queue again: safely, or once the receipt says so.
    pub(super) fn put_back(&self, id: u64, receipt: Receipt) {
        if receipt.is_stored() {
            return self.store.remove(&[id]);
        }
        let mut replayed = self.replayed.lock();
        replayed.ids.insert(id);
        replayed.receipts.push((id, receipt));
    }

    /// Letters whose events are on their way into the queue, for the machine to wait for.
    pub(super) fn take_receipts(&self) -> Vec<(u64, Receipt)> {
        std::mem::take(&mut self.replayed.lock().receipts)
    }

    /// The event of this letter is safe in the queue, or is not.
    pub(super) fn replayed(&self, id: u64, is_safe: bool) {
        if is_safe {
            self.store.remove(&[id]);
        }
        self.replayed.lock().ids.remove(&id);
    }
}

impl<T: Item> Shared<T> {
    /// What will be kept of an item that comes to its end undelivered.
    pub(super) fn letter(
        &self,
        item: T,
        reason: DeadReason,
        status: Option<u16>,
        text: String,
    ) -> DeadLetter<T> {
        DeadLetter::new(item, reason, self.clock().now_ms()).answered(status, text)
    }

    /// Puts dead letters back into the queue, oldest first, as far as it takes them. Returns how many events. A letter
    /// is given up only once the queue has its event safely; in between it is in both.
    pub(super) fn replay(&self) -> usize {
        let (_taking, letters) = self.letters().take_for_replay();
        let mut replayed = 0;
        for (id, letter) in letters {
            let events = letter.item.events();
            let added = self.books().act(|act| {
                let added = self.queue().add(letter.item)?;
                act.revive(events, self.letters().was_found(id));
                Ok::<_, crate::queue::Refused<T>>(added)
            });
            let Ok(receipt) = added else { break };
            replayed += events;
            self.letters().put_back(id, receipt);
        }
        self.mailbox().wake();
        replayed
    }
}

impl<T> std::fmt::Debug for Letters<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letters").field("store", &self.store).finish_non_exhaustive()
    }
}
