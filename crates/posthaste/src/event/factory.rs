//! Makes events. Source: PROTOCOL 2.1; the uuid and the timestamp are fixed here, as in no version of the seed.

use std::sync::Arc;

use super::{
    attributes::{AttributeRef, Attributes},
    normalize,
    tags::{self, TagValue},
    user_event::{ConversionEvent, EventKind, ImpressionEvent, UserEvent},
    uuid::EventUuid,
};
use crate::{
    metrics::ATTRIBUTES_DROPPED,
    project::{Context, Event, Experiment, ProjectConfig, UserContext, Variation},
};

/// Attributes whose key starts like this are Optimizely's own, and sent though no datafile has them.
/// What the ids and keys of attributes begin with that are the SDKs' own.
pub(crate) const RESERVED_PREFIX: &str = "$opt_";

/// A visitor saw a variation of an experiment.
///
/// `variation` may be `None`: a decision for no variation, which today's SDKs report (`variation_id` is `null`). The
/// experiment's status is not looked at, as in the seed. [`ProjectConfig::impression`] does the same by key.
///
/// The event's time is the project's clock's and its id is random; [`with_timestamp_ms`](UserEvent::with_timestamp_ms)
/// and [`with_uuid`](UserEvent::with_uuid) say otherwise. Attributes that cannot be sent are left out and counted in
/// [`ProjectConfig::dropped_attributes`].
///
/// ```
/// use posthaste::{ProjectConfig, UserContext, create_impression_user_event};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let experiment = config.experiment_by_id("40011").ok_or("no such experiment")?;
/// let user = UserContext::new("visitor-1").attribute("plan", "pro");
/// let event = create_impression_user_event(&config, experiment, experiment.variation_by_key("control"), &user);
/// assert_eq!(event.impression().unwrap().variation_id(), Some("70111"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "CreateImpressionUserEvent")]
pub fn create_impression_user_event<'a>(
    config: &ProjectConfig,
    experiment: &Experiment,
    variation: impl Into<Option<&'a Variation>>,
    user: &UserContext,
) -> UserEvent {
    let decision = experiment.decision(variation.into(), config.decision_form());
    new_event(config, user, EventKind::Impression(ImpressionEvent::new(decision)))
}

/// A visitor did something that the project counts. [`ProjectConfig::conversion`] does the same by key.
///
/// `tags` are any pairs of a key and a [`TagValue`]: an array, a map or a reference to one, an iterator;
/// [`NO_TAGS`](super::NO_TAGS) for none. They are sent as they are; `revenue` and `value` among them are reported as
/// numbers too, where they are numbers (PROTOCOL 2.6); where not, that is counted in
/// [`ProjectConfig::unusable_tags`]. They are copied: what the caller does to them later changes no
/// event. Time, id and attributes are as for [`create_impression_user_event`].
///
/// ```
/// use posthaste::{ProjectConfig, UserContext, create_conversion_user_event};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let purchase = config.event_by_key("purchase").ok_or("no such event")?;
/// let user = UserContext::new("visitor-1");
/// let event = create_conversion_user_event(&config, purchase, &user, [("revenue", 4200)]);
/// assert_eq!(event.conversion().unwrap().revenue(), Some(4200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "CreateConversionUserEvent")]
pub fn create_conversion_user_event<K: AsRef<str>, V: TagValue>(
    config: &ProjectConfig,
    event: &Event,
    user: &UserContext,
    tags: impl IntoIterator<Item = (K, V)>,
) -> UserEvent {
    let conversion = ConversionEvent::new(Arc::clone(event.ids()), tags::details(tags, config.drops()));
    new_event(config, user, EventKind::Conversion(conversion))
}

/// What all events of this project have in common. Made once: calls return the same shared value.
///
/// ```
/// use std::sync::Arc;
/// use posthaste::{ProjectConfig, create_event_context};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// assert!(Arc::ptr_eq(&create_event_context(&config), &create_event_context(&config)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "CreateEventContext")]
pub fn create_event_context(config: &ProjectConfig) -> Arc<Context> {
    Arc::clone(config.context())
}

fn new_event(config: &ProjectConfig, user: &UserContext, kind: EventKind) -> UserEvent {
    let attributes = sendable_attributes(config, user);
    let now_ms = config.clock().now_ms();
    UserEvent::new(create_event_context(config), now_ms, EventUuid::random(), user.id(), attributes, kind)
}

/// In order of their keys, which the user's map has them in.
fn sendable_attributes(config: &ProjectConfig, user: &UserContext) -> Attributes {
    let names = config.context().names();
    Attributes::pack(user.attributes().filter_map(|(key, value)| {
        if !normalize::is_attribute_value(value) {
            config.drops().invalid();
            count("invalid");
            return None;
        }
        let name = match names.index_of(key) {
            Some(index) => AttributeRef::Index(index),
            None if key.starts_with(RESERVED_PREFIX) => AttributeRef::Names { entity_id: key, key },
            None => {
                config.drops().unknown();
                count("unknown");
                return None;
            }
        };
        Some((name, value))
    }))
}

fn count(reason: &'static str) {
    metrics::counter!(ATTRIBUTES_DROPPED, "reason" => reason).increment(1);
}
