//! What an `add` returns: resolves once the item is as safe as the queue makes it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::outcome::Refusal;

/// Resolves to `Ok` once the item is as safe as its queue makes it, or has been delivered; at once for queues in
/// memory. It fails only where the process stops waiting for its disk, at the end: then the event is a dead letter.
///
/// Await it under any runtime, or [`wait`](Self::wait) without one. [`forget`](Self::forget) says that nobody needs to
/// know; for the item, that changes nothing.
///
/// ```
/// use std::time::Duration;
/// use posthaste::Receipt;
///
/// // What a queue of your own returns for an item that it stores later.
/// let mut receipt = Receipt::pending(async { Ok(()) });
/// assert_eq!(receipt.wait_within(Duration::from_secs(1)), Some(Ok(())));
/// assert_eq!(Receipt::stored().wait(), Ok(()));
/// ```
#[must_use = "the item is taken, and safe once this resolves; `forget` says that nobody needs to know"]
pub struct Receipt(State);

enum State {
    Stored,
    Pending(Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>),
    #[cfg(feature = "spool")]
    Spool(posthaste_spool::SpoolReceipt),
}

impl Receipt {
    /// The item is already as safe as it will be.
    pub fn stored() -> Self {
        Self(State::Stored)
    }

    /// The item is safe once `stored` resolves to `Ok`.
    pub fn pending(stored: impl Future<Output = Result<(), Refusal>> + Send + 'static) -> Self {
        Self(State::Pending(Box::pin(stored)))
    }

    /// The item is safe once the spool says so.
    #[cfg(feature = "spool")]
    pub(crate) fn of_spool(receipt: posthaste_spool::SpoolReceipt) -> Self {
        Self(State::Spool(receipt))
    }

    /// Whether the item is as safe as it will be, without a wait.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.0, State::Stored)
    }

    /// Blocks this thread until the receipt resolves. It does not panic inside a runtime, but blocks that runtime's
    /// thread.
    pub fn wait(self) -> Result<(), Refusal> {
        match self.0 {
            #[cfg(feature = "spool")]
            State::Spool(receipt) => stored(receipt.wait()),
            _ => block_on(self),
        }
    }

    /// The same, for this long at most (real time). `None`: it takes longer; you may ask again.
    pub fn wait_within(&mut self, within: Duration) -> Option<Result<(), Refusal>> {
        block_on_within(self, within)
    }

    /// Nobody needs to know when the item is safe.
    pub fn forget(self) {}
}

impl Future for Receipt {
    type Output = Result<(), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Stored => Poll::Ready(Ok(())),
            State::Pending(stored) => stored.as_mut().poll(context),
            #[cfg(feature = "spool")]
            State::Spool(receipt) => Pin::new(receipt).poll(context).map(stored),
        }
    }
}

/// What the spool says of a record, for callers.
#[cfg(feature = "spool")]
pub(super) fn stored(result: Result<u64, posthaste_spool::WriteError>) -> Result<(), Refusal> {
    result.map(drop).map_err(|error| match error {
        posthaste_spool::WriteError::Closed => Refusal::Closed,
        error => Refusal::Storage(error.to_string()),
    })
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Stored => "Receipt(stored)",
            State::Pending(_) => "Receipt(pending)",
            #[cfg(feature = "spool")]
            State::Spool(_) => "Receipt(pending)",
        })
    }
}

/// Polls a future on this thread, which sleeps in between. Unlike a runtime's own, this may be called anywhere.
pub(super) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    block_on_within(&mut future, Duration::MAX).expect("there is no end to this time")
}

/// The same, for some time (real time, whatever the clock says). `None`: it took longer.
#[expect(clippy::disallowed_methods, reason = "a blocked thread can only wait in real time")]
pub(crate) fn block_on_within<F: Future + Unpin>(future: &mut F, within: Duration) -> Option<F::Output> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let give_up = Instant::now().checked_add(within);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match give_up.map(|give_up| give_up.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
