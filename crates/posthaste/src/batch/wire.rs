//! The types of a request body, their fields in the order in which the seed writes them.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// One request body: events of one project revision, reported by one client (PROTOCOL 1.4).
///
/// ```
/// use posthaste::{Batch, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
/// let batch = Batch::from_user_events(&[event]);
/// assert_eq!(batch.visitors[0].snapshots[0].decisions[0].experiment_id, "40011");
/// assert_eq!(batch.region, None, "written only where that was asked for");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.Batch")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
///
/// ```
/// use posthaste::{Decision, Snapshot, SnapshotEvent, Visitor};
///
/// let mut snapshot = Snapshot::default();
/// snapshot.decisions.push(Decision::new("60011", "40011", Some("70111")));
/// let uuid = "c280ad37-29a6-42e7-b126-0ebc7d56ab56";
/// snapshot.events.push(SnapshotEvent::new("60011", "campaign_activated", 1_795_500_003_394, uuid));
/// let visitor = Visitor::new("visitor-1", [], [snapshot]);
/// assert_eq!(visitor.snapshots[0].events[0].uuid, uuid);
/// ```
#[doc(alias = "event.Visitor")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
///
/// ```
/// use posthaste::VisitorAttribute;
///
/// let plan = VisitorAttribute::custom("20011", "plan", "pro".into());
/// assert_eq!((plan.attribute_type.as_str(), plan.key.as_str()), ("custom", "plan"));
/// ```
#[doc(alias = "event.VisitorAttribute")]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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

/// How a decision came about (PROTOCOL 1.4, "Decision metadata"). Not known to the seed; today's SDKs send it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
#[non_exhaustive]
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

impl Visitor {
    /// A visitor with these attributes, to whom this happened. An SDK makes one snapshot of one event.
    ///
    /// ```
    /// use posthaste::{Snapshot, SnapshotEvent, Visitor, VisitorAttribute};
    ///
    /// let bought = SnapshotEvent::new("30012", "purchase", 1_795_500_003_394, "c280ad37-29a6-42e7-b126-0ebc7d56ab56");
    /// let visitor = Visitor::new(
    ///     "visitor-1",
    ///     [VisitorAttribute::bot_filtering(true)],
    ///     [Snapshot::new([], [bought])],
    /// );
    /// assert_eq!(visitor.snapshots[0].events[0].key, "purchase");
    /// ```
    pub fn new(
        visitor_id: &str,
        attributes: impl IntoIterator<Item = VisitorAttribute>,
        snapshots: impl IntoIterator<Item = Snapshot>,
    ) -> Self {
        Self {
            attributes: attributes.into_iter().collect(),
            snapshots: snapshots.into_iter().collect(),
            visitor_id: visitor_id.to_owned(),
        }
    }
}

impl Snapshot {
    /// These events, while these decisions stood.
    pub fn new(
        decisions: impl IntoIterator<Item = Decision>,
        events: impl IntoIterator<Item = SnapshotEvent>,
    ) -> Self {
        Self { decisions: decisions.into_iter().collect(), events: events.into_iter().collect() }
    }
}

impl Decision {
    /// A decision for this variation (`None`: for none) without metadata.
    ///
    /// ```
    /// use posthaste::Decision;
    ///
    /// let decision = Decision::new("60011", "40011", None);
    /// let json = serde_json::to_string(&decision)?;
    /// assert_eq!(json, r#"{"variation_id":null,"campaign_id":"60011","experiment_id":"40011"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn new(campaign_id: &str, experiment_id: &str, variation_id: Option<&str>) -> Self {
        Self {
            variation_id: variation_id.map(str::to_owned),
            campaign_id: campaign_id.to_owned(),
            experiment_id: experiment_id.to_owned(),
            metadata: None,
        }
    }
}

impl SnapshotEvent {
    /// An event of this time (milliseconds since 1970, UTC) without tags.
    pub fn new(entity_id: &str, key: &str, timestamp_ms: i64, uuid: &str) -> Self {
        Self {
            entity_id: entity_id.to_owned(),
            key: key.to_owned(),
            timestamp: timestamp_ms,
            uuid: uuid.to_owned(),
            ..Self::default()
        }
    }
}

impl VisitorAttribute {
    /// An attribute of the only type there is.
    ///
    /// ```
    /// use posthaste::VisitorAttribute;
    ///
    /// let attribute = VisitorAttribute::custom("20010", "plan", "pro".into());
    /// let json = serde_json::to_string(&attribute)?;
    /// assert_eq!(json, r#"{"value":"pro","key":"plan","type":"custom","entity_id":"20010"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
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
    /// How a decision came about, in the order in which it is written; no contextual bandit took part.
    ///
    /// ```
    /// use posthaste::DecisionMetadata;
    ///
    /// let metadata = DecisionMetadata::new("one_click", "checkout_button", "feature-test", "control", false);
    /// let json = serde_json::to_string(&metadata)?;
    /// assert!(json.starts_with(r#"{"flag_key":"one_click","rule_key":"checkout_button""#));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn new(flag_key: &str, rule_key: &str, rule_type: &str, variation_key: &str, enabled: bool) -> Self {
        Self {
            flag_key: flag_key.to_owned(),
            rule_key: rule_key.to_owned(),
            rule_type: rule_type.to_owned(),
            variation_key: variation_key.to_owned(),
            enabled,
            cmab_uuid: None,
        }
    }

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
