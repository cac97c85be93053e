//! The unofficial Rust SDK of Optimizely (crate `optimizely`) makes decisions; posthaste delivers what follows from them.
//!
//! The SDK's own dispatchers send once, look at no status, and drop what fails; the simple one also drops what comes while
//! another event is being sent. [`Bridge`] implements the SDK's `EventDispatcher` over a [`QueueEventDispatcher`], which
//! retries, bisects, counts and reports.
//!
//! ```text
//! decide(), track_event() ─▶ Bridge ─▶ UserEvent ─▶ LogEvent ─▶ QueueEventDispatcher ─▶ Event API
//! ```
//!
//! What the SDK does not hand over is not reported: a conversion's uuid and timestamp (the bridge gives it new ones at
//! once, and they stay the same at every attempt), and decisions of rollouts. Properties are left out: the Go SDK's events
//! have none.

use std::{collections::HashMap, sync::Arc};

use optimizely::{AttributeValue, Conversion, Decision, UserAttribute, event_api::EventDispatcher};
use posthaste::{
    DecisionMetadata, Experiment, LogEvent, ProjectConfig, QueueEventDispatcher, UserContext, UserEvent,
    create_impression_user_event,
};
use serde_json::{Map, Value};

/// Takes the SDK's events. The SDK owns it; whoever made it keeps the other handle of the queue, and closes that.
#[derive(Debug)]
pub struct Bridge {
    config: ProjectConfig,
    requests: Arc<QueueEventDispatcher>,
}

impl Bridge {
    /// `config` is read from the datafile that the SDK has, too.
    pub fn new(config: ProjectConfig, requests: Arc<QueueEventDispatcher>) -> Self {
        Self { config, requests }
    }

    /// The SDK's trait has no way to say that an event was not taken. So this is logged; the ledger counts it as refused.
    fn report(&self, event: &UserEvent) {
        let request = LogEvent::of_event(self.config.region().event_end_point(), event);
        match self.requests.add(request) {
            Ok(receipt) => receipt.forget(),
            Err(refused) => tracing::error!(%refused, "an event is not counted"),
        }
    }

    fn impression(&self, user: &UserContext, decision: &Decision) -> Option<UserEvent> {
        let experiment = self.config.experiment_by_id(decision.experiment_id())?;
        let variation = experiment.variation_by_key(decision.variation_key())?;
        let event = create_impression_user_event(&self.config, experiment, variation, user);
        Some(event.with_decision_metadata(metadata(experiment, decision)))
    }
}

impl EventDispatcher for Bridge {
    fn send_conversion_event(&self, user: &optimizely::client::UserContext<'_>, conversion: Conversion) {
        match self.config.conversion(conversion.event_key(), &user_of(user), &tags(conversion.tags())) {
            Ok(event) => self.report(&event),
            Err(error) => {
                tracing::error!(%error, "a conversion is not counted: are both datafiles the same?");
            }
        }
    }

    fn send_decision_event(&self, user: &optimizely::client::UserContext<'_>, decision: Decision) {
        let event = self.impression(&user_of(user), &decision);
        if let Some(event) = event {
            self.report(&event);
        } else {
            tracing::error!(?decision, "a decision is not counted: are both datafiles the same?");
        }
    }
}

/// How the decision came about, as today's official SDKs say it.
fn metadata(experiment: &Experiment, decision: &Decision) -> DecisionMetadata {
    DecisionMetadata::new(
        decision.flag_key(),
        experiment.key(),
        experiment.rule_type(),
        decision.variation_key(),
        decision.enabled(),
    )
}

fn user_of(user: &optimizely::client::UserContext<'_>) -> UserContext {
    let attributes = user.user_attributes();
    UserContext::new(user.user_id()).with_attributes(attributes.into_iter().map(attribute))
}

/// Attributes keep their types; the SDK itself sends all of them as text.
fn attribute(attribute: &UserAttribute) -> (&str, Value) {
    let value = match attribute.value() {
        AttributeValue::Integer(number) => Value::from(*number),
        AttributeValue::Decimal(number) => Value::from(*number),
        AttributeValue::Boolean(is) => Value::from(*is),
        AttributeValue::String(text) => Value::from(text.as_str()),
        // No attribute has no value; what a later version adds is not known here.
        _ => Value::Null,
    };
    (attribute.key(), value)
}

/// The SDK's tags are text. `revenue` and `value` count only as numbers, so they are read as such.
fn tags(tags: &HashMap<String, String>) -> Map<String, Value> {
    let value = |key: &str, text: &String| match key {
        "revenue" | "value" => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
        _ => Value::from(text.as_str()),
    };
    tags.iter().map(|(key, text)| (key.clone(), value(key, text))).collect()
}
