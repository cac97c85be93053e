//! An event as patterns look at it: its fields, borrowed from what is kept. What takes reading its JSON is read once, and
//! only for patterns that ask for it.

use std::{borrow::Cow, cell::OnceCell};

use serde_json::{Map, Value};

use super::pattern::Field;
use crate::{
    Problem, Verdict,
    store::layout,
    told::{Parts, Told},
};

/// One kept event.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    told: Told<'a>,
    parts: OnceCell<Parts>,
    attributes: OnceCell<Map<String, Value>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(told: Told<'a>) -> Self {
        Self { told, parts: OnceCell::new(), attributes: OnceCell::new() }
    }

    /// Its place in the order of arrival.
    pub(super) fn id(&self) -> u64 {
        self.told.view.id()
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.told.view.verdict()
    }

    /// What is wrong or odd with it.
    pub(super) fn problems(&self) -> &'a [Problem] {
        self.told.view.problems()
    }

    /// What it says.
    pub(super) fn words(&self) -> String {
        self.told.words()
    }

    /// Whether a field that is a text is so, by one of the names it has.
    pub(super) fn is_called(&self, field: &Field, is_so: impl Fn(&str) -> bool) -> bool {
        self.kept_names(field).into_iter().flatten().any(&is_so) || self.sent_name(field).is_some_and(is_so)
    }

    /// All names it has.
    pub(super) fn names(&self, field: &Field) -> Vec<&str> {
        let mut names: Vec<&str> = self.kept_names(field).into_iter().flatten().collect();
        names.extend(self.sent_name(field));
        names.dedup();
        names
    }

    /// What can be had without reading JSON.
    fn kept_names(&self, field: &Field) -> [Option<&'a str>; 2] {
        let kept = |field| some(self.told.field(field));
        match field {
            Field::Session => [self.told.view.session(), None],
            Field::Visitor => [kept(layout::Field::Visitor), None],
            Field::Key => [kept(layout::Field::Key), self.told.event()],
            Field::Uuid => [kept(layout::Field::Uuid), None],
            Field::Flag => [kept(layout::Field::Flag), None],
            Field::Experiment => [self.told.experiment(), kept(layout::Field::Experiment)],
            Field::Variation => [self.told.variation(), kept(layout::Field::Variation)],
            _ => [None; 2],
        }
    }

    /// How today's SDKs call what they decided; they send it where no datafile is given, too.
    fn sent_name(&self, field: &Field) -> Option<&str> {
        let name = match field {
            Field::Experiment => "rule_key",
            Field::Variation => "variation_key",
            _ => return None,
        };
        // Nothing else has a decision, and reading it for nothing takes long.
        self.told.head.decision?;
        some(self.parts().decision()?.get("metadata")?.get(name)?.as_str()?)
    }

    /// A field that is a number, a tag or an attribute.
    pub(super) fn json(&self, field: &Field) -> Option<Cow<'_, Value>> {
        match field {
            Field::Tag(name) => self.parts().tags()?.get(name).map(Cow::Borrowed),
            Field::Attribute(name) => self.attributes().get(name).map(Cow::Borrowed),
            Field::Revenue => self.number("revenue", self.told.head.revenue.map(Value::from)),
            Field::Value => self.number("value", self.told.head.value.map(Value::from)),
            _ => None,
        }
    }

    /// A number that was read when the event came, or what a bad event has in its place.
    fn number(&self, name: &str, read: Option<Value>) -> Option<Cow<'_, Value>> {
        match read {
            None if self.verdict() == Verdict::Bad => self.parts().value().get(name).map(Cow::Borrowed),
            read => read.map(Cow::Owned),
        }
    }

    /// The names beside a tag or an attribute that is not there.
    pub(super) fn siblings(&self, field: &Field) -> Vec<&str> {
        let map = match field {
            Field::Tag(_) => self.parts().tags(),
            Field::Attribute(_) => Some(self.attributes()),
            _ => None,
        };
        map.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }

    fn parts(&self) -> &Parts {
        self.parts.get_or_init(|| self.told.parts())
    }

    fn attributes(&self) -> &Map<String, Value> {
        self.attributes.get_or_init(|| self.parts().attributes())
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
