//! Reads an event back from the form in which it is sent: for queues that keep events as bytes.

use std::sync::Arc;

use super::{
    attributes::{AttributeRef, Attributes},
    user_event::{ConversionDetails, ConversionEvent, EventKind, IMPRESSION_KEY, ImpressionEvent, UserEvent},
};
use crate::{
    batch::{Decision, SnapshotEvent, Visitor, VisitorAttribute, write_value},
    project::{Context, EventIds, ReportedDecision},
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
        let kind = match &snapshot.decisions[..] {
            [] if event.key != IMPRESSION_KEY => EventKind::Conversion(conversion(event)),
            [decision] => EventKind::Impression(impression(decision)),
            _ => return Err(NotAUserEvent("an impression without one decision")),
        };
        let attributes = attributes(&context, &visitor.attributes)?;
        let uuid = event.uuid.as_str().into();
        Ok(Self::new(context, event.timestamp, uuid, &visitor.visitor_id, attributes, kind))
    }
}

fn impression(decision: &Decision) -> ImpressionEvent {
    let variation_id = decision.variation_id.as_deref();
    let mut read = ReportedDecision::new(&decision.experiment_id, &decision.campaign_id, variation_id);
    read.metadata.clone_from(&decision.metadata);
    ImpressionEvent::new(Arc::new(read))
}

fn conversion(event: &SnapshotEvent) -> ConversionEvent {
    let ids = EventIds { id: event.entity_id.as_str().into(), key: event.key.as_str().into() };
    let details = (!event.tags.is_empty()).then(|| {
        let mut tags = Vec::new();
        write_value(&mut tags, &event.tags);
        Box::new(ConversionDetails {
            tags: String::from_utf8_lossy(&tags).into(),
            revenue: event.revenue.as_ref().and_then(serde_json::Value::as_i64),
            value: event.value.as_ref().and_then(serde_json::Value::as_f64),
        })
    });
    ConversionEvent::new(Arc::new(ids), details)
}

fn attributes(context: &Context, attributes: &[VisitorAttribute]) -> Result<Attributes, NotAUserEvent> {
    let own = match attributes.split_last() {
        Some((last, own)) if *last == VisitorAttribute::bot_filtering(context.bot_filtering()) => own,
        _ => return Err(NotAUserEvent("the last attribute is not the project's $opt_bot_filtering")),
    };
    Ok(Attributes::pack(own.iter().map(|attribute| {
        let name = match context.names().index_of(&attribute.key) {
            Some(index)
                if context.names().get(index).is_some_and(|name| name.entity_id == attribute.entity_id) =>
            {
                AttributeRef::Index(index)
            }
            _ => AttributeRef::Names { entity_id: &attribute.entity_id, key: &attribute.key },
        };
        (name, &attribute.value)
    })))
}
