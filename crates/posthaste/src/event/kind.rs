//! What happened, as an event tells it: looked up in its context's tables, or read from its own bytes. Views, which
//! copy nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    bytes::{as_text, put_number, put_text, take_number, take_text},
    packed::{Details, Packed, flag},
};
use crate::{
    batch::DecisionMetadata,
    project::{EventIds, ReportedDecision},
};

/// The event key of every impression.
pub const IMPRESSION_KEY: &str = "campaign_activated";

/// What happened. There is no third kind, so a `match` needs no other arm.
///
/// ```
/// use posthaste::{EventKind, NO_TAGS, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.conversion("purchase", &UserContext::new("visitor-1"), NO_TAGS)?;
/// match event.kind() {
///     EventKind::Impression(_) => unreachable!("a purchase is none"),
///     EventKind::Conversion(conversion) => assert_eq!(conversion.key(), "purchase"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EventKind<'a> {
    /// A visitor saw a variation.
    Impression(ImpressionEvent<'a>),
    /// A visitor did something that the project counts.
    Conversion(ConversionEvent<'a>),
}

/// A visitor saw a variation. Borrows from its event.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
/// let seen = event.impression().unwrap();
/// assert_eq!((seen.campaign_id(), seen.experiment_id(), seen.variation_id()), ("60011", "40011", Some("70111")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.ImpressionEvent")]
#[derive(Debug, Clone, Copy)]
pub struct ImpressionEvent<'a> {
    campaign_id: &'a str,
    experiment_id: &'a str,
    variation_id: Option<&'a str>,
    metadata: Metadata<'a>,
}

/// Where the metadata are.
#[derive(Debug, Clone, Copy)]
enum Metadata<'a> {
    None,
    Shared(&'a DecisionMetadata),
    /// Among the event's bytes.
    Packed(&'a [u8]),
}

/// A visitor did something that the project counts. Borrows from its event.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.conversion("purchase", &UserContext::new("visitor-1"), [("value", 1.5)])?;
/// let done = event.conversion().unwrap();
/// assert_eq!((done.entity_id(), done.value(), done.revenue()), ("30012", Some(1.5), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.ConversionEvent")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConversionEvent<'a> {
    id: &'a str,
    key: &'a str,
    details: Details<'a>,
}

impl<'a> EventKind<'a> {
    pub(super) fn of(event: &'a Packed) -> Self {
        if event.has(flag::CONVERSION) {
            Self::Conversion(ConversionEvent::of(event))
        } else {
            Self::Impression(ImpressionEvent::of(event))
        }
    }
}

impl<'a> ImpressionEvent<'a> {
    fn of(event: &'a Packed) -> Self {
        match event.decision() {
            Some(decision) => Self::shared(decision),
            None => Self::own(event.own_ids()),
        }
    }

    pub(super) fn shared(decision: &'a ReportedDecision) -> Self {
        let metadata = decision.metadata.as_ref().map_or(Metadata::None, Metadata::Shared);
        Self {
            campaign_id: &decision.campaign_id,
            experiment_id: &decision.experiment_id,
            variation_id: decision.variation_id.as_deref(),
            metadata,
        }
    }

    fn own(mut ids: &'a [u8]) -> Self {
        let rest = &mut ids;
        let (campaign_id, experiment_id) = (take_text(rest), take_text(rest));
        let variation_id = take_option(rest);
        let metadata = if rest.is_empty() { Metadata::None } else { Metadata::Packed(rest) };
        Self { campaign_id, experiment_id, variation_id, metadata }
    }

    /// Adds the same as ids of an event's own, with these metadata.
    pub(super) fn put(self, out: &mut Vec<u8>, metadata: Option<&DecisionMetadata>) {
        put_text(out, self.campaign_id);
        put_text(out, self.experiment_id);
        put_option(out, self.variation_id);
        if let Some(metadata) = metadata {
            put_metadata(out, metadata);
        }
    }

    /// [`IMPRESSION_KEY`].
    pub fn key(self) -> &'static str {
        IMPRESSION_KEY
    }

    /// The campaign, as for every impression.
    pub fn entity_id(self) -> &'a str {
        self.campaign_id
    }

    /// The campaign: the experiment's layer.
    pub fn campaign_id(self) -> &'a str {
        self.campaign_id
    }

    /// The experiment.
    pub fn experiment_id(self) -> &'a str {
        self.experiment_id
    }

    /// The variation; `None` where none was decided.
    pub fn variation_id(self) -> Option<&'a str> {
        self.variation_id
    }

    /// How the decision came about, where that is to be sent. Borrowed from the project, except where an event has its
    /// [own](crate::UserEvent::with_decision_metadata).
    pub fn metadata(self) -> Option<Cow<'a, DecisionMetadata>> {
        match self.metadata {
            Metadata::None => None,
            Metadata::Shared(metadata) => Some(Cow::Borrowed(metadata)),
            Metadata::Packed(packed) => Some(Cow::Owned(take_metadata(packed))),
        }
    }
}

impl PartialEq for ImpressionEvent<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.campaign_id == other.campaign_id
            && self.experiment_id == other.experiment_id
            && self.variation_id == other.variation_id
            && self.metadata() == other.metadata()
    }
}

impl<'a> ConversionEvent<'a> {
    fn of(event: &'a Packed) -> Self {
        let mut rest = event.own_ids();
        let (id, key) = match event.event_ids() {
            Some(EventIds { id, key, .. }) => (&**id, &**key),
            None => (take_text(&mut rest), take_text(&mut rest)),
        };
        Self { id, key, details: event.details(rest) }
    }

    /// The event's key.
    pub fn key(self) -> &'a str {
        self.key
    }

    /// The event's id.
    pub fn entity_id(self) -> &'a str {
        self.id
    }

    /// The tags, as they were when the event was made.
    pub fn tags(self) -> Map<String, Value> {
        serde_json::from_slice(self.details.tags).unwrap_or_default()
    }

    /// Whether `revenue` or `value` may be among the tags.
    pub(crate) fn may_state_a_number(self) -> bool {
        let text = as_text(self.details.tags);
        ["\"revenue\"", "\"value\""].into_iter().any(|name| text.contains(name))
    }

    /// The revenue that the tags state, in the currency's smallest unit.
    pub fn revenue(self) -> Option<i64> {
        self.details.revenue
    }

    /// The value that the tags state.
    pub fn value(self) -> Option<f64> {
        self.details.value
    }

    pub(super) fn details(self) -> Details<'a> {
        self.details
    }
}

/// A text that may be missing: 0, or 1 and the text.
fn put_option(out: &mut Vec<u8>, text: Option<&str>) {
    put_number(out, usize::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

fn take_option<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    (take_number(rest) == Some(1)).then(|| take_text(rest))
}

fn put_metadata(out: &mut Vec<u8>, metadata: &DecisionMetadata) {
    let DecisionMetadata { flag_key, rule_key, rule_type, variation_key, enabled, cmab_uuid } = metadata;
    for text in [flag_key, rule_key, rule_type, variation_key] {
        put_text(out, text);
    }
    put_number(out, usize::from(*enabled));
    put_option(out, cmab_uuid.as_deref());
}

fn take_metadata(mut packed: &[u8]) -> DecisionMetadata {
    let rest = &mut packed;
    let [flag_key, rule_key, rule_type, variation_key] = [(); 4].map(|()| take_text(rest));
    let enabled = take_number(rest) == Some(1);
    let mut metadata = DecisionMetadata::new(flag_key, rule_key, rule_type, variation_key, enabled);
    metadata.cmab_uuid = take_option(rest).map(str::to_owned);
    metadata
}
