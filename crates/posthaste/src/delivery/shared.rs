//! What callers and the machine share: the queue, the counters, the way to wake it, what it is told to do.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;

use super::{
    item::Item,
    options::{Options, WhenFull},
    report::Answer,
};
use crate::{
    clock::Clock,
    outcome::{Counters, DeadLetter, DeadLetterStore, DeadLetters, DeadReason, Refusal},
    queue::{Displacing, Queue, QueueWatcher, Receipt, Refused},
};

pub(super) struct Shared<T> {
    pub(super) queue: Arc<dyn Queue<T>>,
    pub(super) options: Options<T>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Counters,
    pub(super) dead_letters: Arc<dyn DeadLetterStore<T>>,
    /// What nobody else could keep.
    pub(super) in_memory: DeadLetters<T>,
    pub(super) wake: Notify,
    /// The queue's size from which the machine wants to be woken; [`AWAKE`] while it does not sleep.
    pub(super) wake_at: AtomicUsize,
    pub(super) commands: Mutex<Commands<T>>,
    /// The queue has refused an item for want of room, and the machine has not looked since.
    pub(super) has_been_full: AtomicBool,
    /// Held by whoever takes dead letters, so that none is taken twice.
    pub(super) taking_dead_letters: Mutex<()>,
    /// Dead letters whose events are in the queue again, and not safe in it yet.
    pub(super) replayed: Mutex<Replayed>,
    room: Room,
}

/// Dead letters that are in the queue, too.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) ids: BTreeSet<u64>,
    /// For the machine to wait for.
    pub(super) receipts: Vec<(u64, Receipt)>,
}

impl Replayed {
    pub(super) fn push(&mut self, id: u64, receipt: Receipt) {
        self.ids.insert(id);
        self.receipts.push((id, receipt));
    }
}

/// No size that a queue can reach.
pub(super) const AWAKE: usize = usize::MAX;

/// What the machine has been told and has not looked at.
#[derive(Debug)]
pub(super) struct Commands<T> {
    pub(super) pending: Vec<Command<T>>,
    /// The machine has ended: nobody will look.
    pub(super) ended: bool,
}

/// To flush, or to flush and end.
#[derive(Debug)]
pub(super) struct Command<T> {
    pub(super) within: Duration,
    pub(super) answer: Answer<T>,
}

/// Where callers wait for room in a full queue.
#[derive(Default)]
struct Room {
    waiting: AtomicUsize,
    lock: Mutex<()>,
    freed: Condvar,
}

/// What ended a wait for room.
#[derive(PartialEq, Eq)]
enum Waited {
    /// Somebody said that there is room.
    Enough,
    /// Nobody did in time.
    TooLong,
}

impl Room {
    /// Without end where there is no time to give up at.
    fn wait(&self, lock: &mut MutexGuard<'_, ()>, give_up: Option<Instant>) -> Waited {
        let Some(give_up) = give_up else {
            self.freed.wait(lock);
            return Waited::Enough;
        };
        if self.freed.wait_until(lock, give_up).timed_out() { Waited::TooLong } else { Waited::Enough }
    }
}

impl<T: Item> Shared<T> {
    pub(super) fn new(queue: Arc<dyn Queue<T>>, options: Options<T>, clock: Arc<dyn Clock>) -> Self {
        let in_memory = || Arc::new(DeadLetters::new(options.dead_letters_max));
        let dead_letters = queue.dead_letters().unwrap_or_else(|| in_memory());
        let counters = Counters::default();
        counters.recover(queue.size(), dead_letters.count() + queue.lost());
        Self {
            dead_letters,
            in_memory: DeadLetters::new(options.dead_letters_max),
            queue,
            options,
            clock,
            counters,
            wake: Notify::new(),
            wake_at: AtomicUsize::new(AWAKE),
            commands: Mutex::new(Commands { pending: Vec::new(), ended: false }),
            has_been_full: AtomicBool::new(false),
            taking_dead_letters: Mutex::default(),
            replayed: Mutex::default(),
            room: Room::default(),
        }
    }

