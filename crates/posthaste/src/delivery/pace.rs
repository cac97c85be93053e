//! How fast one end point gets what an outage has left behind.
//!
//! Invariant: in any second, the events paced are at most those of the rate and of one request.

use std::{num::NonZeroU32, time::Duration};

/// How late a request may come without slowing down those after it. Timers are that coarse.
const LATE_MAX: Duration = Duration::from_millis(10);

/// Out of a hundred, how much of the rate is used. What those that come late catch up, in a second at most
/// [`LATE_MAX`]'s worth, makes it whole.
const USED_PERCENT: u64 = 99;

/// When the next request of the backlog may go.
#[derive(Debug)]
pub(super) struct Pace {
    /// Events in a second; `None`: any number.
    rate: Option<NonZeroU32>,
    next: Duration,
}

impl Pace {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self { rate, next: Duration::ZERO }
    }

    pub(super) fn may_send(&self, now: Duration) -> bool {
        self.next <= now
    }

    /// When the next may go.
    pub(super) fn due(&self) -> Duration {
        self.next
    }

    /// One with this many events goes.
    pub(super) fn sent(&mut self, events: usize, now: Duration) {
        let Some(rate) = self.rate else { return };
        let nanos_of_each = 1_000_000_000 * 100 / (u64::from(rate.get()) * USED_PERCENT);
        let time = Duration::from_nanos(nanos_of_each.saturating_add(1).saturating_mul(events as u64));
        self.next = self.next.max(now.saturating_sub(LATE_MAX)).saturating_add(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes at which time where the loop wakes up late, by a time that `late` says, and requests are as large as
    /// `events` says.
    fn sent(
        rate: u32,
        mut late: impl FnMut() -> Duration,
        mut events: impl FnMut() -> usize,
    ) -> Vec<(Duration, usize)> {
        let mut pace = Pace::new(NonZeroU32::new(rate));
        let (mut now, mut all) = (Duration::from_secs(7), Vec::new());
        while now < Duration::from_secs(17) {
            now = now.max(pace.due()) + late();
            while pace.may_send(now) {
                let events = events();
                pace.sent(events, now);
                all.push((now, events));
            }
        }
        all
    }

    #[test]
    fn no_second_has_more_than_the_rate_and_one_request() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut events = random.fork();
        for rate in [1, 9, 100, 997, 25_000] {
            let all = sent(rate, || Duration::from_micros(random.u64(0..30_000)), || events.usize(1..50));
            for (at, (from, _)) in all.iter().enumerate() {
                let second =
                    all.iter().skip(at).take_while(|(time, _)| *time < *from + Duration::from_secs(1));
                let second: Vec<usize> = second.map(|(_, events)| *events).collect();
                let (last, others) = second.split_last().unwrap();
                assert!(others.iter().sum::<usize>() <= rate as usize, "{rate}: {others:?} and {last}");
            }
        }
    }

    #[test]
    fn timers_that_are_coarse_do_not_slow_it_down() {
        let all = sent(20_000, || Duration::from_millis(1), || 10);
        let events: usize = all.iter().map(|(_, events)| events).sum();
        assert!((195_000..=200_000).contains(&events), "{events} in ten seconds");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(None);
        pace.sent(1_000_000, Duration::ZERO);
        assert!(pace.may_send(Duration::ZERO));
    }
}
