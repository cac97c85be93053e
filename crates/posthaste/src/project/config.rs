//! A project at one revision: what a datafile says, with look-ups by key and by id.

use std::sync::Arc;

use compact_str::CompactString;

use super::{
    context::Context,
    datafile::{self, DatafileError},
    decision::DecisionForm,
    dropped::{DroppedAttributes, Drops, UnusableTags},
    entities::{Attribute, Event},
    experiment::Experiment,
    index::{self, Index},
    key_error::ExperimentKeyError,
    listed::Listed,
    names::AttributeNames,
    near::NearMisses,
    region::Region,
    stripes::Stripes,
    tables::{self, DatafileId, Tables},
};
use crate::clock::{Clock, SystemClock};

/// A project at one revision, read from a datafile. Never changes; a new datafile makes a new one.
///
/// Experiments include those of groups, the rules of rollouts, and holdouts. Where an id occurs twice, the last one in
/// that order of precedence counts: holdouts, rollout rules, experiments, group members; so does the last event or
/// attribute of a key, and the last variation of a key in one experiment. An experiment's key that stands for several finds none of them. [`warnings`](Self::warnings)
/// says so.
///
/// ```
/// use posthaste::{ProjectConfig, Region};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// assert_eq!((config.project_id(), config.revision(), config.region()), ("10000002", "42", Region::Us));
/// assert_eq!(config.event_by_key("purchase").unwrap().id(), "30012");
/// # Ok::<(), posthaste::DatafileError>(())
/// ```
#[doc(alias = "pkg.ProjectConfig")]
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    contexts: Stripes,
    sdk_key: CompactString,
    environment_key: CompactString,
    send_flag_decisions: bool,
    decision_form: DecisionForm,
    experiments: Index<Experiment>,
    events: Index<Event>,
    attributes: Index<Attribute>,
    warnings: Vec<String>,
    clock: Arc<dyn Clock>,
    drops: Arc<Drops>,
}

impl ProjectConfig {
    /// Reads a datafile of version 2, 3 or 4 (PROTOCOL 3).
    ///
    /// Unknown keys are ignored, missing or `null` lists are empty, a byte order mark is skipped, an id that is a whole
    /// number stands for its digits. A flag that cannot be read is a [warning](Self::warnings), and so is half of a
    /// surrogate pair, which is read as U+FFFD. Anything else that is wrong is an error which names its place, such as
    /// `experiments[3].variations[0].id: expected string, found list`. What the official Python and JavaScript SDKs
    /// take otherwise is listed in docs/PARITY.md.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.account_id(), "10000001");
    /// assert!(ProjectConfig::from_datafile("null").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "NewDatafileProjectConfig")]
    pub fn from_datafile(json: impl AsRef<[u8]>) -> Result<Self, DatafileError> {
        datafile::parse(json.as_ref()).map(Self::new)
    }

    fn new(mut datafile: datafile::Datafile) -> Self {
        let mut warnings = datafile.warnings;
        let id = DatafileId::new();
        tables::number(id, &mut datafile.experiments, &mut datafile.events);
        let experiments = Index::new(datafile.experiments, &mut warnings);
        warnings.extend(experiments.items().iter().flat_map(index::warnings_of_variations));
        let events = Index::new(datafile.events, &mut warnings);
        let attributes = Index::new(datafile.attributes, &mut warnings);
        let names = AttributeNames::new(attributes.found_by_key());
        let tables = Tables::new(id, names, experiments.items(), events.items());
        Self {
            contexts: Stripes::new(datafile.context.with_tables(tables)),
            sdk_key: datafile.sdk_key,
            environment_key: datafile.environment_key,
            send_flag_decisions: datafile.send_flag_decisions,
            decision_form: DecisionForm::default(),
            experiments,
            events,
            attributes,
            warnings,
            clock: Arc::new(SystemClock),
            drops: Arc::default(),
        }
    }

