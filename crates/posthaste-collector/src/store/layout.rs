//! An event as bytes: the fields that filters look at, and the JSON from which everything else is made again.
//!
//! ```text
//! what it is, numbers │ places of the fields in what follows │ JSON │ fields that the JSON spells otherwise
//! ```
//!
//! The JSON is that of the visitor with this event alone, so that it stands in a request body as it is. A field's text
//! mostly stands in it letter for letter, and takes no room of its own.
//!
//! Invariant: what [`Writer`] has written, [`Head::read`] reads; nothing else is ever read.

use std::ops::Range;

use posthaste::judge::Part;
use serde_json::{Map, Value};

use crate::RECORD_TEXT_BYTES_MAX;

/// Bytes of JSON that are kept of a part that is no event; of a longer one its beginning.
const PART_BYTES_MAX: usize = 1 << 16;

/// What an event's JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A visitor with one snapshot with one event.
    Event,
    /// A visitor with one snapshot, which has no event that could be read.
    Snapshot,
    /// A visitor without a snapshot that could be read.
    Visitor,
    /// A whole body.
    Body,
    /// A string: the beginning of what is no JSON, or too long.
    Text,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Event, Self::Snapshot, Self::Visitor, Self::Body, Self::Text];

    fn of(part: &Part<'_>) -> Self {
        match (part.visitor, part.snapshot) {
            (_, Some(snapshot)) if std::ptr::eq(snapshot, part.value) => Self::Snapshot,
            (_, Some(_)) => Self::Event,
            (Some(_), None) => Self::Visitor,
            (None, None) => Self::Body,
        }
    }
}

/// A text that filters look at. Missing, `null` and empty are alike.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    Visitor,
    Uuid,
    Key,
    Entity,
    Campaign,
    Experiment,
    Variation,
    Flag,
}

const FIELDS: usize = 8;

const OF_EVENT: [(&str, Field); 3] =
    [("uuid", Field::Uuid), ("key", Field::Key), ("entity_id", Field::Entity)];
const OF_DECISION: [(&str, Field); 3] = [
    ("campaign_id", Field::Campaign),
    ("experiment_id", Field::Experiment),
    ("variation_id", Field::Variation),
];

/// Bits of the first byte; the kind is above them.
const IS_IMPRESSION: u8 = 1;
const HAS_TIMESTAMP: u8 = 1 << 1;
const HAS_REVENUE: u8 = 1 << 2;
const HAS_VALUE: u8 = 1 << 3;
const KIND_SHIFT: u32 = 4;

/// What stands before an event's JSON.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) is_impression: bool,
    /// Which of the snapshot's decisions the event reports.
    pub(crate) decision: Option<usize>,
    /// In milliseconds since 1970, UTC.
    pub(crate) timestamp: Option<i64>,
    /// In the currency's smallest unit.
    pub(crate) revenue: Option<i64>,
    pub(crate) value: Option<f64>,
    fields: [Range<usize>; FIELDS],
    json: Range<usize>,
}

/// Appends one event to `out`.
pub(crate) fn write(part: &Part<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::default();
    let kind = writer.part(part);
    let [timestamp, revenue] =
        ["timestamp", "revenue"].map(|name| part.value.get(name).and_then(Value::as_i64));
    let numbers = Numbers { timestamp, revenue, value: part.value.get("value").and_then(Value::as_f64) };
    writer.finish(kind, part.is_impression, numbers, out);
}

/// Appends the beginning of a body that cannot be read.
pub(crate) fn write_text(body: &[u8], out: &mut Vec<u8>) {
    let mut writer = Writer::default();
    writer.text(&String::from_utf8_lossy(body.get(..RECORD_TEXT_BYTES_MAX).unwrap_or(body)));
    writer.finish(Kind::Text, false, Numbers::default(), out);
}

