//! Reads one line: what it is, and its fields, borrowed from its text.
//!
//! Fields are first taken as raw JSON, then read one by one, so that what is wrong can be said of a field by name.

use std::borrow::Cow;

use posthaste::{judge::Text, project::NearMisses};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::fault::Fault;

/// What a line holds.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// An event by its keys.
    Event(EventLine<'a>),
    /// A request body.
    Batch(&'a str),
}

/// An event by its keys, which nobody has looked up yet.
#[derive(Debug)]
pub(crate) struct EventLine<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) user_id: Cow<'a, str>,
    /// A JSON object's text.
    pub(crate) attributes: Option<&'a str>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) uuid: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Impression {
        experiment: ExperimentName<'a>,
        /// `None`: a decision for no variation, written `null`.
        variation: Option<Name<'a>>,
        /// A JSON object's text.
        metadata: Option<&'a str>,
    },
    Conversion {
        event: Cow<'a, str>,
        /// A JSON object's text.
        tags: Option<&'a str>,
    },
}

/// Which one is meant: by key, by id, or by both, which must agree then.
#[derive(Debug)]
pub(crate) enum Name<'a> {
    Key(Cow<'a, str>),
    Id(Cow<'a, str>),
    Both { key: Cow<'a, str>, id: Cow<'a, str> },
}

/// Which experiment is meant. The flag tells rules of one key apart.
#[derive(Debug)]
pub(crate) struct ExperimentName<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) flag: Option<Cow<'a, str>>,
}

/// The line's text, read and repaired as bodies are.
pub(crate) fn text(line: &[u8]) -> Result<Text<'_>, Fault> {
    Text::read(line).map_err(|error| Fault::not_json(line, &error))
}

/// Reads a line: an event, a batch, or a dead letter that holds one of them as its `event`.
pub(crate) fn parse(text: &str) -> Result<Line<'_>, Fault> {
    let fields = read(text)?;
    match fields.event {
        Some(event) if is_object(event) && !fields.has_visitors => fields.dead_letter(event),
        _ => fields.line(text),
    }
}

fn read(text: &str) -> Result<Fields<'_>, Fault> {
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| Fault::json(text.as_bytes(), &error))?;
    match fields.twice {
        Some(key) if !fields.has_visitors => Err(Fault::Twice(key)),
        _ => Ok(fields),
    }
}

/// What an event's fields are called.
const KEYS: [&str; 13] = [
    "type",
    "user_id",
    "attributes",
    "experiment",
    "experiment_id",
    "flag",
    "variation",
    "variation_id",
    "metadata",
    "event",
    "tags",
    "timestamp",
    "uuid",
];

/// The fields that a line may have, as they are written.
#[derive(Debug, Default)]
struct Fields<'a> {
    kind: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    attributes: Option<&'a RawValue>,
    experiment: Option<&'a RawValue>,
    experiment_id: Option<&'a RawValue>,
    flag: Option<&'a RawValue>,
    variation: Option<&'a RawValue>,
    variation_id: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    tags: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    uuid: Option<&'a RawValue>,
    /// What makes it a batch.
    has_visitors: bool,
    /// What a dead letter says of its event.
    about_death: Option<&'static str>,
    twice: Option<&'static str>,
    unknown: Option<String>,
}