    /// The same project, its events reported under another client's name and version.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, create_event_context};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?.with_client("my-service", "1.4");
    /// assert_eq!(create_event_context(&config).client_name(), "my-service");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_client(self, name: &str, version: &str) -> Self {
        self.with_context(|context| context.with_client(name, version))
    }

    /// The same project, with `region` written into every request as the Go SDK does today (PROTOCOL 1.4).
    ///
    /// ```
    /// use posthaste::{Batch, ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?.with_region_sent();
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// assert_eq!(Batch::from_user_events(&[event]).region.as_deref(), Some("US"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_region_sent(self) -> Self {
        self.with_context(|context| context.with_region_sent(true))
    }

    /// The same project, its impressions saying how their decision came about, as all of today's SDKs do (PROTOCOL 1.4,
    /// "Decision metadata", and 2.3): flag, rule, kind of rule, variation, and whether the flag is on.
    ///
    /// What the datafile tells is sent: an experiment that a flag uses is reported as that flag's, as `decide` does in
    /// the SDKs; a holdout of all flags, or an experiment of several, names no flag.
    /// [`UserEvent::with_decision_metadata`](crate::UserEvent::with_decision_metadata) says otherwise for one event.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?.with_decision_metadata_sent();
    /// let event = config.impression("checkout_button", "green_button", &UserContext::new("visitor-1"))?;
    /// let metadata = event.impression().unwrap().metadata().unwrap();
    /// assert_eq!((&*metadata.flag_key, &*metadata.rule_type), ("one_click_checkout", "feature-test"));
    /// assert!(metadata.enabled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_decision_metadata_sent(self) -> Self {
        self.with_decision_form(DecisionForm::Todays)
    }

    /// The same project, its impressions with the ids that the datafile has, as the seed sends them: for comparison with
    /// the Go package. Without it, a variation's id that is no string of digits is reported as `null`, and a blank
    /// campaign id as the experiment's, as today's SDKs do (PROTOCOL 2.2): the API could not use them. Decision metadata
    /// are not sent then.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// let datafile = r#"{"version": "4", "accountId": "1", "projectId": "2", "revision": "3", "experiments": [
    ///     {"id": "11", "key": "test", "layerId": "21", "variations": [{"id": "var_blue", "key": "blue"}]}]}"#;
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let id = |config: &ProjectConfig| {
    ///     let event = config.impression("test", "blue", &UserContext::new("visitor-1"))?;
    ///     Ok::<_, posthaste::ImpressionError>(event.impression().unwrap().variation_id().map(str::to_owned))
    /// };
    /// assert_eq!(id(&config)?, None);
    /// assert_eq!(id(&config.with_raw_ids_sent())?.as_deref(), Some("var_blue"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_raw_ids_sent(self) -> Self {
        self.with_decision_form(DecisionForm::Raw)
    }

    /// The same project, reported as today's SDKs do instead of as the seed does: with
    /// [region](Self::with_region_sent) and [decision metadata](Self::with_decision_metadata_sent).
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let config = config.as_todays_sdks_send();
    /// let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// assert_eq!(event.impression().unwrap().metadata().unwrap().variation_key, "control");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_todays_sdks_send(self) -> Self {
        self.with_region_sent().with_decision_metadata_sent()
    }

    /// The same project, its events happening when this clock says. The system's time, unless this is called.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext, testing::ManualClock};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let clock = ManualClock::at_ms(1_795_500_003_394);
    /// let config = ProjectConfig::from_datafile(datafile)?.with_clock(clock);
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// assert_eq!(event.timestamp_ms(), 1_795_500_003_394);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn with_context(mut self, change: impl FnOnce(Context) -> Context) -> Self {
        self.contexts = Stripes::new(change(Context::clone(self.contexts.first())));
        self
    }

    fn with_decision_form(mut self, form: DecisionForm) -> Self {
        let context = self.contexts.first();
        let tables = context.tables().with_decisions(self.experiments(), form);
        self.contexts = Stripes::new(Context::clone(context).with_tables(tables));
        self.decision_form = form;
        self
    }

    /// How many attributes have been left out of this project's events, and why. Clones of one project, and what the
    /// `with_…` methods make of it, count together.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// config.impression("checkout_button", "control", &UserContext::new("visitor-1").attribute("colour", "red"))?;
    /// assert_eq!(config.dropped_attributes().unknown, 1, "the datafile has no `colour`");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dropped_attributes(&self) -> DroppedAttributes {
        self.drops.count()
    }

    /// How many tags of its conversions did not say what they should.
    pub fn unusable_tags(&self) -> UnusableTags {
        self.drops.unusable()
    }

    /// The account's id.
    pub fn account_id(&self) -> &str {
        self.context().account_id()
    }

    /// The project's id.
    pub fn project_id(&self) -> &str {
        self.context().project_id()
    }

    /// The datafile's revision.
    pub fn revision(&self) -> &str {
        self.context().revision()
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
        self.context().anonymize_ip()
    }

    /// Whether bots are filtered out of the results; false where the datafile does not say.
    pub fn bot_filtering(&self) -> bool {
        self.context().bot_filtering()
    }

    /// Whether decisions of flags without an experiment are reported; false where the datafile does not say.
    pub fn send_flag_decisions(&self) -> bool {
        self.send_flag_decisions
    }

    /// The data region; US where the datafile does not say.
    pub fn region(&self) -> Region {
        self.context().region()
    }

    /// The experiment of this key; an error where there is none, or where the key stands for several (rules of two
    /// flags may share one): then say which by its id.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.experiment_by_key("signup_copy")?.id(), "40014");
    /// let error = config.experiment_by_key("signup-copy").unwrap_err();
    /// assert_eq!(error.to_string(), r#"no experiment "signup-copy": did you mean "signup_copy"?"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn experiment_by_key(&self, key: &str) -> Result<&Experiment, ExperimentKeyError> {
        if let Some(ids) = self.experiments.ids_sharing(key) {
            return Err(ExperimentKeyError::Ambiguous { key: key.to_owned(), ids });
        }
        self.experiments.by_key(key).ok_or_else(|| ExperimentKeyError::Unknown {
            key: key.to_owned(),
            near: NearMisses::of(key, self.experiments().iter().map(Experiment::key)),
        })
    }

    /// The experiment of this key that is a rule of this flag: for keys that rules of several flags share.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.experiment_of_flag("dark_mode", "dark_mode_everyone")?.rule_type(), "rollout");
    /// let error = config.experiment_of_flag("one_click", "dark_mode_everyone").unwrap_err();
    /// let text = r#"experiment "dark_mode_everyone" is no rule of flag "one_click": did you mean "one_click_checkout"?"#;
    /// assert_eq!(error.to_string(), text);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn experiment_of_flag(
        &self,
        flag_key: &str,
        experiment_key: &str,
    ) -> Result<&Experiment, ExperimentKeyError> {
        let key = || experiment_key.to_owned();
        let all = self.experiments().iter().filter(|experiment| experiment.key() == experiment_key);
        let rules: Vec<_> = all.filter(|experiment| experiment.flag_key() == flag_key).collect();
        match rules[..] {
            [rule] => Ok(rule),
            [] if self.experiments.by_key(experiment_key).is_none() => self.experiment_by_key(experiment_key),
            [] => {
                let near = NearMisses::of(flag_key, self.experiments().iter().map(Experiment::flag_key));
                Err(ExperimentKeyError::OfNoSuchFlag { key: key(), flag: flag_key.to_owned(), near })
            }
            _ => {
                let ids = Listed::new(rules.iter().map(|rule| rule.id()));
                Err(ExperimentKeyError::Ambiguous { key: key(), ids })
            }
        }
    }

    /// The experiment of this id.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.experiment_by_id("40011").unwrap().key(), "checkout_button");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn experiment_by_id(&self, id: &str) -> Option<&Experiment> {
        self.experiments.by_id(id)
    }

    /// The event of this key.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.event_by_key("purchase").unwrap().id(), "30012");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_by_key(&self, key: &str) -> Option<&Event> {
        self.events.by_key(key)
    }

    /// The event of this id.
    pub fn event_by_id(&self, id: &str) -> Option<&Event> {
        self.events.by_id(id)
    }

    /// The attribute of this key.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// assert_eq!(config.attribute_by_key("plan").unwrap().id(), "20010");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attribute_by_key(&self, key: &str) -> Option<&Attribute> {
        self.attributes.by_key(key)
    }

    /// The attribute of this id.
    pub fn attribute_by_id(&self, id: &str) -> Option<&Attribute> {
        self.attributes.by_id(id)
    }

    /// Every experiment: holdouts, rollout rules, experiments, group members, each in the datafile's order.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let keys: Vec<&str> = config.experiments().iter().map(|experiment| experiment.key()).collect();
    /// assert!(keys.contains(&"checkout_button") && keys.contains(&"dark_mode_everyone"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn experiments(&self) -> &[Experiment] {
        self.experiments.items()
    }

    /// Every event, in the datafile's order.
    pub fn events(&self) -> &[Event] {
        self.events.items()
    }

    /// Every attribute, in the datafile's order.
    pub fn attributes(&self) -> &[Attribute] {
        self.attributes.items()
    }

    /// What the datafile says twice, ids and keys that are empty, flags that cannot be read, keys that look misspelt, and what was repaired, one
    /// sentence each.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// let datafile = r#"{"version": "4", "accountId": "1", "projectId": "2", "revision": "3", "events": [
    ///     {"id": "10", "key": "buy"}, {"id": "11", "key": "buy"}]}"#;
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let warning = r#"event key "buy" stands for several ids, "10", "11": the last one counts"#;
    /// assert_eq!(config.warnings(), [warning]);
    /// # Ok::<(), posthaste::DatafileError>(())
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The context, always the same.
    pub(crate) fn context(&self) -> &Arc<Context> {
        self.contexts.first()
    }

    /// The context for an event of this thread.
    pub(crate) fn context_of_this_thread(&self) -> &Arc<Context> {
        self.contexts.of_this_thread()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    pub(crate) fn decision_form(&self) -> DecisionForm {
        self.decision_form
    }
}