/// A request body's fields around its visitors, as JSON without its last brace; empty where there are none.
pub(crate) fn envelope(body: &Value) -> String {
    let Value::Object(map) = body else { return String::new() };
    let mut writer = Writer::default();
    writer.object(map, "visitors", &[]);
    String::from_utf8(writer.json).unwrap_or_default()
}

#[derive(Clone, Copy, Default)]
struct Numbers {
    timestamp: Option<i64>,
    revenue: Option<i64>,
    value: Option<f64>,
}

#[derive(Default)]
struct Writer {
    json: Vec<u8>,
    /// Texts that the JSON escapes.
    extra: Vec<u8>,
    fields: [Place; FIELDS],
    decision: Option<usize>,
}

#[derive(Clone, Default)]
enum Place {
    #[default]
    Nowhere,
    Json(Range<usize>),
    Extra(Range<usize>),
}

impl Writer {
    fn part(&mut self, part: &Part<'_>) -> Kind {
        let kind = Kind::of(part);
        match (kind, part.visitor, part.snapshot) {
            (Kind::Event, Some(Value::Object(visitor)), Some(Value::Object(snapshot))) => {
                self.visitor(visitor, |writer| writer.snapshot(snapshot, part));
                return kind;
            }
            (Kind::Snapshot, Some(Value::Object(visitor)), Some(snapshot)) => {
                self.visitor(visitor, |writer| writer.value(snapshot));
            }
            _ => self.value(part.value),
        }
        self.fields = <[Place; FIELDS]>::default();
        self.note(part.visitor.and_then(|visitor| visitor.get("visitor_id")), Field::Visitor);
        for (name, field) in OF_EVENT {
            self.note(part.value.get(name), field);
        }
        if self.json.len() <= PART_BYTES_MAX {
            return kind;
        }
        self.json.clear();
        let text = part.value.to_string();
        self.text(text.get(..text.floor_char_boundary(RECORD_TEXT_BYTES_MAX)).unwrap_or_default());
        Kind::Text
    }

    fn visitor(&mut self, visitor: &Map<String, Value>, snapshot: impl FnOnce(&mut Self)) {
        self.object(visitor, "snapshots", &[("visitor_id", Field::Visitor)]);
        self.separate();
        self.json.extend_from_slice(b"\"snapshots\":[");
        snapshot(self);
        self.json.extend_from_slice(b"]}");
    }

    fn snapshot(&mut self, snapshot: &Map<String, Value>, part: &Part<'_>) {
        self.json.push(b'{');
        for (name, value) in snapshot.iter().filter(|(name, _)| *name != "events") {
            self.separate();
            self.name(name);
            match (value, part.decision) {
                (Value::Array(decisions), Some(decision)) if name == "decisions" => {
                    self.decisions(decisions, decision);
                }
                _ => self.value(value),
            }
        }
        self.separate();
        self.json.extend_from_slice(b"\"events\":[");
        match part.value {
            Value::Object(event) => {
                self.object(event, "", &OF_EVENT);
                self.json.push(b'}');
            }
            other => self.value(other),
        }
        self.json.extend_from_slice(b"]}");
    }

    fn decisions(&mut self, decisions: &[Value], reported: &Value) {
        self.json.push(b'[');
        for (at, decision) in decisions.iter().enumerate() {
            if at > 0 {
                self.json.push(b',');
            }
            match decision {
                Value::Object(fields) if self.decision.is_none() && std::ptr::eq(decision, reported) => {
                    self.decision = Some(at);
                    self.reported(fields);
                }
                other => self.value(other),
            }
        }
        self.json.push(b']');
    }

    fn reported(&mut self, decision: &Map<String, Value>) {
        let metadata = decision.get("metadata").and_then(Value::as_object);
        let leave_out = if metadata.is_some() { "metadata" } else { "" };
        self.object(decision, leave_out, &OF_DECISION);
        if let Some(metadata) = metadata {
            self.separate();
            self.name("metadata");
            self.object(metadata, "", &[("flag_key", Field::Flag)]);
            self.json.push(b'}');
        }
        self.json.push(b'}');
    }

