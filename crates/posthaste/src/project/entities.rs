//! The events and attributes that a datafile names.
//!
//! Plain data, built once by the parser and shared from then on.

use std::sync::Arc;

use compact_str::CompactString;

/// A conversion event that the project defines.
///
/// ```
/// use posthaste::Event;
///
/// let event = Event::new("30012", "purchase");
/// assert_eq!((event.id(), event.key(), event.experiment_ids().len()), ("30012", "purchase", 0));
/// ```
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
///
/// ```
/// use posthaste::Attribute;
///
/// let attribute = Attribute::new("20010", "plan");
/// assert_eq!((attribute.id(), attribute.key()), ("20010", "plan"));
/// ```
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

    /// The attribute's id: `entity_id` on the wire. Where it or the key is empty, the attribute is not sent.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attribute's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }
}
