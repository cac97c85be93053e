//! What the machine reports of itself: metrics a few times a second, a line in the log where somebody should look.

use std::time::Duration;

use super::{breaker::Why, item::Item, machine::Machine};
use crate::metrics;

/// How often metrics are brought up to date: counting costs callers nothing that way.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(250);
/// How often dead letters are logged: a line for each would drown everything else.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What has been reported so far.
#[derive(Debug, Default)]
pub(super) struct Published {
    accepted: u64,
    at: Option<Duration>,
    /// Something may have changed since.
    stale: bool,
    dead_lettered: u64,
    logged_at: Option<Duration>,
}

impl Published {
    /// What an earlier process buried was told by that one.
    pub(super) fn after(dead_lettered: u64) -> Self {
        Self { dead_lettered, ..Self::default() }
    }

    /// When to report what has changed, if nothing else happens until then.
    pub(super) fn due(&self) -> Option<Duration> {
        self.at.filter(|_| self.stale).map(|at| at + PUBLISH_INTERVAL)
    }
}

impl<T: Item> Machine<T> {
    /// Reports, if it is time or must be.
    pub(super) fn publish(&mut self, now_or_never: bool) {
        let now = self.shared.clock.elapsed();
        let is_due = |at: Option<Duration>, interval| at.is_none_or(|at| now.saturating_sub(at) >= interval);
        if !now_or_never && !is_due(self.published.at, PUBLISH_INTERVAL) {
            self.published.stale = true;
            return;
        }
        self.published.at = Some(now);
        self.published.stale = false;
        self.shared.counters.publish();
        let ledger = self.shared.counters.snapshot();
        let accepted = ledger.accepted.saturating_sub(self.published.accepted);
        self.published.accepted += accepted;
        ::metrics::counter!(metrics::ACCEPTED).increment(accepted);
        self.publish_gauges(ledger.queued);
        if ledger.dead_lettered > self.published.dead_lettered
            && (now_or_never || is_due(self.published.logged_at, LOG_INTERVAL))
        {
            let new = ledger.dead_lettered - self.published.dead_lettered;
            tracing::warn!(
                new,
                in_all = ledger.dead_lettered,
                "events were dead-lettered; their reasons are kept with them"
            );
            self.published.logged_at = Some(now);
        }
        self.published.dead_lettered = ledger.dead_lettered;
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn publish_gauges(&self, queued: u64) {
        ::metrics::gauge!(metrics::QUEUED).set(queued as f64);
        ::metrics::gauge!(metrics::IN_FLIGHT).set(self.in_flight.len() as f64);
        ::metrics::gauge!(metrics::CONCURRENCY).set(self.limiter.limit() as f64);
        ::metrics::gauge!(metrics::BREAKER).set(match self.breaker.why() {
            None => 0.0,
            Some(Why::Failing) => 1.0,
            Some(Why::Held) => 2.0,
        });
    }
}
