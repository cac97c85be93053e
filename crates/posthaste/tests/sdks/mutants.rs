//! The vectors' datafiles, each changed in one place.
//!
//! A place is written without its indices, `experiments[].variations[].id`: every place, with each change that makes
//! sense there, is taken once, in a datafile and at indices drawn from a fixed seed. All of them are taken where the
//! environment says `POSTHASTE_SDK_MUTANTS=all`: some minutes of work.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Datafiles, and whether they are changed everywhere, or only in what is not as in the first.
pub(crate) const DATAFILES: &[(&str, bool)] = &[
    ("larkspur.json", true),
    ("larkspur_r43.json", false),
    ("larkspur_eu.json", false),
    ("datafiles/example.json", true),
];

/// A datafile that was changed.
#[derive(Debug, Clone)]
pub(crate) struct Mutant {
    /// For messages: file, place with its indices, change.
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) change: String,
    pub(crate) text: String,
}

impl Mutant {
    /// The datafile as it is.
    pub(crate) fn none(name: &str) -> Self {
        let (place, change) = ("datafile".to_owned(), "none".to_owned());
        Self { name: name.to_owned(), place, change, text: read(name) }
    }
}

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub(crate) fn read(name: &str) -> String {
    let path = vectors().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Drop,
    Null,
    Empty,
    Twice,
    To(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Boolean,
    Number,
    Text,
    List,
    Object,
}

const CHANGES: &[Change] = &[
    Change::Drop,
    Change::Null,
    Change::Empty,
    Change::Twice,
    Change::To(Kind::Boolean),
    Change::To(Kind::Number),
    Change::To(Kind::Text),
    Change::To(Kind::List),
    Change::To(Kind::Object),
];

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Null => "null",
            Self::Empty => "empty",
            Self::Twice => "twice",
            Self::To(Kind::Boolean) => "to boolean",
            Self::To(Kind::Number) => "to number",
            Self::To(Kind::Text) => "to text",
            Self::To(Kind::List) => "to list",
            Self::To(Kind::Object) => "to object",
        }
    }

    /// What stands in the value's place; `None` where the change makes no sense. Of a value that is dropped or comes
    /// twice, the one before it.
    fn of(self, value: &Value) -> Option<Value> {
        let changed = match self {
            Self::Drop => Value::Null,
            Self::Null => return (!value.is_null()).then_some(Value::Null),
            Self::Twice => other(value),
            Self::Empty => match value {
                Value::String(text) if !text.is_empty() => json!(""),
                Value::Array(items) if !items.is_empty() => json!([]),
                Value::Object(map) if !map.is_empty() => json!({}),
                _ => return None,
            },
            Self::To(kind) => return retyped(value, kind),
        };
        Some(changed)
    }
}

fn other(value: &Value) -> Value {
    if value.is_number() { json!("x") } else { json!(7) }
}

/// The value as another type: as near to it as the type allows.
fn retyped(value: &Value, to: Kind) -> Option<Value> {
    let retyped = match (value, to) {
        (Value::String(text), Kind::Number) => text.parse::<u64>().map_or(json!(7), Value::from),
        (Value::Bool(value), Kind::Number) => json!(u8::from(*value)),
        (Value::Bool(_), Kind::Text) => json!("yes"),
        (Value::Number(number), Kind::Text) => json!(number.to_string()),
        (Value::Array(_) | Value::Object(_), Kind::Text) => json!("x"),
        (Value::String(_), Kind::Boolean) => json!(true),
        (Value::String(_) | Value::Number(_) | Value::Object(_), Kind::List) => json!([value]),
        (Value::Array(_), Kind::Object) => json!({}),
        _ => return None,
    };
    Some(retyped)
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    At(usize),
}

/// What only these indices show: an experiment or variation that a call asks for, or that a flag names.
const ALWAYS: &[(&str, &str, &str)] = &[
    ("larkspur.json", "experiments[0]", "drop"),
    ("larkspur.json", "experiments[0].id", "empty"),
    ("larkspur.json", "experiments[0].variations[1]", "drop"),
    ("larkspur.json", "experiments[0].variations[1].featureEnabled", "to text"),
    ("larkspur.json", "experiments[1].id", "empty"),
    ("larkspur.json", "experiments[1].variations[1].id", "empty"),
    ("larkspur.json", "rollouts[0].experiments[0]", "drop"),
    ("larkspur.json", "rollouts[0].experiments[0].id", "to number"),
    ("larkspur.json", "rollouts[0].experiments[0].variations[0]", "drop"),
    ("larkspur.json", "rollouts[0].experiments[0].variations[0].id", "to number"),
    ("datafiles/example.json", "experiments[0].variations[2].id", "empty"),
];

/// A place of a datafile, with its indices, and what is changed there.
struct Candidate<'a> {
    name: &'static str,
    datafile: &'a Value,
    place: Vec<Step>,
    change: Change,
}

