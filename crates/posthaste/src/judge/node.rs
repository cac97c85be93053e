//! A place in a body: a value, or its absence, and the way to it. The way is written out only for a problem.

use std::fmt;

use serde_json::Value;

use super::{
    kind::ProblemKind,
    problem::{PartFindings, Problem},
};
use crate::words::counted;

/// Characters of a wrong value that a problem quotes.
const QUOTE_CHARS_MAX: usize = 60;

/// A value and the way to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    path: Path<'a>,
    value: &'a Value,
}

/// The way to a value, as a list of steps from it back to the root.
#[derive(Debug, Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'static str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("body"),
            Self::Key(Path::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: Path::Root, value }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The field of this name; a missing one is `null`, which is the same everywhere here.
    pub(super) fn get(&'a self, key: &'static str) -> Self {
        Self { path: Path::Key(&self.path, key), value: self.value.get(key).unwrap_or(&Value::Null) }
    }

    /// The items of a list; none where it is not one.
    pub(super) fn items(&'a self) -> impl Iterator<Item = Node<'a>> {
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().enumerate().map(|(at, value)| Self { path: Path::Item(&self.path, at), value })
    }

    /// The text of an id. Missing, `null` and empty are alike: `None`.
    pub(super) fn id(&self) -> Option<&'a str> {
        self.value.as_str().filter(|text| !text.is_empty())
    }

    /// A text without anything to see.
    pub(super) fn is_blank(&self) -> bool {
        self.value.as_str().is_some_and(|text| text.trim().is_empty())
    }

    pub(super) fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    pub(super) fn problem(
        &self,
        kind: ProblemKind,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Problem {
        Problem::new(kind, self.path.to_string(), problem, fix)
    }

    /// Notes that something else than `expected` is here.
    pub(super) fn expected(&self, kind: ProblemKind, expected: &str, fix: &str, found: &mut PartFindings) {
        found.add_with(kind, |kind| {
            self.problem(kind, format!("expected {expected}, found {}", self.found()), fix)
        });
    }

    /// Notes that an id should be here, if none is.
    pub(super) fn expected_id(&self, kind: ProblemKind, fix: &str, found: &mut PartFindings) {
        match self.value {
            Value::String(text) if text.is_empty() => {
                found.add_with(kind, |kind| self.problem(kind, "empty", fix));
            }
            Value::String(_) if self.is_blank() => {
                found.add_with(kind, |kind| self.problem(kind, "only blanks", fix));
            }
            _ => self.expected(kind, "a string", fix, found),
        }
    }

    /// What is here, in a few words.
    pub(super) fn found(&self) -> String {
        match self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("boolean {value}"),
            Value::Number(number) => format!("number {number}"),
            Value::String(text) => format!("string {}", quote(text)),
            Value::Array(items) => format!("a list of {}", items.len()),
            Value::Object(map) => {
                format!("an object of {}", counted(map.len() as u64, "field", "fields"))
            }
        }
    }
}

/// A text in quotes, cut where it is long.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
