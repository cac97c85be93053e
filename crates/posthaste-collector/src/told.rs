//! A kept event as it is told: its bytes made into a record, and into a request body that carries it alone.

use posthaste::ProjectConfig;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{
    BadEvent, GoodEvent, RECORD_TEXT_BYTES_MAX, Record, Verdict,
    store::{
        View,
        layout::{Field, Head, Kind},
    },
};

/// An event whose bytes have been read, and whose JSON has not.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) view: View<'a>,
    pub(crate) head: Head,
    config: Option<&'a ProjectConfig>,
}

/// An event's JSON, and the parts of it.
#[derive(Debug)]
pub(crate) struct Parts {
    kind: Kind,
    decision: Option<usize>,
    root: Value,
}

impl Parts {
    pub(crate) fn visitor(&self) -> Option<&Value> {
        (!matches!(self.kind, Kind::Body | Kind::Text)).then_some(&self.root)
    }

    fn snapshot(&self) -> Option<&Value> {
        self.visitor()?.get("snapshots")?.get(0)
    }

    /// The event, or the part that has none.
    pub(crate) fn value(&self) -> &Value {
        let beneath = match self.kind {
            Kind::Event => self.snapshot().and_then(|snapshot| snapshot.get("events")?.get(0)),
            Kind::Snapshot => self.snapshot(),
            Kind::Visitor | Kind::Body | Kind::Text => None,
        };
        beneath.unwrap_or(&self.root)
    }

    pub(crate) fn decision(&self) -> Option<&Value> {
        self.snapshot()?.get("decisions")?.get(self.decision?)
    }

    /// What the program said about a conversion.
    pub(crate) fn tags(&self) -> Option<&Map<String, Value>> {
        self.value().get("tags").and_then(Value::as_object)
    }

    /// The visitor's attributes by key, or by type where they have none; the last one where a key comes twice.
    pub(crate) fn attributes(&self) -> Map<String, Value> {
        let entry = |attribute: &Value| {
            let names = ["key", "entity_id", "type"];
            let key = names.into_iter().find_map(|name| optional(attribute, name))?;
            Some((key, attribute.get("value").cloned().unwrap_or_default()))
        };
        let list = self.visitor().and_then(|visitor| visitor.get("attributes")?.as_array());
        list.into_iter().flatten().filter_map(entry).collect()
    }
}

impl<'a> Told<'a> {
    pub(crate) fn new(view: View<'a>, config: Option<&'a ProjectConfig>) -> Self {
        Self { view, head: view.head(), config }
    }

