//! How a tenant's upstream is, as `/readyz` and `/metrics` say it: what delivery has learned from answers, and, where
//! it has learned nothing because there is none, that.

use std::time::Duration;

use posthaste::{
    dispatch::EndPoint,
    outcome::{Trouble, UpstreamState},
};
use serde::Serialize;

use crate::{
    relay::Relay,
    tenants::{Stage, Tenant},
};

/// An upstream that owes an answer for so long is waited for. Delivery itself gives a request up much later.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// An upstream's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Working,
    Failing,
    Held,
    /// As far as answers tell it works; one is overdue.
    Waiting,
}

#[derive(Debug, Serialize)]
pub(super) struct Upstream {
    /// Host and port: what may be secret stands elsewhere in a URL.
    address: String,
    state: State,
    /// What has gone wrong since it last answered as one that works.
    trouble: Option<UpstreamTrouble>,
}

#[derive(Debug, Serialize)]
struct UpstreamTrouble {
    what: String,
    status: Option<u16>,
    since_ms: i64,
    last_ms: i64,
    times: u64,
}

impl State {
    /// As a metric has it.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Working => 0,
            Self::Failing => 1,
            Self::Held => 2,
            Self::Waiting => 3,
        }
    }
}

impl Upstream {
    /// `stage`: the tenant's pipeline that sends to it.
    pub(super) fn of(relay: &Relay, tenant: &Tenant, stage: &Stage) -> Self {
        let (known, trouble) = known(tenant, stage);
        let (state, trouble) = match overdue(relay, stage).filter(|_| known == State::Working) {
            Some(overdue) => (State::Waiting, Some(no_answer(relay, overdue))),
            None => (known, trouble.map(UpstreamTrouble::from)),
        };
        Self { address: address(tenant), state, trouble }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn state(&self) -> State {
        self.state
    }
}

/// What delivery has learned from answers.
fn known(tenant: &Tenant, stage: &Stage) -> (State, Option<Trouble>) {
    let health = stage.dispatcher().health();
    let Some(found) = health.upstreams.into_iter().find(|one| one.end_point == **tenant.upstream()) else {
        return (State::Working, None);
    };
    let state = match found.state {
        UpstreamState::Failing => State::Failing,
        UpstreamState::Held => State::Held,
        _ => State::Working,
    };
    (state, found.trouble)
}

/// For how long the upstream has owed an answer, where that is too long.
fn overdue(relay: &Relay, stage: &Stage) -> Option<Duration> {
    let since = stage.answers().unanswered_since()?;
    Some(relay.clock().elapsed().saturating_sub(since)).filter(|age| *age >= ANSWERS_WITHIN)
}

fn no_answer(relay: &Relay, overdue: Duration) -> UpstreamTrouble {
    let now_ms = relay.clock().now_ms();
    let age_ms = i64::try_from(overdue.as_millis()).unwrap_or(i64::MAX);
    UpstreamTrouble {
        what: format!("no answer for {} s to a request that is under way", overdue.as_secs()),
        status: None,
        since_ms: now_ms.saturating_sub(age_ms),
        last_ms: now_ms,
        times: 1,
    }
}

/// The upstream's host and port.
fn address(tenant: &Tenant) -> String {
    match EndPoint::check(tenant.upstream()) {
        Ok(end_point) => end_point.address(),
        Err(error) => error.url().to_owned(),
    }
}

impl From<Trouble> for UpstreamTrouble {
    fn from(Trouble { what, status, since_ms, last_ms, times, .. }: Trouble) -> Self {
        Self { what, status, since_ms, last_ms, times }
    }
}
