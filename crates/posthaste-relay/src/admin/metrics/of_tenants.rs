//! What each tenant has accepted, delivered and given up, what waits, and what its upstream answers.

use posthaste::outcome::Breakdown;

use super::text::Text;
use crate::{
    admin::{ready, upstream::Upstream},
    relay::Relay,
    tenants::{Stage, Tenant},
};

/// A pipeline of a tenant, and its counts at one moment.
struct Of<'a> {
    tenant: &'a Tenant,
    stage: &'a Stage,
    counts: Breakdown,
    /// When its oldest event was taken.
    oldest_ms: Option<i64>,
}

impl Of<'_> {
    /// Which tenant, and which of its pipelines where there may be two, with more behind.
    fn labels<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let stage = self.stage.kind().name().map(|name| ("stage", name));
        [("tenant", self.tenant.name())].into_iter().chain(stage).chain(more.iter().copied()).collect()
    }
}

/// `oldest`: when the oldest event of each pipeline was taken.
pub(super) fn write(relay: &Relay, oldest: &[Option<i64>], text: &mut Text) {
    let stages = relay.tenants().stages().zip(oldest);
    let tenants: Vec<Of<'_>> = stages
        .map(|((tenant, stage), oldest_ms)| Of {
            tenant,
            stage,
            counts: stage.dispatcher().breakdown(),
            oldest_ms: *oldest_ms,
        })
        .collect();
    write_ends(&tenants, text);
    write_queues(relay, &tenants, text);
    write_upstreams(relay, &tenants, text);
}

fn write_ends(tenants: &[Of<'_>], text: &mut Text) {
    let mut family =
        text.counter("events_accepted_total", "Events accepted, with what was there at the start.");
    for of in tenants {
        family.sample(&of.labels(&[]), of.counts.ledger.accepted);
    }
    let mut family = text.counter("events_delivered_total", "Events that the upstream has confirmed.");
    for of in tenants {
        family.sample(&of.labels(&[]), of.counts.ledger.delivered);
    }
    let help = "Events that became dead letters, by reason; earlier: before this process started.";
    let mut family = text.counter("events_dead_lettered_total", help);
    for of in tenants {
        for (reason, count) in &of.counts.dead_lettered {
            family.sample(&of.labels(&[("reason", reason.name())]), count);
        }
        family.sample(&of.labels(&[("reason", "earlier")]), of.counts.found);
    }
    let mut family = text.counter("events_replayed_total", "Events of dead letters put back into the queue.");
    for of in tenants {
        family.sample(&of.labels(&[]), of.counts.replayed);
    }
    let help = "Dead letters let go of to make room for others, or for their age.";
    let mut family = text.counter("dead_letters_forgotten_total", help);
    for of in tenants {
        family.sample(&of.labels(&[]), of.stage.dispatcher().dead_letters_forgotten());
    }
    let help = "Events that the queue did not take, by reason; a client that waits for room is refused several times.";
    let mut family = text.counter("events_refused_total", help);
    for of in tenants {
        for (reason, count) in &of.counts.refused {
            family.sample(&of.labels(&[("reason", reason)]), count);
        }
    }
}

fn write_queues(relay: &Relay, tenants: &[Of<'_>], text: &mut Text) {
    let mut family = text.gauge("events_queued", "Events that have not come to an end.");
    for of in tenants {
        family.sample(&of.labels(&[]), of.counts.ledger.queued);
    }
    let help = "About how many of them an outage or an earlier process left, which go at the drain rate.";
    let mut family = text.gauge("backlog_events", help);
    for of in tenants {
        family.sample(&of.labels(&[]), of.stage.dispatcher().health().backlog);
    }
    let mut family = text.gauge("queue_bytes", "Bytes that the queue takes, on disk or in memory.");
    for of in tenants {
        family.sample(&of.labels(&[]), of.stage.dispatcher().queue_bytes());
    }
    let mut family =
        text.gauge("queue_writable", "1 while the queue takes events; 0: full, or its disk fails.");
    for of in tenants {
        let is_writable = ready::trouble_of(relay, of.tenant, of.stage).is_none();
        family.sample(&of.labels(&[]), u8::from(is_writable));
    }
    let help = "Age of the oldest event that has not come to an end; 0 where there is none.";
    let mut family = text.gauge("oldest_event_age_seconds", help);
    for of in tenants {
        let age_ms =
            of.oldest_ms.map_or(0, |taken_ms| relay.clock().now_ms().saturating_sub(taken_ms).max(0));
        family.sample(&of.labels(&[]), std::time::Duration::from_millis(age_ms.unsigned_abs()).as_secs_f64());
    }
}

fn write_upstreams(relay: &Relay, tenants: &[Of<'_>], text: &mut Text) {
    let delivering = || tenants.iter().filter(|of| of.stage.delivers());
    let mut family =
        text.counter("upstream_answers_total", "Answers of the upstream by status; none: no answer.");
    for of in delivering() {
        for (status, count) in of.stage.answers().by_status() {
            family.sample(&of.labels(&[("status", status)]), count);
        }
    }
    let help = "Answers of the upstream by what they mean for the events in the request.";
    let mut family = text.counter("upstream_verdicts_total", help);
    for of in delivering() {
        for (verdict, count) in of.stage.answers().by_verdict() {
            family.sample(&of.labels(&[("verdict", verdict)]), count);
        }
    }
    let help = "0: it works; 1: it fails, and is tried now and then; 2: it refuses all requests; 3: an answer is overdue.";
    let mut family = text.gauge("upstream_state", help);
    for of in delivering() {
        let upstream = Upstream::of(relay, of.tenant, of.stage);
        family.sample(&of.labels(&[("upstream", upstream.address())]), upstream.state().number());
    }
}
