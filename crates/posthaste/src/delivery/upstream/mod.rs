//! One end point, as delivery sees it: may I send, and what did the answer teach?
//!
//! Each end point of a pipeline has its own breaker, limit and hold, so that one that is dead holds back only its own.

mod breaker;
mod limiter;
mod rules;
mod said;

use std::{sync::Arc, time::Duration};

pub(crate) use self::rules::Rules;
use self::{
    breaker::{Breaker, Permission},
    limiter::Limiter,
};
pub(super) use self::{
    breaker::{Change, Why},
    said::note,
};
use crate::{
    dispatch::{Answer, Verdict},
    outcome::{Trouble, UpstreamHealth, UpstreamState},
};

/// An upstream that is busy and answers nothing for so long holds back nobody else.
const QUIET: Duration = Duration::from_secs(1);

/// What may be sent to it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Any request.
    Any,
    /// One, to see whether it is back.
    Probe,
    /// None before this time.
    NotBefore(Duration),
    /// None until an answer comes.
    Wait,
}

/// One end point.
#[derive(Debug)]
pub(super) struct Upstream {
    end_point: Arc<str>,
    limiter: Limiter,
    breaker: Breaker,
    /// For jitter.
    random: fastrand::Rng,
    in_flight: usize,
    /// When it last gave any answer, or was first asked for one.
    quiet_since: Duration,
    /// Since it last answered as one that works.
    trouble: Option<Trouble>,
}

/// What is known of an answer besides what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When the request was sent.
    pub(super) sent: Duration,
    /// Now.
    pub(super) now: Duration,
    /// Now, as milliseconds since 1970.
    pub(super) now_ms: i64,
    /// When this very request was last refused as if the address were wrong.
    pub(super) held_at: Option<Duration>,
}

impl Upstream {
    pub(super) fn new(end_point: Arc<str>, rules: &Rules, random: fastrand::Rng) -> Self {
        Self {
            end_point,
            limiter: Limiter::new(rules.in_flight),
            breaker: Breaker::new(rules.breaker_threshold, rules.backoff, rules.hold_backoff),
            random,
            in_flight: 0,
            quiet_since: Duration::ZERO,
            trouble: None,
        }
    }

    pub(super) fn end_point(&self) -> &Arc<str> {
        &self.end_point
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn limit(&self) -> usize {
        self.limiter.limit()
    }

    pub(super) fn turn(&self, now: Duration) -> Turn {
        match self.breaker.permission(now) {
            Permission::Send if self.in_flight < self.limiter.limit() => Turn::Any,
            Permission::Probe if self.in_flight == 0 => Turn::Probe,
            Permission::NotBefore(until) => Turn::NotBefore(until),
            Permission::Send | Permission::Probe | Permission::AwaitProbe => Turn::Wait,
        }
    }

    /// How many requests more may be under way.
    pub(super) fn free(&self, now: Duration) -> usize {
        match self.turn(now) {
            Turn::Any => self.limiter.limit() - self.in_flight,
            Turn::Probe => 1,
            Turn::NotBefore(_) | Turn::Wait => 0,
        }
    }

    /// Whether it takes nothing now, and not only because it is busy.
    pub(super) fn is_stalled(&self, now: Duration) -> bool {
        match self.turn(now) {
            Turn::Any | Turn::Probe => false,
            Turn::NotBefore(_) => true,
            Turn::Wait => self.why().is_some() || self.quiet_since.saturating_add(QUIET) <= now,
        }
    }

    /// When it will count as stalled, if it is only busy and stays so.
    pub(super) fn stalls_at(&self, now: Duration) -> Option<Duration> {
        let is_busy = self.turn(now) == Turn::Wait && !self.is_stalled(now);
        is_busy.then(|| self.quiet_since.saturating_add(QUIET))
    }

    /// A request goes out.
    pub(super) fn sent(&mut self, now: Duration) {
        if self.in_flight == 0 {
            self.quiet_since = now;
        }
        self.in_flight += 1;
        self.breaker.probing();
    }

    /// How long to wait after this many failures, with jitter.
    pub(super) fn jitter(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }

    /// A request has been answered, or not.
    pub(super) fn answered(&mut self, verdict: Verdict, answer: &Answer, moment: Moment) -> Option<Change> {
        self.in_flight -= 1;
        self.quiet_since = moment.now;
        let change = self.learn(verdict, moment);
        match verdict {
            // An answer to what was sent before the trouble says nothing about it.
            Verdict::Delivered | Verdict::Halve | Verdict::Bisect if self.why().is_some() => {}
            Verdict::Delivered | Verdict::Halve | Verdict::Bisect => self.trouble = None,
            Verdict::Retry { .. } | Verdict::Hold => {
                note(&mut self.trouble, &self.end_point, answer, moment.now_ms);
            }
        }
        change
    }

    fn learn(&mut self, verdict: Verdict, Moment { sent, now, held_at, .. }: Moment) -> Option<Change> {
        match verdict {
            Verdict::Delivered => {
                self.limiter.got_through();
                self.breaker.answered(sent, now)
            }
            Verdict::Halve | Verdict::Bisect => self.breaker.answered(sent, now),
            Verdict::Retry { overloaded, .. } => {
                if overloaded {
                    self.limiter.overloaded(sent, now);
                }
                self.breaker.failed(now, &mut self.random)
            }
            // Others got through since this one was refused before: it is this one, not the address.
            Verdict::Hold if held_at.is_some_and(|held_at| self.breaker.has_answered_since(held_at)) => {
                self.breaker.answered(sent, now)
            }
            Verdict::Hold => self.breaker.refused(now, &mut self.random),
        }
    }

    /// What went wrong lately, if anything did.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub(super) fn why(&self) -> Option<Why> {
        self.breaker.why()
    }

