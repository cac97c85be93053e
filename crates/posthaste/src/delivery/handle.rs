//! The caller's side of a machine, and the thread that it runs on.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Runtime, sync::oneshot};

use super::{
    guard::panic_text,
    item::Item,
    machine::Machine,
    mailbox::Command,
    options::{Options, OptionsError},
    pending::{Asked, Pending},
    shared::Shared,
};
use crate::{
    clock::Clock,
    dispatch::Dispatcher,
    outcome::{
        Breakdown, CloseReport, DeadLetter, DeadReason, FlushReport, Health, Ledger, Pulse, Trouble, merged,
    },
    queue::{DeliveryQueue, Receipt, Refused},
};

/// A machine at work.
#[derive(Debug)]
pub(crate) struct Delivery<T: Item> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// A machine that the caller runs, as [`build_with_driver`](crate::BatchEventProcessorBuilder::build_with_driver)
/// returns it.
///
/// It delivers while it is polled, on a tokio runtime with time enabled. It resolves once its processor or dispatcher
/// has been closed and has reported. Dropping it ends delivery: what is left stays in the queue.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a machine is made of.
pub(crate) struct Makings<T> {
    pub(crate) queue: Arc<dyn DeliveryQueue<T>>,
    pub(crate) dispatcher: Arc<dyn Dispatcher>,
    pub(crate) options: Options<T>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<T: Item> Delivery<T> {
    /// A machine on a thread of its own with a runtime of its own, so that callers need none.
    pub(crate) fn start(makings: Makings<T>) -> Result<Self, OptionsError> {
        let (thread, hand_over) = spawn()?;
        let (delivery, driver) = Self::with_driver(makings)?;
        drop(hand_over.send(driver));
        *delivery.thread.lock() = Some(thread);
        Ok(delivery)
    }

    /// A machine that runs where its driver is polled.
    pub(crate) fn with_driver(makings: Makings<T>) -> Result<(Self, Driver), OptionsError> {
        let Makings { queue, dispatcher, options, clock } = makings;
        let make = || {
            start_timer()?;
            let shared = Arc::new(Shared::new(queue, options, clock));
            let machine = Machine::new(Arc::clone(&shared), dispatcher);
            shared.queue().watch(Arc::new(Arc::downgrade(&shared)));
            Ok((Self { shared, thread: Mutex::new(None) }, Box::pin(machine.run()) as Driver))
        };
        catch_unwind(AssertUnwindSafe(make))
            .unwrap_or_else(|panic| Err(OptionsError::Panicked(panic_text(&*panic).to_owned())))
    }

    pub(crate) fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        self.shared.add(item)
    }

    pub(crate) fn queue(&self) -> &dyn DeliveryQueue<T> {
        self.shared.queue().bare()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.shared.ledger()
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.health()
    }

    /// Takes items out of the queue for the caller; for the ledger they are dead-lettered.
    pub(crate) fn remove(&self, count: usize) -> Vec<T> {
        let removed = self.shared.books().act(|act| {
            let removed = self.shared.queue().remove(count);
            act.bury(removed.iter().map(T::events).sum(), DeadReason::Withdrawn);
            removed
        });
        self.shared.admission().room_made();
        self.shared.mailbox().wake();
        removed
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter<T>> {
        self.shared.letters().list()
    }

    /// Forgets the dead letters; they stay counted.
    pub(crate) fn purge_dead_letters(&self) -> Vec<DeadLetter<T>> {
        self.shared.letters().purge()
    }

    pub(crate) fn replay_dead_letters(&self) -> usize {
        self.shared.replay_where(&|_| true)
    }

    pub(crate) fn replay_dead_letters_where(&self, is_to_go: &dyn Fn(&DeadLetter<T>) -> bool) -> usize {
        self.shared.replay_where(is_to_go)
    }

    pub(crate) fn purge_dead_letters_where(&self, is_to_go: &dyn Fn(&DeadLetter<T>) -> bool) -> usize {
        self.shared.letters().purge_where(is_to_go)
    }

    pub(crate) fn dead_letters_page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<T>)> {
        self.shared.letters().page(after, max)
    }

    pub(crate) fn dead_letters_forgotten(&self) -> u64 {
        self.shared.letters().forgotten()
    }

    pub(crate) fn bury(&self, item: T, reason: DeadReason, text: String) -> Result<Receipt, Refused<T>> {
        self.shared.bury(item, reason, text)
    }

