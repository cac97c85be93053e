//! What is kept of an event: its fields where it is good, its text and what is wrong with it where it is bad.

use posthaste::EventUuid;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{Fault, Problem};

/// Bytes that are kept of the text of a bad event or body.
pub const RECORD_TEXT_BYTES_MAX: usize = 8_192;

/// An event that has nothing wrong with it. A field that was missing, `null` or empty is empty or `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoodEvent {
    /// The account of the request.
    pub account_id: String,
    /// The project of the request.
    pub project_id: String,
    /// The datafile's revision that the sender had.
    pub revision: String,
    /// Who sent it.
    pub client_name: String,
    /// The sender's version.
    pub client_version: String,
    /// The visitor's id.
    pub visitor_id: String,
    /// The event's id.
    pub uuid: String,
    /// When it happened: milliseconds since 1970, UTC.
    pub timestamp: i64,
    /// `campaign_activated`, or the conversion's key; empty where the sender left it out.
    pub key: String,
    /// Whether it is an impression; otherwise it is a conversion.
    pub is_impression: bool,
    /// The campaign of an impression, the event's id of a conversion.
    pub entity_id: String,
    /// The campaign of an impression's decision.
    pub campaign_id: Option<String>,
    /// The experiment of an impression's decision.
    pub experiment_id: Option<String>,
    /// The variation of an impression's decision.
    pub variation_id: Option<String>,
    /// How an impression's decision came about, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// What the program said about a conversion.
    pub tags: Map<String, Value>,
    /// Revenue in the currency's smallest unit.
    pub revenue: Option<i64>,
    /// A value of the program's own.
    pub value: Option<f64>,
    /// The visitor's attributes by key, or by type where they have none; the last one where a key comes twice.
    pub attributes: Map<String, Value>,
    /// The experiment's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The variation's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation: Option<String>,
    /// The conversion's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What is odd about it and does no harm by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    /// What a script of faults did to the request that it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When it arrived: milliseconds since 1970, UTC.
    pub received_ms: i64,
}

/// An event that the API would throw away or miscount, or a body that cannot be read at all.
#[derive(Debug, Clone, Serialize)]
pub struct BadEvent {
    /// The visitor's id, where there is one to be read.
    pub visitor_id: Option<String>,
    /// The event's id, likewise.
    pub uuid: Option<String>,
    /// When it says that it happened, likewise.
    pub timestamp: Option<i64>,
    /// The event's key, likewise.
    pub key: Option<String>,
    /// The event's entity, likewise.
    pub entity_id: Option<String>,
    /// The experiment of its decision, likewise.
    pub experiment_id: Option<String>,
    /// The experiment's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The event, or the smallest part of the body around the fault, or the body: the same JSON with its fields
    /// sorted. A string with the beginning of the text where that has more than [`RECORD_TEXT_BYTES_MAX`] or is
    /// not JSON.
    pub event: Box<RawValue>,
    /// What is wrong with it; never empty, at most [`PROBLEMS_PER_PART_MAX`](posthaste::judge::PROBLEMS_PER_PART_MAX).
    pub problems: Vec<Problem>,
    /// What a script of faults did to the request that it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When it arrived: milliseconds since 1970, UTC.
    pub received_ms: i64,
}

/// One event as it is kept. In JSON a bad one is told by its `problems`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// Nothing wrong with it.
    Good(Box<GoodEvent>),
    /// Something wrong with it.
    Bad(Box<BadEvent>),
}

/// What the API tells repeats by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    entity_id: String,
    uuid: EventUuid,
    timestamp: i64,
}

impl Record {
    /// `None` where a bad event has no uuid or no timestamp that could be read.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let (entity_id, uuid, timestamp) = match self {
            Self::Good(event) => (event.entity_id.clone(), &event.uuid, event.timestamp),
            Self::Bad(event) => {
                (event.entity_id.clone().unwrap_or_default(), event.uuid.as_ref()?, event.timestamp?)
            }
        };
        Some(Identity { entity_id, uuid: EventUuid::from(uuid.as_str()), timestamp })
    }

    pub(crate) fn set_fault(&mut self, fault: Fault) {
        match self {
            Self::Good(event) => event.fault = Some(fault),
            Self::Bad(event) => event.fault = Some(fault),
        }
    }

    /// About how much memory it takes, its identity included.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Good(event) => event.bytes(),
            Self::Bad(event) => event.bytes(),
        }
    }
}

impl GoodEvent {
    fn bytes(&self) -> usize {
        let texts = [
            &self.account_id,
            &self.project_id,
            &self.revision,
            &self.client_name,
            &self.client_version,
            &self.visitor_id,
            &self.uuid,
            &self.key,
            &self.entity_id,
        ];
        let options = [
            &self.campaign_id,
            &self.experiment_id,
            &self.variation_id,
            &self.experiment,
            &self.variation,
            &self.event,
        ];
        size_of::<Self>()
            + identity_bytes(&self.entity_id, &self.uuid)
            + texts.into_iter().map(String::len).sum::<usize>()
            + options.into_iter().map(|text| option_bytes(text.as_ref())).sum::<usize>()
            + map_bytes(&self.tags)
            + map_bytes(&self.attributes)
            + self.metadata.as_ref().map_or(0, map_bytes)
            + problems_bytes(&self.warnings)
            + self.fault.as_ref().map_or(0, Fault::text_bytes)
    }
}

impl BadEvent {
    fn bytes(&self) -> usize {
        let options =
            [&self.visitor_id, &self.uuid, &self.key, &self.entity_id, &self.experiment_id, &self.experiment];
        size_of::<Self>()
            + identity_bytes(
                self.entity_id.as_deref().unwrap_or_default(),
                self.uuid.as_deref().unwrap_or_default(),
            )
            + options.into_iter().map(|text| option_bytes(text.as_ref())).sum::<usize>()
            + self.event.get().len()
            + problems_bytes(&self.problems)
            + self.fault.as_ref().map_or(0, Fault::text_bytes)
    }
}

fn problems_bytes(problems: &[Problem]) -> usize {
    problems.iter().map(|problem| size_of::<Problem>() + problem.text_bytes()).sum()
}

/// The store keeps it a second time, to tell repeats.
fn identity_bytes(entity_id: &str, uuid: &str) -> usize {
    size_of::<Identity>() + entity_id.len() + uuid.len()
}

fn option_bytes(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// A map's nodes have room for this many entries, used or not.
const MAP_NODE_ENTRIES: usize = 11;

fn map_bytes(map: &Map<String, Value>) -> usize {
    let entry = size_of::<String>() + size_of::<Value>();
    let texts: usize = map.iter().map(|(key, value)| key.len() + value_bytes(value)).sum();
    map.len().next_multiple_of(MAP_NODE_ENTRIES) * entry + texts
}

/// The parser bounds the depth of a value, so this ends.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + value_bytes(item)).sum(),
        Value::Object(map) => map_bytes(map),
    }
}
