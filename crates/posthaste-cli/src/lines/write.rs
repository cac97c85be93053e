//! Writes events as the lines that `send` reads: the way back, from ids to keys.

use std::borrow::Cow;

use posthaste::{DeadLetter, DecisionMetadata, EventKind, LogEvent, ProjectConfig, UserEvent};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

/// An event in the form that `send` reads.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: Map<String, Value>,
    timestamp: i64,
    uuid: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Kind<'a> {
    Impression {
        experiment: &'a str,
        /// Where the key does not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        experiment_id: Option<&'a str>,
        variation: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Cow<'a, DecisionMetadata>>,
    },
    Conversion {
        event: &'a str,
        #[serde(skip_serializing_if = "Map::is_empty")]
        tags: Map<String, Value>,
    },
}

/// An event with the story of its end.
#[derive(Serialize)]
struct Dead<'a, E> {
    event: E,
    reason: &'a str,
    status: Option<u16>,
    text: Said<'a>,
    time_ms: i64,
}

/// What the API said: JSON stays JSON, so that nobody has to unwrap it.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Json(Box<RawValue>),
    Text(&'a str),
}

impl<'a> Said<'a> {
    fn new(text: &'a str) -> Self {
        let is_structured = text.trim_start().starts_with(['{', '[']);
        // Between the parts of JSON a line end is a blank; within a text there is none.
        let on_a_line = || text.trim().replace(['\n', '\r'], " ");
        let json = is_structured.then(|| serde_json::from_str(&on_a_line()).ok()).flatten();
        json.map_or(Self::Text(text), Self::Json)
    }
}

/// The event as a line, its end included.
pub(crate) fn event_line(event: &UserEvent, config: &ProjectConfig) -> Vec<u8> {
    line(&written(event, config))
}

/// The dead event as a line, its end included.
pub(crate) fn dead_event_line(letter: &DeadLetter<UserEvent>, config: &ProjectConfig) -> Vec<u8> {
    line(&dead(letter, written(&letter.item, config)))
}

/// The dead request of a single event as a line, its end included. The body stays as it is.
pub(crate) fn dead_batch_line(letter: &DeadLetter<LogEvent>) -> Vec<u8> {
    let body: &RawValue = serde_json::from_slice(letter.item.body()).expect("a request body is JSON");
    line(&dead(letter, body))
}

fn dead<T, E>(letter: &DeadLetter<T>, event: E) -> Dead<'_, E> {
    let DeadLetter { reason, status, text, time_ms, .. } = letter;
    Dead { event, reason: reason.name(), status: *status, text: Said::new(text), time_ms: *time_ms }
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("JSON with text keys, written to memory, cannot fail");
    line.push(b'\n');
    line
}

fn written<'a>(event: &'a UserEvent, config: &'a ProjectConfig) -> Written<'a> {
    let mut attributes: Map<String, Value> =
        event.attributes().into_iter().map(|attribute| (attribute.key, attribute.value)).collect();
    // The project's, not the visitor's: `send` adds it again.
    attributes.remove("$opt_bot_filtering");
    Written {
        kind: kind(event.kind(), config),
        user_id: event.visitor_id(),
        attributes,
        timestamp: event.timestamp_ms(),
        uuid: event.uuid().to_string(),
    }
}

/// The event was made from this datafile, so its ids are there; should one be missing, the id at least is kept.
fn kind<'a>(kind: EventKind<'a>, config: &'a ProjectConfig) -> Kind<'a> {
    match kind {
        EventKind::Impression(impression) => {
            let id = impression.experiment_id();
            let experiment = config.experiment_by_id(id);
            let key_of = |id| experiment.and_then(|e| e.variation_by_id(id)).map_or(id, |found| found.key());
            let key = experiment.map_or(id, |found| found.key());
            let is_ambiguous = config.experiment_by_key(key).is_err();
            Kind::Impression {
                experiment: key,
                experiment_id: (is_ambiguous && experiment.is_some()).then_some(id),
                variation: impression.variation_id().map(key_of),
                metadata: impression.metadata(),
            }
        }
        EventKind::Conversion(conversion) => {
            Kind::Conversion { event: conversion.key(), tags: conversion.tags() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_json_stays_json_on_one_line() {
        for (text, written) in [
            (r#"{"error": "no \"x\""}"#, r#"{"error": "no \"x\""}"#),
            ("{\n  \"a\": 1\n}\n", r#"{   "a": 1 }"#),
            ("[1]", "[1]"),
            ("{\"cut", r#""{\"cut""#),
            ("17", r#""17""#),
            ("refused", r#""refused""#),
            ("", r#""""#),
        ] {
            assert_eq!(serde_json::to_string(&Said::new(text)).unwrap(), written);
        }
    }
}
