//! Time that stands still until it is moved.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::{Clock, Sleep};

/// A clock that moves when told to. Clones are the same clock.
///
/// Waits that [`advance`](Self::advance) passes resolve in the order of their ends, on whatever thread polls them.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{Clock, testing::ManualClock};
///
/// let clock = ManualClock::at_ms(1_795_500_000_000);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!((clock.now_ms(), clock.elapsed()), (1_795_500_090_000, Duration::from_secs(90)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    start_ms: i64,
    elapsed: Duration,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    slept: u64,
}

impl ManualClock {
    /// A clock that shows this time: milliseconds since 1970, UTC.
    pub fn at_ms(now_ms: i64) -> Self {
        Self(Arc::new(Mutex::new(State { start_ms: now_ms, ..State::default() })))
    }

    /// Lets this much time pass.
    pub fn advance(&self, by: Duration) {
        let mut state = self.0.lock();
        state.elapsed += by;
        let now = state.elapsed;
        let later = state.sleepers.split_off(&(now, u64::MAX));
        for (_, sleeper) in std::mem::replace(&mut state.sleepers, later) {
            // Whoever slept may have been dropped.
            let _ = sleeper.send(());
        }
    }

    /// Sets the time of day without letting time pass, as an administrator might.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{Clock, testing::ManualClock};
    ///
    /// let clock = ManualClock::at_ms(5_000);
    /// clock.set_ms(1_000);
    /// assert_eq!((clock.now_ms(), clock.elapsed()), (1_000, Duration::ZERO));
    /// ```
    pub fn set_ms(&self, now_ms: i64) {
        let mut state = self.0.lock();
        let elapsed_ms = i64::try_from(state.elapsed.as_millis()).unwrap_or(i64::MAX);
        state.start_ms = now_ms.saturating_sub(elapsed_ms);
    }

    /// How many waits have begun and neither ended nor been given up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{Clock, testing::ManualClock};
    ///
    /// let clock = ManualClock::at_ms(0);
    /// let wait = clock.sleep(Duration::from_secs(30));
    /// assert_eq!(clock.sleepers(), 1, "wait for this before you advance");
    /// drop(wait);
    /// assert_eq!(clock.sleepers(), 0);
    /// ```
    pub fn sleepers(&self) -> usize {
        self.0.lock().sleepers.values().filter(|sleeper| !sleeper.is_closed()).count()
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        let state = self.0.lock();
        state.start_ms.saturating_add(i64::try_from(state.elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().elapsed
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.0.lock();
        let until = state.elapsed.saturating_add(duration);
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        let (sender, receiver) = oneshot::channel();
        state.slept += 1;
        let slept = state.slept;
        state.sleepers.insert((until, slept), sender);
        Box::pin(async move { drop(receiver.await) })
    }
}
