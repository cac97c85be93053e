//! The types of a request body, their fields in the order in which the seed writes them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{
    event::{EventKind, UserEvent},
    project::Context,
};

/// One request body: events of one project revision, reported by one client.
#[doc(alias = "event.Batch")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// The datafile's revision.
    #[serde(deserialize_with = "lenient_text")]
    pub revision: String,
    /// The account that the events belong to.
    #[serde(deserialize_with = "lenient_text")]
    pub account_id: String,
    /// The reporter's version.
    #[serde(deserialize_with = "lenient_text")]
    pub client_version: String,
    /// The visitors, one for each event.
    #[serde(deserialize_with = "null_is_default")]
    pub visitors: Vec<Visitor>,
    /// The project that the events belong to.
    #[serde(deserialize_with = "lenient_text")]
    pub project_id: String,
    /// Who reports.
    #[serde(deserialize_with = "lenient_text")]
    pub client_name: String,
    /// Whether the API shall forget the last part of the visitor's address.
    #[serde(deserialize_with = "null_is_default")]
    pub anonymize_ip: bool,
    /// Whether the API shall attach earlier decisions to conversions. Always true in official SDKs.
    #[serde(deserialize_with = "null_is_default")]
    pub enrich_decisions: bool,
    /// The data region; absent unless it is to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// One visitor of a request.
#[doc(alias = "event.Visitor")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Visitor {
    /// What is known of the visitor.
    #[serde(deserialize_with = "null_is_default")]
    pub attributes: Vec<VisitorAttribute>,
    /// What happened. Exactly one where an SDK made it.
    #[serde(deserialize_with = "null_is_default")]
    pub snapshots: Vec<Snapshot>,
    /// The visitor's id.
    #[serde(deserialize_with = "lenient_text")]
    pub visitor_id: String,
}

/// One attribute of a visitor.
#[doc(alias = "event.VisitorAttribute")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VisitorAttribute {
    /// A string, a number or a boolean.
    pub value: Value,
    /// The attribute's key.
    #[serde(deserialize_with = "lenient_text")]
    pub key: String,
    /// Always `custom`.
    #[serde(rename = "type", deserialize_with = "lenient_text")]
    pub attribute_type: String,
    /// The attribute's id; the key itself for reserved attributes.
    #[serde(deserialize_with = "lenient_text")]
    pub entity_id: String,
}

/// What happened to a visitor while decisions stood as they are listed.
#[doc(alias = "event.Snapshot")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The decisions; empty for a conversion.
    #[serde(deserialize_with = "null_is_default")]
    pub decisions: Vec<Decision>,
    /// The events. Exactly one where an SDK made it.
    #[serde(deserialize_with = "null_is_default")]
    pub events: Vec<SnapshotEvent>,
}

/// Which variation a visitor was given.
#[doc(alias = "event.Decision")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// The variation; `null` where none was decided.
    pub variation_id: Option<String>,
    /// The campaign: the experiment's layer.
    #[serde(deserialize_with = "lenient_text")]
    pub campaign_id: String,
    /// The experiment.
    #[serde(deserialize_with = "lenient_text")]
    pub experiment_id: String,
    /// How the decision came about; absent unless it is to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<DecisionMetadata>,
}

/// How a decision came about. Not known to the seed; today's SDKs send it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionMetadata {
    /// The flag that was decided; empty for an experiment without one.
    #[serde(deserialize_with = "lenient_text")]
    pub flag_key: String,
    /// The experiment's key; empty where no rule applied.
    #[serde(deserialize_with = "lenient_text")]
    pub rule_key: String,
    /// `experiment`, `feature-test`, `rollout` or `holdout`.
    #[serde(deserialize_with = "lenient_text")]
    pub rule_type: String,
    /// The variation's key; empty where none was decided.
    #[serde(deserialize_with = "lenient_text")]
    pub variation_key: String,
    /// Whether the flag is on.
    #[serde(deserialize_with = "null_is_default")]
    pub enabled: bool,
    /// The id of a contextual bandit's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmab_uuid: Option<String>,
}