    pub(super) fn health(&self) -> UpstreamHealth {
        let state = match self.breaker.why() {
            Some(Why::Held) => UpstreamState::Held,
            Some(Why::Failing) => UpstreamState::Failing,
            None => UpstreamState::Working,
        };
        UpstreamHealth::new(&self.end_point, state, self.trouble.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Response;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn answer(upstream: &mut Upstream, status: u16, at: u64, held_at: Option<u64>) -> Option<Change> {
        let verdict = if status == 404 { Verdict::Hold } else { Verdict::Delivered };
        let moment = Moment { sent: s(at), now: s(at), now_ms: 0, held_at: held_at.map(s) };
        upstream.sent(s(at));
        upstream.answered(verdict, &Ok(Response::status(status)), moment)
    }

    /// The address works for others, so it is this request that is wrong.
    #[test]
    fn a_request_that_is_refused_again_after_others_got_through_holds_nobody() {
        let new = || Upstream::new("http://a".into(), &Rules::default(), fastrand::Rng::with_seed(1));
        let mut upstream = new();
        assert_eq!(answer(&mut upstream, 404, 1, None), Some(Change::Opened(Why::Held)));
        assert_eq!(answer(&mut upstream, 204, 20, None), Some(Change::Closed(Why::Held)));
        assert_eq!(answer(&mut upstream, 404, 22, Some(1)), None);
        assert_eq!((upstream.turn(s(22)), upstream.why()), (Turn::Any, None));
        // Nobody has got through since it was refused last.
        assert_eq!(answer(&mut upstream, 404, 30, Some(22)), Some(Change::Opened(Why::Held)));
        let mut quiet = new();
        assert_eq!(answer(&mut quiet, 404, 1, Some(0)), Some(Change::Opened(Why::Held)));
        assert_eq!((quiet.health().state, quiet.in_flight()), (UpstreamState::Held, 0));
    }

    /// Whoever looks is told why nothing is sent, also after an answer to what was sent before.
    #[test]
    fn trouble_lasts_as_long_as_the_breaker_is_open() {
        let mut upstream = Upstream::new("http://a".into(), &Rules::default(), fastrand::Rng::with_seed(1));
        upstream.sent(s(1));
        assert_eq!(answer(&mut upstream, 404, 2, None), Some(Change::Opened(Why::Held)));
        let late = Moment { sent: s(1), now: s(3), now_ms: 0, held_at: None };
        assert_eq!(upstream.answered(Verdict::Delivered, &Ok(Response::status(204)), late), None);
        let health = upstream.health();
        assert_eq!(
            (health.state, health.trouble.and_then(|trouble| trouble.status)),
            (UpstreamState::Held, Some(404))
        );
        answer(&mut upstream, 204, 20, None);
        assert_eq!((upstream.health().state, upstream.health().trouble), (UpstreamState::Working, None));
    }
}
