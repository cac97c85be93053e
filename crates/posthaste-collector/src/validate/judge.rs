//! Walks a body from the envelope to its events and makes a record of each.

use posthaste::ProjectConfig;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{
    EVENTS_PER_BODY_MAX,
    checks::{list, object},
    envelope::check_envelope,
    event::{check_decisions, check_event, check_events, decision_of, is_impression},
    node::Node,
    visitor::check_visitor,
};
use crate::{
    BadEvent, GoodEvent, Problem, RECORD_TEXT_BYTES_MAX, Record,
    decode::decode,
    problem::{BodyProblems, RecordProblems},
};

/// A body's records in its order, and its problems, each once.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) records: Vec<Record>,
    pub(crate) problems: Vec<Problem>,
}

/// Judges a body that arrived at this time.
pub(crate) fn judge(body: &[u8], config: Option<&ProjectConfig>, received_ms: i64) -> Judgement {
    let root = match decode(body) {
        Ok(root) => root,
        Err(problem) => return Judgement::of_bad_body(body, problem, received_ms),
    };
    let mut walk = Walk::new(config, received_ms);
    if walk.body(&Node::root(&root)).is_ok() {
        return Judgement { records: walk.records, problems: walk.problems.into_vec() };
    }
    let problem = format!(
        "holds more than {EVENTS_PER_BODY_MAX} events, or {RECORDS_BYTES_MAX} bytes with each event by itself"
    );
    Judgement::of_bad_body(body, Problem::of_body(problem, "send several bodies"), received_ms)
}

impl Judgement {
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
            received_ms,
        };
        Self { records: vec![Record::Bad(Box::new(bad))], problems: vec![problem] }
    }
}

/// About how much memory the records of one body may take. Each has its visitor's id and attributes to itself, so a
/// visitor of a megabyte with thousands of events would grow beyond all measure.
const RECORDS_BYTES_MAX: usize = 1 << 28;

/// A body holds more than [`EVENTS_PER_BODY_MAX`] events, or they take more than [`RECORDS_BYTES_MAX`].
struct TooMany;

struct Walk<'a> {
    config: Option<&'a ProjectConfig>,
    received_ms: i64,
    records: Vec<Record>,
    records_bytes: usize,
    problems: BodyProblems,
}

/// Where in the body the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a Node<'a>,
    visitor: Option<&'a Node<'a>>,
    snapshot: Option<&'a Node<'a>>,
}

impl<'a> Walk<'a> {
    fn new(config: Option<&'a ProjectConfig>, received_ms: i64) -> Self {
        Self { config, received_ms, records: Vec::new(), records_bytes: 0, problems: BodyProblems::default() }
    }

    fn body(&mut self, root: &Node<'_>) -> Result<(), TooMany> {
        let place = Place { root, visitor: None, snapshot: None };
        let mut found = RecordProblems::default();
        let mut readable = object(root, "send an object with account_id and visitors", &mut found);
        let visitors = root.get("visitors");
        if readable {
            check_envelope(root, self.config, &mut found);
            readable = list(&visitors, "list the visitors, one for each event", &mut found);
        }
        self.note(&found);
        if !readable {
            return self.bad(place, root, found);
        }
        let before = self.records.len();
        visitors.items().try_for_each(|visitor| self.visitor(place, &visitor, &found))?;
        self.bad_if_nothing_beneath(before, place, root, found)
    }

    fn visitor(
        &mut self,
        place: Place<'_>,
        visitor: &Node<'_>,
        above: &RecordProblems,
    ) -> Result<(), TooMany> {
        let place = Place { visitor: Some(visitor), ..place };
        let mut found = RecordProblems::default();
        let mut readable = object(visitor, "send visitor_id, attributes and snapshots", &mut found);
        let snapshots = visitor.get("snapshots");
        if readable {
            check_visitor(visitor, &mut found);
            readable = list(&snapshots, "list the snapshots, one for each event", &mut found);
        }
        self.note(&found);
        let all = joined(above, &found);
        if !readable {
            return self.bad(place, visitor, all);
        }
        let before = self.records.len();
        snapshots.items().try_for_each(|snapshot| self.snapshot(place, &snapshot, &all))?;
        self.bad_if_nothing_beneath(before, place, visitor, found)
    }

    fn snapshot(
        &mut self,
        place: Place<'_>,
        snapshot: &Node<'_>,
        above: &RecordProblems,
    ) -> Result<(), TooMany> {
        let place = Place { snapshot: Some(snapshot), ..place };
        let mut found = RecordProblems::default();
        let readable = check_events(snapshot, &mut found);
        check_decisions(snapshot, self.config, &mut found);
        self.note(&found);
        let all = joined(above, &found);
        if !readable {
            return self.bad(place, snapshot, all);
        }
        let before = self.records.len();
        snapshot.get("events").items().try_for_each(|event| self.event(place, &event, &all))?;
        self.bad_if_nothing_beneath(before, place, snapshot, found)
    }

