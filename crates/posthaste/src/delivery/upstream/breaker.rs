//! Spares an upstream that fails: after several failures in a row nothing is sent but one probe at a time.
//!
//! ```text
//! closed ── failures in a row ──▶ open (why: failing) ─┐
//!    │ └─── wrong address ──────▶ open (why: held) ────┤ wait
//!    │                                                 ▼
//!    └◀──────── the probe got through ──────────── half-open: one probe ── it failed ─▶ open, longer
//! ```

use std::time::Duration;

use crate::dispatch::Backoff;

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delivery) enum Permission {
    /// Any number.
    Send,
    /// One, to see whether the upstream is back.
    Probe,
    /// None before this time.
    NotBefore(Duration),
    /// None until the probe under way has been answered.
    AwaitProbe,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delivery) enum Why {
    /// The upstream fails.
    Failing,
    /// The upstream refuses everything: the address or a credential is wrong.
    Held,
}

/// What a change of state deserves: a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delivery) enum Change {
    /// Requests are held back from now on.
    Opened(Why),
    /// Requests flow again.
    Closed(Why),
}

#[derive(Debug)]
pub(super) struct Breaker {
    /// Failures in a row that open it.
    threshold: u32,
    backoff: Backoff,
    hold_backoff: Backoff,
    failures: u32,
    /// When the upstream last answered as one that works.
    answered_at: Option<Duration>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { why: Why, since: Duration, until: Duration, probes_failed: u32 },
    HalfOpen { why: Why, since: Duration, probes_failed: u32 },
}

impl Breaker {
    pub(super) fn new(threshold: u32, backoff: Backoff, hold_backoff: Backoff) -> Self {
        Self { threshold, backoff, hold_backoff, failures: 0, answered_at: None, state: State::Closed }
    }

    pub(super) fn permission(&self, now: Duration) -> Permission {
        match self.state {
            State::Closed => Permission::Send,
            State::Open { until, .. } if now < until => Permission::NotBefore(until),
            State::Open { .. } => Permission::Probe,
            State::HalfOpen { .. } => Permission::AwaitProbe,
        }
    }

    /// Why nothing is sent, if so.
    pub(super) fn why(&self) -> Option<Why> {
        match self.state {
            State::Closed => None,
            State::Open { why, .. } | State::HalfOpen { why, .. } => Some(why),
        }
    }

    /// A probe goes out.
    pub(super) fn probing(&mut self) {
        if let State::Open { why, since, probes_failed, .. } = self.state {
            self.state = State::HalfOpen { why, since, probes_failed };
        }
    }

    /// The upstream has answered a request sent at `sent` as one that works, whatever it thinks of the events. What was
    /// sent before it failed says nothing about it now.
    pub(super) fn answered(&mut self, sent: Duration, now: Duration) -> Option<Change> {
        if let State::Open { since, .. } | State::HalfOpen { since, .. } = self.state
            && sent < since
        {
            return None;
        }
        self.failures = 0;
        self.answered_at = Some(now);
        let why = self.why()?;
        self.state = State::Closed;
        Some(Change::Closed(why))
    }

    /// Whether the upstream has answered as one that works since then.
    pub(super) fn has_answered_since(&self, then: Duration) -> bool {
        self.answered_at.is_some_and(|at| at > then)
    }

    /// The upstream has not answered, or not as one that works.
    pub(super) fn failed(&mut self, now: Duration, random: &mut fastrand::Rng) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < self.threshold => None,
            State::Closed => Some(self.open(Why::Failing, 1, now, random)),
            State::HalfOpen { why, probes_failed, .. } => {
                self.open(why, probes_failed.saturating_add(1), now, random);
                None
            }
            State::Open { .. } => None,
        }
    }

    /// The upstream refuses everything.
    pub(super) fn refused(&mut self, now: Duration, random: &mut fastrand::Rng) -> Option<Change> {
        match self.state {
            State::Open { why: Why::Held, .. } => None,
            State::HalfOpen { why: Why::Held, probes_failed, .. } => {
                self.open(Why::Held, probes_failed.saturating_add(1), now, random);
                None
            }
            _ => Some(self.open(Why::Held, 1, now, random)),
        }
    }

    /// Half of the wait is certain, or a probe might follow at once.
    fn open(&mut self, why: Why, probes_failed: u32, now: Duration, random: &mut fastrand::Rng) -> Change {
        let backoff = match why {
            Why::Failing => self.backoff,
            Why::Held => self.hold_backoff,
        };
        let wait = backoff.ceiling(probes_failed).mul_f64(0.5 + random.f64() / 2.0);
        self.state = State::Open { why, since: now, until: now.saturating_add(wait), probes_failed };
        Change::Opened(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, fastrand::Rng) {
        let hold = Backoff { first: 5 * SECOND, cap: 60 * SECOND };
        (Breaker::new(3, Backoff::default(), hold), fastrand::Rng::with_seed(1))
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_answer_resets_the_count() {
        let (mut breaker, mut random) = breaker();
        for _ in 0..2 {
            assert_eq!(breaker.failed(SECOND, &mut random), None);
        }
        assert_eq!(breaker.answered(SECOND, SECOND), None);
        for _ in 0..2 {
            assert_eq!(breaker.failed(SECOND, &mut random), None);
        }
        assert_eq!(breaker.permission(SECOND), Permission::Send);
        assert_eq!(breaker.failed(SECOND, &mut random), Some(Change::Opened(Why::Failing)));
        assert!(matches!(breaker.permission(SECOND), Permission::NotBefore(until) if until <= SECOND * 2));
    }

    #[test]
    fn half_open_lets_one_probe_through_which_decides() {
        let (mut breaker, mut random) = breaker();
        for _ in 0..3 {
            breaker.failed(Duration::ZERO, &mut random);
        }
        assert_eq!(breaker.permission(SECOND), Permission::Probe);
        breaker.probing();
        assert_eq!(breaker.permission(SECOND), Permission::AwaitProbe);
        assert_eq!(breaker.failed(SECOND, &mut random), None);
        assert!(matches!(breaker.permission(SECOND), Permission::NotBefore(_)));
        assert_eq!(breaker.permission(SECOND * 2), Permission::Probe);
        breaker.probing();
        assert_eq!(breaker.answered(Duration::ZERO, SECOND * 2), None, "sent before it failed");
        assert_eq!(breaker.answered(SECOND * 2, SECOND * 2), Some(Change::Closed(Why::Failing)));
        assert!(breaker.has_answered_since(SECOND) && !breaker.has_answered_since(SECOND * 2));
        assert_eq!(breaker.permission(SECOND * 2), Permission::Send);
    }

    #[test]
    fn a_wrong_address_holds_at_once_and_is_tried_slowly() {
        let (mut breaker, mut random) = breaker();
        assert_eq!(breaker.refused(Duration::ZERO, &mut random), Some(Change::Opened(Why::Held)));
        let Permission::NotBefore(first) = breaker.permission(Duration::ZERO) else { panic!("sends") };
        assert!(first >= SECOND * 2 && first <= SECOND * 5);
        for _ in 0..10 {
            breaker.probing();
            assert_eq!(breaker.refused(Duration::ZERO, &mut random), None);
        }
        let Permission::NotBefore(last) = breaker.permission(Duration::ZERO) else { panic!("sends") };
        assert!(last >= SECOND * 30 && last <= SECOND * 60);
        breaker.probing();
        assert_eq!(breaker.answered(SECOND, SECOND), Some(Change::Closed(Why::Held)));
    }
}
