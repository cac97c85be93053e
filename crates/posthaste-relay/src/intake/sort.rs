//! A body as the request that it will be: whose queue it goes to, and which of it has come before.
//!
//! The body is taken apart once; everything else is read from its parts.

use std::sync::Arc;

use bytes::Bytes;
use posthaste::{LogEvent, RawBatch, judge::Problem};

use super::{
    Turned,
    envelope::{Envelope, why_unusable},
    judging, repeats,
    seen::Seen,
};
use crate::{answer::Reason, relay::Relay, tenants::Tenant};

/// A body on its way into a queue.
pub(super) struct Sorted<'r> {
    pub(super) tenant: &'r Tenant,
    /// `None`: everything in it has come before, and is safe.
    pub(super) request: Option<LogEvent>,
    /// To be remembered once it is safe.
    pub(super) events: repeats::Seen,
}

/// Why there is no queue for it.
pub(super) enum Unsorted {
    /// Nobody can use it.
    Unusable(Vec<Problem>),
    /// The client is told.
    Turned(Turned),
}

impl From<Turned> for Unsorted {
    fn from(turned: Turned) -> Self {
        Self::Turned(turned)
    }
}

pub(super) fn sort<'r>(
    relay: &'r Relay,
    body: &Bytes,
    is_strict: bool,
    told: &mut Seen,
) -> Result<Sorted<'r>, Unsorted> {
    let batch = RawBatch::parse(body).map_err(|error| Unsorted::Unusable(why_unusable(body, &error)))?;
    let envelope = Envelope::of(&batch, body, told.detail()).map_err(Unsorted::Unusable)?;
    told.is_of(&envelope);
    if !relay.access().rules().takes(envelope.account()) {
        return Err(Turned::Away(Reason::ForeignAccount).into());
    }
    if is_strict {
        let judgement = judging::judge(body).ok_or(Turned::Away(Reason::BodyTooLarge))?;
        if !judgement.problems.is_empty() {
            return Err(Turned::Back(judgement.problems).into());
        }
    }
    let tenant = relay.tenants().of(envelope.account(), envelope.project());
    let events = tenant.repeats().look(&batch);
    relay.counters().repeated(events.repeats(), events.left_out());
    let request = request(tenant, body, &batch, &events);
    let request = request.map(|request| request.with_taken_ms(relay.clock().now_ms()));
    told.goes_to(tenant.name(), request.as_ref().map_or(0, LogEvent::events));
    Ok(Sorted { tenant, request, events })
}

/// What is left of the body.
fn request(tenant: &Tenant, body: &Bytes, batch: &RawBatch<'_>, events: &repeats::Seen) -> Option<LogEvent> {
    let upstream = Arc::clone(tenant.upstream());
    if !events.leaves_out() {
        return Some(LogEvent::from_batch(upstream, body, batch, events.events()));
    }
    LogEvent::from_body(upstream, events.without_repeats(batch)?).ok()
}
