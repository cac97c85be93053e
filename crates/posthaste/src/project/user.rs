//! Whom an event is about.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::packing::KeptPacking;

/// A visitor: an id, and attributes as the program knows them.
///
/// Attributes are any JSON value here; which of them can be sent is decided when an event is made
/// ([`create_impression_user_event`](crate::create_impression_user_event), PROTOCOL 2.5). They are kept sorted by key,
/// so that equal users give equal bodies.
///
/// ```
/// use posthaste::UserContext;
///
/// let user = UserContext::new("visitor-1").attribute("plan", "pro").attribute("age", 41);
/// assert_eq!((user.id(), user.attributes().count()), ("visitor-1", 2));
/// ```
#[doc(alias = "entities.UserContext")]
#[derive(Clone, PartialEq, Default)]
pub struct UserContext {
    id: String,
    attributes: BTreeMap<String, Value>,
    packing: KeptPacking,
}

impl UserContext {
    /// A user without attributes. The id is sent as it is, and may be empty, as in the official SDKs.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The same user with one more attribute; a second value for a key replaces the first.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self.packing = KeptPacking::default();
        self
    }

    /// The same user with these attributes in place of all that there were; the later of two values for a key counts.
    ///
    /// ```
    /// use posthaste::UserContext;
    ///
    /// let user = UserContext::new("visitor-1").with_attributes([("age", 41), ("visits", 3)]);
    /// assert_eq!(user.attributes().next().unwrap().0, "age");
    /// ```
    #[must_use]
    pub fn with_attributes<K: Into<String>, V: Into<Value>>(
        mut self,
        attributes: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.attributes = attributes.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self.packing = KeptPacking::default();
        self
    }

    /// Another user, with the same attributes.
    ///
    /// ```
    /// use posthaste::UserContext;
    ///
    /// let user = UserContext::new("visitor-1").attribute("plan", "pro");
    /// assert_eq!(user.clone().with_id("visitor-2").attributes().count(), 1);
    /// ```
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The visitor's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attributes, sorted by key.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), value))
    }
    pub(crate) fn packing(&self) -> &KeptPacking {
        &self.packing
    }
}

impl fmt::Debug for UserContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, attributes, packing: _ } = self;
        f.debug_struct("UserContext").field("id", id).field("attributes", attributes).finish()
    }
}
