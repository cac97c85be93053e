//! The way in. It checks an item and adds it to the queue; where the queue is full, it does what [`WhenFull`] says.
//!
//! Invariant: an item that is not taken goes back to the caller, is counted once as refused, and never shows in the
//! queue.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use super::{
    item::Item,
    options::WhenFull,
    room::{Attempt, Room},
    shared::Shared,
};
use crate::{
    outcome::{DeadReason, Refusal},
    queue::{Displacing, Receipt, Refused},
};

/// What callers meet before the queue.
#[derive(Debug, Default)]
pub(super) struct Admission {
    room: Room,
    /// The queue was full for somebody, and the machine has not looked since.
    has_been_full: AtomicBool,
    /// Closed: refuses everything, even where the queue would still take it.
    is_shut: AtomicBool,
}

impl Admission {
    /// Whether the queue has been full since the last call.
    pub(super) fn has_been_full(&self) -> bool {
        self.has_been_full.load(SeqCst) && self.has_been_full.swap(false, SeqCst)
    }

    /// Tells callers who wait that the queue has room, or has been closed.
    pub(super) fn room_made(&self) {
        self.room.made();
    }

    /// Refuses everything from here on.
    pub(super) fn shut(&self) {
        self.is_shut.store(true, SeqCst);
        self.room.made();
    }
}

impl<T: Item> Shared<T> {
    /// Takes an item in, or hands it back. Blocks only where [`WhenFull::Block`] was asked for.
    pub(super) fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        self.check(item).and_then(|item| self.add_checked(item)).inspect_err(|refused| {
            self.books().refuse(events, &refused.reason);
        })
    }

    pub(super) fn check(&self, item: T) -> Result<T, Refused<T>> {
        let bytes_max = self.options().max_batch_bytes;
        let reason = if self.admission().is_shut.load(SeqCst) {
            Refusal::Closed
        } else if let Some(why) = item.invalid() {
            Refusal::Invalid(why)
        } else if let Some(bytes) = item.too_large(bytes_max) {
            Refusal::TooLarge { bytes, bytes_max }
        } else {
            return Ok(item);
        };
        Err(Refused::new(item, reason))
    }

    fn add_checked(&self, item: T) -> Result<Receipt, Refused<T>> {
        match self.try_add(item) {
            Err(Refused { item, reason }) if reason.is_full() => {
                self.admission().has_been_full.store(true, SeqCst);
                self.mailbox().wake();
                match self.options().when_full {
                    WhenFull::Reject => Err(Refused::new(item, reason)),
                    WhenFull::DropOldest => self.add_in_place_of_oldest(item),
                    WhenFull::Block(bound) => self.add_when_there_is_room(item, bound),
                }
            }
            other => other,
        }
    }

    fn try_add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let receipt = self.queue().add(item).inspect_err(|_| self.note_broken())?;
        self.note_added();
        Ok(receipt)
    }

    /// Wakes the machine if it waits for this item.
    fn note_added(&self) {
        if self.queue().grows_by_adding_alone() {
            self.mailbox().one_more();
        } else {
            self.mailbox().grown(|| self.queue().size());
        }
    }

    /// The oldest items that are not under way become dead letters, as many as it takes to make room.
    fn add_in_place_of_oldest(&self, item: T) -> Result<Receipt, Refused<T>> {
        let Displacing { displaced, added } = self.books().act(|act| {
            let displacing = self.queue().add_displacing(item);
            act.bury(displacing.displaced.iter().map(T::events).sum(), DeadReason::Displaced);
            displacing
        });
        for oldest in displaced {
            self.letters().keep(self.letter(oldest, DeadReason::Displaced, None, String::new()));
        }
        if added.is_ok() {
            self.mailbox().wake();
        }
        added
    }

    /// A queue that has panicked takes nothing more, and the machine is to see why.
    fn note_broken(&self) {
        if self.queue().broken().is_some() {
            self.admission().shut();
            self.mailbox().wake();
        }
    }

    fn add_when_there_is_room(&self, item: T, bound: Duration) -> Result<Receipt, Refused<T>> {
        let attempt = |item| match self.try_add(item) {
            Err(Refused { item, reason }) if reason.is_full() && !self.admission().is_shut.load(SeqCst) => {
                Attempt::Again(item, reason)
            }
            other => Attempt::Done(other),
        };
        let added = match self.admission().room.until(bound, item, attempt) {
            Attempt::Again(item, reason) => Err(Refused::new(item, reason)),
            Attempt::Done(added) => added,
        };
        match added {
            Err(Refused { item, .. }) if self.admission().is_shut.load(SeqCst) => {
                Err(Refused::new(item, Refusal::Closed))
            }
            added => added,
        }
    }
}