/// One datafile for each place and change, and each datafile's top level in every way; or all that there are.
pub(crate) fn drawn() -> Vec<(&'static str, Mutant)> {
    let datafiles: Vec<(&'static str, bool, Value)> = DATAFILES
        .iter()
        .map(|(name, deep)| (*name, *deep, serde_json::from_str(&read(name)).unwrap()))
        .collect();
    let mut groups = BTreeMap::<(String, Change, &str), Vec<Candidate<'_>>>::new();
    for (name, deep, datafile) in &datafiles {
        let known = (!deep).then(|| &datafiles[0].2);
        for candidate in candidates(name, datafile, known) {
            let which = if candidate.place.len() == 1 { *name } else { "" };
            let pattern = without_indices(&candidate.place);
            groups.entry((pattern, candidate.change, which)).or_default().push(candidate);
        }
    }
    let all = std::env::var("POSTHASTE_SDK_MUTANTS").is_ok_and(|value| value == "all");
    let mut random = fastrand::Rng::with_seed(11);
    let mut mutants = Vec::new();
    for candidates in groups.into_values() {
        let drawn = random.usize(..candidates.len());
        let is_taken =
            |index, candidate: &Candidate<'_>| all || index == drawn || candidate.is_always_taken();
        let taken = candidates.iter().enumerate().filter(|(index, candidate)| is_taken(*index, candidate));
        mutants.extend(taken.map(|(_, candidate)| (candidate.name, candidate.mutant())));
    }
    mutants
}

/// Those that change something that `known`, where there is such a datafile, has not or has otherwise.
fn candidates<'a>(name: &'static str, datafile: &'a Value, known: Option<&Value>) -> Vec<Candidate<'a>> {
    let mut places = Vec::new();
    collect(datafile, &mut Vec::new(), &mut places);
    places.retain(|place| known.is_none_or(|known| at(datafile, place) != at(known, place)));
    let changed = |place: Vec<Step>| {
        let changes = CHANGES.iter().filter(|change| change.of(at(datafile, &place)).is_some());
        let changes = changes.filter(|change| can_be(**change, &place));
        changes.map(|&change| Candidate { name, datafile, place: place.clone(), change }).collect::<Vec<_>>()
    };
    places.into_iter().flat_map(changed).collect()
}

impl Candidate<'_> {
    fn exact_place(&self) -> String {
        written(&self.place, |at| at.to_string())
    }

    fn is_always_taken(&self) -> bool {
        ALWAYS.contains(&(self.name, &*self.exact_place(), self.change.name()))
    }

    fn mutant(&self) -> Mutant {
        let change = self.change.name();
        Mutant {
            name: format!("{}, {}, {change}", self.name, self.exact_place()),
            place: without_indices(&self.place),
            change: change.to_owned(),
            text: render(self.datafile, Some(&self.place), self.change),
        }
    }
}

/// An item of a list cannot come twice under one key.
fn can_be(change: Change, place: &[Step]) -> bool {
    !(change == Change::Twice && matches!(place.last(), Some(Step::At(_))))
}

fn collect(value: &Value, way: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let steps: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (Step::At(at), value)).collect(),
        _ => return,
    };
    for (step, value) in steps {
        way.push(step);
        places.push(way.clone());
        collect(value, way, places);
        way.pop();
    }
}

fn at<'a>(value: &'a Value, place: &[Step]) -> &'a Value {
    place.iter().fold(value, |value, step| match step {
        Step::Key(key) => &value[key],
        Step::At(at) => &value[at],
    })
}

fn written(place: &[Step], index: impl Fn(usize) -> String) -> String {
    place.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) if path.is_empty() => key.clone(),
        Step::Key(key) => format!("{path}.{key}"),
        Step::At(at) => format!("{path}[{}]", index(*at)),
    })
}

fn without_indices(place: &[Step]) -> String {
    written(place, |_| String::new())
}

/// The datafile as text, changed at this place.
fn render(value: &Value, place: Option<&[Step]>, change: Change) -> String {
    let Some(place) = place else { return value.to_string() };
    let Some((step, rest)) = place.split_first() else { return change.of(value).unwrap().to_string() };
    let parts: Vec<String> = match (value, step) {
        (Value::Object(map), Step::Key(key)) => map
            .iter()
            .flat_map(|(name, value)| {
                let way = (name == key).then_some(rest);
                let name = Value::from(name.as_str());
                written_out(value, way, change).into_iter().map(move |value| format!("{name}:{value}"))
            })
            .collect(),
        (Value::Array(items), Step::At(at)) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| written_out(value, (index == *at).then_some(rest), change))
            .collect(),
        _ => unreachable!("places are those of this value"),
    };
    let parts = parts.join(",");
    if value.is_object() { format!("{{{parts}}}") } else { format!("[{parts}]") }
}

/// A value as often as it is to be there: once, not at all, or once more with something else before it.
fn written_out(value: &Value, place: Option<&[Step]>, change: Change) -> Vec<String> {
    match (place, change) {
        (Some([]), Change::Drop) => Vec::new(),
        (Some([]), Change::Twice) => vec![change.of(value).unwrap().to_string(), value.to_string()],
        _ => vec![render(value, place, change)],
    }
}