    pub(crate) fn flush(&self, within: Duration) -> Pending<FlushReport> {
        if !self.shared.is_ours() {
            self.shared.admission().shut();
            return Pending::ready(FlushReport::new(0, Ledger::default(), forked()));
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.mailbox().command(Command { within, asked: Asked::Flush(sender) });
        let shared = Arc::clone(&self.shared);
        Pending::new(receiver, within, move || {
            let ledger = shared.ledger();
            FlushReport::new(ledger.queued, ledger, reasons(&shared))
        })
    }

    /// Asks the loop whether it goes round. It is not woken for anything else: nothing is sent earlier because of it.
    pub(crate) fn ping(&self, within: Duration) -> Pending<Pulse> {
        if !self.shared.is_ours() || self.shared.mailbox().has_ended() {
            return Pending::ready(Pulse::Ended);
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.mailbox().command(Command { within, asked: Asked::Ping(sender) });
        let shared = Arc::clone(&self.shared);
        Pending::new(receiver, within, move || {
            if shared.mailbox().has_ended() { Pulse::Ended } else { Pulse::Silent }
        })
    }

    /// What has become of events, reason by reason.
    pub(crate) fn breakdown(&self) -> Breakdown {
        self.shared.statement().breakdown()
    }

    pub(crate) fn close(&self, within: Duration) -> Pending<CloseReport<T>> {
        self.shared.admission().shut();
        if !self.shared.is_ours() {
            return Pending::ready(CloseReport::new(Ledger::default(), forked(), None, Vec::new()));
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.mailbox().command(Command { within, asked: Asked::Close(sender) });
        let shared = Arc::clone(&self.shared);
        Pending::new(receiver, within, move || {
            let not_stored = shared.give_up();
            CloseReport::new(shared.ledger(), reasons(&shared), None, not_stored)
        })
    }
}

/// Why something is left, as far as a caller can tell: delivery itself has not answered.
fn reasons<T: Item>(shared: &Shared<T>) -> Vec<Trouble> {
    let Health { upstreams, queue, ended, .. } = shared.health();
    let of_upstreams = upstreams.into_iter().filter_map(|upstream| upstream.trouble);
    let blocked = (ended.is_none() && !shared.mailbox().has_ended()).then(|| {
        let what = "delivery did not answer in time: a dispatcher, callback, queue or disk blocks it";
        Trouble::new(what, shared.clock().now_ms())
    });
    merged(ended.into_iter().chain(queue).chain(blocked).chain(of_upstreams))
}

/// A forked child has no delivery thread, and its copy of the queue is its parent's to deliver.
fn forked() -> Vec<Trouble> {
    let what = "closed: this is a forked child; its parent delivers what is queued; build a processor here";
    vec![Trouble::new(what, 0)]
}

/// The timer behind `Pending` needs a thread, which there may not be.
fn start_timer() -> Result<(), OptionsError> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.get().is_some() {
        return Ok(());
    }
    let waker = futures_util::task::noop_waker();
    let poll = || {
        let mut timer = futures_timer::Delay::new(Duration::from_hours(1));
        Pin::new(&mut timer).poll(&mut std::task::Context::from_waker(&waker)).is_ready()
    };
    let no_thread = |_| OptionsError::Thread(std::io::Error::other("no thread for timers can be started"));
    catch_unwind(AssertUnwindSafe(poll)).map_err(no_thread)?;
    STARTED.get_or_init(|| ());
    Ok(())
}

/// A thread that drives what it is handed, and ends where that never comes. It makes its runtime itself: one that cannot be
/// used must not be dropped inside another.
fn spawn() -> Result<(thread::JoinHandle<()>, mpsc::SyncSender<Driver>), OptionsError> {
    let (made, is_made) = mpsc::sync_channel(1);
    let (hand_over, driver) = mpsc::sync_channel::<Driver>(1);
    let run = move || match runtime() {
        Ok(runtime) => {
            drop(made.send(Ok(())));
            if let Ok(driver) = driver.recv() {
                runtime.block_on(driver);
            }
            // A dispatcher may still block a thread; the process is not to wait for it.
            runtime.shutdown_background();
        }
        Err(error) => drop(made.send(Err(error))),
    };
    let thread = thread::Builder::new().name("posthaste".to_owned()).spawn(run)?;
    match is_made.recv() {
        Ok(made) => Ok(made.map(|()| (thread, hand_over))?),
        Err(_) => Err(OptionsError::Thread(std::io::Error::other("the delivery thread ended at once"))),
    }
}

/// Without signals, which cannot be set up where descriptors are scarce, and panic then.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

impl<T: Item> Drop for Delivery<T> {
    fn drop(&mut self) {
        if !self.shared.is_ours() {
            return self.leak();
        }
        let Some(thread) = self.thread.lock().take() else {
            // Someone else's runtime drives it; waiting here could be waiting for ourselves.
            drop(self.close(Duration::ZERO));
            return;
        };
        // Where it has been closed before, whoever did so has the report.
        if !self.shared.mailbox().has_ended() {
            let report = self.close(self.shared.options().drop_deadline).wait();
            if report.left > 0 {
                tracing::warn!(%report, "dropped with events left in the queue; close() waits longer");
            }
        }
        // Joined, the thread has let go of the queue. We do not wait for a dispatcher that blocks it; and where its
        // dispatcher holds the last handle, the thread cannot wait for itself.
        let is_other = thread.thread().id() != thread::current().id();
        if self.shared.mailbox().has_ended() && is_other && thread.join().is_err() {
            tracing::error!("the delivery thread panicked");
        }
    }
}

impl<T: Item> Delivery<T> {
    /// In a forked child, what a lock guards may stay half changed for ever. So this touches nothing.
    fn leak(&mut self) {
        std::mem::forget(Arc::clone(&self.shared));
        std::mem::forget(std::mem::take(self.thread.get_mut()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_says_who_delivers_and_what_to_do() {
        let report = CloseReport::<()>::new(Ledger::default(), forked(), None, Vec::new());
        let text = report.to_string();
        assert!(text.contains("forked child") && text.contains("build a processor here"), "{text}");
    }
}
