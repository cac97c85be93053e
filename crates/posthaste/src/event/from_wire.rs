//! Reads an event back from the form in which it is sent: for queues that keep events as bytes.

use std::sync::Arc;

use super::{
    attributes::{self, AttributeRef},
    kind::{IMPRESSION_KEY, ImpressionEvent},
    packed::{Draft, flag},
    user_event::UserEvent,
};
use crate::{
    batch::{Decision, SnapshotEvent, Visitor, VisitorAttribute, write_value},
    project::{AttributeNames, Context, ReportedDecision},
};

/// A visitor that is not one event as posthaste makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAUserEvent(&'static str);

impl UserEvent {
    /// The event that [`Visitor::from`] was made of: a visitor with one snapshot of one event.
    ///
    /// The context's `bot_filtering` stands for the last attribute, which says the same.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext, UserEvent, Visitor, create_event_context};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// let visitor = Visitor::from(&event);
    /// assert_eq!(UserEvent::from_visitor(create_event_context(&config), &visitor)?, event);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_visitor(context: Arc<Context>, visitor: &Visitor) -> Result<Self, NotAUserEvent> {
        let [snapshot] = &visitor.snapshots[..] else { return Err(NotAUserEvent("not one snapshot")) };
        let [event] = &snapshot.events[..] else { return Err(NotAUserEvent("not one event")) };
        let decision = match &snapshot.decisions[..] {
            [] if event.key != IMPRESSION_KEY => None,
            [decision] => Some(decision),
            _ => return Err(NotAUserEvent("an impression without one decision")),
        };
        let mut draft = Draft::of(visitor.visitor_id.as_bytes());
        let attributes = own_attributes(&context, &visitor.attributes)?;
        draft.attributes(|out| put_attributes(out, context.names(), attributes));
        draft.uuid(&event.uuid.as_str().into());
        match decision {
            Some(decision) => impression(&mut draft, decision),
            None => conversion(&mut draft, event),
        }
        Ok(Self(draft.finish(context, event.timestamp)))
    }
}

fn impression(draft: &mut Draft, decision: &Decision) {
    let variation_id = decision.variation_id.as_deref();
    let read = ReportedDecision::new(&decision.experiment_id, &decision.campaign_id, variation_id);
    draft.impression(ImpressionEvent::shared(&read), decision.metadata.as_ref());
}

fn conversion(draft: &mut Draft, event: &SnapshotEvent) {
    draft.flag(flag::CONVERSION);
    draft.conversion(&event.entity_id, &event.key);
    if event.tags.is_empty() {
        return;
    }
    draft.tags(|out| {
        write_value(out, &event.tags);
        let revenue = event.revenue.as_ref().and_then(serde_json::Value::as_i64);
        (revenue, event.value.as_ref().and_then(serde_json::Value::as_f64))
    });
}

/// Without the last, which is the project's.
fn own_attributes<'a>(
    context: &Context,
    attributes: &'a [VisitorAttribute],
) -> Result<&'a [VisitorAttribute], NotAUserEvent> {
    match attributes.split_last() {
        Some((last, own)) if *last == VisitorAttribute::bot_filtering(context.bot_filtering()) => Ok(own),
        _ => Err(NotAUserEvent("the last attribute is not the project's $opt_bot_filtering")),
    }
}

fn put_attributes(out: &mut Vec<u8>, names: &AttributeNames, attributes: &[VisitorAttribute]) -> usize {
    for VisitorAttribute { entity_id, key, value, .. } in attributes {
        let name = match names.index_of(key) {
            Some(index) if names.get(index).is_some_and(|name| name.entity_id == *entity_id) => {
                AttributeRef::Index(index)
            }
            _ => AttributeRef::Names { entity_id, key },
        };
        attributes::put(out, name, value);
    }
    attributes.len()
}