    fn event(&mut self, place: Place<'_>, event: &Node<'_>, above: &RecordProblems) -> Result<(), TooMany> {
        let mut found = RecordProblems::default();
        if let Some(snapshot) = place.snapshot {
            check_event(event, snapshot, self.config, &mut found);
        }
        self.note(&found);
        let found = joined(above, &found);
        if found.is_empty() {
            let good = self.good(place, event);
            self.keep(Record::Good(Box::new(good)))
        } else {
            self.bad(place, event, found)
        }
    }

    /// A fault that no event stands beneath would be kept nowhere: the part itself is then the bad record.
    fn bad_if_nothing_beneath(
        &mut self,
        records_before: usize,
        place: Place<'_>,
        part: &Node<'_>,
        found: RecordProblems,
    ) -> Result<(), TooMany> {
        if found.is_empty() || self.records.len() > records_before {
            return Ok(());
        }
        self.bad(place, part, found)
    }

    fn note(&mut self, found: &RecordProblems) {
        self.problems.extend(found.as_slice().iter().cloned());
    }

    fn keep(&mut self, record: Record) -> Result<(), TooMany> {
        self.records_bytes += record.bytes();
        if self.records.len() == EVENTS_PER_BODY_MAX || self.records_bytes > RECORDS_BYTES_MAX {
            return Err(TooMany);
        }
        self.records.push(record);
        Ok(())
    }

    fn good(&self, place: Place<'_>, event: &Node<'_>) -> GoodEvent {
        let ids = Ids::of(place, event, self.config);
        let visitor = place.visitor;
        let known = (!is_impression(event))
            .then(|| self.config.and_then(|config| config.event_by_id(event.get("entity_id").id()?)))
            .flatten();
        GoodEvent {
            account_id: text(place.root, "account_id"),
            project_id: text(place.root, "project_id"),
            revision: text(place.root, "revision"),
            client_name: text(place.root, "client_name"),
            client_version: text(place.root, "client_version"),
            visitor_id: visitor.map(|visitor| text(visitor, "visitor_id")).unwrap_or_default(),
            uuid: text(event, "uuid"),
            timestamp: event.get("timestamp").value().as_i64().unwrap_or_default(),
            key: text(event, "key"),
            entity_id: text(event, "entity_id"),
            campaign_id: ids.campaign_id,
            experiment_id: ids.experiment_id,
            variation_id: ids.variation_id,
            tags: event.get("tags").value().as_object().cloned().unwrap_or_default(),
            revenue: event.get("revenue").value().as_i64(),
            value: event.get("value").value().as_f64(),
            attributes: visitor.map(attributes).unwrap_or_default(),
            experiment: ids.experiment,
            variation: ids.variation,
            event: known.map(|event| event.key().to_owned()),
            received_ms: self.received_ms,
        }
    }

    /// `part` is the smallest part of the body around the fault.
    fn bad(&mut self, place: Place<'_>, part: &Node<'_>, problems: RecordProblems) -> Result<(), TooMany> {
        let ids = Ids::of(place, part, self.config);
        let bad = BadEvent {
            visitor_id: place.visitor.and_then(|visitor| optional(visitor, "visitor_id")),
            uuid: optional(part, "uuid"),
            timestamp: part.get("timestamp").value().as_i64(),
            key: optional(part, "key"),
            entity_id: optional(part, "entity_id"),
            experiment_id: ids.experiment_id,
            experiment: ids.experiment,
            event: bounded(part.value()),
            problems: problems.into_vec(),
            received_ms: self.received_ms,
        };
        self.keep(Record::Bad(Box::new(bad)))
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
    fn of(place: Place<'_>, event: &Node<'_>, config: Option<&ProjectConfig>) -> Self {
        let Some(snapshot) = place.snapshot.filter(|_| is_impression(event)) else { return Self::default() };
        let decisions = snapshot.get("decisions");
        let Some(decision) = decision_of(event, &decisions) else { return Self::default() };
        let [campaign_id, experiment_id, variation_id] =
            ["campaign_id", "experiment_id", "variation_id"].map(|key| optional(&decision, key));
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

fn joined(above: &RecordProblems, found: &RecordProblems) -> RecordProblems {
    let mut all = above.clone();
    all.extend(found.as_slice().iter().cloned());
    all
}

fn text(node: &Node<'_>, key: &'static str) -> String {
    optional(node, key).unwrap_or_default()
}

fn optional(node: &Node<'_>, key: &'static str) -> Option<String> {
    node.get(key).id().map(str::to_owned)
}

fn attributes(visitor: &Node<'_>) -> Map<String, Value> {
    let entry = |attribute: Node<'_>| {
        let key = attribute.get("key").id().or(attribute.get("entity_id").id())?.to_owned();
        Some((key, attribute.get("value").value().clone()))
    };
    visitor.get("attributes").items().filter_map(entry).collect()
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
