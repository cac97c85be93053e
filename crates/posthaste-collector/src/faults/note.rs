//! What was done to a request, as it stands with the events that came in it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// What a rule did to the request that an event came in. In JSON: `{"rule": "busy", "did": "503", "request": 3}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(super) rule: Arc<str>,
    pub(super) did: Arc<str>,
    pub(super) request: u64,
}

impl Fault {
    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What was done, in words: `after 500 ms: 204, then reset`.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// The request's number among all that the script has seen, from 1 on.
    pub fn request(&self) -> u64 {
        self.request
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Fault", 3)?;
        fields.serialize_field("rule", self.rule())?;
        fields.serialize_field("did", self.did())?;
        fields.serialize_field("request", &self.request)?;
        fields.end()
    }
}
