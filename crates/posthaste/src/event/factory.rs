//! Makes events. Source: PROTOCOL 2.1; the uuid and the timestamp are fixed here, as in no version of the seed.

use std::sync::Arc;

use super::{
    attributes::{self, AttributeRef},
    kind::ImpressionEvent,
    normalize,
    packed::{Draft, flag},
    tags::{self, TagValue},
    user_event::UserEvent,
};
use crate::{
    metrics::ATTRIBUTES_DROPPED,
    project::{
        AttributeNames, Context, Event, Experiment, Packing, PackingCounts, ProjectConfig, UserContext,
        Variation,
    },
};

/// Attributes whose id and key start like this are the SDKs' own, and sent though no datafile has them.
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
    let (variation, mut draft) = (variation.into(), draft(config, user));
    if let Some(index) = experiment.index_of(variation, config.context().datafile()) {
        draft.index(index);
    } else {
        let decision = experiment.report(variation, config.decision_form());
        draft.impression(ImpressionEvent::shared(&decision), decision.metadata.as_ref());
    }
    finish(draft, config)
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
    let (mut draft, context) = (draft(config, user), config.context());
    draft.flag(flag::CONVERSION);
    match event.index_in(context.datafile()) {
        Some(index) => {
            draft.index(index);
            if context.event_ids(index).is_some_and(|ids| ids.is_nameless) {
                draft.flag(flag::NAMELESS);
            }
        }
        None => draft.conversion(event.id(), event.key()),
    }
    draft.tags(|out| tags::put(out, tags, config.drops()));
    finish(draft, config)
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

/// An event of this visitor under a new id.
fn draft(config: &ProjectConfig, user: &UserContext) -> Draft {
    let mut draft = Draft::of(user.id().as_bytes());
    if user.attributes().len() > 0 {
        draft.attributes(|out| sendable_attributes(out, config, user));
    }
    draft.random_uuid();
    draft
}

/// It happens now.
fn finish(draft: Draft, config: &ProjectConfig) -> UserEvent {
    let now_ms = config.clock().now_ms();
    UserEvent(draft.finish(Arc::clone(config.context_of_this_thread()), now_ms))
}

/// Adds what can be sent, and says how many there are. What is left out is counted for each event.
fn sendable_attributes(out: &mut Vec<u8>, config: &ProjectConfig, user: &UserContext) -> usize {
    let datafile = config.context().datafile();
    let counts = if let Some(kept) = user.packing().get(datafile) {
        out.extend_from_slice(&kept.packed);
        kept.counts
    } else {
        let start = out.len();
        let counts = pack(out, config.context().names(), user);
        let packed = out.get(start..).unwrap_or_default();
        user.packing().offer(|| Packing { datafile, packed: packed.into(), counts });
        counts
    };
    let PackingCounts { sent, unknown, invalid } = counts;
    if unknown > 0 {
        config.drops().unknown(unknown);
        metrics::counter!(ATTRIBUTES_DROPPED, "reason" => "unknown").increment(unknown);
    }
    if invalid > 0 {
        config.drops().invalid(invalid);
        metrics::counter!(ATTRIBUTES_DROPPED, "reason" => "invalid").increment(invalid);
    }
    sent
}

/// In order of their keys, which the user's map has them in.
fn pack(out: &mut Vec<u8>, names: &AttributeNames, user: &UserContext) -> PackingCounts {
    let mut counts = PackingCounts::default();
    for (key, value) in user.attributes() {
        if !normalize::is_attribute_value(value) {
            counts.invalid += 1;
            continue;
        }
        let name = match names.index_of(key) {
            Some(index) => AttributeRef::Index(index),
            None if key.starts_with(RESERVED_PREFIX) => AttributeRef::Names { entity_id: key, key },
            None => {
                counts.unknown += 1;
                continue;
            }
        };
        attributes::put(out, name, value);
        counts.sent += 1;
    }
    counts
}
