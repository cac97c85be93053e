//! Where dead letters are kept, and who is told of them.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use super::{
    direct::{Direct, Kept},
    item::Item,
    letter_room::LetterRoom,
    options::OnDeadLetter,
    shared::Shared,
};
use crate::{
    outcome::{DeadLetter, DeadReason},
    queue::{DeadLetterStore, DeadLetters, NotKept, Receipt},
};

/// The dead letters of one pipeline.
pub(super) struct Letters<T> {
    store: Arc<dyn DeadLetterStore<T>>,
    room: LetterRoom,
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
    /// Letters that came from outside, and that the store has not confirmed. They are unburied, too.
    direct: Mutex<Direct<T>>,
}

/// Ids from here on are of letters that are in memory since their store would not keep them.
pub(super) const IN_MEMORY_FROM: u64 = 1 << 63;

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
        room: LetterRoom,
        on_dead_letter: Option<OnDeadLetter<T>>,
    ) -> Self {
        let in_memory = |first_id| DeadLetters::new(max, first_id, Arc::clone(room.forgotten()));
        let store = store.unwrap_or_else(|| Arc::new(in_memory(1)));
        if room.is_forgetting() {
            store.oldest_may_go();
        }
        Self {
            store,
            in_memory: in_memory(IN_MEMORY_FROM),
            room,
            on_dead_letter,
            taking: Mutex::default(),
            replayed: Mutex::default(),
            unburied: Mutex::default(),
            direct: Mutex::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.store.count()
    }

    /// How many an earlier process has left; `None` where others count them.
    pub(super) fn found(&self) -> Option<u64> {
        (!self.store.is_shared()).then(|| self.count() as u64)
    }

    /// Hands a letter to its store, of an item that is still in the queue: nobody takes it until that item has
    /// [left](Self::buried). `of`: the queue's id of the item, where the letter is about the whole of it.
    pub(super) fn push(&self, letter: DeadLetter<T>, of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let mut unburied = self.unburied.lock();
        let pushed = self.room.push(&*self.store, letter, of)?;
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
        match self.room.push(&*self.store, letter, None) {
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

    /// Hands a letter to its store, of an item that never was in the queue. Nobody takes it before the store has it.
    pub(super) fn push_direct(&self, letter: DeadLetter<T>) -> Result<Receipt, NotKept<T>> {
        let mut unburied = self.unburied.lock();
        let (id, receipt) = self.room.push(&*self.store, letter.clone(), None)?;
        if receipt.is_stored() {
            return Ok(receipt);
        }
        unburied.insert(id);
        Ok(self.direct.lock().add(id, letter, receipt))
    }

    /// Letters that came from outside, for the machine to wait for.
    pub(super) fn take_direct(&self) -> Vec<(u64, Kept)> {
        self.direct.lock().take_new()
    }

    /// The store has this letter, or will never say so.
    pub(super) fn directly_kept(&self, id: u64, is_kept: bool) {
        if is_kept {
            // In this order: it is always here or there.
            self.buried(id);
        }
        let letter = self.direct.lock().remove(id);
        if let Some(letter) = letter.filter(|_| !is_kept) {
            self.keep_in_memory(letter);
        }
    }

    /// Whoever has heard that a letter is kept finds it, though the machine may not have looked yet.
    pub(super) fn settle_known(&self) {
        let known = self.direct.lock().known();
        for id in known {
            self.directly_kept(id, true);
        }
    }

    /// Nobody waits for the store any longer. Returns those letters that are in memory only.
    pub(super) fn give_up_direct(&self) -> Vec<DeadLetter<T>> {
        let all = self.direct.lock().take_all();
        let mut given_up = Vec::new();
        for (id, letter, is_kept) in all {
            if is_kept {
                self.buried(id);
            } else {
                // The store may have it all the same: then that one is not shown as well.
                self.keep_in_memory(letter.clone());
                given_up.push(letter);
            }
        }
        given_up
    }

    /// How many have been forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.room.forgotten().count()
    }

    /// Forgets those that are too old, once in a while.
    pub(super) fn forget_old(&self, now: Duration, now_ms: i64) {
        self.room.forget_old(&*self.store, now, now_ms);
    }

    /// When that is to be done next.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.room.next_look()
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
        self.settle_known();
        // Those on their way first: one that arrives meanwhile is among the others as well, and shown once.
        let direct = self.direct.lock().list();
        let mut kept = self.kept();
        kept.retain(|(id, _)| !direct.contains_key(id));
        let in_memory = self.in_memory.list();
        kept.into_iter().chain(direct).chain(in_memory).map(|(_, letter)| letter).collect()
    }

    /// Those of the store whose items have left the queue, and have not been put back.
    fn kept(&self) -> Vec<(u64, DeadLetter<T>)> {
        // Asked for before the letters: what has been put back since then is in neither. And those of items that are still in
        // the queue after the letters, since more may have come.
        let put_back = self.put_back_ids();
        let mut letters = self.store.list();
        self.retain_kept(&put_back, &mut letters);
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
    pub(super) fn was_found(&self, id: u64) -> bool {
        self.store.was_found(id)
    }

    /// For whoever takes letters.
    pub(super) fn taking(&self) -> MutexGuard<'_, ()> {
        self.taking.lock()
    }

    pub(super) fn store(&self) -> &dyn DeadLetterStore<T> {
        &*self.store
    }

    pub(super) fn in_memory(&self) -> &DeadLetters<T> {
        &self.in_memory
    }

    /// The ids of those that are in the queue again, and not safe in it yet.
    pub(super) fn put_back_ids(&self) -> BTreeSet<u64> {
        self.replayed.lock().ids.clone()
    }

    /// Only those whose items have left the queue, and have not been put back.
    pub(super) fn retain_kept(&self, put_back: &BTreeSet<u64>, letters: &mut Vec<(u64, DeadLetter<T>)>) {
        let unburied = self.unburied.lock();
        letters.retain(|(id, _)| !put_back.contains(id) && !unburied.contains(id));
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
}

impl<T> std::fmt::Debug for Letters<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letters").field("store", &self.store).finish_non_exhaustive()
    }
}
