//! Lists of a body that stand in one object twice: `visitors`, `snapshots`, `events`.
//!
//! Of two readers of such a body, one takes the first list and the other the last; nobody knows which was meant, and
//! the events of one of them would be lost without a word.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// Where that is so.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doubled {
    visitors: bool,
    /// Of which visitors.
    snapshots: BTreeSet<usize>,
    /// Of which visitor's which snapshots.
    events: BTreeSet<(usize, usize)>,
}

impl Doubled {
    /// Of a body, as it is written and as it was read.
    pub(super) fn of(text: &str, root: &Value) -> Self {
        if is_surely_none(text, root) { Self::default() } else { Self::look(text) }
    }

    fn look(text: &str) -> Self {
        let mut doubled = Self::default();
        let (visitors, is_twice) = list(text, "visitors");
        doubled.visitors = is_twice;
        for (visitor_at, visitor) in visitors.into_iter().enumerate() {
            let (snapshots, is_twice) = list(visitor.get(), "snapshots");
            if is_twice {
                doubled.snapshots.insert(visitor_at);
            }
            for (at, snapshot) in snapshots.into_iter().enumerate() {
                if list(snapshot.get(), "events").1 {
                    doubled.events.insert((visitor_at, at));
                }
            }
        }
        doubled
    }

    pub(super) fn visitors(&self) -> bool {
        self.visitors
    }

    pub(super) fn snapshots_of(&self, visitor: usize) -> bool {
        self.snapshots.contains(&visitor)
    }

    pub(super) fn events_of(&self, visitor: usize, snapshot: usize) -> bool {
        self.events.contains(&(visitor, snapshot))
    }
}

/// Cheap: no name is written more often than it was read. A name may be written with escapes, too.
fn is_surely_none(text: &str, root: &Value) -> bool {
    let visitors = root.get("visitors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let snapshots = || {
        let lists = visitors.iter().filter_map(|visitor| visitor.get("snapshots").and_then(Value::as_array));
        lists.flatten()
    };
    let read = [
        ("\"visitors\"", usize::from(root.get("visitors").is_some())),
        ("\"snapshots\"", visitors.iter().filter(|visitor| visitor.get("snapshots").is_some()).count()),
        ("\"events\"", snapshots().filter(|snapshot| snapshot.get("events").is_some()).count()),
    ];
    !text.contains(r"\u") && read.into_iter().all(|(name, times)| text.matches(name).count() == times)
}

/// The last list of this name in an object, and whether there are several.
fn list<'a>(object: &'a str, name: &str) -> (Vec<&'a RawValue>, bool) {
    let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(object) else { return Default::default() };
    let mut named = fields.into_iter().filter(|(field, _)| field == name).map(|(_, value)| value);
    let Some(first) = named.next() else { return Default::default() };
    let other = named.next_back();
    (serde_json::from_str(other.unwrap_or(first).get()).unwrap_or_default(), other.is_some())
}

/// An object's fields, those that are there twice included.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cheap way never says none where there are some.
    #[test]
    fn both_ways_say_the_same_however_names_are_written() {
        let names = |name: &str| {
            let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
            [
                String::new(),
                format!(r#","{name}":[]"#),
                format!(r#","{escaped}":[]"#),
                format!(r#","tags":{{"{name}":1}}"#),
            ]
        };
        for of_body in names("visitors") {
            for of_visitor in names("snapshots") {
                for of_snapshot in names("events") {
                    let snapshot = format!(r#"{{"events":[{{}}]{of_snapshot}}}"#);
                    let visitors =
                        format!(r#"[{{"snapshots":[]}},{{"snapshots":[{snapshot}]{of_visitor}}}]"#);
                    let text = format!(r#"{{"visitors":{visitors}{of_body}}}"#);
                    let root = serde_json::from_str(&text).unwrap();
                    assert_eq!(Doubled::of(&text, &root), Doubled::look(&text), "{text}");
                    let is_twice = |added: &str| added.ends_with("[]");
                    assert_eq!(Doubled::look(&text).visitors(), is_twice(&of_body), "{text}");
                }
            }
        }
    }
}
