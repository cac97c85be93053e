//! How a request reaches the Event API, and what its answer means.
//!
//! [`Dispatcher`] is the seam: one request in, one answer out. [`verdict()`], a pure function, says what follows from
//! an answer; the delivery machine does it, the same for every dispatcher.
//!
//! | name | what it does with a request |
//! |---|---|
//! | `HttpEventDispatcher` (feature `http`) | sends it over HTTP, once |
//! | [`QueueEventDispatcher`] | queues it, and sends it through another dispatcher, as often as it takes |
//! | [`from_fn`] | gives it to a function |
//!
//! [`EndPoint::check`] says whether a URL is one that requests can be sent to.
//!
//! [`QueueEventDispatcher`]: crate::QueueEventDispatcher

mod answer;
mod backoff;
mod circle;
mod end_point;
#[cfg(feature = "http")]
mod http;
mod setup_error;
mod verdict;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

pub use answer::{Answer, DispatchError, Response, RetryAfter, TEXT_BYTES_MAX};
pub(crate) use backoff::Backoff;
pub use end_point::{EndPoint, EndPointError, EndPointProblem, URL_BYTES_MAX};
#[cfg(feature = "http")]
pub use http::{HttpEventDispatcher, HttpEventDispatcherBuilder, Share, ShareError, Strict};
pub use setup_error::HttpSetupError;
pub use verdict::{Verdict, verdict};

use crate::{batch::LogEvent, outcome::FlushReport};

/// An answer to come. Dropped, it may have been sent or not.
pub type DispatchFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The end of a flush to come.
pub type FlushFuture = Pin<Box<dyn Future<Output = Option<FlushReport>> + Send>>;

/// Sends requests.
///
/// Called on the delivery thread: the future it returns does the work, and must not block. A panic in it counts as no
/// answer. A closure becomes a dispatcher through [`from_fn`].
///
/// ```
/// use posthaste::{Dispatcher, HttpEventDispatcher, LogEvent, dispatch::DispatchFuture};
///
/// /// Sends everything to a relay that wants the account in its path.
/// #[derive(Debug)]
/// struct ToRelay(HttpEventDispatcher);
///
/// impl Dispatcher for ToRelay {
///     fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
///         self.0.dispatch_event(event.with_end_point("https://relay.example/12001775096/events"))
///     }
/// }
/// ```
#[doc(alias = "event.Dispatcher")]
pub trait Dispatcher: fmt::Debug + Send + Sync {
    /// Sends one request and waits for its answer, once: retries are the caller's business.
    #[doc(alias = "DispatchEvent")]
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture;

    /// Waits for what this dispatcher itself has queued; `None` where it queues nothing.
    fn flush(&self, _deadline: Duration) -> FlushFuture {
        Box::pin(std::future::ready(None))
    }
}

impl<D: Dispatcher + ?Sized> Dispatcher for Arc<D> {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        (**self).dispatch_event(event)
    }

    fn flush(&self, deadline: Duration) -> FlushFuture {
        (**self).flush(deadline)
    }
}

/// Makes a dispatcher of a function that may block: it runs on a thread for blocking work. A panic in it is
/// [`DispatchError::Panicked`], and sent again later.
///
/// ```
/// use posthaste::dispatch::{Response, from_fn};
///
/// let dispatcher = from_fn(|event| {
///     println!("{} events for {}", event.events(), event.end_point());
///     Ok(Response::status(204))
/// });
/// ```
pub fn from_fn(send: impl Fn(LogEvent) -> Answer + Send + Sync + 'static) -> impl Dispatcher {
    FnDispatcher(Arc::new(send))
}

struct FnDispatcher<F>(Arc<F>);

impl<F: Fn(LogEvent) -> Answer + Send + Sync + 'static> Dispatcher for FnDispatcher<F> {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let send = Arc::clone(&self.0);
        let sent = tokio::task::spawn_blocking(move || send(event));
        Box::pin(async move { sent.await.unwrap_or(Err(DispatchError::Panicked)) })
    }
}

impl<F> fmt::Debug for FnDispatcher<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnDispatcher")
    }
}
