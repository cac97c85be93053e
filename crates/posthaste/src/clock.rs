//! Time, as something that can be handed in: a test owns it, a program has the system's.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::LazyLock,
    time::{Duration, Instant},
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
    /// On Linux the time of the kernel's last tick, at most 10 ms ago: a ninth of the cost of the exact time, which
    /// would be a third of that of making an event. All events are stamped by the same ticks, so none is stamped before
    /// one that was made before it.
    fn now_ms(&self) -> i64 {
        ms_since_1970()
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

#[cfg(target_os = "linux")]
fn ms_since_1970() -> i64 {
    use nix::{sys::time::TimeValLike, time::ClockId};

    // Every kernel has this clock; where none answered, time would stand still, and events be refused.
    let time = ClockId::CLOCK_REALTIME_COARSE.now();
    time.map_or(0, |time| time.num_milliseconds().max(0))
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
fn ms_since_1970() -> i64 {
    use std::time::SystemTime;

    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "this is what it is compared with")]
    fn the_systems_time_is_told_to_some_milliseconds_and_never_goes_back_by_itself() {
        let exact_ms = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let mut last_ms = 0;
        for _ in 0..100_000 {
            let now_ms = SystemClock.now_ms();
            assert!(now_ms >= last_ms);
            last_ms = now_ms;
        }
        // A tick is 10 ms at most; a busy machine may look late.
        let (before, now, after) = (exact_ms(), SystemClock.now_ms(), exact_ms());
        assert!((before - 11..=after).contains(&u128::try_from(now).unwrap()), "{before} {now} {after}");
    }
}
