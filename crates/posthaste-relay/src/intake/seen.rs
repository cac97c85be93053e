//! What listeners at the tail are told of a request; nothing is kept while nobody listens.

use bytes::Bytes;

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
    /// Held for as long as the request is.
    body: Option<Bytes>,
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

    pub(super) fn is_of(&mut self, account: &str, body: &Bytes) {
        if let Some(facts) = &mut self.0 {
            (facts.account, facts.body) = (Some(account.to_owned()), Some(body.clone()));
        }
    }

    pub(super) fn goes_to(&mut self, tenant: &str, events: usize) {
        if let Some(facts) = &mut self.0 {
            (facts.tenant, facts.events) = (Some(tenant.to_owned()), events);
        }
    }

    /// It has been answered.
    pub(super) fn tell(self, relay: &Relay, reason: Reason) {
        let Some(Facts { bytes, account, tenant, events, body }) = self.0 else { return };
        let (account, tenant) = (account.as_deref(), tenant.as_deref());
        let line = || CameIn {
            time_ms: relay.clock().now_ms(),
            tenant,
            account: account.map(shown),
            events,
            client_name: None,
            client_version: None,
            bytes,
            status: reason.status().as_u16(),
            reason: reason.name(),
        };
        relay.tail().tell(tenant, account, &|| line().by_client_of(body.as_ref()).to_line());
    }
}
