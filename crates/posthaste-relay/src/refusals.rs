//! One line in the log for each kind of refusal, with how often: however many clients are refused, the log stays short.
//!
//! Invariant: of every refusal it is told once. A kind is told of at once, then no sooner than an interval later, with
//! the count of what came meanwhile; and at the end.

use std::{convert::Infallible, time::Duration};

use parking_lot::Mutex;
use posthaste::Clock;

use crate::{answer::Reason, counters::TurnedAway};

/// Each kind is told of at most so often.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often it is looked whether something is left to tell of kinds that have become quiet.
const LOOK: Duration = Duration::from_secs(1);

const KINDS: usize = Reason::ALL.len() + TurnedAway::ALL.len();

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A request.
    Request(Reason),
    /// A connection.
    Connection(TurnedAway),
}

/// What has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<[Kind; KINDS]>);

#[derive(Debug, Clone, Copy, Default)]
struct Kind {
    /// Since it was last told.
    count: u64,
    told: Option<Duration>,
}

impl Kind {
    /// How many to tell of, if it is time to.
    fn due(&mut self, now: Duration) -> Option<u64> {
        let is_early = self.told.is_some_and(|told| now < told.saturating_add(INTERVAL));
        if self.count == 0 || is_early {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Refusals {
    /// One more request that was not taken as it came.
    pub(crate) fn note(&self, reason: Reason, now: Duration) {
        self.note_of(Refused::Request(reason), now);
    }

    /// One more of any kind.
    pub(crate) fn note_of(&self, refused: Refused, now: Duration) {
        if let Some(count) = self.add(refused, now) {
            refused.tell(count);
        }
    }

    /// Returns how many to tell of now, if it is time to.
    fn add(&self, refused: Refused, now: Duration) -> Option<u64> {
        let at = Refused::all().position(|one| one == refused)?;
        let mut kinds = self.0.lock();
        let kind = kinds.get_mut(at)?;
        kind.count += 1;
        kind.due(now)
    }

    /// Of what to tell now that came while it was not to be told.
    fn rest(&self, now: Duration) -> Vec<(Refused, u64)> {
        let mut kinds = self.0.lock();
        let due = Refused::all().zip(kinds.iter_mut());
        due.filter_map(|(refused, kind)| Some((refused, kind.due(now)?))).collect()
    }

    /// Tells, for ever, of what came last of kinds that have become quiet.
    pub(crate) async fn tell_the_rest(&self, clock: &dyn Clock) -> Infallible {
        self.each_rest(clock, Refused::tell).await
    }

    async fn each_rest(&self, clock: &dyn Clock, mut tell: impl FnMut(Refused, u64)) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.rest(clock.elapsed()).into_iter().for_each(|(refused, count)| tell(refused, count));
        }
    }

    /// Tells of all that is left: nobody comes after this.
    pub(crate) fn tell_all(&self) {
        self.rest(Duration::MAX).into_iter().for_each(|(refused, count)| refused.tell(count));
    }
}

impl Refused {
    fn all() -> impl Iterator<Item = Self> {
        Reason::ALL.into_iter().map(Self::Request).chain(TurnedAway::ALL.into_iter().map(Self::Connection))
    }

    fn tell(self, count: u64) {
        match self {
            Self::Request(reason) => {
                let status = reason.status().as_u16();
                tracing::warn!(reason = reason.name(), status, count, "requests were not taken as they came");
            }
            Self::Connection(why) => {
                tracing::warn!(reason = why.name(), status = 503, count, "connections were turned away");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste::testing::ManualClock;

    use super::*;

    const FULL: Refused = Refused::Request(Reason::Full);
    const NO_TOKEN: Refused = Refused::Request(Reason::NoToken);
    const TOO_MANY: Refused = Refused::Connection(TurnedAway::TooMany);

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_kind_is_told_of_at_once_and_then_with_a_count() {
        let refusals = Refusals::default();
        assert_eq!(refusals.add(FULL, s(1)), Some(1));
        assert_eq!(refusals.add(NO_TOKEN, s(1)), Some(1), "another kind");
        assert_eq!(refusals.add(TOO_MANY, s(1)), Some(1), "and another");
        assert_eq!([s(2), s(5), s(10)].map(|now| refusals.add(FULL, now)), [None; 3]);
        assert_eq!(refusals.add(FULL, s(11)), Some(4));
    }

    #[test]
    fn the_rest_is_told_once_it_has_been_quiet() {
        let refusals = Refusals::default();
        for (kind, now) in [(FULL, 1), (FULL, 2), (FULL, 3), (TOO_MANY, 4), (TOO_MANY, 5)] {
            refusals.add(kind, s(now));
        }
        assert_eq!(refusals.rest(s(10)), [], "too early");
        assert_eq!(refusals.rest(s(11)), [(FULL, 2)]);
        assert_eq!(refusals.rest(s(12)), [], "once");
        assert_eq!(refusals.rest(s(14)), [(TOO_MANY, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_told_though_nobody_comes() {
        let (refusals, clock) = (Refusals::default(), ManualClock::at_ms(0));
        for _ in 0..3 {
            refusals.add(FULL, clock.elapsed());
        }
        clock.advance(INTERVAL);
        let mut told = Vec::new();
        let telling = refusals.each_rest(&clock, |refused, count| told.push((refused, count)));
        assert!(tokio::time::timeout(3 * LOOK, telling).await.is_err(), "it goes on");
        assert_eq!(told, [(FULL, 2)]);
    }

    /// Whatever comes when: what is told adds up to what came, and is told in time.
    #[test]
    fn no_count_is_lost() {
        let mut dice = fastrand::Rng::with_seed(7);
        let kinds: Vec<Refused> = Refused::all().collect();
        let (mut came, mut told) = ([0; KINDS], [0; KINDS]);
        let (refusals, mut now) = (Refusals::default(), s(0));
        for _ in 0..20_000 {
            now += Duration::from_millis(dice.u64(0..300));
            if dice.u8(..) < 64 {
                for (refused, count) in refusals.rest(now) {
                    told[kinds.iter().position(|one| *one == refused).unwrap()] += count;
                }
            } else {
                let at = dice.usize(..kinds.len());
                came[at] += 1;
                told[at] += refusals.add(kinds[at], now).unwrap_or(0);
            }
        }
        refusals.rest(now + INTERVAL).into_iter().for_each(|(refused, count)| {
            told[kinds.iter().position(|one| *one == refused).unwrap()] += count;
        });
        assert_eq!(told, came);
        assert_eq!(refusals.rest(Duration::MAX), []);
    }
}
