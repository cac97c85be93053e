//! The limits that hold for each end point by itself; the defaults stand here, each with its reason.

use std::time::Duration;

use crate::dispatch::Backoff;

/// The limits that hold for each end point by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Requests under way at once, at most.
    pub(crate) in_flight: usize,
    /// Waits after failures.
    pub(crate) backoff: Backoff,
    /// Waits while the address or a credential is wrong.
    pub(crate) hold_backoff: Backoff,
    /// Failures in a row that open the breaker.
    pub(crate) breaker_threshold: u32,
    /// How long a server may ask to wait.
    pub(crate) retry_after_max: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            in_flight: IN_FLIGHT,
            backoff: Backoff::default(),
            hold_backoff: HOLD_BACKOFF,
            breaker_threshold: BREAKER_THRESHOLD,
            retry_after_max: RETRY_AFTER_MAX,
        }
    }
}

/// Enough for 12,800 events a second in batches of 10 at 50 ms a round trip, and few enough for any proxy.
const IN_FLIGHT: usize = 64;
/// A wrong address is put right by hand: trying more often helps nobody.
const HOLD_BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), cap: Duration::from_mins(1) };
/// One lost connection takes several requests with it; a second round of failures is no accident.
const BREAKER_THRESHOLD: u32 = 5;
/// A server that asks for more is mistaken about something.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
