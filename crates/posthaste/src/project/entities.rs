//! The things a datafile names: experiments with their variations, events, attributes.
//!
//! Plain data, built once by the parser and shared from then on. What every event of a variation repeats (its
//! decision's ids) is put together here, once, so that an event holds one pointer to it.

use std::sync::Arc;

use compact_str::CompactString;

/// An experiment, a group's member, a rollout's rule or a holdout.
#[doc(alias = "entities.Experiment")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    id: CompactString,
    key: CompactString,
    layer_id: CompactString,
    variations: Vec<Variation>,
}

impl Experiment {
    /// An experiment with these variations. `layer_id` is the campaign; holdouts have none (`""`).
    pub fn new(id: &str, key: &str, layer_id: &str, variations: Vec<Variation>) -> Self {
        let variations = variations.into_iter().map(|variation| variation.of(id, layer_id)).collect();
        Self { id: id.into(), key: key.into(), layer_id: layer_id.into(), variations }
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

    /// The variations, in the datafile's order.
    pub fn variations(&self) -> &[Variation] {
        &self.variations
    }

    /// The variation of this key, if the experiment has one.
    pub fn variation_by_key(&self, key: &str) -> Option<&Variation> {
        self.variations.iter().find(|variation| variation.key == key)
    }

    /// The variation of this id, if the experiment has one.
    pub fn variation_by_id(&self, id: &str) -> Option<&Variation> {
        self.variations.iter().find(|variation| variation.id == id)
    }

    /// What an impression of `variation` reports; `None` stands for "no variation".
    pub(crate) fn decision(&self, variation: Option<&Variation>) -> Arc<DecisionIds> {
        match variation {
            Some(Variation { decision: Some(ids), .. }) if ids.experiment_id == self.id => Arc::clone(ids),
            _ => Arc::new(DecisionIds::new(&self.id, &self.layer_id, variation.map(|v| &*v.id))),
        }
    }
}

/// One arm of an experiment.
#[doc(alias = "entities.Variation")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    id: CompactString,
    key: CompactString,
    decision: Option<Arc<DecisionIds>>,
}

impl Variation {
    /// A variation; it belongs to an experiment once [`Experiment::new`] has taken it.
    pub fn new(id: &str, key: &str) -> Self {
        Self { id: id.into(), key: key.into(), decision: None }
    }

    /// The variation's id: `variation_id` of a decision.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The variation's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn of(mut self, experiment_id: &str, layer_id: &str) -> Self {
        self.decision = Some(Arc::new(DecisionIds::new(experiment_id, layer_id, Some(&self.id))));
        self
    }
}

/// The ids that every impression of one variation carries.
#[expect(clippy::struct_field_names, reason = "they are all ids, and so called on the wire")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecisionIds {
    pub(crate) campaign_id: CompactString,
    pub(crate) experiment_id: CompactString,
    /// `None` where no variation was decided: `null` on the wire.
    pub(crate) variation_id: Option<CompactString>,
}

impl DecisionIds {
    /// A campaign without an id (holdouts) goes by its experiment's, as in today's official SDKs: an empty
    /// `entity_id` would make unlike events look like repeats of each other.
    pub(crate) fn new(experiment_id: &str, layer_id: &str, variation_id: Option<&str>) -> Self {
        let campaign_id = if layer_id.is_empty() { experiment_id } else { layer_id };
        Self {
            campaign_id: campaign_id.into(),
            experiment_id: experiment_id.into(),
            variation_id: variation_id.map(CompactString::from),
        }
    }
}

/// A conversion event that the project defines.
#[doc(alias = "entities.Event")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    ids: Arc<EventIds>,
    experiment_ids: Vec<CompactString>,
}

/// The id and key that every conversion of one event carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventIds {
    pub(crate) id: CompactString,
    pub(crate) key: CompactString,
}

impl Event {
    /// An event of this id and key that no experiment uses.
    pub fn new(id: &str, key: &str) -> Self {
        Self { ids: Arc::new(EventIds { id: id.into(), key: key.into() }), experiment_ids: Vec::new() }
    }

    pub(crate) fn with_experiment_ids(mut self, experiment_ids: Vec<CompactString>) -> Self {
        self.experiment_ids = experiment_ids;
        self
    }

    /// The event's id: `entity_id` of a conversion.
    pub fn id(&self) -> &str {
        &self.ids.id
    }

    /// The event's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.ids.key
    }

    /// The experiments that count this event. A conversion is sent even if there is none.
    pub fn experiment_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.experiment_ids.iter().map(CompactString::as_str)
    }

    pub(crate) fn ids(&self) -> &Arc<EventIds> {
        &self.ids
    }
}

/// A visitor attribute that the project defines.
#[doc(alias = "entities.Attribute")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    id: CompactString,
    key: CompactString,
}

impl Attribute {
    /// An attribute of this id and key.
    pub fn new(id: &str, key: &str) -> Self {
        Self { id: id.into(), key: key.into() }
    }

    /// The attribute's id: `entity_id` on the wire. May be empty: such an attribute is not sent.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attribute's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }
}
