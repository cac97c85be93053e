//! Events in the form in which they are sent: as wire types, and as requests.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use super::{
    encode::encode_events,
    kind::{EventKind, ImpressionEvent},
    user_event::UserEvent,
};
use crate::{
    batch::{Batch, Decision, LogEvent, Snapshot, SnapshotEvent, Visitor},
    project::Context,
};

impl LogEvent {
    /// A request of this event alone, to this URL.
    ///
    /// ```
    /// use posthaste::{LogEvent, ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// let request = LogEvent::of_event(config.region().event_end_point(), &event);
    /// assert_eq!((request.events(), request.end_point()), (1, "https://logx.optimizely.com/v1/events"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_event(end_point: impl Into<Arc<str>>, event: &UserEvent) -> Self {
        Self::of_events(end_point.into(), std::iter::once(event))
    }

    /// A request of these events, under the first one's context.
    pub(crate) fn of_events<'a>(
        end_point: Arc<str>,
        events: impl ExactSizeIterator<Item = &'a UserEvent> + Clone,
    ) -> Self {
        let count = events.len();
        let (body, visitors) = encode_events(events);
        Self::written(end_point, body, count, visitors)
    }
}

impl Batch {
    /// The request body for these events, in their order, under the first one's context. Events that share a request
    /// have equal contexts ([`Context::can_batch`]); here the caller sees to that.
    ///
    /// ```
    /// use posthaste::Batch;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let batch = Batch::from_user_events(&[event.clone(), event]);
    /// assert_eq!((batch.visitors.len(), batch.account_id.as_str()), (2, config.account_id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_user_events(events: &[UserEvent]) -> Self {
        let Some(first) = events.first() else { return Self::default() };
        let mut batch = head(first.context());
        batch.visitors = events.iter().map(Visitor::from).collect();
        batch
    }
}

/// A body of this context without visitors.
fn head(context: &Context) -> Batch {
    Batch {
        revision: context.revision().to_owned(),
        account_id: context.account_id().to_owned(),
        client_version: context.client_version().to_owned(),
        visitors: Vec::new(),
        project_id: context.project_id().to_owned(),
        client_name: context.client_name().to_owned(),
        anonymize_ip: context.anonymize_ip(),
        enrich_decisions: true,
        region: context.region_sent().then(|| context.region().to_string()),
    }
}

impl From<&UserEvent> for Visitor {
    fn from(event: &UserEvent) -> Self {
        Self::new(event.visitor_id(), event.attributes(), [Snapshot::from(event)])
    }
}

impl From<&UserEvent> for Snapshot {
    fn from(event: &UserEvent) -> Self {
        let mut wire = SnapshotEvent::new(
            event.entity_id(),
            event.key(),
            event.timestamp_ms(),
            event.uuid().as_str(&mut [0; 36]),
        );
        let mut decisions = Vec::new();
        match event.kind() {
            EventKind::Impression(impression) => decisions.push(Decision::from(&impression)),
            EventKind::Conversion(conversion) => {
                wire.tags = conversion.tags();
                wire.revenue = conversion.revenue().map(Value::from);
                wire.value = conversion.value().map(Value::from);
            }
        }
        Self::new(decisions, [wire])
    }
}

impl From<&ImpressionEvent<'_>> for Decision {
    fn from(impression: &ImpressionEvent<'_>) -> Self {
        let (campaign, experiment) = (impression.campaign_id(), impression.experiment_id());
        let mut decision = Self::new(campaign, experiment, impression.variation_id());
        decision.metadata = impression.metadata().map(Cow::into_owned);
        decision
    }
}