    /// Takes an item in, or hands it back. Blocks only where [`WhenFull::Block`] was asked for.
    pub(super) fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        self.check(item).and_then(|item| self.add_checked(item)).inspect_err(|refused| {
            self.counters.refuse(events, &refused.reason);
        })
    }

    fn check(&self, item: T) -> Result<T, Refused<T>> {
        let bytes_max = self.options.max_batch_bytes;
        let reason = if let Some(why) = item.invalid() {
            Refusal::Invalid(why)
        } else if let Some(bytes) = item.too_large(bytes_max) {
            Refusal::TooLarge { bytes, bytes_max }
        } else {
            return Ok(item);
        };
        Err(Refused { item, reason })
    }

    fn add_checked(&self, item: T) -> Result<Receipt, Refused<T>> {
        match self.try_add(item) {
            Err(Refused { item, reason }) if reason.is_full() => {
                self.has_been_full.store(true, SeqCst);
                self.wake.notify_one();
                match self.options.when_full {
                    WhenFull::Reject => Err(Refused { item, reason }),
                    WhenFull::DropOldest => self.add_in_place_of_oldest(item),
                    WhenFull::Block(bound) => self.add_when_there_is_room(item, bound),
                }
            }
            other => other,
        }
    }

    fn try_add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        let receipt = self.queue.add(item)?;
        self.counters.accept(events);
        self.wake_if_due();
        Ok(receipt)
    }

    /// Ends as soon as the item is in, or nothing is left to make room for it.
    fn add_in_place_of_oldest(&self, item: T) -> Result<Receipt, Refused<T>> {
        let events = item.events();
        let Displacing { displaced, added } = self.queue.add_displacing(item);
        for oldest in displaced {
            self.bury_at_once(oldest, DeadReason::Displaced, "");
        }
        if added.is_ok() {
            self.counters.accept(events);
            self.wake.notify_one();
        }
        added
    }

    #[expect(clippy::disallowed_methods, reason = "a blocked thread can only wait in real time")]
    fn add_when_there_is_room(&self, mut item: T, bound: Duration) -> Result<Receipt, Refused<T>> {
        let give_up = Instant::now().checked_add(bound);
        self.room.waiting.fetch_add(1, SeqCst);
        let added = loop {
            let mut lock = self.room.lock.lock();
            // Tried under the lock, so that room made from here on wakes us.
            match self.try_add(item) {
                Err(Refused { item: back, reason }) if reason.is_full() => {
                    if self.room.wait(&mut lock, give_up) == Waited::TooLong {
                        drop(lock);
                        break self.try_add(back);
                    }
                    item = back;
                }
                other => break other,
            }
        };
        self.room.waiting.fetch_sub(1, SeqCst);
        added
    }

    /// Tells callers who wait that the queue has room, or has been closed.
    pub(super) fn room_made(&self) {
        if self.room.waiting.load(SeqCst) > 0 {
            drop(self.room.lock.lock());
            self.room.freed.notify_all();
        }
    }

    fn wake_if_due(&self) {
        if self.queue.size() >= self.wake_at.load(SeqCst) {
            self.wake_up();
        }
    }

    pub(super) fn wake_up(&self) {
        if self.wake_at.swap(AWAKE, SeqCst) != AWAKE {
            self.wake.notify_one();
        }
    }

    /// Hands a command to the machine; gives it back where the machine has ended.
    pub(super) fn command(&self, command: Command<T>) -> Result<(), Command<T>> {
        let mut commands = self.commands.lock();
        if commands.ended {
            return Err(command);
        }
        commands.pending.push(command);
        drop(commands);
        self.wake.notify_one();
        Ok(())
    }

    /// What will be kept of an item that comes to its end undelivered.
    pub(super) fn letter(
        &self,
        item: T,
        reason: DeadReason,
        status: Option<u16>,
        text: String,
    ) -> DeadLetter<T> {
        DeadLetter { item, reason, status, text, time_ms: self.clock.now_ms() }
    }

    /// Tells the program of a dead letter. A callback that panics harms nobody.
    pub(super) fn tell(&self, letter: &DeadLetter<T>) {
        if let Some(callback) = &self.options.on_dead_letter
            && catch_unwind(AssertUnwindSafe(|| callback(letter))).is_err()
        {
            tracing::error!("the dead-letter callback panicked");
        }
    }

    /// An accepted item that is in the queue no more comes to its end undelivered. Where its letter cannot be kept for good,
    /// it is kept in memory.
    pub(super) fn bury_at_once(&self, item: T, reason: DeadReason, text: &str) {
        let letter = self.letter(item, reason, None, text.to_owned());
        self.tell(&letter);
        // Counted first: whoever finds it may put it back at once.
        self.counters.bury(letter.item.events(), reason);
        if reason == DeadReason::NotStored {
            return self.keep_in_memory(letter);
        }
        match self.dead_letters.push(letter, None) {
            // In memory as a rule; nobody waits for the others.
            Ok(receipt) => receipt.forget(),
            Err(not_kept) => {
                tracing::error!(%not_kept, "kept in memory instead");
                self.keep_in_memory(not_kept.letter);
            }
        }
    }

    fn keep_in_memory(&self, letter: DeadLetter<T>) {
        self.in_memory.push(letter, None).map(Receipt::forget).expect("memory takes every letter");
    }

    /// The end has come before the disk had what it was given: these items are in memory only, and nobody will wait for them
    /// any longer.
    pub(super) fn give_up(&self) -> Vec<DeadLetter<T>> {
        let given_up = self.queue.give_up();
        let text = "the process ended before its disk had the event; the disk may still store it, and whoever opens the \
                    queue next will deliver it then";
        let letter = |item: T| {
            let letter = self.letter(item.clone(), DeadReason::NotStored, None, text.to_owned());
            self.bury_at_once(item, DeadReason::NotStored, text);
            letter
        };
        given_up.into_iter().map(letter).collect()
    }
}

impl<T: Item> QueueWatcher for Shared<T> {
    fn changed(&self) {
        self.wake_if_due();
        self.room_made();
    }

    fn added(&self, events: usize) {
        self.counters.accept(events);
    }

    fn lost(&self, items: usize) {
        self.counters.bury_elsewhere(items, DeadReason::Lost);
        // Whoever flushes need not wait for these any more.
        self.wake.notify_one();
    }

    fn unreadable(&self, items: usize) {
        self.counters.bury_elsewhere(items, DeadReason::Unreadable);
        self.wake.notify_one();
    }
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// A queue knows its pipeline, which owns the queue: one of the two must not keep the other alive.
impl<T: Item> QueueWatcher for Weak<Shared<T>> {
    fn changed(&self) {
        if let Some(shared) = self.upgrade() {
            shared.changed();
        }
    }

    fn added(&self, events: usize) {
        if let Some(shared) = self.upgrade() {
            shared.added(events);
        }
    }

    fn lost(&self, items: usize) {
        if let Some(shared) = self.upgrade() {
            shared.lost(items);
        }
    }

    fn unreadable(&self, items: usize) {
        if let Some(shared) = self.upgrade() {
            shared.unreadable(items);
        }
    }
}
