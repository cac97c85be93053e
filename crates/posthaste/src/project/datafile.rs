//! Reads a datafile, and says exactly where one is wrong.
//!
//! What events are made of must be right, or the datafile is refused. Flags only tell how decisions came about: one
//! that cannot be read costs a warning.

use std::fmt;

use compact_str::CompactString;
use serde_json::Value;

use super::{
    context::Context,
    entities::{Attribute, Event},
    experiment::{Experiment, Variation},
    flags::{self, Flag, Place},
    listed::Quoted,
    misspelt, nameless,
    near::NearMisses,
    region::Region,
    tree::{self, Node, Object, Path, WrongType, id_text},
};
use crate::{text::Text, words::counted};

/// The versions that today's official SDKs take. Older ones lack keys, and nothing that is read means another thing.
const VERSIONS: [&str; 3] = ["2", "3", "4"];

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
    #[error("{path}: expected {expected}, found {found}{}", MeantFor(near, path))]
    #[non_exhaustive]
    WrongType {
        /// Where, as `experiments[3].variations[0].id`; `datafile` for the whole.
        path: String,
        /// What should be there.
        expected: &'static str,
        /// What is there; `nothing` where the key is missing.
        found: &'static str,
        /// Keys beside it that look like the one that is missing.
        near: NearMisses,
    },
    /// An id without which the Event API drops every event is empty.
    #[error("{path}: it is empty, and the Event API drops events without it: copy the datafile again")]
    #[non_exhaustive]
    Empty {
        /// Where.
        path: String,
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
    let text = Text::read(json).map_err(|error| not_utf8(json, error.at))?;
    let root = serde_json::from_str::<Value>(text.as_str()).map_err(|error| not_json(&error))?;
    let root = Node { path: Path::Root, value: &root };
    let root = root.object()?;
    version(&root)?;
    let mut warnings: Vec<String> = halves_warning(text.repaired()).into_iter().collect();
    warnings.extend(misspelt::warnings(&root));
    warnings.extend(["accountId", "projectId"].into_iter().filter_map(|key| blank_warning(&root, key)));
    warnings.extend(nameless::warnings(&root));
    let all_flags = flags(&root, &mut warnings);
    Ok(Datafile {
        context: context(&root)?,
        sdk_key: unsent(&root, "sdkKey", &mut warnings),
        environment_key: unsent(&root, "environmentKey", &mut warnings),
        send_flag_decisions: root.optional_bool("sendFlagDecisions")?,
        experiments: flags::assign(experiments(&root)?, &all_flags),
        events: root.list("events", event)?,
        attributes: root.list("attributes", attribute)?,
        warnings,
    })
}

impl From<WrongType> for DatafileError {
    fn from(WrongType { path, expected, found, near }: WrongType) -> Self {
        Self::WrongType { path, expected, found, near }
    }
}

/// Says of which misspelt key the missing one at the end of a path may be the right form.
struct MeantFor<'a>(&'a NearMisses, &'a str);

impl fmt::Display for MeantFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(written) = self.0.keys().next() else { return Ok(()) };
        let key = self.1.rsplit('.').next().unwrap_or_default();
        write!(f, ", but there is {}: did you mean {}?", Quoted(written), Quoted(key))
    }
}

fn halves_warning(count: u64) -> Option<String> {
    let halves = counted(count, "half of a surrogate pair", "halves of surrogate pairs");
    let are = if count == 1 { "is" } else { "are" };
    (count > 0).then(|| format!(r#"{halves} (such as "\ud800") {are} read as U+FFFD"#))
}

/// The SDKs take it; the Event API knows nobody of that name.
fn blank_warning(root: &Object<'_>, key: &str) -> Option<String> {
    let is_blank = root.string(key).is_ok_and(|id| !id.is_empty() && id.trim().is_empty());
    is_blank.then(|| {
        format!("{key}: only blanks, and the Event API drops events without it: copy the datafile again")
    })
}

/// A text that no event carries: one that cannot be read costs a warning.
fn unsent(root: &Object<'_>, key: &str, warnings: &mut Vec<String>) -> CompactString {
    root.optional_string(key).unwrap_or_else(|wrong| {
        warnings.push(format!("{}: taken for absent", DatafileError::from(wrong)));
        CompactString::default()
    })
}

fn not_json(error: &serde_json::Error) -> DatafileError {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DatafileError::NotJson { message, line: error.line(), column: error.column() }
}

fn not_utf8(json: &[u8], at: usize) -> DatafileError {
    let lines = || json.get(..at).unwrap_or_default().split(|&byte| byte == b'\n');
    DatafileError::NotJson {
        message: "not UTF-8".to_owned(),
        line: lines().count(),
        column: lines().next_back().map_or(0, <[u8]>::len) + 1,
    }
}

fn version(root: &Object<'_>) -> Result<(), DatafileError> {
    match root.string("version")? {
        version if VERSIONS.contains(&version) => Ok(()),
        other => Err(DatafileError::Unsupported {
            path: "version".to_owned(),
            value: other.to_owned(),
            expected: "\"2\", \"3\" or \"4\"",
        }),
    }
}

/// An id that every request carries.
fn owner<'a>(root: &Object<'a>, key: &str) -> Result<&'a str, DatafileError> {
    match root.string(key)? {
        "" => Err(DatafileError::Empty { path: key.to_owned() }),
        id => Ok(id),
    }
}

fn context(root: &Object<'_>) -> Result<Context, DatafileError> {
    let context =
        Context::new(owner(root, "accountId")?, owner(root, "projectId")?, root.string("revision")?);
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
    let rules = ids(node.object()?.map.get("includedRules"));
    Ok((experiment(node)?, Place::Holdout(rules)))
}

fn rollout(node: Node<'_>) -> Result<Vec<(Experiment, Place)>, WrongType> {
    let node = node.object()?;
    let id = node.id("id").unwrap_or_default();
    node.list("experiments", |rule| Ok((experiment(rule)?, Place::Rollout(id.clone()))))
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
    let layer_id = node.optional_id("layerId")?;
    Ok(Experiment::new(&node.id("id")?, node.string("key")?, &layer_id, variations))
}

fn variation(node: Node<'_>) -> Result<Variation, WrongType> {
    let node = node.object()?;
    let enabled = node.map.get("featureEnabled").and_then(Value::as_bool).unwrap_or_default();
    Ok(Variation::new(&node.id("id")?, node.string("key")?).with_feature_enabled(enabled))
}

fn event(node: Node<'_>) -> Result<Event, WrongType> {
    let node = node.object()?;
    let experiment_ids = node.list("experimentIds", tree::id)?;
    Ok(Event::new(&node.id("id")?, node.string("key")?).with_experiment_ids(experiment_ids))
}

fn attribute(node: Node<'_>) -> Result<Attribute, WrongType> {
    let node = node.object()?;
    Ok(Attribute::new(&node.id("id")?, node.string("key")?))
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
        rollout_id: node.optional_id("rolloutId")?,
        experiment_ids: node.list("experimentIds", tree::id)?,
    })
}

/// The ids of a list; nothing where there is none.
fn ids(list: Option<&Value>) -> Vec<CompactString> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(id_text).collect()
}
