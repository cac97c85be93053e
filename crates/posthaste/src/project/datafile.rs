//! Reads a datafile, and says exactly where one is wrong.
//!
//! The text becomes a JSON tree, and a [`Node`] walks the tree knowing its own path: that is what makes an error
//! such as `experiments[3].variations[0].id: expected string, found number` cost one line at each place.

use std::fmt;

use compact_str::CompactString;
use serde_json::{Map, Value};

use super::{Attribute, Context, Event, Experiment, Region, Variation};

/// Why a datafile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatafileError {
    /// The text is not JSON at all.
    #[error("not JSON: {message} (line {line}, column {column}); is the file complete?")]
    NotJson {
        /// What the JSON reader stumbled on.
        message: String,
        /// Line of the place, from 1; 0 where there is none.
        line: usize,
        /// Column of the place, from 1; 0 where there is none.
        column: usize,
    },
    /// A value has another type than it should.
    #[error("{path}: expected {expected}, found {found}")]
    WrongType {
        /// Where, as `experiments[3].variations[0].id`; `datafile` for the whole.
        path: String,
        /// What should be there.
        expected: &'static str,
        /// What is there; `nothing` where the key is missing.
        found: &'static str,
    },
    /// A value is none of those that exist.
    #[error("{path}: {value:?} is not supported: expected {expected}")]
    Unsupported {
        /// Where.
        path: String,
        /// The value.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
}

/// What a datafile says, before it is indexed.
pub(super) struct Datafile {
    pub(super) context: Context,
    pub(super) sdk_key: CompactString,
    pub(super) environment_key: CompactString,
    pub(super) send_flag_decisions: bool,
    pub(super) experiments: Vec<Experiment>,
    pub(super) events: Vec<Event>,
    pub(super) attributes: Vec<Attribute>,
}

pub(super) fn parse(json: &[u8]) -> Result<Datafile, DatafileError> {
    let root = serde_json::from_slice::<Value>(json).map_err(|error| not_json(&error))?;
    let root = Node { path: Path::Root, value: &root };
    let root = root.object()?;
    version(&root)?;
    Ok(Datafile {
        context: context(&root)?,
        sdk_key: root.optional_string("sdkKey")?,
        environment_key: root.optional_string("environmentKey")?,
        send_flag_decisions: root.optional_bool("sendFlagDecisions")?,
        experiments: experiments(&root)?,
        events: root.list("events", event)?,
        attributes: root.list("attributes", |node| {
            let node = node.object()?;
            Ok(Attribute::new(node.string("id")?, node.string("key")?))
        })?,
    })
}

fn not_json(error: &serde_json::Error) -> DatafileError {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DatafileError::NotJson { message, line: error.line(), column: error.column() }
}

fn version(root: &Object<'_>) -> Result<(), DatafileError> {
    match root.string("version")? {
        "4" => Ok(()),
        other => Err(DatafileError::Unsupported {
            path: "version".to_owned(),
            value: other.to_owned(),
            expected: "\"4\"",
        }),
    }
}

fn context(root: &Object<'_>) -> Result<Context, DatafileError> {
    let mut context =
        Context::new(root.string("accountId")?, root.string("projectId")?, root.string("revision")?);
    context.anonymize_ip = root.optional_bool("anonymizeIP")?;
    context.bot_filtering = root.optional_bool("botFiltering")?;
    let region = root.optional_string("region")?;
    context.region = match region.as_str() {
        "" => Region::Us,
        name => Region::parse(name).ok_or_else(|| DatafileError::Unsupported {
            path: "region".to_owned(),
            value: name.to_owned(),
            expected: "\"US\" or \"EU\"",
        })?,
    };
    Ok(context)
}

/// In rising order of precedence: where a key occurs twice, the last one counts.
fn experiments(root: &Object<'_>) -> Result<Vec<Experiment>, DatafileError> {
    let mut all = root.list("holdouts", experiment)?;
    all.extend(root.list("localHoldouts", experiment)?);
    all.extend(root.list("rollouts", members)?.into_iter().flatten());
    all.extend(root.list("experiments", experiment)?);
    all.extend(root.list("groups", members)?.into_iter().flatten());
    Ok(all)
}

fn members(node: Node<'_>) -> Result<Vec<Experiment>, DatafileError> {
    node.object()?.list("experiments", experiment)
}

fn experiment(node: Node<'_>) -> Result<Experiment, DatafileError> {
    let node = node.object()?;
    let variations = node.list("variations", |node| {
        let node = node.object()?;
        Ok(Variation::new(node.string("id")?, node.string("key")?))
    })?;
    Ok(Experiment::new(
        node.string("id")?,
        node.string("key")?,
        &node.optional_string("layerId")?,
        variations,
    ))
}

fn event(node: Node<'_>) -> Result<Event, DatafileError> {
    let node = node.object()?;
    let experiment_ids = node.list("experimentIds", |node| node.string().map(CompactString::from))?;
    Ok(Event::new(node.string("id")?, node.string("key")?).with_experiment_ids(experiment_ids))
}

/// A value and the way to it.
#[derive(Clone, Copy)]
struct Node<'a> {
    path: Path<'a>,
    value: &'a Value,
}

/// An object and the way to it.
struct Object<'a> {
    path: Path<'a>,
    map: &'a Map<String, Value>,
}

/// The way to a value, as a list of steps from it back to the root: written out only for an error.
#[derive(Clone, Copy)]
enum Path<'a> {
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
    fn object(self) -> Result<Object<'a>, DatafileError> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("object"))?;
        Ok(Object { path: self.path, map })
    }

    fn string(self) -> Result<&'a str, DatafileError> {
        self.value.as_str().ok_or_else(|| self.wrong("string"))
    }

    fn wrong(&self, expected: &'static str) -> DatafileError {
        wrong_type(&self.path, expected, kind(self.value))
    }
}

impl<'a> Object<'a> {
    /// A required string: a missing or `null` one is an error.
    fn string(&self, key: &str) -> Result<&'a str, DatafileError> {
        match self.map.get(key) {
            Some(Value::String(text)) => Ok(text),
            other => Err(self.wrong(key, "string", other)),
        }
    }

    fn optional_string(&self, key: &str) -> Result<CompactString, DatafileError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(CompactString::default()),
            Some(Value::String(text)) => Ok(text.into()),
            other => Err(self.wrong(key, "string", other)),
        }
    }

    fn optional_bool(&self, key: &str) -> Result<bool, DatafileError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            other => Err(self.wrong(key, "boolean", other)),
        }
    }

    /// A list, each item read by `read`. A missing or `null` list is empty.
    fn list<T>(
        &self,
        key: &str,
        read: impl Fn(Node<'_>) -> Result<T, DatafileError>,
    ) -> Result<Vec<T>, DatafileError> {
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

    fn wrong(&self, key: &str, expected: &'static str, found: Option<&Value>) -> DatafileError {
        wrong_type(&Path::Key(&self.path, key), expected, found.map_or("nothing", kind))
    }
}

fn wrong_type(path: &Path<'_>, expected: &'static str, found: &'static str) -> DatafileError {
    let path = match path {
        Path::Root => "datafile".to_owned(),
        path => path.to_string(),
    };
    DatafileError::WrongType { path, expected, found }
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
