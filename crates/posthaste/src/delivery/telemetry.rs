//! What the machine reports of itself: metrics a few times a second, a line in the log where somebody should look.
//!
//! Invariant: counters are brought up to date from one statement, what was accepted or replayed first; so at every scrape
//! accepted + replayed ≥ delivered + dead-lettered.

use std::{collections::BTreeMap, time::Duration};

use super::{books::Statement, item::Item, lanes::Lanes, shared::Shared, upstream::Why};
use crate::{
    dispatch::Verdict,
    metrics,
    outcome::{DeadReason, Ledger, Refusal},
};

/// How often metrics are brought up to date: counting costs callers nothing that way.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(250);
/// How often dead letters are logged: a line for each would drown everything else.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What has been reported so far.
#[derive(Debug)]
pub(super) struct Published {
    pipeline: String,
    ledger: Ledger,
    buried: BTreeMap<&'static str, u64>,
    revived: u64,
    /// In the order of [`Verdict::NAMES`].
    answers: [u64; Verdict::NAMES.len()],
    at: Option<Duration>,
    /// Something may have changed since.
    is_stale: bool,
    /// Dead letters that the log has told of.
    logged: u64,
    logged_at: Option<Duration>,
}

impl Published {
    /// Every series is there from the start. What an earlier process buried was told by that one.
    pub(super) fn new<T: Item>(shared: &Shared<T>) -> Self {
        let pipeline = shared.books().pipeline().to_owned();
        metrics::describe();
        let zero = |name: &'static str, label: &'static str, value: &'static str| {
            ::metrics::counter!(name, "pipeline" => pipeline.clone(), label => value).increment(0);
        };
        for reason in Refusal::NAMES {
            zero(metrics::REFUSED, "reason", reason);
        }
        for reason in DeadReason::ALL {
            zero(metrics::DEAD_LETTERED, "reason", reason.name());
        }
        for outcome in Verdict::NAMES {
            zero(metrics::REQUESTS, "outcome", outcome);
        }
        for name in [metrics::ACCEPTED, metrics::DELIVERED, metrics::REPLAYED] {
            ::metrics::counter!(name, "pipeline" => pipeline.clone()).increment(0);
        }
        Self {
            pipeline,
            ledger: Ledger::default(),
            buried: BTreeMap::new(),
            revived: 0,
            answers: [0; Verdict::NAMES.len()],
            at: None,
            is_stale: true,
            logged: shared.ledger().dead_lettered,
            logged_at: None,
        }
    }

    /// A request has been answered.
    pub(super) fn answered(&mut self, verdict: Verdict) {
        if let Some(count) = self.answers.get_mut(verdict.index()) {
            *count += 1;
        }
    }

    /// When to report what has changed, if nothing else happens until then.
    pub(super) fn due(&self) -> Option<Duration> {
        self.at.filter(|_| self.is_stale).map(|at| at.saturating_add(PUBLISH_INTERVAL))
    }

    /// Reports, if it is time or must be.
    pub(super) fn publish<T: Item>(&mut self, shared: &Shared<T>, lanes: &Lanes<T>, now_or_never: bool) {
        let now = shared.clock().elapsed();
        if !now_or_never && !is_due(self.at, now, PUBLISH_INTERVAL) {
            self.is_stale = true;
            return;
        }
        (self.at, self.is_stale) = (Some(now), false);
        let statement = shared.statement();
        let ledger = statement.ledger;
        self.publish_counters(&statement);
        self.publish_gauges(lanes, ledger.queued, shared.backlog());
        self.log_dead_letters(ledger.dead_lettered, now, now_or_never);
    }

    fn publish_counters(&mut self, statement: &Statement) {
        let ledger = statement.ledger;
        let mut old = std::mem::replace(&mut self.ledger, ledger);
        self.grown(metrics::ACCEPTED, &mut old.accepted, ledger.accepted);
        let mut revived = self.revived;
        self.grown(metrics::REPLAYED, &mut revived, statement.revived);
        self.revived = revived;
        self.grown(metrics::DELIVERED, &mut old.delivered, ledger.delivered);
        for (reason, count) in statement.buried() {
            let grown = grown(self.buried.entry(reason.name()).or_default(), count);
            ::metrics::counter!(metrics::DEAD_LETTERED, "pipeline" => self.pipeline.clone(), "reason" => reason.name())
                .increment(grown);
        }
        let answers = std::mem::take(&mut self.answers);
        for (outcome, count) in Verdict::NAMES.into_iter().zip(answers).filter(|(_, count)| *count > 0) {
            ::metrics::counter!(metrics::REQUESTS, "pipeline" => self.pipeline.clone(), "outcome" => outcome)
                .increment(count);
        }
    }

    fn grown(&self, name: &'static str, old: &mut u64, new: u64) {
        ::metrics::counter!(name, "pipeline" => self.pipeline.clone()).increment(grown(old, new));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn publish_gauges<T: Item>(&self, lanes: &Lanes<T>, queued: u64, backlog: u64) {
        let set = |name: &'static str, value: f64| {
            ::metrics::gauge!(name, "pipeline" => self.pipeline.clone()).set(value);
        };
        set(metrics::QUEUED, queued as f64);
        set(metrics::BACKLOG, backlog.min(queued) as f64);
        set(metrics::IN_FLIGHT, lanes.in_flight() as f64);
        set(metrics::CONCURRENCY, lanes.iter().map(|lane| lane.upstream().limit()).sum::<usize>() as f64);
        let worst = lanes.iter().map(|lane| match lane.upstream().why() {
            None => 0_u8,
            Some(Why::Failing) => 1,
            Some(Why::Held) => 2,
        });
        set(metrics::BREAKER, f64::from(worst.max().unwrap_or(0)));
    }

    fn log_dead_letters(&mut self, dead_lettered: u64, now: Duration, now_or_never: bool) {
        let is_due = now_or_never || is_due(self.logged_at, now, LOG_INTERVAL);
        let new = dead_lettered.saturating_sub(self.logged);
        if new == 0 || !is_due {
            return;
        }
        tracing::warn!(
            new,
            in_all = dead_lettered,
            "events were dead-lettered; their reasons are kept with them"
        );
        (self.logged, self.logged_at) = (dead_lettered, Some(now));
    }
}

fn is_due(at: Option<Duration>, now: Duration, interval: Duration) -> bool {
    at.is_none_or(|at| now.saturating_sub(at) >= interval)
}

/// By how much, and notes it.
fn grown(old: &mut u64, new: u64) -> u64 {
    let grown = new.saturating_sub(*old);
    *old = new.max(*old);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_due_at_first_and_then_at_each_interval() {
        let at = Some(Duration::from_millis(1_000));
        let is_due_at = |now_ms| is_due(at, Duration::from_millis(now_ms), PUBLISH_INTERVAL);
        assert!(is_due(None, Duration::ZERO, PUBLISH_INTERVAL));
        assert!(!is_due_at(1_000) && !is_due_at(1_249));
        assert!(is_due_at(1_250) && is_due_at(60_000));
        assert!(!is_due_at(0), "a clock that goes back makes nothing due");
    }

    #[test]
    fn a_counter_grows_and_never_shrinks() {
        let mut old = 5;
        assert_eq!((grown(&mut old, 8), old), (3, 8));
        assert_eq!((grown(&mut old, 2), old), (0, 8));
    }
}
