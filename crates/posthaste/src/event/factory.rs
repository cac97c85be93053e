//! Makes events. Source: PROTOCOL 2.1; the uuid and the timestamp are fixed here, as in no version of the seed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde_json::{Map, Value};

use super::{
    Attributes, ConversionEvent, DroppedAttributes, EventKind, EventUuid, ImpressionEvent, UserEvent,
    attributes::AttributeRef, normalize, user_event::ConversionDetails,
};
use crate::{
    clock::{Clock, SystemClock},
    project::{Context, Event, Experiment, ProjectConfig, UserContext, Variation},
};

/// Attributes whose key starts like this are Optimizely's own, and sent though no datafile has them.
const RESERVED_PREFIX: &str = "$opt_";

static UNKNOWN_ATTRIBUTES: AtomicU64 = AtomicU64::new(0);
static INVALID_ATTRIBUTES: AtomicU64 = AtomicU64::new(0);

/// A visitor saw a variation of an experiment.
///
/// `variation` may be `None`: a decision for no variation, which today's SDKs report (`variation_id` is `null`). The
/// experiment's status is not looked at, as in the seed.
///
/// The event's time is now and its id is random; [`with_timestamp_ms`](UserEvent::with_timestamp_ms) and
/// [`with_uuid`](UserEvent::with_uuid) say otherwise. Attributes that cannot be sent are left out and counted in
/// [`dropped_attributes`].
#[doc(alias = "CreateImpressionUserEvent")]
pub fn create_impression_user_event<'a>(
    config: &ProjectConfig,
    experiment: &Experiment,
    variation: impl Into<Option<&'a Variation>>,
    user: &UserContext,
) -> UserEvent {
    let impression = ImpressionEvent::new(experiment.decision(variation.into()), None);
    new_event(config, user, EventKind::Impression(impression))
}

/// A visitor did something that the project counts.
///
/// `tags` are sent as they are; `revenue` and `value` among them are reported as numbers too, where they are numbers
/// (PROTOCOL 2.6). They are copied: what the caller does to them later changes no event. Time, id and attributes are
/// as for [`create_impression_user_event`].
#[doc(alias = "CreateConversionUserEvent")]
pub fn create_conversion_user_event(
    config: &ProjectConfig,
    event: &Event,
    user: &UserContext,
    tags: &Map<String, Value>,
) -> UserEvent {
    let details = (!tags.is_empty()).then(|| {
        Box::new(ConversionDetails {
            tags: json_text(tags).into_boxed_str(),
            revenue: normalize::revenue(tags),
            value: normalize::value(tags),
        })
    });
    let conversion = ConversionEvent::new(Arc::clone(event.ids()), details);
    new_event(config, user, EventKind::Conversion(conversion))
}

/// What all events of this project have in common. Made once: calls return the same shared value.
#[doc(alias = "CreateEventContext")]
pub fn create_event_context(config: &ProjectConfig) -> Arc<Context> {
    Arc::clone(config.context())
}

/// How many attributes this process has left out of events, and why.
pub fn dropped_attributes() -> DroppedAttributes {
    DroppedAttributes { unknown: UNKNOWN_ATTRIBUTES.load(Relaxed), invalid: INVALID_ATTRIBUTES.load(Relaxed) }
}

fn new_event(config: &ProjectConfig, user: &UserContext, kind: EventKind) -> UserEvent {
    let context = create_event_context(config);
    let attributes = sendable_attributes(&context, user);
    UserEvent::new(context, SystemClock.now_ms(), EventUuid::random(), &user.id, attributes, kind)
}

/// In order of their keys, which the user's map has them in.
fn sendable_attributes(context: &Context, user: &UserContext) -> Attributes {
    Attributes::pack(user.attributes.iter().filter_map(|(key, value)| {
        if !normalize::is_attribute_value(value) {
            dropped(&INVALID_ATTRIBUTES, "invalid");
            return None;
        }
        let name = match context.names.index_of(key) {
            Some(index) => AttributeRef::Index(index),
            None if key.starts_with(RESERVED_PREFIX) => AttributeRef::Names { entity_id: key, key },
            None => {
                dropped(&UNKNOWN_ATTRIBUTES, "unknown");
                return None;
            }
        };
        Some((name, value))
    }))
}

fn dropped(counter: &AtomicU64, reason: &'static str) {
    counter.fetch_add(1, Relaxed);
    metrics::counter!(crate::metrics::ATTRIBUTES_DROPPED, "reason" => reason).increment(1);
}

fn json_text(tags: &Map<String, Value>) -> String {
    serde_json::to_string(tags).expect("JSON with text keys, written to memory, cannot fail")
}