    /// An object without its last brace.
    fn object(&mut self, map: &Map<String, Value>, leave_out: &str, fields: &[(&str, Field)]) {
        self.json.push(b'{');
        for (name, value) in map.iter().filter(|(name, _)| leave_out.is_empty() || *name != leave_out) {
            self.separate();
            self.name(name);
            let start = self.json.len();
            self.value(value);
            if let Some((_, field)) = fields.iter().find(|(known, _)| known == name) {
                self.note_written(start, value, *field);
            }
        }
    }

    /// A comma, unless nothing stands before.
    fn separate(&mut self) {
        if self.json.last() != Some(&b'{') {
            self.json.push(b',');
        }
    }

    fn name(&mut self, name: &str) {
        self.text(name);
        self.json.push(b':');
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.json, text).expect("a text can be written as JSON");
    }

    fn value(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.json, value).expect("a JSON value can be written as JSON");
    }

    /// A field whose value has just been written.
    fn note_written(&mut self, start: usize, value: &Value, field: Field) {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return };
        let inside = start + 1..self.json.len() - 1;
        if inside.len() == text.len() {
            self.place(field, Place::Json(inside));
        } else {
            self.note(Some(value), field);
        }
    }

    /// A field that the JSON does not have in this form.
    fn note(&mut self, value: Option<&Value>, field: Field) {
        let Some(text) = value.and_then(Value::as_str).filter(|text| !text.is_empty()) else { return };
        let start = self.extra.len();
        self.extra.extend_from_slice(text.as_bytes());
        self.place(field, Place::Extra(start..self.extra.len()));
    }

    fn place(&mut self, field: Field, place: Place) {
        if let Some(slot) = self.fields.get_mut(field as usize) {
            *slot = place;
        }
    }

    fn finish(self, kind: Kind, is_impression: bool, numbers: Numbers, out: &mut Vec<u8>) {
        let Numbers { timestamp, revenue, value } = numbers;
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(
            (kind as u8) << KIND_SHIFT
                | bit(is_impression, IS_IMPRESSION)
                | bit(timestamp.is_some(), HAS_TIMESTAMP)
                | bit(revenue.is_some(), HAS_REVENUE)
                | bit(value.is_some(), HAS_VALUE),
        );
        for number in [timestamp, revenue].into_iter().flatten() {
            out.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(value) = value {
            out.extend_from_slice(&value.to_le_bytes());
        }
        write_number(self.decision.map_or(0, |at| at + 1), out);
        write_number(self.json.len(), out);
        for field in self.fields {
            let place = match field {
                Place::Nowhere => 0..0,
                Place::Json(place) => place,
                Place::Extra(place) => self.json.len() + place.start..self.json.len() + place.end,
            };
            write_number(place.len(), out);
            if !place.is_empty() {
                write_number(place.start, out);
            }
        }
        out.extend_from_slice(&self.json);
        out.extend_from_slice(&self.extra);
    }
}

