//! Time, as something that can be handed in: a test owns it, a program has the system's.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

/// A wait that a [`Clock`] has begun.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What time it is, and how to wait. Delivery calls it from its own thread, and callers do when they ask for a
/// deadline. A panic in it ends the pipeline.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{Clock, SystemClock, clock::Sleep};
///
/// /// The system's time, three hours off.
/// #[derive(Debug)]
/// struct Elsewhere;
///
/// impl Clock for Elsewhere {
///     fn now_ms(&self) -> i64 {
///         SystemClock.now_ms() + 3 * 3_600_000
///     }
///
///     fn elapsed(&self) -> Duration {
///         SystemClock.elapsed()
///     }
///
///     fn sleep(&self, duration: Duration) -> Sleep {
///         SystemClock.sleep(duration)
///     }
/// }
/// assert!(Elsewhere.now_ms() > SystemClock.now_ms());
/// ```
pub trait Clock: fmt::Debug + Send + Sync {
    /// Milliseconds since 1970, UTC. May jump, as system time does: only for stamping events and reading dates.
    fn now_ms(&self) -> i64;

    /// Time since some fixed moment. Never goes back: for everything that waits.
    fn elapsed(&self) -> Duration;

    /// Resolves once `duration` has passed. Called and polled on the delivery thread's runtime.
    fn sleep(&self, duration: Duration) -> Sleep;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now_ms(&self) -> i64 {
        (**self).now_ms()
    }

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        (**self).sleep(duration)
    }
}

/// The system's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn now_ms(&self) -> i64 {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }

    /// Tokio's time, so that a test which pauses it there owns this clock too.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn elapsed(&self) -> Duration {
        // A paused runtime may be older than the first look at the time: for it, too, time is to go on from there.
        static START: LazyLock<Instant> = LazyLock::new(|| {
            Instant::now().checked_sub(Duration::from_hours(1)).unwrap_or_else(Instant::now)
        });
        let start = *START;
        tokio::time::Instant::now().into_std().saturating_duration_since(start)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
