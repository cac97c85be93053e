//! What goes into the stream that relays share, and comes out of it, and what it promises. Nothing where there is none.

use posthaste::queue::jetstream::{Fault, Holds, Traffic};

use super::text::{Family, Text};
use crate::relay::Relay;

/// What is counted of a pipeline: by these names, of these numbers.
type Counted = (&'static str, &'static str, fn(&Traffic) -> u64);

const COUNTERS: [Counted; 6] = [
    ("stream_published_events_total", "Events that the stream has acknowledged.", |traffic| {
        traffic.published
    }),
    (
        "stream_publish_repeats_total",
        "Requests that were put in again, and that the stream knew already.",
        |traffic| traffic.repeated,
    ),
    ("stream_leased_events_total", "Events that were leased from the stream.", |traffic| traffic.leased),
    (
        "stream_returned_events_total",
        "Events that were leased, and given back or lost to others.",
        |traffic| traffic.returned,
    ),
    (
        "stream_unreadable_events_total",
        "Events of messages that this version cannot read; they are dead letters.",
        |traffic| traffic.unreadable,
    ),
    ("stream_given_up_events_total", "Events that no stream took before the end.", |traffic| {
        traffic.given_up
    }),
];

const GAUGES: [Counted; 2] = [
    ("stream_publishing_events", "Events on their way into the stream.", |traffic| traffic.publishing),
    ("stream_held_events", "Events that are leased from the stream now.", |traffic| traffic.held),
];

pub(super) fn write(relay: &Relay, text: &mut Text) {
    if relay.stream().is_none() {
        return;
    }
    let is_working = relay.stream_trouble().is_none();
    text.gauge("stream_up", "1 while the stream can be used, else 0.").sample(&[], u8::from(is_working));
    write_promises(relay, text);
    let traffic: Vec<_> = relay
        .tenants()
        .stages()
        .filter_map(|(tenant, stage)| {
            Some((tenant.name(), stage.kind().name().unwrap_or_default(), stage.stream()?.traffic()))
        })
        .collect();
    let write = |family: &mut Family<'_>, counted: fn(&Traffic) -> u64| {
        for (tenant, stage, traffic) in &traffic {
            family.sample(&[("tenant", tenant), ("stage", stage)], counted(traffic));
        }
    };
    for (name, help, counted) in COUNTERS {
        write(&mut text.counter(name, help), counted);
    }
    for (name, help, counted) in GAUGES {
        write(&mut text.gauge(name, help), counted);
    }
}

/// What nobody knows is not a number, rather than no series.
fn write_promises(relay: &Relay, text: &mut Text) {
    let report = relay.stream_report();
    let help =
        "1: nothing that the stream has acknowledged is lost under this fault; 0: it may be; NaN: not known.";
    let mut family = text.gauge("stream_promise", help);
    for fault in Fault::ALL {
        let holds = report.as_ref().map_or(Holds::Unknown, |report| report.holds(fault));
        let value = match holds {
            Holds::Yes => "1",
            Holds::No => "0",
            _ => "NaN",
        };
        family.sample(&[("fault", fault.name())], value);
    }
}
