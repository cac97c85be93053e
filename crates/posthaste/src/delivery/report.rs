//! What flush and close answer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    event::UserEvent,
    outcome::{DeadLetter, Ledger},
    queue::block_on_within,
};

/// What a flush has achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushReport {
    /// Events accepted before the call that had not come to an end by its deadline. 0: the flush is complete.
    pub left: u64,
    /// The ledger at the end of the flush.
    pub ledger: Ledger,
}

/// What has become of everything, once nothing more is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseReport<T = UserEvent> {
    /// Events that were delivered, since the start.
    pub delivered: u64,
    /// Events that were dead-lettered, since the start.
    pub dead_lettered: u64,
    /// Events left in the queue.
    pub left: u64,
    /// The same as a ledger.
    pub ledger: Ledger,
    /// What the dispatcher's own queue had to say, where it has one.
    pub dispatcher: Option<FlushReport>,
    /// Of the dead letters, those whose events were taken into a queue on disk that the disk never confirmed
    /// ([`NotStored`](crate::DeadReason::NotStored)).
    pub not_stored: Vec<DeadLetter<T>>,
}

impl FlushReport {
    /// Whether everything accepted before the call has come to an end.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}

impl<T> CloseReport<T> {
    pub(super) fn new(
        ledger: Ledger,
        dispatcher: Option<FlushReport>,
        not_stored: Vec<DeadLetter<T>>,
    ) -> Self {
        let Ledger { delivered, dead_lettered, queued, .. } = ledger;
        Self { delivered, dead_lettered, left: queued, ledger, dispatcher, not_stored }
    }
}

/// A report to come: awaited under any runtime, or waited for without one.
#[must_use = "the report says what is left"]
pub struct Pending<R> {
    answer: oneshot::Receiver<R>,
    /// Runs in real time, whatever blocks the delivery thread.
    give_up: futures_timer::Delay,
    give_up_after: Duration,
    fallback: Option<Box<dyn FnOnce() -> R + Send>>,
}

/// How much later than the deadline a caller gives up on a delivery thread that somebody's dispatcher or disk blocks.
const GRACE: Duration = Duration::from_secs(1);

/// Timers do not know longer times.
const FOREVER: Duration = Duration::from_hours(24 * 365);

impl<R> Pending<R> {
    /// `fallback` answers where the delivery thread does not.
    pub(super) fn new(
        answer: oneshot::Receiver<R>,
        within: Duration,
        fallback: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let give_up_after = within.saturating_add(GRACE);
        let give_up = futures_timer::Delay::new(give_up_after.min(FOREVER));
        Self { answer, give_up, give_up_after, fallback: Some(Box::new(fallback)) }
    }

    /// Blocks this thread until the report is there, which is by the deadline. Works in and out of a runtime: delivery
    /// goes on on its own thread.
    pub fn wait(mut self) -> R {
        let give_up_after = self.give_up_after;
        match block_on_within(&mut self, give_up_after) {
            Some(report) => report,
            None => self.fallen_back(),
        }
    }

    fn fallen_back(&mut self) -> R {
        self.fallback.take().expect("a report is given once")()
    }
}

impl<R> Future for Pending<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        match Pin::new(&mut self.answer).poll(context) {
            Poll::Pending => Pin::new(&mut self.give_up).poll(context).map(|()| self.fallen_back()),
            Poll::Ready(Ok(report)) => Poll::Ready(report),
            Poll::Ready(Err(_)) => Poll::Ready(self.fallen_back()),
        }
    }
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// Somebody who waits for a flush or a close.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) deadline: Duration,
    /// Leases of a lower sequence are those that it waits for.
    pub(super) target: u64,
    /// Of those, how many have been taken and have not ended.
    pub(super) open: u64,
    pub(super) answer: Answer<T>,
}

#[derive(Debug)]
pub(super) enum Answer<T> {
    Flush(oneshot::Sender<FlushReport>),
    Close(oneshot::Sender<CloseReport<T>>),
}