impl<'a> Fields<'a> {
    fn line(self, text: &'a str) -> Result<Line<'a>, Fault> {
        if self.has_visitors {
            return Ok(Line::Batch(text));
        }
        self.refuse_unknown()?;
        if let Some(key) = self.about_death {
            return Err(Fault::Misplaced { key, kind: "an event" });
        }
        let event = EventLine {
            kind: self.kind()?,
            user_id: text_of("user_id", required("user_id", self.user_id)?)?,
            attributes: object_of("attributes", self.attributes)?,
            timestamp_ms: self.timestamp.map(timestamp_ms).transpose()?.flatten(),
            uuid: self.uuid.map(uuid).transpose()?.flatten(),
        };
        Ok(Line::Event(event))
    }

    fn dead_letter(self, event: &'a RawValue) -> Result<Line<'a>, Fault> {
        self.refuse_unknown()?;
        let of_event = [
            ("type", self.kind),
            ("user_id", self.user_id),
            ("attributes", self.attributes),
            ("tags", self.tags),
            ("timestamp", self.timestamp),
            ("uuid", self.uuid),
        ];
        self.refuse("a dead letter", &of_event)?;
        self.refuse("a dead letter", &self.of_impression())?;
        let inner = read(event.get())?;
        if inner.event.is_some_and(is_object) && !inner.has_visitors {
            return Err(Fault::Nested);
        }
        inner.line(event.get())
    }

    fn kind(&self) -> Result<Kind<'a>, Fault> {
        let name = text_of("type", required("type", self.kind)?)?;
        match &*name {
            "impression" => {
                self.refuse("an impression", &[("event", self.event), ("tags", self.tags)])?;
                let (experiment, variation) = (self.experiment()?, self.variation()?);
                Ok(Kind::Impression {
                    experiment,
                    variation,
                    metadata: object_of("metadata", self.metadata)?,
                })
            }
            "conversion" => {
                self.refuse("a conversion", &self.of_impression())?;
                let event = named("event", required("event", self.event)?)?;
                Ok(Kind::Conversion { event, tags: object_of("tags", self.tags)? })
            }
            _ => Err(Fault::UnknownType(name.into_owned())),
        }
    }

    fn of_impression(&self) -> [(&'static str, Option<&'a RawValue>); 6] {
        [
            ("experiment", self.experiment),
            ("experiment_id", self.experiment_id),
            ("flag", self.flag),
            ("variation", self.variation),
            ("variation_id", self.variation_id),
            ("metadata", self.metadata),
        ]
    }

    fn experiment(&self) -> Result<ExperimentName<'a>, Fault> {
        let name = name("experiment", self.experiment, "experiment_id", self.experiment_id)?;
        let flag = self.flag.filter(|flag| !is_null(flag)).map(|flag| text_of("flag", flag)).transpose()?;
        Ok(ExperimentName { name, flag })
    }

    /// Null stands for no variation, unless the other of its two places says which.
    fn variation(&self) -> Result<Option<Name<'a>>, Fault> {
        let places = [self.variation, self.variation_id];
        if places.iter().flatten().next().is_none() {
            return Err(Fault::Missing("variation (null stands for none)"));
        }
        if places.iter().flatten().all(|place| is_null(place)) {
            return Ok(None);
        }
        name("variation", self.variation, "variation_id", self.variation_id).map(Some)
    }

    fn refuse_unknown(&self) -> Result<(), Fault> {
        let Some(key) = self.unknown.clone() else { return Ok(()) };
        let near = NearMisses::of(&key, KEYS.into_iter());
        Err(Fault::UnknownKey { key, near })
    }

    #[expect(clippy::unused_self, reason = "reads as what the fields do")]
    fn refuse(
        &self,
        kind: &'static str,
        misplaced: &[(&'static str, Option<&'a RawValue>)],
    ) -> Result<(), Fault> {
        match misplaced.iter().find(|(_, value)| value.is_some()) {
            Some(&(key, _)) => Err(Fault::Misplaced { key, kind }),
            None => Ok(()),
        }
    }

    /// Takes a field in by its name.
    fn put(&mut self, key: Cow<'a, str>, value: &'a RawValue) {
        let (name, place) = match &*key {
            "type" => ("type", &mut self.kind),
            "user_id" => ("user_id", &mut self.user_id),
            "attributes" => ("attributes", &mut self.attributes),
            "experiment" => ("experiment", &mut self.experiment),
            "experiment_id" => ("experiment_id", &mut self.experiment_id),
            "flag" => ("flag", &mut self.flag),
            "variation" => ("variation", &mut self.variation),
            "variation_id" => ("variation_id", &mut self.variation_id),
            "metadata" => ("metadata", &mut self.metadata),
            "event" => ("event", &mut self.event),
            "tags" => ("tags", &mut self.tags),
            "timestamp" => ("timestamp", &mut self.timestamp),
            "uuid" => ("uuid", &mut self.uuid),
            "visitors" => return self.has_visitors = true,
            "reason" => return self.about_death = Some("reason"),
            "status" => return self.about_death = Some("status"),
            "text" => return self.about_death = Some("text"),
            "time_ms" => return self.about_death = Some("time_ms"),
            _ => {
                self.unknown.get_or_insert_with(|| key.into_owned());
                return;
            }
        };
        if place.replace(value).is_some() {
            self.twice = Some(name);
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            fields.put(key, map.next_value()?);
        }
        Ok(fields)
    }
}

