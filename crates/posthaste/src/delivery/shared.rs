//! What callers and the machine share: the queue, the books, the way in, the mailbox, the dead letters.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::{
    admission::Admission,
    books::{Books, Statement},
    guard::Guarded,
    item::Item,
    letter_room::LetterRoom,
    letters::Letters,
    mailbox::Mailbox,
    options::Options,
};
use crate::{
    clock::Clock,
    outcome::{DeadLetter, DeadReason, Health, Ledger, Trouble, UpstreamHealth},
    queue::{DeliveryQueue, Leased, QueueWatcher},
};

/// Whoever adds reads the queue, the options and the way in. What the machine writes at each turn is on other cache lines.
#[derive(Debug)]
pub(super) struct Shared<T> {
    queue: CachePadded<Guarded<T>>,
    options: CachePadded<Options<T>>,
    clock: Arc<dyn Clock>,
    books: Books,
    admission: CachePadded<Admission>,
    mailbox: Mailbox<T>,
    letters: Letters<T>,
    health: Mutex<Health>,
    /// Events of the backlog, at most; beyond what is queued where that is all of it.
    backlog: AtomicU64,
    /// The process that the delivery thread lives in: a forked child has none.
    owner: u32,
}

impl<T: Item> Shared<T> {
    pub(super) fn new(
        queue: Arc<dyn DeliveryQueue<T>>,
        mut options: Options<T>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let queue = Guarded::new(queue);
        let letters = Letters::new(
            queue.dead_letters(),
            options.dead_letters_max,
            LetterRoom::new(&options.pipeline, options.letters),
            options.on_dead_letter.take(),
        );
        let books = Books::new(&options.pipeline, letters.found());
        Self {
            queue: CachePadded::new(queue),
            options: CachePadded::new(options),
            clock,
            books,
            admission: CachePadded::default(),
            mailbox: Mailbox::default(),
            letters,
            health: Mutex::default(),
            backlog: AtomicU64::new(0),
            owner: process::id(),
        }
    }

    pub(super) fn queue(&self) -> &Guarded<T> {
        &self.queue
    }

    pub(super) fn options(&self) -> &Options<T> {
        &self.options
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn books(&self) -> &Books {
        &self.books
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(super) fn mailbox(&self) -> &Mailbox<T> {
        &self.mailbox
    }

    pub(super) fn letters(&self) -> &Letters<T> {
        &self.letters
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.statement().ledger
    }

    pub(super) fn statement(&self) -> Statement {
        self.books.statement(|| self.queue.counts())
    }

    pub(super) fn health(&self) -> Health {
        let health = self.health.lock().clone();
        Health { backlog: self.backlog(), ..health }
    }

    /// Events that go at the drain rate.
    pub(super) fn backlog(&self) -> u64 {
        match self.backlog.load(SeqCst) {
            0 => 0,
            left => left.min(self.ledger().queued),
        }
    }

    pub(super) fn set_backlog(&self, events: u64) {
        self.backlog.store(events, SeqCst);
    }

    pub(super) fn set_health(&self, upstreams: Vec<UpstreamHealth>, queue: Option<Trouble>) {
        let mut health = self.health.lock();
        (health.upstreams, health.queue) = (upstreams, queue);
    }

    /// Delivery ends before anybody has closed it.
    pub(super) fn ended_by(&self, why: String) {
        // It may be the clock that has panicked.
        let now_ms = catch_unwind(AssertUnwindSafe(|| self.clock.now_ms())).unwrap_or_default();
        self.health.lock().ended = Some(Trouble::new(why, now_ms));
    }

    /// Whether this is the process that delivery was started in.
    pub(super) fn is_ours(&self) -> bool {
        self.owner == process::id()
    }

    /// The end has come before the disk had what it was given: these items are in memory only, and nobody will wait for
    /// them any longer.
    pub(super) fn give_up(&self) -> Vec<DeadLetter<T>> {
        const WHY: &str = "the process ended before its disk had the event; the disk may still store it, and whoever \
                           opens the queue next will deliver it then";
        let given_up = self.books.try_act(|act| {
            let given_up = self.queue.give_up();
            for Leased { id, item } in &given_up {
                // What some of its events have come to is counted already.
                let ended = usize::try_from(act.end_whole(*id)).unwrap_or(usize::MAX);
                act.bury(item.events().saturating_sub(ended), DeadReason::NotStored);
            }
            given_up
        });
        let given_up = given_up.unwrap_or_default();
        let letter = |Leased { item, .. }| self.letter(item, DeadReason::NotStored, None, WHY.to_owned());
        let given_up = given_up.into_iter().map(letter).inspect(|letter| self.letters.keep(letter.clone()));
        // Letters that came from outside and are in memory only are nobody else's either.
        given_up.chain(self.letters.give_up_direct()).collect()
    }
}

/// A queue knows its pipeline, which owns the queue: one of the two must not keep the other alive.
impl<T: Item> QueueWatcher for Weak<Shared<T>> {
    fn changed(&self) {
        if let Some(shared) = self.upgrade() {
            shared.mailbox.grown(|| shared.queue.size());
            shared.admission.room_made();
        }
    }

    fn gone(&self) {
        if let Some(shared) = self.upgrade() {
            shared.mailbox.wake();
            shared.admission.room_made();
        }
    }
}
