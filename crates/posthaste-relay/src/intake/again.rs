//! A second look at a body that nobody could use: a newer version may be able to mend it.

use std::sync::Arc;

use bytes::Bytes;
use posthaste::LogEvent;

use super::{
    envelope::{Detail, Envelope},
    repair,
};
use crate::{relay::Relay, tenants::Tenant};

/// Repairs and judges the body as if it came now. `None`: it is still of no use, or of an account that is not on the
/// list. Nothing is counted: it has been answered long ago.
pub(crate) fn again<'a>(relay: &'a Relay, body: &Bytes) -> Option<(&'a Tenant, LogEvent)> {
    let body = repair::repair(body).body;
    let envelope = Envelope::read(&body, Detail::Ids).ok()?;
    if !relay.access().rules().takes(envelope.account()) {
        return None;
    }
    let tenant = relay.tenants().of(envelope.account(), envelope.project());
    let request = LogEvent::from_body(Arc::clone(tenant.upstream()), body).ok()?;
    Some((tenant, request.with_taken_ms(relay.clock().now_ms())))
}
