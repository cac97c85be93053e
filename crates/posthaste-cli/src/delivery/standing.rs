//! How far a run is: how much of everything that there is to deliver has come to its end, how fast it goes, and how
//! long the rest will take. Pure: time and counts are given.

use std::{collections::VecDeque, fmt::Write, time::Duration};

use crate::common::output::grouped;

/// Rates are those of the last while: a run that is faster now than it was says so.
const RATE_OF: Duration = Duration::from_secs(10);
/// Before this, nobody can tell how long the rest will take.
const KNOWN_AFTER: Duration = Duration::from_secs(2);
const DAY: u64 = 24 * 60 * 60;

/// How a run stands at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Standing {
    /// Events that this run has taken, or found in its spool, and those of them that were delivered.
    pub(super) taken: u64,
    pub(super) delivered: u64,
    pub(super) dead: u64,
    /// Events of what has been read of the input, in earlier runs too, and those of them that still wait.
    pub(super) of_input: u64,
    pub(super) queued: u64,
    pub(super) extent: Extent,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Extent {
    /// Nobody knows: more may come.
    #[default]
    Endless,
    /// Bytes of the input: so many were read of so many.
    Bytes { read: u64, all: u64 },
    /// All of it was there from the start.
    Taken,
}

impl Standing {
    /// From 0 to 1: how much of what was read has come to its end.
    fn share_of_read(&self) -> f64 {
        // Lines without events are done with once they are read.
        if self.of_input == 0 { 1.0 } else { ratio(self.of_input.saturating_sub(self.queued), self.of_input) }
    }

    /// From 0 to 1: how much of everything has come to its end; `None` where nobody knows how much there is.
    fn share(&self) -> Option<f64> {
        match self.extent {
            Extent::Endless => None,
            Extent::Taken | Extent::Bytes { all: 0, .. } => Some(self.share_of_read()),
            Extent::Bytes { read, all } => Some(ratio(read.min(all), all) * self.share_of_read()),
        }
    }

    /// What a bar shows: of an endless input, how much of what was read.
    fn shown(&self) -> f64 {
        self.share().unwrap_or_else(|| if self.of_input == 0 { 0.0 } else { self.share_of_read() })
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}

/// How a run has stood lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The oldest first, the last of them now.
    lately: VecDeque<(Duration, Standing)>,
}

impl Pace {
    /// How it stands at this time of a clock that never goes back.
    pub(super) fn note(&mut self, now: Duration, standing: Standing) {
        self.lately.push_back((now, standing));
        // One that is as old as that, or older, is kept: the rate is over the whole while.
        while self.lately.get(1).is_some_and(|(then, _)| *then + RATE_OF <= now) {
            self.lately.pop_front();
        }
    }

    /// What a bar shows of it, from 0 to 1.
    pub(super) fn shown(&self) -> f64 {
        self.lately.back().map_or(0.0, |(_, standing)| standing.shown())
    }

    /// The first that is known and the last.
    fn ends(&self) -> Option<(f64, Standing, Standing)> {
        let ((then, first), (now, last)) = (*self.lately.front()?, *self.lately.back()?);
        let seconds = now.saturating_sub(then);
        (!seconds.is_zero()).then_some((seconds.as_secs_f64(), first, last))
    }

    /// Events delivered in a second.
    fn rate(&self) -> Option<f64> {
        self.ends()
            .map(|(seconds, first, last)| ratio(last.delivered.saturating_sub(first.delivered), 1) / seconds)
    }

    /// Whether nothing was delivered for this long, though something waits.
    pub(super) fn is_stalled(&self, time: Duration) -> bool {
        let Some((now, last)) = self.lately.back() else { return false };
        let before = self.lately.iter().rev().find(|(then, _)| *then + time <= *now);
        last.queued > 0 && before.is_some_and(|(_, then)| then.delivered == last.delivered && then.queued > 0)
    }

    /// How long the rest will take, if it goes on like this.
    fn left(&self) -> Option<Duration> {
        let (seconds, first, last) = self.ends()?;
        let (before, now) = (first.share()?, last.share()?);
        let is_known = seconds >= KNOWN_AFTER.as_secs_f64() && now > before && now < 1.0;
        is_known.then(|| Duration::try_from_secs_f64((1.0 - now) * seconds / (now - before)).ok())?
    }