/// One event as the API counts it.
#[doc(alias = "event.SnapshotEvent")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotEvent {
    /// The campaign of an impression, the event's id of a conversion.
    #[serde(deserialize_with = "lenient_text")]
    pub entity_id: String,
    /// `campaign_activated`, or the event's key.
    #[serde(deserialize_with = "lenient_text")]
    pub key: String,
    /// Milliseconds since 1970, UTC.
    #[serde(deserialize_with = "null_is_default")]
    pub timestamp: i64,
    /// The event's id.
    #[serde(deserialize_with = "lenient_text")]
    pub uuid: String,
    /// What the program said about a conversion; absent where it said nothing.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "anything_but_an_object_is_empty")]
    pub tags: Map<String, Value>,
    /// Revenue in the currency's smallest unit; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revenue: Option<Value>,
    /// A value of the program's own; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl Batch {
    /// The request body for these events, in their order, under the first one's context. Events that share a request
    /// have equal contexts ([`Context::can_batch`]); here the caller sees to that.
    pub fn from_user_events(events: &[UserEvent]) -> Self {
        let Some(first) = events.first() else { return Self::default() };
        let context = first.context();
        Self { visitors: events.iter().map(Visitor::from).collect(), ..Self::head(context) }
    }

    /// A body of this context without visitors.
    fn head(context: &Context) -> Self {
        Self {
            revision: context.revision.to_string(),
            account_id: context.account_id.to_string(),
            client_version: context.client_version.to_string(),
            visitors: Vec::new(),
            project_id: context.project_id.to_string(),
            client_name: context.client_name.to_string(),
            anonymize_ip: context.anonymize_ip,
            enrich_decisions: true,
            region: context.send_region.then(|| context.region.to_string()),
        }
    }
}

impl From<&UserEvent> for Visitor {
    fn from(event: &UserEvent) -> Self {
        Self {
            attributes: event.attributes(),
            snapshots: vec![Snapshot::from(event)],
            visitor_id: event.visitor_id().to_owned(),
        }
    }
}

impl From<&UserEvent> for Snapshot {
    fn from(event: &UserEvent) -> Self {
        let mut wire = SnapshotEvent {
            entity_id: event.entity_id().to_owned(),
            key: event.key().to_owned(),
            timestamp: event.timestamp_ms(),
            uuid: event.uuid().to_string(),
            ..SnapshotEvent::default()
        };
        let mut decisions = Vec::new();
        match event.kind() {
            EventKind::Impression(impression) => decisions.push(Decision {
                variation_id: impression.variation_id().map(str::to_owned),
                campaign_id: impression.campaign_id().to_owned(),
                experiment_id: impression.experiment_id().to_owned(),
                metadata: impression.metadata().cloned(),
            }),
            EventKind::Conversion(conversion) => {
                wire.tags = conversion.tags();
                wire.revenue = conversion.revenue().map(Value::from);
                wire.value = conversion.value().map(Value::from);
            }
        }
        Self { decisions, events: vec![wire] }
    }
}

impl VisitorAttribute {
    /// An attribute of the only type there is.
    pub fn custom(entity_id: &str, key: &str, value: Value) -> Self {
        Self {
            value,
            key: key.to_owned(),
            attribute_type: "custom".to_owned(),
            entity_id: entity_id.to_owned(),
        }
    }

    /// The attribute that every event ends with.
    pub fn bot_filtering(on: bool) -> Self {
        const KEY: &str = "$opt_bot_filtering";
        Self::custom(KEY, KEY, Value::Bool(on))
    }
}

impl DecisionMetadata {
    /// Bytes of text in it.
    pub(crate) fn text_bytes(&self) -> usize {
        self.flag_key.len()
            + self.rule_key.len()
            + self.rule_type.len()
            + self.variation_key.len()
            + self.cmab_uuid.as_ref().map_or(0, String::len)
    }
}

/// For the API a missing field, `null` and the empty value are the same (PROTOCOL 9).
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// JavaScript passes on an id that its datafile has as a number (PROTOCOL 3.2).
fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format_args!("expected a string, found {other}"))),
    }
}

/// One of Java's serialisers writes a list where there are no tags (PROTOCOL 1.4).
fn anything_but_an_object_is_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(tags) => Ok(tags),
        _ => Ok(Map::new()),
    }
}
