//! Whom an event is about.

use std::collections::BTreeMap;

use serde_json::Value;

/// A visitor: an id, and attributes as the program knows them.
///
/// Attributes are any JSON value here; which of them can be sent is decided when an event is made
/// ([`create_impression_user_event`](crate::create_impression_user_event)). They are kept sorted by key, so that
/// equal users give equal bodies.
#[doc(alias = "entities.UserContext")]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserContext {
    /// The visitor's id, sent as it is. May be empty, as in the official SDKs.
    pub id: String,
    /// Attribute key to value.
    pub attributes: BTreeMap<String, Value>,
}

impl UserContext {
    /// A user without attributes.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), attributes: BTreeMap::new() }
    }

    /// The same user with one more attribute; a second value for a key replaces the first.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }
}
