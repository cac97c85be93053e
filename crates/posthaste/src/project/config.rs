//! A project at one revision: what a datafile says, with look-ups by key and by id.

use std::sync::Arc;

use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::{
    Attribute, Context, DatafileError, Event, Experiment, Region, context::AttributeNames, datafile,
};

/// A project at one revision, read from a datafile. Never changes; a new datafile makes a new one.
///
/// Experiments include those of groups, the rules of rollouts, and holdouts. Where a key or an id occurs twice, the last one in that
/// order of precedence counts: holdouts, rollout rules, experiments, group members; [`warnings`](Self::warnings) says so.
#[doc(alias = "pkg.ProjectConfig")]
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    context: Arc<Context>,
    sdk_key: CompactString,
    environment_key: CompactString,
    send_flag_decisions: bool,
    experiments: Index<Experiment>,
    events: Index<Event>,
    attributes: Index<Attribute>,
    warnings: Vec<String>,
}

impl ProjectConfig {
    /// Reads a version 4 datafile.
    ///
    /// Unknown keys are ignored, missing or `null` lists are empty. Anything else that is wrong is an error which
    /// names its place, such as `experiments[3].variations[0].id: expected string, found number`.
    #[doc(alias = "NewDatafileProjectConfig")]
    pub fn from_datafile(json: impl AsRef<[u8]>) -> Result<Self, DatafileError> {
        datafile::parse(json.as_ref()).map(Self::new)
    }

    fn new(datafile: datafile::Datafile) -> Self {
        let mut warnings = Vec::new();
        let experiments =
            Index::new("experiment", datafile.experiments, Experiment::id, Experiment::key, &mut warnings);
        let events = Index::new("event", datafile.events, Event::id, Event::key, &mut warnings);
        let attributes =
            Index::new("attribute", datafile.attributes, Attribute::id, Attribute::key, &mut warnings);
        let mut context = datafile.context;
        context.names =
            AttributeNames::new(attributes.by_key.values().filter_map(|&at| attributes.items.get(at)));
        Self {
            context: Arc::new(context),
            sdk_key: datafile.sdk_key,
            environment_key: datafile.environment_key,
            send_flag_decisions: datafile.send_flag_decisions,
            experiments,
            events,
            attributes,
            warnings,
        }
    }

    /// The same project, its events reported under another client's name and version.
    #[must_use]
    pub fn with_client(mut self, name: &str, version: &str) -> Self {
        let context = Arc::make_mut(&mut self.context);
        context.client_name = name.into();
        context.client_version = version.into();
        self
    }

    /// The same project, with `region` written into every request as the Go SDK does today.
    #[must_use]
    pub fn with_region_sent(mut self) -> Self {
        Arc::make_mut(&mut self.context).send_region = true;
        self
    }

    /// The account's id.
    pub fn account_id(&self) -> &str {
        &self.context.account_id
    }

    /// The project's id.
    pub fn project_id(&self) -> &str {
        &self.context.project_id
    }

    /// The datafile's revision.
    pub fn revision(&self) -> &str {
        &self.context.revision
    }

    /// The SDK key; empty where the datafile has none.
    pub fn sdk_key(&self) -> &str {
        &self.sdk_key
    }

    /// The environment's key; empty where the datafile has none.
    pub fn environment_key(&self) -> &str {
        &self.environment_key
    }

    /// Whether visitors' addresses are to be anonymised; false where the datafile does not say.
    pub fn anonymize_ip(&self) -> bool {
        self.context.anonymize_ip
    }

    /// Whether bots are filtered out of the results; false where the datafile does not say.
    pub fn bot_filtering(&self) -> bool {
        self.context.bot_filtering
    }

    /// Whether decisions of flags without an experiment are reported; false where the datafile does not say.
    pub fn send_flag_decisions(&self) -> bool {
        self.send_flag_decisions
    }

    /// The data region; US where the datafile does not say.
    pub fn region(&self) -> Region {
        self.context.region
    }

    /// The experiment of this key.
    pub fn experiment_by_key(&self, key: &str) -> Option<&Experiment> {
        self.experiments.by_key(key)
    }

    /// The experiment of this id.
    pub fn experiment_by_id(&self, id: &str) -> Option<&Experiment> {
        self.experiments.by_id(id)
    }

    /// The event of this key.
    pub fn event_by_key(&self, key: &str) -> Option<&Event> {
        self.events.by_key(key)
    }

    /// The event of this id.
    pub fn event_by_id(&self, id: &str) -> Option<&Event> {
        self.events.by_id(id)
    }

    /// The attribute of this key.
    pub fn attribute_by_key(&self, key: &str) -> Option<&Attribute> {
        self.attributes.by_key(key)
    }

    /// The attribute of this id.
    pub fn attribute_by_id(&self, id: &str) -> Option<&Attribute> {
        self.attributes.by_id(id)
    }

    /// Every experiment: holdouts, rollout rules, experiments, group members, each in the datafile's order.
    pub fn experiments(&self) -> &[Experiment] {
        &self.experiments.items
    }

    /// Every event, in the datafile's order.
    pub fn events(&self) -> &[Event] {
        &self.events.items
    }

    /// Every attribute, in the datafile's order.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes.items
    }

    /// What the datafile says twice, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

/// Items in order, found by id or key. The last of a key or id counts.
#[derive(Debug, Clone)]
struct Index<T> {
    items: Vec<T>,
    by_id: FxHashMap<CompactString, usize>,
    by_key: FxHashMap<CompactString, usize>,
}

impl<T> Index<T> {
    fn new(
        kind: &str,
        items: Vec<T>,
        id: impl Fn(&T) -> &str,
        key: impl Fn(&T) -> &str,
        warnings: &mut Vec<String>,
    ) -> Self {
        let mut index = Self { items, by_id: FxHashMap::default(), by_key: FxHashMap::default() };
        for (at, item) in index.items.iter().enumerate() {
            if index.by_key.insert(key(item).into(), at).is_some() {
                warnings.push(format!("{kind} key {:?} occurs twice: the last one counts", key(item)));
            }
            if index.by_id.insert(id(item).into(), at).is_some() {
                warnings.push(format!("{kind} id {:?} occurs twice: the last one counts", id(item)));
            }
        }
        index
    }

    fn by_id(&self, id: &str) -> Option<&T> {
        self.by_id.get(id).and_then(|&at| self.items.get(at))
    }

    fn by_key(&self, key: &str) -> Option<&T> {
        self.by_key.get(key).and_then(|&at| self.items.get(at))
    }
}
