//! The events and attributes that a datafile names.
//!
//! Plain data, built once by the parser and shared from then on.

use std::sync::OnceLock;

use compact_str::CompactString;

use super::{
    nameless::is_nameless,
    tables::{DatafileId, Place},
};

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
    id: CompactString,
    key: CompactString,
    experiment_ids: Vec<CompactString>,
    place: Place,
}

/// The id and key that every conversion of one event carries.
#[derive(Debug)]
pub(crate) struct EventIds {
    pub(crate) id: CompactString,
    pub(crate) key: CompactString,
    pub(crate) is_nameless: bool,
    /// How they are written, once somebody has written them.
    pub(crate) in_words: OnceLock<Box<[u8]>>,
}

impl EventIds {
    pub(super) fn new(id: &str, key: &str) -> Self {
        Self { id: id.into(), key: key.into(), is_nameless: is_nameless(id), in_words: OnceLock::new() }
    }

    /// Bytes of text in them.
    pub(crate) fn text_bytes(&self) -> usize {
        self.id.len() + self.key.len()
    }
}

impl Event {
    /// An event of this id and key that no experiment uses.
    pub fn new(id: &str, key: &str) -> Self {
        Self { id: id.into(), key: key.into(), experiment_ids: Vec::new(), place: Place::default() }
    }

    pub(crate) fn with_experiment_ids(mut self, experiment_ids: Vec<CompactString>) -> Self {
        self.experiment_ids = experiment_ids;
        self
    }

    /// The event's id: `entity_id` of a conversion.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The event's key: what programs call it by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The experiments that count this event. A conversion is sent even if there is none.
    pub fn experiment_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.experiment_ids.iter().map(CompactString::as_str)
    }

    pub(super) fn number(&mut self, place: Place) {
        self.place = place;
    }

    /// Its number in the tables of this datafile, if it is of that.
    pub(crate) fn index_in(&self, datafile: DatafileId) -> Option<u32> {
        self.place.index_in(datafile)
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
