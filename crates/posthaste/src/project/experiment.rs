//! Experiments with their variations.
//!
//! Plain data, built once by the parser and shared from then on. What every event of a variation repeats (its decision)
//! is put together here, once for a project; an event says which it is.

use compact_str::CompactString;

use super::{
    decision::{DecisionForm, ReportedDecision, campaign_id},
    rule::{Rule, RuleKind},
    tables::{DatafileId, Place},
};
use crate::batch::DecisionMetadata;

/// An experiment, a group's member, a rollout's rule or a holdout.
///
/// ```
/// use posthaste::{Experiment, Variation};
///
/// let variations = vec![Variation::new("70111", "control"), Variation::new("70112", "green_button")];
/// let experiment = Experiment::new("40011", "checkout_button", "60011", variations);
/// assert_eq!(experiment.variation_by_key("green_button").unwrap().id(), "70112");
/// assert_eq!((experiment.rule_type(), experiment.flag_key()), ("experiment", ""));
/// ```
#[doc(alias = "entities.Experiment")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    id: CompactString,
    key: CompactString,
    layer_id: CompactString,
    rule: Rule,
    variations: Vec<Variation>,
    /// Of its first variation; the others follow, and "no variation" behind them.
    place: Place,
}

impl Experiment {
    /// An experiment with these variations, which no flag uses. `layer_id` is the campaign; holdouts have none (`""`).
    pub fn new(id: &str, key: &str, layer_id: &str, variations: Vec<Variation>) -> Self {
        let (id, key, layer_id) = (id.into(), key.into(), layer_id.into());
        Self { id, key, layer_id, rule: Rule::default(), variations, place: Place::default() }
    }

    /// The same experiment as this rule of a flag.
    pub(super) fn ruled(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// The experiment's id: `experiment_id` of a decision.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The experiment's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The campaign's id as the datafile has it; empty for holdouts.
    #[doc(alias = "LayerID")]
    pub fn layer_id(&self) -> &str {
        &self.layer_id
    }

    /// The campaign's id as impressions report it: the experiment's own id where the campaign has none.
    ///
    /// ```
    /// use posthaste::Experiment;
    ///
    /// let holdout = Experiment::new("91", "ho", "", Vec::new());
    /// assert_eq!((holdout.layer_id(), holdout.campaign_id()), ("", "91"));
    /// ```
    pub fn campaign_id(&self) -> &str {
        campaign_id(&self.id, &self.layer_id)
    }

    /// What today's SDKs call it in a decision's metadata: `experiment`, `feature-test` (a flag uses it), `rollout` or
    /// `holdout` (PROTOCOL 2.3).
    pub fn rule_type(&self) -> &'static str {
        self.rule.kind.as_str()
    }

    /// The flag that uses it; empty where none does, several do, or the datafile does not say (a holdout of all flags).
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let rule = config.experiment_by_key("dark_mode_everyone")?;
    /// assert_eq!((rule.flag_key(), rule.rule_type()), ("dark_mode", "rollout"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flag_key(&self) -> &str {
        &self.rule.flag_key
    }

    /// The variations, in the datafile's order.
    pub fn variations(&self) -> &[Variation] {
        &self.variations
    }

    /// The variation of this key, if the experiment has one; of several the last, as in the SDKs.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let experiment = config.experiment_by_key("checkout_button")?;
    /// assert_eq!(experiment.variation_by_key("control").unwrap().id(), "70111");
    /// assert_eq!(experiment.variation_by_key("red"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn variation_by_key(&self, key: &str) -> Option<&Variation> {
        self.variations.iter().rfind(|variation| variation.key == key)
    }

    /// The variation of this id, if the experiment has one; of several the last.
    ///
    /// ```
    /// use posthaste::ProjectConfig;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let experiment = config.experiment_by_key("checkout_button")?;
    /// assert_eq!(experiment.variation_by_id("70112").unwrap().key(), "green_button");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn variation_by_id(&self, id: &str) -> Option<&Variation> {
        self.variations.iter().rfind(|variation| variation.id == id)
    }

    /// Gives it and its variations their numbers, the first this one. The next number is left.
    pub(super) fn number(&mut self, datafile: DatafileId, first: u32) -> u32 {
        self.place = Place::new(datafile, first);
        let mut next = first;
        for variation in &mut self.variations {
            variation.place = Place::new(datafile, next);
            next = next.saturating_add(1);
        }
        next.saturating_add(1)
    }

    /// The number of what an impression of `variation` reports; `None` stands for "no variation". There is none where
    /// the datafile does not have the experiment, or the experiment the variation.
    #[inline]
    pub(crate) fn index_of(&self, variation: Option<&Variation>, datafile: DatafileId) -> Option<u32> {
        let first = self.place.index_in(datafile)?;
        let none = first.saturating_add(u32::try_from(self.variations.len()).ok()?);
        let Some(variation) = variation else { return Some(none) };
        variation.place.index_in(datafile).filter(|index| (first..none).contains(index))
    }

    /// What impressions report, in the order of their numbers.
    pub(super) fn reports(&self, form: DecisionForm) -> impl Iterator<Item = ReportedDecision> {
        let variations = self.variations.iter().map(Some).chain([None]);
        variations.map(move |variation| self.report(variation, form))
    }

    /// What an impression of `variation` reports.
    pub(crate) fn report(&self, variation: Option<&Variation>, form: DecisionForm) -> ReportedDecision {
        let id = variation.map(Variation::id);
        match form {
            DecisionForm::Normal => ReportedDecision::normal(&self.id, &self.layer_id, id),
            // The seed sends an empty campaign id, too; nobody could tell its events apart.
            DecisionForm::Raw => {
                let campaign_id = if self.layer_id.is_empty() { &self.id } else { &self.layer_id };
                ReportedDecision::new(&self.id, campaign_id, id)
            }
            DecisionForm::Todays => {
                let mut decision = ReportedDecision::normal(&self.id, &self.layer_id, id);
                decision.metadata = Some(self.metadata(variation));
                decision
            }
        }
    }

    /// As far as the datafile tells it. An experiment of no flag counts as on for whoever has a variation of it.
    fn metadata(&self, variation: Option<&Variation>) -> DecisionMetadata {
        let enabled = match self.rule.kind {
            RuleKind::Experiment => variation.is_some(),
            _ => variation.is_some_and(|variation| variation.feature_enabled),
        };
        let variation_key = variation.map_or("", Variation::key);
        DecisionMetadata::new(&self.rule.flag_key, &self.key, self.rule_type(), variation_key, enabled)
    }
}

/// One arm of an experiment.
///
/// ```
/// use posthaste::Variation;
///
/// let variation = Variation::new("70111", "control");
/// assert_eq!((variation.id(), variation.key(), variation.feature_enabled()), ("70111", "control", false));
/// ```
#[doc(alias = "entities.Variation")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    id: CompactString,
    key: CompactString,
    feature_enabled: bool,
    place: Place,
}

impl Variation {
    /// A variation that turns no flag on; it belongs to an experiment once [`Experiment::new`] has taken it.
    pub fn new(id: &str, key: &str) -> Self {
        Self { id: id.into(), key: key.into(), feature_enabled: false, place: Place::default() }
    }

    /// The variation's id: `variation_id` of a decision.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The variation's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the flag is on for whoever has this variation; false where the datafile does not say.
    pub fn feature_enabled(&self) -> bool {
        self.feature_enabled
    }

    pub(super) fn with_feature_enabled(mut self, on: bool) -> Self {
        self.feature_enabled = on;
        self
    }
}
