//! What impressions report of their decision, put together once for each variation.

use std::sync::Arc;

use compact_str::CompactString;

use crate::batch::DecisionMetadata;

/// How decisions are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DecisionForm {
    /// As the seed does: ids alone, as the datafile has them.
    #[default]
    Seed,
    /// As today's SDKs do: with metadata, and a variation's id only where it is one.
    Todays,
}

/// What every impression of one variation carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportedDecision {
    pub(crate) campaign_id: CompactString,
    pub(crate) experiment_id: CompactString,
    /// `None` where no variation was decided: `null` on the wire.
    pub(crate) variation_id: Option<CompactString>,
    pub(crate) metadata: Option<DecisionMetadata>,
}

impl ReportedDecision {
    /// A campaign without an id (holdouts) goes by its experiment's, as in today's official SDKs: an empty
    /// `entity_id` would make unlike events look like repeats of each other.
    pub(crate) fn new(experiment_id: &str, layer_id: &str, variation_id: Option<&str>) -> Self {
        let campaign_id = if layer_id.is_empty() { experiment_id } else { layer_id };
        Self {
            campaign_id: campaign_id.into(),
            experiment_id: experiment_id.into(),
            variation_id: variation_id.map(CompactString::from),
            metadata: None,
        }
    }
}

/// One variation's decision in either form, shared by its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forms {
    pub(super) seed: Arc<ReportedDecision>,
    pub(super) todays: Arc<ReportedDecision>,
}

impl Forms {
    pub(super) fn get(&self, form: DecisionForm) -> &Arc<ReportedDecision> {
        match form {
            DecisionForm::Seed => &self.seed,
            DecisionForm::Todays => &self.todays,
        }
    }
}

/// Whether today's SDKs take this for a variation's id; they report any other as `null` (PROTOCOL 2.2, "ids").
pub(super) fn is_variation_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}
