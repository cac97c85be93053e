//! How long to wait before the next attempt: exponential, with full jitter, so that many clients do not return at once.

use std::time::Duration;

/// The waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The most that the first wait may be.
    pub(crate) first: Duration,
    /// The most that any wait may be.
    pub(crate) cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The most that the wait after `failures` failures in a row (at least 1) may be.
    pub(crate) fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }

    /// A wait anywhere between nothing and the ceiling.
    pub(crate) fn wait(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        self.ceiling(failures).mul_f64(random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_from_the_first_to_the_cap() {
        let backoff = Backoff::default();
        let ceilings: Vec<u128> = (1..=10).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.ceiling(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn waits_fill_the_whole_range() {
        let mut random = fastrand::Rng::with_seed(7);
        let waits: Vec<f64> =
            (0..1_000).map(|_| Backoff::default().wait(3, &mut random).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (0.0..0.8).contains(wait)));
        assert!(waits.iter().any(|&wait| wait < 0.1) && waits.iter().any(|&wait| wait > 0.7));
    }
}
