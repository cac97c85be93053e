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

/// Resolves to `Ok` once the item is as safe as its queue makes it; at once for queues in memory.
///
/// It may be awaited under any runtime, waited for without one, or dropped: dropping it changes nothing for the item.
pub struct Receipt(State);

enum State {
    Stored,
    Pending(Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>),
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

    /// Blocks this thread until the receipt resolves. Does no harm inside a runtime, except that it blocks.
    pub fn wait(self) -> Result<(), Refusal> {
        block_on(self)
    }
}

impl Future for Receipt {
    type Output = Result<(), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Stored => Poll::Ready(Ok(())),
            State::Pending(stored) => stored.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Stored => "Receipt(stored)",
            State::Pending(_) => "Receipt(pending)",
        })
    }
}

/// Polls a future on this thread, which sleeps in between. Unlike a runtime's own, this may be called anywhere.
fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
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
