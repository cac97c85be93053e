//! The caller's side of a machine, and the thread that it runs on.

use std::{future::Future, pin::Pin, sync::Arc, thread, time::Duration};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    item::Item,
    machine::Machine,
    options::Options,
    report::{Answer, CloseReport, FlushReport, Pending},
    shared::{Command, Shared},
};
use crate::{
    clock::Clock,
    dispatch::Dispatcher,
    outcome::{DeadLetter, DeadLetterStore as _, DeadReason, Ledger},
    queue::{Queue, Receipt, Refused},
};

/// A machine at work.
#[derive(Debug)]
pub(crate) struct Delivery<T: Item> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// A machine that the caller runs: polled on the caller's runtime, it ends when the handle is closed.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T: Item> Delivery<T> {
    /// A machine on a thread of its own with a runtime of its own, so that callers need none.
    pub(crate) fn start(
        queue: Arc<dyn Queue<T>>,
        dispatcher: Arc<dyn Dispatcher>,
        options: Options<T>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let (delivery, driver) = Self::with_driver(queue, dispatcher, options, clock);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("posthaste".to_owned()).spawn(move || {
            runtime.block_on(driver);
            // A dispatcher may still block a thread; the process is not to wait for it.
            runtime.shutdown_background();
        })?;
        *delivery.thread.lock() = Some(thread);
        Ok(delivery)
    }

    /// A machine that runs where its driver is polled.
    pub(crate) fn with_driver(
        queue: Arc<dyn Queue<T>>,
        dispatcher: Arc<dyn Dispatcher>,
        options: Options<T>,
        clock: Arc<dyn Clock>,
    ) -> (Self, Driver) {
        let shared = Arc::new(Shared::new(queue, options, clock));
        let watcher = Arc::downgrade(&shared);
        shared.queue.watch(Arc::new(watcher));
        let machine = Machine::new(Arc::clone(&shared), dispatcher);
        (Self { shared, thread: Mutex::new(None) }, Box::pin(machine.run()))
    }

    pub(crate) fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        self.shared.add(item)
    }

    pub(crate) fn queue(&self) -> &dyn Queue<T> {
        &*self.shared.queue
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.shared.counters.snapshot()
    }

    /// Takes items out of the queue for the caller; for the ledger they are dead-lettered.
    pub(crate) fn remove(&self, count: usize) -> Vec<T> {
        let removed = self.shared.queue.remove(count);
        let events = removed.iter().map(Item::events).sum();
        self.shared.counters.bury(events, DeadReason::Withdrawn);
        self.shared.room_made();
        removed
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter<T>> {
        let kept = self.kept_letters().into_iter().chain(self.shared.in_memory.list());
        kept.map(|(_, letter)| letter).collect()
    }

    /// Those that have not been put back.
    fn kept_letters(&self) -> Vec<(u64, DeadLetter<T>)> {
        let mut letters = self.shared.dead_letters.list();
        let replayed = self.shared.replayed.lock();
        letters.retain(|(id, _)| !replayed.ids.contains(id));
        letters
    }

    /// Forgets the dead letters; they stay counted.
    pub(crate) fn purge_dead_letters(&self) -> Vec<DeadLetter<T>> {
        let _taking = self.shared.taking_dead_letters.lock();
        let (ids, letters): (Vec<u64>, Vec<_>) = self.kept_letters().into_iter().unzip();
        self.shared.dead_letters.remove(&ids);
        let (ids, in_memory): (Vec<u64>, Vec<_>) = self.shared.in_memory.list().into_iter().unzip();
        self.shared.in_memory.remove(&ids);
        letters.into_iter().chain(in_memory).collect()
    }

    /// Puts dead letters back into the queue, oldest first, as far as it takes them. Returns how many events. A letter is
    /// given up only once the queue has its event safely; in between it is in both.
    pub(crate) fn replay_dead_letters(&self) -> usize {
        let _taking = self.shared.taking_dead_letters.lock();
        let (mut safe, mut replayed) = (Vec::new(), 0);
        for (id, letter) in self.kept_letters() {
            let events = letter.item.events();
            // From dead to queued in the ledger before the machine can see it.
            self.shared.counters.revive(events);
            let Ok(receipt) = self.shared.queue.add(letter.item) else {
                self.shared.counters.bury(events, letter.reason);
                break;
            };
            replayed += events;
            if receipt.is_stored() {
                safe.push(id);
            } else {
                self.shared.replayed.lock().push(id, receipt);
            }
        }
        self.shared.dead_letters.remove(&safe);
        self.shared.wake.notify_one();
        replayed
    }

    pub(crate) fn flush(&self, within: Duration) -> Pending<FlushReport> {
        let (sender, receiver) = oneshot::channel();
        self.command(within, Answer::Flush(sender));
        let shared = Arc::clone(&self.shared);
        Pending::new(receiver, within, move || {
            let ledger = shared.counters.snapshot();
            FlushReport { left: ledger.queued, ledger }
        })
    }

    pub(crate) fn close(&self, within: Duration) -> Pending<CloseReport<T>> {
        self.shared.queue.close();
        self.shared.room_made();
        let (sender, receiver) = oneshot::channel();
        self.command(within, Answer::Close(sender));
        let shared = Arc::clone(&self.shared);
        Pending::new(receiver, within, move || {
            let not_stored = shared.give_up();
            CloseReport::new(shared.counters.snapshot(), None, not_stored)
        })
    }

    /// A machine that has ended drops the answer's sender, and the fallback answers.
    fn command(&self, within: Duration, answer: Answer<T>) {
        drop(self.shared.command(Command { within, answer }));
    }
}

impl<T: Item> Delivery<T> {
    fn has_ended(&self) -> bool {
        self.shared.commands.lock().ended
    }
}

impl<T: Item> Drop for Delivery<T> {
    fn drop(&mut self) {
        let Some(thread) = self.thread.lock().take() else {
            // Someone else's runtime drives it; waiting here could be waiting for ourselves.
            drop(self.close(Duration::ZERO));
            return;
        };
        // Where it has been closed before, whoever did so has the report.
        if !self.has_ended() {
            let report = self.close(self.shared.options.drop_deadline).wait();
            if report.left > 0 {
                tracing::warn!(left = report.left, "dropped with events still queued; close() returns them");
            }
        }
        // So that the queue is let go of by now. Where a dispatcher blocks the thread, that is not ours to wait for; nor can
        // the thread wait for itself, where its dispatcher holds the last handle.
        let is_other = thread.thread().id() != thread::current().id();
        if self.has_ended() && is_other && thread.join().is_err() {
            tracing::error!("the delivery thread panicked");
        }
    }
}
