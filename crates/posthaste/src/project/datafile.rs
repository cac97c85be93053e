//! Reads a datafile, and says exactly where one is wrong.
//!
//! What events are made of must be right, or the datafile is refused. Flags only tell how decisions came about: one
//! that cannot be read costs a warning.

use compact_str::CompactString;
use serde_json::Value;

use super::{
    context::Context,
    entities::{Attribute, Event},
    experiment::{Experiment, Variation},
    flags::{self, Flag, Place},
    region::Region,
    tree::{Node, Object, Path, WrongType},
};

/// Why a datafile cannot be used.
///
/// ```
/// use posthaste::{DatafileError, ProjectConfig};
///
/// let datafile = r#"{"version": "4", "accountId": "1", "projectId": "2", "revision": 3}"#;
/// let error = ProjectConfig::from_datafile(datafile).unwrap_err();
/// assert!(matches!(error, DatafileError::WrongType { .. }));
/// assert_eq!(error.to_string(), "revision: expected string, found number");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatafileError {
    /// The text is not JSON at all.
    #[error("not JSON: {message} (line {line}, column {column}); is the file complete?")]
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    #[non_exhaustive]
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
    /// What could not be read and was not needed, one sentence each.
    pub(super) warnings: Vec<String>,
}

pub(super) fn parse(json: &[u8]) -> Result<Datafile, DatafileError> {
    let root = serde_json::from_slice::<Value>(json).map_err(|error| not_json(&error))?;
    let root = Node { path: Path::Root, value: &root };
    let root = root.object()?;
    version(&root)?;
    let mut warnings = Vec::new();
    let all_flags = flags(&root, &mut warnings);
    Ok(Datafile {
        context: context(&root)?,
        sdk_key: root.optional_string("sdkKey")?,
        environment_key: root.optional_string("environmentKey")?,
        send_flag_decisions: root.optional_bool("sendFlagDecisions")?,
        experiments: flags::assign(experiments(&root)?, &all_flags),
        events: root.list("events", event)?,
        attributes: root.list("attributes", attribute)?,
        warnings,
    })
}

impl From<WrongType> for DatafileError {
    fn from(WrongType { path, expected, found }: WrongType) -> Self {
        Self::WrongType { path, expected, found }
    }
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
    let context =
        Context::new(root.string("accountId")?, root.string("projectId")?, root.string("revision")?);
    let region = match root.optional_string("region")?.as_str() {
        "" => Region::Us,
        name => Region::parse(name).ok_or_else(|| DatafileError::Unsupported {
            path: "region".to_owned(),
            value: name.to_owned(),
            expected: "\"US\" or \"EU\"",
        })?,
    };
    Ok(context
        .with_anonymize_ip(root.optional_bool("anonymizeIP")?)
        .with_bot_filtering(root.optional_bool("botFiltering")?)
        .with_region(region))
}

/// In rising order of precedence: where an id occurs twice, the last one counts.
fn experiments(root: &Object<'_>) -> Result<Vec<(Experiment, Place)>, WrongType> {
    let mut all = root.list("holdouts", holdout)?;
    all.extend(root.list("localHoldouts", holdout)?);
    all.extend(root.list("rollouts", rollout)?.into_iter().flatten());
    all.extend(root.list("experiments", plain)?);
    all.extend(root.list("groups", group)?.into_iter().flatten());
    Ok(all)
}

fn holdout(node: Node<'_>) -> Result<(Experiment, Place), WrongType> {
    let rules = texts(node.object()?.map.get("includedRules"));
    Ok((experiment(node)?, Place::Holdout(rules)))
}

fn rollout(node: Node<'_>) -> Result<Vec<(Experiment, Place)>, WrongType> {
    let node = node.object()?;
    let id = node.map.get("id").and_then(Value::as_str).unwrap_or_default();
    node.list("experiments", |rule| Ok((experiment(rule)?, Place::Rollout(id.into()))))
}

fn group(node: Node<'_>) -> Result<Vec<(Experiment, Place)>, WrongType> {
    node.object()?.list("experiments", plain)
}

fn plain(node: Node<'_>) -> Result<(Experiment, Place), WrongType> {
    Ok((experiment(node)?, Place::Experiment))
}

fn experiment(node: Node<'_>) -> Result<Experiment, WrongType> {
    let node = node.object()?;
    let variations = node.list("variations", variation)?;
    let layer_id = node.optional_string("layerId")?;
    Ok(Experiment::new(node.string("id")?, node.string("key")?, &layer_id, variations))
}

fn variation(node: Node<'_>) -> Result<Variation, WrongType> {
    let node = node.object()?;
    let enabled = node.map.get("featureEnabled").and_then(Value::as_bool).unwrap_or_default();
    Ok(Variation::new(node.string("id")?, node.string("key")?).with_feature_enabled(enabled))
}

fn event(node: Node<'_>) -> Result<Event, WrongType> {
    let node = node.object()?;
    let experiment_ids = node.list("experimentIds", |node| node.string().map(CompactString::from))?;
    Ok(Event::new(node.string("id")?, node.string("key")?).with_experiment_ids(experiment_ids))
}

fn attribute(node: Node<'_>) -> Result<Attribute, WrongType> {
    let node = node.object()?;
    Ok(Attribute::new(node.string("id")?, node.string("key")?))
}

/// The flags that can be read, and a warning for each that cannot.
fn flags(root: &Object<'_>, warnings: &mut Vec<String>) -> Vec<Flag> {
    let read = root.list("featureFlags", |node| Ok(flag(node)));
    let flags = read.unwrap_or_else(|wrong| vec![Err(wrong)]);
    let mut readable = Vec::new();
    for flag in flags {
        match flag.map_err(DatafileError::from) {
            Ok(flag) => readable.push(flag),
            Err(error) => warnings.push(format!("{error}: decisions do not name this flag")),
        }
    }
    readable
}

fn flag(node: Node<'_>) -> Result<Flag, WrongType> {
    let node = node.object()?;
    Ok(Flag {
        key: node.string("key")?.into(),
        rollout_id: node.optional_string("rolloutId")?,
        experiment_ids: node.list("experimentIds", |node| node.string().map(CompactString::from))?,
    })
}

/// The texts of a list; nothing where there is none.
fn texts(list: Option<&Value>) -> Vec<CompactString> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(CompactString::from).collect()
}
