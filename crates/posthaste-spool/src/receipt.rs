//! The promise that `add` hands out, and its other end.
//!
//! A receipt always resolves: where its other end is dropped without an answer, it says that the spool is closed.

use std::{
    fmt,
    future::IntoFuture,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::error::WriteError;

/// What a receipt resolves to: the number of the first of the records.
pub(crate) type Stored = Result<u64, WriteError>;

/// Somebody who may write at once, instead of waiting for the thread that does.
pub(crate) trait Lead: Send + Sync {
    /// Writes what is waiting, unless somebody is doing so.
    fn lead(&self);
}

/// Resolves once the records are as durable as the spool's [`Durability`](crate::Durability) says, or acknowledged, with
/// the number of the first of them. To be awaited in any executor, or waited for on any thread.
///
/// It fails only where the process gave up waiting for its disk.
#[must_use = "until its receipt resolves, nothing is known to be stored; `forget` says that nobody needs to know"]
pub struct SpoolReceipt {
    answer: Answer,
    lead: Option<Arc<dyn Lead>>,
}

enum Answer {
    Sync(oneshot::Receiver<Stored>),
    Async(oneshot::AsyncReceiver<Stored>),
    Taken,
}

impl SpoolReceipt {
    pub(crate) fn new(answer: oneshot::Receiver<Stored>, lead: Option<Arc<dyn Lead>>) -> Self {
        Self { answer: Answer::Sync(answer), lead }
    }

    /// Blocks this thread until the receipt resolves. Where nobody is writing, this thread does.
    pub fn wait(self) -> Result<u64, WriteError> {
        match self.answer {
            Answer::Sync(answer) => {
                if let Some(lead) = self.lead.filter(|_| !answer.has_message()) {
                    lead.lead();
                }
                answer.recv().unwrap_or(Err(WriteError::Closed))
            }
            // Whoever has polled it before waits like everybody else.
            Answer::Async(answer) => pollster(answer),
            Answer::Taken => Err(WriteError::Closed),
        }
    }

    /// Nobody needs to know: what was taken is stored all the same.
    pub fn forget(self) {}
}

/// Waits for a future on this thread.
fn pollster(mut answer: oneshot::AsyncReceiver<Stored>) -> Stored {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match Pin::new(&mut answer).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(stored) => return stored.unwrap_or(Err(WriteError::Closed)),
            Poll::Pending => std::thread::park(),
        }
    }
}

impl Future for SpoolReceipt {
    type Output = Result<u64, WriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = match std::mem::replace(&mut self.answer, Answer::Taken) {
            Answer::Sync(answer) => answer.into_future(),
            Answer::Async(answer) => answer,
            Answer::Taken => return Poll::Ready(Err(WriteError::Closed)),
        };
        match Pin::new(&mut answer).poll(context) {
            Poll::Ready(stored) => Poll::Ready(stored.unwrap_or(Err(WriteError::Closed))),
            Poll::Pending => {
                self.answer = Answer::Async(answer);
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for SpoolReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpoolReceipt")
    }
}

/// Called once, when it is known what has become of a batch.
pub(crate) enum Completion {
    Receipt(oneshot::Sender<Stored>),
    Call(Box<dyn FnOnce(Stored) + Send>),
    Nobody,
}

impl Completion {
    pub(crate) fn complete(self, stored: Stored) {
        match self {
            // Nobody may be listening any more.
            Self::Receipt(sender) => drop(sender.send(stored)),
            Self::Call(call) => call(stored),
            Self::Nobody => {}
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completion")
    }
}