impl Head {
    /// `bytes` begins with what has been written.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes, at: 0 };
        let first = reader.byte();
        let mut number = |bit| (first & bit != 0).then(|| reader.eight());
        let timestamp = number(HAS_TIMESTAMP).map(i64::from_le_bytes);
        let revenue = number(HAS_REVENUE).map(i64::from_le_bytes);
        let value = number(HAS_VALUE).map(f64::from_le_bytes);
        let decision = reader.number().checked_sub(1);
        let json_len = reader.number();
        let mut fields = <[Range<usize>; FIELDS]>::default();
        for field in &mut fields {
            let len = reader.number();
            if len > 0 {
                let start = reader.number();
                *field = start..start + len;
            }
        }
        let base = reader.at;
        for field in &mut fields {
            *field = base + field.start..base + field.end;
        }
        Self {
            kind: Kind::ALL.get(usize::from(first >> KIND_SHIFT)).copied().unwrap_or(Kind::Text),
            is_impression: first & IS_IMPRESSION != 0,
            decision,
            timestamp,
            revenue,
            value,
            fields,
            json: base..base + json_len,
        }
    }

    /// A field's text in the bytes that this was read from.
    pub(crate) fn field<'a>(&self, field: Field, bytes: &'a [u8]) -> &'a [u8] {
        self.fields.get(field as usize).and_then(|place| bytes.get(place.clone())).unwrap_or_default()
    }

    /// A field as the text that it is.
    pub(crate) fn text<'a>(&self, field: Field, bytes: &'a [u8]) -> &'a str {
        str::from_utf8(self.field(field, bytes)).unwrap_or_default()
    }

    /// The JSON, likewise.
    pub(crate) fn json<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.json.clone()).unwrap_or_default()
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write_number(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        byte
    }

    fn eight(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 56 {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use posthaste::judge::judge_parts;

    use super::*;

    fn written(body: &str) -> Vec<u8> {
        let mut all = Vec::new();
        judge_parts(body.as_bytes(), None, &mut |part| {
            write(&part, &mut all);
            ControlFlow::Continue(())
        })
        .unwrap();
        all
    }

    #[test]
    fn fields_are_read_as_they_were_sent_whatever_is_in_them() {
        let long = "x".repeat(300);
        for text in ["plain", "\"quoted\"", "back\\slash", "\u{0}\n\t", "é ☃ 𝄞", "</script>", &long] {
            let body = serde_json::json!({"account_id": "1", "visitors": [{"visitor_id": text, "snapshots": [{
                "decisions": [{"campaign_id": "other"}, {"campaign_id": text, "experiment_id": text,
                    "variation_id": text, "metadata": {"flag_key": text}}],
                "events": [{"type": "campaign_activated", "entity_id": text, "uuid": text, "key": text,
                    "timestamp": -1, "revenue": i64::MAX, "value": 0.5}],
            }]}]});
            let bytes = written(&body.to_string());
            let head = Head::read(&bytes);
            for field in [
                Field::Visitor,
                Field::Uuid,
                Field::Key,
                Field::Entity,
                Field::Campaign,
                Field::Experiment,
                Field::Variation,
                Field::Flag,
            ] {
                assert_eq!(str::from_utf8(head.field(field, &bytes)), Ok(text), "{field:?}");
            }
            assert_eq!((head.timestamp, head.revenue), (Some(-1), Some(i64::MAX)));
            assert!(head.value.is_some_and(|value| (value - 0.5).abs() < f64::EPSILON));
            assert_eq!((head.kind, head.is_impression, head.decision), (Kind::Event, true, Some(1)));
            let json: Value = serde_json::from_slice(head.json(&bytes)).unwrap();
            assert_eq!(Some(&json), body.pointer("/visitors/0"));
        }
    }

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 28, 0xffff_ffff] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            let mut reader = Reader { bytes: &bytes, at: 0 };
            assert_eq!((reader.number(), reader.at), (number, bytes.len()));
        }
    }

    #[test]
    fn what_is_no_event_is_kept_as_far_as_it_goes() {
        for (body, kind) in [
            (r#"{"account_id": "1", "visitors": 5}"#.to_owned(), Kind::Body),
            (r#"{"account_id": "1", "visitors": [5]}"#.to_owned(), Kind::Visitor),
            (
                r#"{"account_id": "1", "visitors": [{"visitor_id": "a", "snapshots": [5]}]}"#.to_owned(),
                Kind::Snapshot,
            ),
            (format!(r#"{{"account_id": "1", "visitors": "{}"}}"#, "é".repeat(PART_BYTES_MAX)), Kind::Text),
        ] {
            let bytes = written(&body);
            let head = Head::read(&bytes);
            assert_eq!(head.kind, kind);
            let json: Value = serde_json::from_slice(head.json(&bytes)).unwrap();
            assert_eq!(json.is_string(), kind == Kind::Text);
            assert!(bytes.len() < PART_BYTES_MAX);
        }
    }
}