    /// `62%, 1,053 delivered of 1,699 read, 812/s, 3 s left`
    pub(super) fn in_words(&self) -> String {
        let Some((_, standing)) = self.lately.back() else { return String::new() };
        let mut words = String::new();
        if let Some(share) = standing.share() {
            let _ = write!(words, "{:.0}%, ", (share * 100.0).floor());
        }
        let _ = write!(words, "{} delivered of {}", grouped(standing.delivered), grouped(standing.taken));
        if standing.extent != Extent::Taken {
            words.push_str(" read");
        }
        if standing.dead > 0 {
            let _ = write!(words, ", {} dead", grouped(standing.dead));
        }
        if let Some(rate) = self.rate() {
            let _ = write!(words, ", {rate:.0}/s");
        }
        if let Some(left) = self.left() {
            let _ = write!(words, ", {} left", span(left));
        }
        words
    }
}

/// As exact as a guess deserves: `3 s`, `2 min`, `1 h 20 min`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a span of time is no negative number"
    )]
    let seconds = seconds as u64;
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", seconds.div_ceil(60)),
        5_400..DAY => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => "more than a day".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(delivered: u64, taken: u64, extent: Extent) -> Standing {
        Standing { taken, delivered, dead: 0, of_input: taken, queued: taken - delivered, extent }
    }

    fn pace(standings: &[(u64, Standing)]) -> Pace {
        let mut pace = Pace::default();
        for (second, standing) in standings {
            pace.note(Duration::from_secs(*second), *standing);
        }
        pace
    }

    #[test]
    fn what_is_read_and_not_delivered_is_not_done() {
        let half = Extent::Bytes { read: 50, all: 100 };
        for (delivered, taken, extent, share) in [
            (0, 0, half, Some(0.5)),
            (0, 10, half, Some(0.0)),
            (5, 10, half, Some(0.25)),
            (10, 10, Extent::Bytes { read: 100, all: 100 }, Some(1.0)),
            (10, 10, Extent::Bytes { read: 120, all: 100 }, Some(1.0)),
            (0, 0, Extent::Bytes { read: 0, all: 0 }, Some(1.0)),
            (5, 10, Extent::Taken, Some(0.5)),
            (5, 10, Extent::Endless, None),
        ] {
            assert_eq!(
                standing(delivered, taken, extent).share(),
                share,
                "{delivered} of {taken}, {extent:?}"
            );
        }
        assert!(standing(0, 0, Extent::Endless).shown().abs() < f64::EPSILON);
    }

    /// 600 events of the input were made in earlier runs; 100 of them wait, and nothing more has been read yet.
    #[test]
    fn a_run_that_is_taken_up_starts_where_it_is() {
        let extent = Extent::Bytes { read: 60, all: 100 };
        let resumed = Standing { taken: 100, delivered: 0, dead: 0, of_input: 600, queued: 100, extent };
        assert_eq!(pace(&[(0, resumed)]).in_words(), "50%, 0 delivered of 100 read");
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        let at = |second, delivered| (second, standing(delivered, 10_000, Extent::Taken));
        let slow_then_fast = [at(0, 0), at(10, 10), at(15, 510), at(20, 1_010)];
        assert_eq!(pace(&slow_then_fast).in_words(), "10%, 1,010 delivered of 10,000, 100/s, 2 min left");
        assert_eq!(pace(&[at(0, 0), at(1, 10)]).in_words(), "0%, 10 delivered of 10,000, 10/s");
        let endless = |second, delivered| (second, standing(delivered, 10, Extent::Endless));
        assert_eq!(pace(&[endless(0, 0), endless(4, 8)]).in_words(), "8 delivered of 10 read, 2/s");
    }

    #[test]
    fn standing_still_is_noticed_only_where_something_waits() {
        let time = Duration::from_secs(2);
        let at = |second, delivered, taken| (second, standing(delivered, taken, Extent::Taken));
        assert!(pace(&[at(0, 5, 10), at(1, 5, 10), at(2, 5, 10)]).is_stalled(time));
        assert!(!pace(&[at(0, 5, 10), at(1, 5, 10)]).is_stalled(time));
        assert!(!pace(&[at(0, 5, 10), at(2, 6, 10)]).is_stalled(time));
        assert!(!pace(&[at(0, 10, 10), at(2, 10, 10)]).is_stalled(time));
        assert!(!pace(&[at(0, 9, 9), at(2, 9, 10)]).is_stalled(time), "it has only just begun to wait");
    }

    #[test]
    fn times_are_as_exact_as_they_can_be() {
        for (seconds, text) in [
            (0.2, "1 s"),
            (89.0, "89 s"),
            (90.0, "2 min"),
            (3_600.0, "60 min"),
            (5_400.0, "1 h 30 min"),
            (1e6, "more than a day"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }
}
