//! A script that is in force: it counts requests, and says what is done to each.

use std::time::Duration;

use fastrand::Rng;
use serde::Serialize;
use tokio::sync::watch;

use super::{Answer, Fault, Faults, Rule, plan::Plan};

/// Faults and how far they have got.
#[derive(Debug)]
pub(crate) struct Script {
    faults: Faults,
    counts: Vec<Counts>,
    requests: u64,
    /// Whoever waits because of this script waits no longer once it sends, or is gone.
    release: watch::Sender<()>,
}

#[derive(Debug)]
struct Counts {
    /// Requests of the rule's path and session and with its bytes.
    seen: u64,
    /// Requests that it decided.
    applied: u64,
    /// Rolled once for each request seen, so that what the other rules do changes nothing here.
    dice: Rng,
}

/// What is done to one request.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) fault: Fault,
    pub(crate) answer: Answer,
    pub(crate) delay: Duration,
    pub(crate) takes: bool,
    pub(crate) released: watch::Receiver<()>,
}

impl Script {
    pub(crate) fn new(faults: Faults) -> Self {
        let mut dice = Rng::with_seed(faults.seed);
        let counts = |_: &Plan| Counts { seen: 0, applied: 0, dice: dice.fork() };
        let counts = faults.plans.iter().map(counts).collect();
        Self { faults, counts, requests: 0, release: watch::Sender::new(()) }
    }

    /// From the first request on again; nobody waits any longer.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.faults.clone());
    }

    /// Nobody waits any longer because of what was decided so far.
    pub(crate) fn release(&self) {
        self.release.send_replace(());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Counts a request, and says what is done to it. `None` leaves it to the collector.
    pub(crate) fn decide(
        &mut self,
        path: &str,
        session: Option<&str>,
        body: &[u8],
        is_end_point: bool,
    ) -> Option<Decided> {
        if self.is_empty() {
            return None;
        }
        self.requests += 1;
        let mut decided = None;
        for (plan, counts) in self.faults.plans.iter().zip(&mut self.counts) {
            if plan.is_for(path, session, body) && counts.hit(plan) && decided.is_none() {
                counts.applied += 1;
                decided = Some(plan);
            }
        }
        decided.map(|plan| self.decided(plan, is_end_point))
    }

    fn decided(&self, plan: &Plan, is_end_point: bool) -> Decided {
        let (rule, did) = (plan.name.clone(), plan.did.clone());
        Decided {
            fault: Fault { rule, did, request: self.requests },
            answer: plan.answer.clone(),
            delay: plan.delay(),
            takes: plan.takes(is_end_point),
            released: self.release.subscribe(),
        }
    }

    pub(crate) fn in_force(&self) -> FaultsInForce {
        let rule = |(plan, counts): (&Plan, &Counts)| RuleInForce {
            rule: Rule { name: Some(plan.name.to_string()), ..plan.rule.clone() },
            seen: counts.seen,
            applied: counts.applied,
        };
        FaultsInForce {
            seed: self.faults.seed,
            requests: self.requests,
            rules: self.faults.plans.iter().zip(&self.counts).map(rule).collect(),
        }
    }
}

impl Counts {
    /// Counts one more, and says whether the rule would have it.
    fn hit(&mut self, plan: &Plan) -> bool {
        self.seen += 1;
        let roll = self.dice.f64();
        plan.is_for_number(self.seen)
            && plan.rule.share.is_none_or(|share| roll < share)
            && plan.rule.times.is_none_or(|times| self.applied < times)
    }
}

/// The script that is in force, and what it has done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultsInForce {
    /// What is left to chance comes from this number.
    pub seed: u64,
    /// Requests that the script has seen.
    pub requests: u64,
    /// The rules, in their order.
    pub rules: Vec<RuleInForce>,
}

/// A rule, and how often it was for a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleInForce {
    /// As it was written, with its name.
    #[serde(flatten)]
    pub rule: Rule,
    /// Requests of its path and with its bytes.
    pub seen: u64,
    /// Requests that it was applied to.
    pub applied: u64,
}
