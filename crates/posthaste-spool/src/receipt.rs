//! The promise that `add` hands out, and its other end.
//!
//! A receipt always resolves: when its other end is dropped without an answer, it says that the spool is closed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::{Condvar, Mutex};

use crate::error::WriteError;

/// Resolves once the records are as durable as the spool's [`Durability`](crate::Durability) says, with the number
/// of the first of them. Of clones, the last one awaited is woken; the others have the answer when they look. To be awaited in any executor, or waited for on any thread.
#[derive(Debug, Clone)]
#[must_use = "until its receipt resolves, nothing is known to be stored"]
pub struct SpoolReceipt {
    slot: Arc<Slot>,
}

/// The end that resolves a receipt.
#[derive(Debug)]
pub(crate) struct Completer {
    slot: Option<Arc<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Answer>,
    resolved: Condvar,
}

#[derive(Debug, Default)]
struct Answer {
    result: Option<Result<u64, WriteError>>,
    waker: Option<Waker>,
}

impl SpoolReceipt {
    /// Blocks this thread until the receipt resolves.
    pub fn wait(&self) -> Result<u64, WriteError> {
        let mut answer = self.slot.answer.lock();
        loop {
            if let Some(result) = &answer.result {
                return result.clone();
            }
            self.slot.resolved.wait(&mut answer);
        }
    }

    /// The answer, if it is there.
    pub fn try_get(&self) -> Option<Result<u64, WriteError>> {
        self.slot.answer.lock().result.clone()
    }
}

impl Future for SpoolReceipt {
    type Output = Result<u64, WriteError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.slot.answer.lock();
        if let Some(result) = &answer.result {
            return Poll::Ready(result.clone());
        }
        answer.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A receipt and its other end.
pub(crate) fn receipt() -> (Completer, SpoolReceipt) {
    let slot = Arc::<Slot>::default();
    (Completer { slot: Some(Arc::clone(&slot)) }, SpoolReceipt { slot })
}

impl Completer {
    pub(crate) fn complete(mut self, result: Result<u64, WriteError>) {
        self.resolve(result);
    }

    fn resolve(&mut self, result: Result<u64, WriteError>) {
        let Some(slot) = self.slot.take() else { return };
        let waker = {
            let mut answer = slot.answer.lock();
            answer.result = Some(result);
            answer.waker.take()
        };
        slot.resolved.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        self.resolve(Err(WriteError::Closed));
    }
}
