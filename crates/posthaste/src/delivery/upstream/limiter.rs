//! How many requests may be under way: one more for each round without trouble, half as many after an overload.

use std::time::Duration;

/// Additive increase, multiplicative decrease, between 1 and a bound.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: f64,
    max: f64,
    /// Requests sent before this were sent under an older limit: their trouble has been answered already.
    halved_at: Option<Duration>,
}

impl Limiter {
    /// Starts at the bound: a healthy API takes it, and a struggling one says so at once.
    pub(super) fn new(max: usize) -> Self {
        let max = f64::from(u32::try_from(max.max(1)).unwrap_or(u32::MAX));
        Self { limit: max, max, halved_at: None }
    }

    /// How many requests may be under way now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 2^32")]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request got through: a whole window of them makes the limit one more.
    pub(super) fn got_through(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.max);
    }

    /// A request sent at `sent` met an overload.
    pub(super) fn overloaded(&mut self, sent: Duration, now: Duration) {
        if self.halved_at.is_none_or(|halved_at| sent >= halved_at) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.halved_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_limit_halves_once_for_all_requests_of_one_round() {
        let mut limiter = Limiter::new(64);
        for _ in 0..64 {
            limiter.overloaded(ms(0), ms(100));
        }
        assert_eq!(limiter.limit(), 32);
        limiter.overloaded(ms(100), ms(200));
        assert_eq!(limiter.limit(), 16);
    }

    #[test]
    fn the_limit_never_falls_below_one_nor_rises_above_the_bound() {
        let mut limiter = Limiter::new(4);
        for round in 0..20 {
            limiter.overloaded(ms(round), ms(round));
        }
        assert_eq!(limiter.limit(), 1);
        for _ in 0..100 {
            limiter.got_through();
        }
        assert_eq!(limiter.limit(), 4);
        assert_eq!(Limiter::new(0).limit(), 1);
    }

    #[test]
    fn a_window_of_successes_makes_the_limit_one_more() {
        let mut limiter = Limiter::new(64);
        limiter.overloaded(ms(0), ms(1));
        for _ in 0..33 {
            limiter.got_through();
        }
        assert_eq!(limiter.limit(), 33);
    }
}
