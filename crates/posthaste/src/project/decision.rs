//! What impressions report of their decision, put together once for each variation.

use std::sync::OnceLock;

use compact_str::CompactString;

use crate::batch::DecisionMetadata;

/// How decisions are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DecisionForm {
    /// As the seed does, with the ids that today's SDKs would send: nothing that the API could not use goes out.
    #[default]
    Normal,
    /// As the seed does, to the letter: ids as the datafile has them.
    Raw,
    /// As today's SDKs do: with metadata.
    Todays,
}

/// What every impression of one variation carries.
#[derive(Debug, Clone)]
pub(crate) struct ReportedDecision {
    pub(crate) campaign_id: CompactString,
    pub(crate) experiment_id: CompactString,
    /// `None` where no variation was decided: `null` on the wire.
    pub(crate) variation_id: Option<CompactString>,
    pub(crate) metadata: Option<DecisionMetadata>,
    /// How it is written, with the event's ids, once somebody has written it.
    pub(crate) in_words: OnceLock<Box<[u8]>>,
}

impl ReportedDecision {
    /// These ids as they are.
    pub(crate) fn new(experiment_id: &str, campaign_id: &str, variation_id: Option<&str>) -> Self {
        Self {
            campaign_id: campaign_id.into(),
            experiment_id: experiment_id.into(),
            variation_id: variation_id.map(CompactString::from),
            metadata: None,
            in_words: OnceLock::new(),
        }
    }

    /// These ids as today's SDKs would send them (PROTOCOL 2.2, "ids"). A campaign without an id (holdouts) goes by its
    /// experiment's: an empty `entity_id` would make unlike events look like repeats of each other.
    pub(super) fn normal(experiment_id: &str, layer_id: &str, variation_id: Option<&str>) -> Self {
        let campaign_id = campaign_id(experiment_id, layer_id);
        Self::new(experiment_id, campaign_id, variation_id.filter(|id| is_variation_id(id)))
    }

    /// Bytes of text in it, the campaign's as often as it is written, and of what the metadata are written with.
    pub(crate) fn text_bytes(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |metadata| metadata.text_bytes() + 200);
        let variation_id = self.variation_id.as_ref().map_or(0, CompactString::len);
        2 * self.campaign_id.len() + self.experiment_id.len() + variation_id + metadata
    }
}

/// The campaign that an experiment's impressions are reported under.
pub(crate) fn campaign_id<'a>(experiment_id: &'a str, layer_id: &'a str) -> &'a str {
    if layer_id.trim().is_empty() { experiment_id } else { layer_id }
}

/// Whether today's SDKs take this for a variation's id; they report any other as `null` (PROTOCOL 2.2, "ids").
pub(crate) fn is_variation_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}
