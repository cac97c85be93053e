//! A JSON tree whose nodes know the way to themselves: what makes an error that names its place cost one line at each
//! place.

use std::fmt;

use compact_str::{CompactString, ToCompactString};
use serde_json::{Map, Value};

use super::near::NearMisses;

/// A value that has another type than it should, and where it is.
pub(super) struct WrongType {
    /// Where, as `experiments[3].variations[0].id`; `datafile` for the whole.
    pub(super) path: String,
    /// What should be there.
    pub(super) expected: &'static str,
    /// What is there; `nothing` where the key is missing.
    pub(super) found: &'static str,
    /// Keys beside it that look like the one that is missing.
    pub(super) near: NearMisses,
}

/// A value and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) path: Path<'a>,
    pub(super) value: &'a Value,
}

/// An object and the way to it.
pub(super) struct Object<'a> {
    pub(super) path: Path<'a>,
    pub(super) map: &'a Map<String, Value>,
}

/// The way to a value, as a list of steps from it back to the root: written out only for an error.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => write!(f, "{key}"),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

impl<'a> Node<'a> {
    pub(super) fn object(self) -> Result<Object<'a>, WrongType> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("object"))?;
        Ok(Object { path: self.path, map })
    }

    fn wrong(&self, expected: &'static str) -> WrongType {
        wrong_type(&self.path, expected, kind(self.value))
    }
}

impl<'a> Object<'a> {
    /// A required string: a missing or `null` one is an error.
    pub(super) fn string(&self, key: &str) -> Result<&'a str, WrongType> {
        match self.map.get(key) {
            Some(Value::String(text)) => Ok(text),
            other => Err(self.wrong(key, "string", other)),
        }
    }

    /// A required id: a string, or a whole number that stands for its digits.
    pub(super) fn id(&self, key: &str) -> Result<CompactString, WrongType> {
        let value = self.map.get(key);
        value.and_then(id_text).ok_or_else(|| self.wrong(key, "string", value))
    }

    pub(super) fn optional_id(&self, key: &str) -> Result<CompactString, WrongType> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(CompactString::default()),
            Some(_) => self.id(key),
        }
    }

    pub(super) fn optional_string(&self, key: &str) -> Result<CompactString, WrongType> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(CompactString::default()),
            Some(Value::String(text)) => Ok(text.into()),
            other => Err(self.wrong(key, "string", other)),
        }
    }

    pub(super) fn optional_bool(&self, key: &str) -> Result<bool, WrongType> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            other => Err(self.wrong(key, "boolean", other)),
        }
    }

    /// A list, each item read by `read`. A missing or `null` list is empty.
    pub(super) fn list<T>(
        &self,
        key: &str,
        read: impl Fn(Node<'_>) -> Result<T, WrongType>,
    ) -> Result<Vec<T>, WrongType> {
        let items = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            other => return Err(self.wrong(key, "list", other)),
        };
        let path = Path::Key(&self.path, key);
        items
            .iter()
            .enumerate()
            .map(|(at, value)| read(Node { path: Path::Item(&path, at), value }))
            .collect()
    }

    fn wrong(&self, key: &str, expected: &'static str, found: Option<&Value>) -> WrongType {
        let wrong = wrong_type(&Path::Key(&self.path, key), expected, found.map_or("nothing", kind));
        match found {
            Some(_) => wrong,
            None => WrongType { near: NearMisses::of(key, self.map.keys().map(String::as_str)), ..wrong },
        }
    }
}

/// An id of a list: a string, or a whole number that stands for its digits.
pub(super) fn id(node: Node<'_>) -> Result<CompactString, WrongType> {
    id_text(node.value).ok_or_else(|| node.wrong("string"))
}

/// The text of an id. Numbers that are no whole ones, or so large that digits may have been lost, are none.
pub(super) fn id_text(value: &Value) -> Option<CompactString> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => number.as_u64().map(|id| id.to_compact_string()),
        _ => None,
    }
}

fn wrong_type(path: &Path<'_>, expected: &'static str, found: &'static str) -> WrongType {
    let path = match path {
        Path::Root => "datafile".to_owned(),
        path => path.to_string(),
    };
    WrongType { path, expected, found, near: NearMisses::default() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
