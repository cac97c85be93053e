//! A report to come: who has asked for it, and how they wait.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    outcome::{CloseReport, FlushReport, Pulse},
    queue::block_on_within,
};

/// A report to come. Await it under any runtime, or [`wait`](Self::wait) for it without one.
///
/// It comes by its deadline. Where a dispatcher, a callback, a queue or a disk blocks delivery, it comes half a second
/// after the deadline (real time), and its reasons say so. What was asked for has begun already, and goes on where this
/// is dropped.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
///
/// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
/// // The flush has begun; do something else meanwhile.
/// let pending = processor.flush(Duration::from_secs(5));
/// let report = pending.wait(); // in async code, `pending.await`
/// assert!(report.is_complete());
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[must_use = "the report says what is left"]
pub struct Pending<R>(State<R>);

enum State<R> {
    /// It is there.
    Ready(Option<R>),
    /// The delivery thread gives it.
    Coming {
        answer: oneshot::Receiver<R>,
        /// Runs in real time, whatever blocks the delivery thread.
        give_up: futures_timer::Delay,
        give_up_after: Duration,
        fallback: Option<Box<dyn FnOnce() -> R + Send>>,
    },
}

/// How much later than the deadline a caller gives up on a delivery thread that somebody's dispatcher or disk blocks.
const GRACE: Duration = Duration::from_millis(500);

/// Timers do not know longer times.
const FOREVER: Duration = Duration::from_hours(24 * 365);

impl<R> Pending<R> {
    /// A report that is there at once: for processors of your own.
    pub fn ready(report: R) -> Self {
        Self(State::Ready(Some(report)))
    }

    /// `fallback` answers where the delivery thread does not.
    pub(super) fn new(
        answer: oneshot::Receiver<R>,
        within: Duration,
        fallback: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let give_up_after = within.saturating_add(GRACE);
        let give_up = futures_timer::Delay::new(give_up_after.min(FOREVER));
        Self(State::Coming { answer, give_up, give_up_after, fallback: Some(Box::new(fallback)) })
    }

    /// Blocks this thread until the report is there, which is by the deadline. It works in and out of a runtime, since
    /// delivery has its own thread. With a [`Driver`](crate::Driver) on the only thread of a runtime, await instead:
    /// nothing would run the driver meanwhile.
    pub fn wait(mut self) -> R {
        let give_up_after = match &self.0 {
            State::Ready(_) => Duration::ZERO,
            State::Coming { give_up_after, .. } => *give_up_after,
        };
        match block_on_within(&mut self, give_up_after) {
            Some(report) => report,
            None => self.fallen_back(),
        }
    }

    fn fallen_back(&mut self) -> R {
        let report = match &mut self.0 {
            State::Ready(report) => report.take(),
            State::Coming { fallback, .. } => fallback.take().map(|fallback| fallback()),
        };
        report.expect("a report is given once")
    }
}

/// The report itself is never pinned.
impl<R> Unpin for Pending<R> {}

impl<R> Future for Pending<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let State::Coming { answer, give_up, .. } = &mut self.0 else {
            return Poll::Ready(self.fallen_back());
        };
        match Pin::new(answer).poll(context) {
            Poll::Pending => Pin::new(give_up).poll(context).map(|()| self.fallen_back()),
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

/// What somebody has asked for, and how they are told.
#[derive(Debug)]
pub(super) enum Asked<T> {
    Flush(oneshot::Sender<FlushReport>),
    Close(oneshot::Sender<CloseReport<T>>),
    /// Whether the loop goes round: answered in its next turn, and nothing else comes of it.
    Ping(oneshot::Sender<Pulse>),
}

/// Whoever asked may have stopped listening; then nobody misses the answer.
impl<T> Asked<T> {
    pub(super) fn is_close(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    /// With how much is left of what was asked for, and how everything stands.
    pub(super) fn answer(self, left: u64, report: &CloseReport<T>)
    where
        T: Clone,
    {
        match self {
            Self::Flush(answer) => {
                drop(answer.send(FlushReport::new(left, report.ledger, report.reasons.clone())));
            }
            Self::Close(answer) => drop(answer.send(report.clone())),
            // Asked when the loop was about to end.
            Self::Ping(answer) => {
                let _ = answer.send(Pulse::Ended);
            }
        }
    }
}
