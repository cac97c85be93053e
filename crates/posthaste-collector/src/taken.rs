//! A body's events as records: judged by the rules of [`posthaste::judge`], kept in the collector's own form.

use std::ops::ControlFlow;

use posthaste::{
    ProjectConfig,
    judge::{Judgement, Part, Problem, ProblemKind, judge_parts},
};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{BadEvent, GoodEvent, RECORD_TEXT_BYTES_MAX, Record};

/// About how much memory the records of one body may take. Each has its visitor's id and attributes to itself, so a
/// visitor of a megabyte with thousands of events would grow beyond all measure.
const RECORDS_BYTES_MAX: usize = 1 << 28;

/// A body's records in its order, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) records: Vec<Record>,
    pub(crate) judgement: Judgement,
}

impl Taken {
    /// What is in a body that arrived at this time.
    pub(crate) fn of(body: &[u8], config: Option<&ProjectConfig>, received_ms: i64) -> Self {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let judged = judge_parts(body, config, &mut |part| {
            let record = record(part, config, received_ms);
            bytes += record.bytes();
            records.push(record);
            if bytes > RECORDS_BYTES_MAX {
                ControlFlow::Break(too_large())
            } else {
                ControlFlow::Continue(())
            }
        });
        match judged {
            Ok(judgement) => Self { records, judgement },
            Err(problem) => Self::of_bad_body(body, problem, received_ms),
        }
    }

    /// A body of which no part can be used.
    pub(crate) fn of_bad_body(body: &[u8], problem: Problem, received_ms: i64) -> Self {
        let head = body.get(..RECORD_TEXT_BYTES_MAX).unwrap_or(body);
        let bad = BadEvent {
            visitor_id: None,
            uuid: None,
            timestamp: None,
            key: None,
            entity_id: None,
            experiment_id: None,
            experiment: None,
            event: raw(&Value::from(String::from_utf8_lossy(head))),
            problems: vec![problem.clone()],
            fault: None,
            received_ms,
        };
        Self { records: vec![Record::Bad(Box::new(bad))], judgement: Judgement::from(problem) }
    }
}

fn too_large() -> Problem {
    let problem = format!("takes more than {RECORDS_BYTES_MAX} bytes with each event by itself");
    Problem::of_body(ProblemKind::BodyTooLarge, problem, "send several bodies")
}

fn record(part: Part<'_>, config: Option<&ProjectConfig>, received_ms: i64) -> Record {
    if part.problems.is_empty() {
        Record::Good(Box::new(good(part, config, received_ms)))
    } else {
        Record::Bad(Box::new(bad(part, config, received_ms)))
    }
}

fn good(part: Part<'_>, config: Option<&ProjectConfig>, received_ms: i64) -> GoodEvent {
    let ids = Ids::of(&part, config);
    let Part { body, visitor, value: event, .. } = part;
    let known = config.filter(|_| !part.is_impression);
    let known = known.and_then(|config| config.event_by_id(event.get("entity_id")?.as_str()?));
    GoodEvent {
        account_id: text(body, "account_id"),
        project_id: text(body, "project_id"),
        revision: text(body, "revision"),
        client_name: text(body, "client_name"),
        client_version: text(body, "client_version"),
        visitor_id: visitor.map(|visitor| text(visitor, "visitor_id")).unwrap_or_default(),
        uuid: text(event, "uuid"),
        timestamp: event.get("timestamp").and_then(Value::as_i64).unwrap_or_default(),
        key: text(event, "key"),
        is_impression: part.is_impression,
        entity_id: text(event, "entity_id"),
        campaign_id: ids.campaign_id,
        experiment_id: ids.experiment_id,
        variation_id: ids.variation_id,
        metadata: part.decision.and_then(|decision| decision.get("metadata")?.as_object().cloned()),
        tags: event.get("tags").and_then(Value::as_object).cloned().unwrap_or_default(),
        revenue: event.get("revenue").and_then(Value::as_i64),
        value: event.get("value").and_then(Value::as_f64),
        attributes: visitor.map(attributes).unwrap_or_default(),
        experiment: ids.experiment,
        variation: ids.variation,
        event: known.map(|event| event.key().to_owned()),
        warnings: part.warnings,
        fault: None,
        received_ms,
    }
}

fn bad(part: Part<'_>, config: Option<&ProjectConfig>, received_ms: i64) -> BadEvent {
    let ids = Ids::of(&part, config);
    BadEvent {
        visitor_id: part.visitor.and_then(|visitor| optional(visitor, "visitor_id")),
        uuid: optional(part.value, "uuid"),
        timestamp: part.value.get("timestamp").and_then(Value::as_i64),
        key: optional(part.value, "key"),
        entity_id: optional(part.value, "entity_id"),
        experiment_id: ids.experiment_id,
        experiment: ids.experiment,
        event: bounded(part.value),
        problems: part.problems,
        fault: None,
        received_ms,
    }
}

/// What an impression's decision says, and what the datafile calls it. All `None` for a conversion.
#[derive(Default)]
struct Ids {
    campaign_id: Option<String>,
    experiment_id: Option<String>,
    variation_id: Option<String>,
    experiment: Option<String>,
    variation: Option<String>,
}

impl Ids {
    fn of(part: &Part<'_>, config: Option<&ProjectConfig>) -> Self {
        let Some(decision) = part.decision else { return Self::default() };
        let [campaign_id, experiment_id, variation_id] =
            ["campaign_id", "experiment_id", "variation_id"].map(|key| optional(decision, key));
        let experiment =
            config.zip(experiment_id.as_deref()).and_then(|(config, id)| config.experiment_by_id(id));
        let variation = experiment
            .zip(variation_id.as_deref())
            .and_then(|(experiment, id)| experiment.variation_by_id(id));
        let (experiment, variation) =
            (experiment.map(|e| e.key().to_owned()), variation.map(|v| v.key().to_owned()));
        Self { campaign_id, experiment_id, variation_id, experiment, variation }
    }
}

fn text(value: &Value, key: &str) -> String {
    optional(value, key).unwrap_or_default()
}

/// Missing, `null` and empty are alike.
fn optional(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn attributes(visitor: &Value) -> Map<String, Value> {
    let entry = |attribute: &Value| {
        let names = ["key", "entity_id", "type"];
        let key = names.into_iter().find_map(|name| optional(attribute, name))?;
        Some((key, attribute.get("value").cloned().unwrap_or_default()))
    };
    let list = visitor.get("attributes").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(entry).collect()
}

/// The value's text, or a string with its beginning where it is long.
fn bounded(value: &Value) -> Box<RawValue> {
    let whole = raw(value);
    match whole.get().get(..whole.get().floor_char_boundary(RECORD_TEXT_BYTES_MAX)) {
        Some(head) if head.len() < whole.get().len() => raw(&Value::from(head)),
        _ => whole,
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value can be written as JSON")
}
