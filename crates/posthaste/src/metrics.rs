//! The names of what posthaste counts, through the [`metrics`] facade. Types, units and meanings:
//! docs/metrics.md. Without a recorder installed, counting costs next to nothing.
//!
//! Every series of a pipeline carries its name as the label `pipeline`, and is there from the start. What belongs to no
//! pipeline, [`ATTRIBUTES_DROPPED`], [`TAGS_UNUSABLE`] and [`NOTIFICATIONS_LOST`], has no such label.
//!
//! ```
//! use posthaste::metrics;
//!
//! // Install a recorder before the first processor is built, such as `metrics-exporter-prometheus`. An alarm:
//! let alarm = format!("{} == 2 or increase({}[5m]) > 0", metrics::BREAKER, metrics::DEAD_LETTERED);
//! assert!(alarm.contains("_breaker_state == 2 or increase("));
//! ```

use ::metrics::{Unit, describe_counter, describe_gauge};

/// Counter: events taken.
pub const ACCEPTED: &str = "posthaste_events_accepted_total";
/// Counter, by `reason`: events refused and handed back.
pub const REFUSED: &str = "posthaste_events_refused_total";
/// Counter: events that the API has confirmed.
pub const DELIVERED: &str = "posthaste_events_delivered_total";
/// Counter, by `reason`: events that will not be delivered.
pub const DEAD_LETTERED: &str = "posthaste_events_dead_lettered_total";
/// Counter: dead letters put back into the queue.
pub const REPLAYED: &str = "posthaste_events_replayed_total";
/// Counter: dead letters that were forgotten, to make room for others or for their age.
pub const DEAD_LETTERS_FORGOTTEN: &str = "posthaste_dead_letters_forgotten_total";
/// Gauge: events that have not come to an end yet.
pub const QUEUED: &str = "posthaste_events_queued";
/// Gauge: events of a backlog that are left, about; they go at the drain rate.
pub const BACKLOG: &str = "posthaste_backlog_events";
/// Counter, by `outcome` (delivered, retry, halve, bisect, hold): answers to requests.
pub const REQUESTS: &str = "posthaste_requests_total";
/// Gauge: requests under way.
pub const IN_FLIGHT: &str = "posthaste_requests_in_flight";
/// Gauge: how many requests may be under way now.
pub const CONCURRENCY: &str = "posthaste_concurrency_limit";
/// Gauge: 0 closed (all is well), 1 open (the upstream fails), 2 held (wrong address or credential).
pub const BREAKER: &str = "posthaste_breaker_state";
/// Counter, by `reason` (unknown, invalid): attributes left out of events.
pub const ATTRIBUTES_DROPPED: &str = "posthaste_attributes_dropped_total";
/// Counter: tags of conversions that do not say what they should, by [`UnusableTags`](crate::event::UnusableTags)'
/// names as `tag`.
pub const TAGS_UNUSABLE: &str = "posthaste_tags_unusable_total";
/// Counter: log-event notifications that a slow or panicking handler missed.
pub const NOTIFICATIONS_LOST: &str = "posthaste_notifications_lost_total";

/// Tells the recorder what each name means: what scrapers show as HELP.
pub(crate) fn describe() {
    describe_counter!(ACCEPTED, Unit::Count, "Events taken.");
    describe_counter!(REFUSED, Unit::Count, "Events refused and handed back, by reason.");
    describe_counter!(DELIVERED, Unit::Count, "Events that the API has confirmed.");
    describe_counter!(DEAD_LETTERED, Unit::Count, "Events that will not be delivered, by reason.");
    describe_counter!(REPLAYED, Unit::Count, "Events of dead letters put back into the queue.");
    describe_counter!(DEAD_LETTERS_FORGOTTEN, Unit::Count, "Dead letters that were forgotten.");
    describe_gauge!(QUEUED, Unit::Count, "Events that have not come to an end yet.");
    describe_gauge!(
        BACKLOG,
        Unit::Count,
        "Events that an outage has left behind, which go at the drain rate."
    );
    describe_counter!(REQUESTS, Unit::Count, "Answers to requests, by outcome.");
    describe_gauge!(IN_FLIGHT, Unit::Count, "Requests under way.");
    describe_gauge!(CONCURRENCY, Unit::Count, "How many requests may be under way now.");
    describe_gauge!(BREAKER, Unit::Count, "The worst end point: 0 works, 1 fails, 2 refuses everything.");
    describe_counter!(ATTRIBUTES_DROPPED, Unit::Count, "Attributes left out of events, by reason.");
    describe_counter!(TAGS_UNUSABLE, Unit::Count, "Tags named revenue or value that state none.");
    describe_counter!(NOTIFICATIONS_LOST, Unit::Count, "Notifications that a handler missed.");
}