    /// A field's text; empty where there is none.
    pub(crate) fn field(&self, field: Field) -> &'a str {
        self.head.text(field, self.view.bytes())
    }

    pub(crate) fn optional(&self, field: Field) -> Option<String> {
        Some(self.field(field)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The experiment's key, where a datafile knows it.
    pub(crate) fn experiment(&self) -> Option<&'a str> {
        Some(self.config?.experiment_by_id(self.field(Field::Experiment))?.key())
    }

    /// The variation's key, likewise.
    pub(crate) fn variation(&self) -> Option<&'a str> {
        let experiment = self.config?.experiment_by_id(self.field(Field::Experiment))?;
        Some(experiment.variation_by_id(self.field(Field::Variation))?.key())
    }

    /// The conversion's key, likewise.
    pub(crate) fn event(&self) -> Option<&'a str> {
        let config = self.config.filter(|_| !self.head.is_impression)?;
        Some(config.event_by_id(self.field(Field::Entity))?.key())
    }

    /// The conversion's key as it was sent, or as a datafile knows it, or its id.
    pub(crate) fn conversion(&self) -> &'a str {
        let texts = [self.field(Field::Key), self.event().unwrap_or_default(), self.field(Field::Entity)];
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The JSON, read.
    pub(crate) fn parts(&self) -> Parts {
        let root = serde_json::from_slice(self.head.json(self.view.bytes())).unwrap_or_default();
        Parts { kind: self.head.kind, decision: self.head.decision, root }
    }

    /// A request body that carries this event alone; a string with its beginning where it is none.
    pub(crate) fn raw(&self) -> String {
        let json = str::from_utf8(self.head.json(self.view.bytes())).unwrap_or_default();
        if matches!(self.head.kind, Kind::Body | Kind::Text) {
            return json.to_owned();
        }
        let envelope = &*self.view.shape().envelope.json;
        let separator = if envelope.len() > 1 { "," } else { "" };
        format!("{envelope}{separator}\"visitors\":[{json}]}}")
    }

    pub(crate) fn record(&self) -> Record {
        if self.view.verdict() == Verdict::Bad {
            Record::Bad(Box::new(self.bad()))
        } else {
            Record::Good(Box::new(self.good()))
        }
    }

    fn good(&self) -> GoodEvent {
        let Self { view, head, .. } = self;
        let (parts, envelope, request) = (self.parts(), &view.shape().envelope, view.request());
        GoodEvent {
            id: view.id(),
            request: request.id,
            session: view.session().map(str::to_owned),
            verdict: view.verdict(),
            words: self.words(),
            flag: self.optional(Field::Flag),
            repeats: view.entry.repeats(),
            account_id: envelope.account_id.to_string(),
            project_id: envelope.project_id.to_string(),
            revision: envelope.revision.to_string(),
            client_name: envelope.client_name.to_string(),
            client_version: envelope.client_version.to_string(),
            visitor_id: self.field(Field::Visitor).to_owned(),
            uuid: self.field(Field::Uuid).to_owned(),
            timestamp: head.timestamp.unwrap_or_default(),
            key: self.field(Field::Key).to_owned(),
            is_impression: head.is_impression,
            entity_id: self.field(Field::Entity).to_owned(),
            campaign_id: self.optional(Field::Campaign),
            experiment_id: self.optional(Field::Experiment),
            variation_id: self.optional(Field::Variation),
            metadata: parts.decision().and_then(|decision| decision.get("metadata")?.as_object().cloned()),
            tags: parts.tags().cloned().unwrap_or_default(),
            revenue: head.revenue,
            value: head.value,
            attributes: parts.attributes(),
            experiment: self.experiment().map(str::to_owned),
            variation: self.variation().map(str::to_owned),
            event: self.event().map(str::to_owned),
            warnings: view.problems().to_vec(),
            fault: request.fault.as_deref().cloned(),
            received_ms: request.received_ms,
        }
    }

    fn bad(&self) -> BadEvent {
        let Self { view, head, .. } = self;
        let (envelope, request) = (&view.shape().envelope, view.request());
        let told = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_owned);
        BadEvent {
            id: view.id(),
            request: request.id,
            session: view.session().map(str::to_owned),
            verdict: view.verdict(),
            words: self.words(),
            flag: self.optional(Field::Flag),
            repeats: view.entry.repeats(),
            client_name: told(&envelope.client_name),
            client_version: told(&envelope.client_version),
            visitor_id: self.optional(Field::Visitor),
            uuid: self.optional(Field::Uuid),
            timestamp: head.timestamp,
            key: self.optional(Field::Key),
            entity_id: self.optional(Field::Entity),
            experiment_id: self.optional(Field::Experiment),
            experiment: self.experiment().map(str::to_owned),
            event: bounded(self.parts().value()),
            problems: view.problems().to_vec(),
            fault: request.fault.as_deref().cloned(),
            received_ms: request.received_ms,
        }
    }

    /// What the event says, in words.
    pub(crate) fn words(&self) -> String {
        match self.head.kind {
            Kind::Event => {}
            Kind::Snapshot | Kind::Visitor => {
                return format!("{}: nothing that could be read", self.visitor_words());
            }
            Kind::Body | Kind::Text => return "a body that could not be read".to_owned(),
        }
        let visitor = self.visitor_words();
        if self.head.is_impression {
            return format!("{visitor} saw {}", self.decision_words());
        }
        let number = match (self.head.revenue, self.head.value) {
            (Some(revenue), _) => format!(" (revenue {revenue})"),
            (None, Some(value)) => format!(" (value {value})"),
            (None, None) => String::new(),
        };
        match self.conversion() {
            "" => format!("{visitor} did something without a name{number}"),
            key => format!("{visitor} did {key}{number}"),
        }
    }

    fn visitor_words(&self) -> String {
        match self.field(Field::Visitor) {
            "" => "a visitor without an id".to_owned(),
            visitor => format!("visitor {visitor}"),
        }
    }

    fn decision_words(&self) -> String {
        let variation = self.variation().unwrap_or_else(|| self.field(Field::Variation));
        let variation = if variation.is_empty() { "no variation" } else { variation };
        match self.experiment().unwrap_or_else(|| self.field(Field::Experiment)) {
            "" => match self.field(Field::Flag) {
                "" => format!("something of campaign {}", self.field(Field::Entity)),
                flag => format!("{variation} of flag {flag}"),
            },
            experiment => format!("{variation} of {experiment}"),
        }
    }
}

/// Missing, `null` and empty are alike.
fn optional(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
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