/// A string, borrowed where nothing in it is escaped; `Cow` alone would always copy.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// `null` is as good as nothing.
fn name<'a>(
    key_name: &'static str,
    key: Option<&'a RawValue>,
    id_name: &'static str,
    id: Option<&'a RawValue>,
) -> Result<Name<'a>, Fault> {
    let key = key.filter(|key| !is_null(key)).map(|key| named(key_name, key)).transpose()?;
    let id = id.filter(|id| !is_null(id)).map(|id| named(id_name, id)).transpose()?;
    match (key, id) {
        (Some(key), Some(id)) => Ok(Name::Both { key, id }),
        (Some(key), None) => Ok(Name::Key(key)),
        (None, Some(id)) => Ok(Name::Id(id)),
        (None, None) => Err(Fault::Missing(key_name)),
    }
}

/// What the datafile has without a name is not to be had by that.
fn named<'a>(key: &'static str, value: &'a RawValue) -> Result<Cow<'a, str>, Fault> {
    let text = text_of(key, value)?;
    if text.trim_ascii().is_empty() { Err(Fault::Nameless(key)) } else { Ok(text) }
}

fn required<'a>(key: &'static str, value: Option<&'a RawValue>) -> Result<&'a RawValue, Fault> {
    value.ok_or(Fault::Missing(key))
}

fn text_of<'a>(key: &'static str, value: &'a RawValue) -> Result<Cow<'a, str>, Fault> {
    if !value.get().starts_with('"') {
        return Err(wrong_type(key, "a string", value));
    }
    let read: Result<Key<'_>, _> = serde_json::from_str(value.get());
    read.map(|Key(text)| text).map_err(|error| Fault::Unreadable { key, message: error.to_string() })
}

/// `null` is as good as nothing.
fn object_of<'a>(key: &'static str, value: Option<&'a RawValue>) -> Result<Option<&'a str>, Fault> {
    match value {
        None => Ok(None),
        Some(value) if is_null(value) => Ok(None),
        Some(value) if is_object(value) => Ok(Some(value.get())),
        Some(value) => Err(wrong_type(key, "an object", value)),
    }
}

fn timestamp_ms(value: &RawValue) -> Result<Option<i64>, Fault> {
    if is_null(value) {
        return Ok(None);
    }
    if value.get().starts_with('"') {
        let text = text_of("timestamp", value)?;
        let time = text.parse::<jiff::Timestamp>().ok().filter(|_| has_year(&text));
        let time = time.ok_or_else(|| Fault::BadTime(text.into_owned()))?;
        return Ok(Some(time.as_millisecond()));
    }
    let read = value.get().parse().ok();
    read.map(Some).ok_or_else(|| wrong_type("timestamp", "a whole number of milliseconds or a string", value))
}

/// Whether it begins with a year as RFC 3339 has it: four digits, and no sign.
fn has_year(time: &str) -> bool {
    time.split_once('-')
        .is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))
}

fn uuid(value: &RawValue) -> Result<Option<Cow<'_, str>>, Fault> {
    if is_null(value) {
        return Ok(None);
    }
    match text_of("uuid", value)? {
        text if text.is_empty() => Err(Fault::EmptyUuid),
        text => Ok(Some(text)),
    }
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn wrong_type(key: &'static str, expected: &'static str, value: &RawValue) -> Fault {
    let found = match value.get().bytes().next() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Fault::WrongType { key, expected, found }
}
