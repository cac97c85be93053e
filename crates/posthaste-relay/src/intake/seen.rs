//! What listeners at the tail are told of a request; nothing is kept while nobody listens.

use super::envelope::{Client, Detail, Envelope};
use crate::{
    answer::Reason,
    relay::Relay,
    tail::{CameIn, Tail, shown},
};

/// What is known of a request so far. `None`: nobody listens.
#[derive(Debug)]
pub(super) struct Seen(Option<Facts>);

#[derive(Debug, Default)]
struct Facts {
    bytes: usize,
    account: Option<String>,
    tenant: Option<String>,
    events: usize,
    client: Client,
}

impl Seen {
    pub(super) fn if_heard(tail: &Tail) -> Self {
        Self(tail.is_heard().then(Facts::default))
    }

    /// So many bytes of a body.
    pub(super) fn came(&mut self, bytes: usize) {
        if let Some(facts) = &mut self.0 {
            facts.bytes = bytes;
        }
    }

    /// What listeners want to know of the envelope.
    pub(super) fn detail(&self) -> Detail {
        if self.0.is_some() { Detail::IdsAndClient } else { Detail::Ids }
    }

    pub(super) fn is_of(&mut self, envelope: &Envelope) {
        if let Some(facts) = &mut self.0 {
            (facts.account, facts.client) = (Some(envelope.account().to_owned()), envelope.client().clone());
        }
    }

    pub(super) fn goes_to(&mut self, tenant: &str, events: usize) {
        if let Some(facts) = &mut self.0 {
            (facts.tenant, facts.events) = (Some(tenant.to_owned()), events);
        }
    }

    /// It has been answered.
    pub(super) fn tell(self, relay: &Relay, reason: Reason) {
        let Some(Facts { bytes, account, tenant, events, client }) = self.0 else { return };
        let (account, tenant) = (account.as_deref(), tenant.as_deref());
        let line = || CameIn {
            time_ms: relay.clock().now_ms(),
            tenant,
            account: account.map(shown),
            events,
            client_name: client.name.as_deref().map(shown),
            client_version: client.version.as_deref().map(shown),
            bytes,
            status: reason.status().as_u16(),
            reason: reason.name(),
        };
        relay.tail().tell(tenant, account, &|| line().to_line());
    }
}
