//! A request that waits for its answer, as one future: the dispatcher's, with what is to be done once it resolves.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    delivery::job::Job,
    dispatch::{Answer, DispatchError, DispatchFuture},
};

pub(super) struct UnderWay<T> {
    /// Until it has been answered.
    job: Option<Job<T>>,
    sent: Duration,
    answer: DispatchFuture,
    span: tracing::Span,
}

/// A request that has been answered, or not.
pub(super) struct Answered<T> {
    pub(super) job: Job<T>,
    pub(super) sent: Duration,
    pub(super) answer: Answer,
}

impl<T> UnderWay<T> {
    pub(super) fn new(job: Job<T>, sent: Duration, answer: DispatchFuture, span: tracing::Span) -> Self {
        Self { job: Some(job), sent, answer, span }
    }
}

/// Nothing in it is pinned: the dispatcher's future is in a box.
impl<T> Unpin for UnderWay<T> {}

/// A panic in the dispatcher is an answer too.
impl<T> Future for UnderWay<T> {
    type Output = Answered<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered<T>> {
        let Self { job, sent, answer, span } = &mut *self;
        let polled = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))));
        let answer = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(_) => Err(DispatchError::Panicked),
        };
        let job = job.take().expect("a request is answered once");
        Poll::Ready(Answered { job, sent: *sent, answer })
    }
}
