//! `GET /healthz`: whether the loops that must make progress go round. Whoever runs the relay restarts it where they do
//! not; so what a restart does not mend is no fault here: an upstream that is away, a full queue, a disk that stalls or
//! fails (`/readyz` tells of these).
//!
//! - Each pipeline of each tenant is pinged, and its loop answers.
//! - The accept loop is asked to go round once.
//! - The spool's writer cannot be told from the disk under it while that stalls; it is stuck where it has ended while the
//!   relay has not.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use axum::{extract::State, http::StatusCode};
use futures_util::future::join_all;
use posthaste::outcome::Pulse;

use super::Admin;
use crate::{
    relay::{Phase, Relay},
    tenants::{Kind, Stage, Tenant},
};

/// How long a loop may take to answer. Delivery's ping takes half a second more at most: two seconds are never reached.
const PING: Duration = Duration::from_secs(1);

/// When each loop answered last, in milliseconds since 1970; at first, when the relay started.
#[derive(Debug)]
pub(super) struct LastBeats {
    accepting: AtomicI64,
    /// Of each pipeline.
    stages: Vec<AtomicI64>,
}

impl LastBeats {
    pub(super) fn new(relay: &Relay) -> Self {
        let started = relay.vitals().started_ms();
        let stages = relay.tenants().stages().map(|_| AtomicI64::new(started)).collect();
        Self { accepting: AtomicI64::new(started), stages }
    }
}

pub(super) async fn healthz(State(admin): State<Admin>) -> (StatusCode, String) {
    let (relay, last) = (admin.relay(), &admin.0.last_beats);
    let of_stages = relay.tenants().stages().zip(&last.stages);
    let stages = join_all(of_stages.map(|((tenant, stage), last)| stage_trouble(relay, tenant, stage, last)));
    let (accepting, stages) = tokio::join!(accept_trouble(relay, &last.accepting), stages);
    let stuck: Vec<String> = accepting.into_iter().chain(stages.into_iter().flatten()).collect();
    if stuck.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, stuck.concat())
    }
}

async fn accept_trouble(relay: &Relay, last: &AtomicI64) -> Option<String> {
    let is_over = || relay.vitals().phase() == Phase::Closing;
    if is_over() || relay.vitals().accepts(PING).await || is_over() {
        last.store(relay.clock().now_ms(), Relaxed);
        return None;
    }
    Some(format!("the accept loop is stuck: no answer since {}\n", date(last.load(Relaxed))))
}

async fn stage_trouble(relay: &Relay, tenant: &Tenant, stage: &Stage, last: &AtomicI64) -> Option<String> {
    let is_closing = relay.vitals().phase() == Phase::Closing;
    let name = match stage.kind() {
        Kind::Bridge => format!("{} to the stream", tenant.name()),
        Kind::Here | Kind::Shared => tenant.name().to_owned(),
    };
    let pulse = stage.dispatcher().ping(PING).await;
    if pulse == Pulse::Silent {
        let since = date(last.load(Relaxed));
        return Some(format!("delivery of tenant {name} is stuck: no answer since {since}\n"));
    }
    if pulse == Pulse::Ended && !is_closing {
        let why = stage.dispatcher().health().ended.map(|trouble| trouble.to_string());
        return Some(format!("delivery of tenant {name} has ended: {}\n", why.unwrap_or_default()));
    }
    last.store(relay.clock().now_ms(), Relaxed);
    let has_writer = stage.spool().is_none_or(|queue| !queue.spool().is_closed());
    let text = || format!("the writer of tenant {name}'s queue has ended; restart the relay\n");
    (!has_writer && !is_closing).then(text)
}

/// As HTTP writes it.
fn date(ms: i64) -> String {
    let since_1970 = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    let date = std::time::UNIX_EPOCH.checked_add(since_1970).filter(|_| ms < YEAR_9999_MS);
    date.map_or_else(|| format!("{ms} ms after 1970"), httpdate::fmt_http_date)
}

/// Dates are written with four digits for the year.
const YEAR_9999_MS: i64 = 253_370_764_800_000;
