//! What happens to one request, from its head to its answer.
//!
//! ```text
//! head ─ path, method, token ─▶ body ─ read, unpack ─▶ repair ─▶ tenant, account ─▶ queue ─ receipt ─▶ 204
//!                                                        └ nobody can use it ─▶ dead letter ─▶ 204
//! ```
//!
//! Invariant: 204 is answered only once the events are as safe as the tenant's queue makes them. Whatever else happens
//! has a [`Reason`], which is counted once.

mod again;
mod body;
mod envelope;
mod judging;
mod latin1;
mod not_a_number;
mod repair;
mod repeats;
mod seen;
mod sort;
mod unpack;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, header::CONTENT_TYPE};
use posthaste::{
    LogEvent, Receipt, Refusal, Refused,
    judge::{self, Problem},
};

pub(crate) use self::{again::again, body::Budget, repeats::Window};
use self::{
    body::Held,
    repair::Repaired,
    seen::Seen,
    sort::{Sorted, Unsorted},
};
use crate::{
    answer::{self, Answer, Reason},
    counters::Repair,
    relay::Relay,
    tenants::{Kind, Tenant},
};

/// Asks for a failure status where a body is bad.
const STRICT: HeaderName = HeaderName::from_static("x-optimizely-strict");

/// How long a request waits before it asks a full queue again, at first; twice as long each time.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// A request that is not taken.
#[derive(Debug)]
pub(crate) enum Turned {
    /// For this reason.
    Away(Reason),
    /// The body has these faults, and the client wants to know.
    Back(Vec<Problem>),
}

impl From<Reason> for Turned {
    fn from(reason: Reason) -> Self {
        Self::Away(reason)
    }
}

/// Answers a request.
pub(crate) async fn answer<B>(relay: &Relay, request: Request<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let limits = &relay.config().limits;
    let mut seen = Seen::if_heard(relay.tail());
    let (reason, answer) = match take(relay, request, &mut seen).await {
        Ok(reason) | Err(Turned::Away(reason)) => (reason, answer::answer(reason, limits.retry_after)),
        Err(Turned::Back(problems)) => (Reason::Refused, answer::problems(&problems)),
    };
    relay.counters().answered(reason);
    seen.tell(relay, reason);
    if reason != Reason::Taken {
        relay.refusals().note(reason, relay.clock().elapsed());
    }
    answer
}

async fn take<B>(relay: &Relay, request: Request<B>, seen: &mut Seen) -> Result<Reason, Turned>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    check_head(relay, &head)?;
    let limits = &relay.config().limits;
    let held = body::read(body, limits, relay.budget()).await?;
    relay.counters().body(held.bytes().len());
    seen.came(held.bytes().len());
    let is_strict = relay.config().strict || asks_for_strictness(&head.headers);
    note_content_type(relay, &head.headers);
    let mut held = match unpack::unpack(&head.headers, held, limits, relay.budget()) {
        Ok(held) => held,
        Err(unpack::Failed::Turned(reason)) => return Err(reason.into()),
        Err(unpack::Failed::Broken(broken)) => {
            let (held, problem) = *broken;
            return bury(relay, relay.tenants().first(), &held, vec![problem], is_strict).await;
        }
    };
    note_packing(relay, &head.headers);
    let Repaired { body, repairs } = repair::repair(held.bytes());
    held.make_room_for(&body, relay.budget())?;
    for repair in repairs {
        relay.counters().repaired(repair);
    }
    match sort::sort(relay, &body, is_strict, seen) {
        Ok(sorted) => store(relay, sorted).await,
        Err(Unsorted::Turned(turned)) => Err(turned),
        Err(Unsorted::Unusable(problems)) => {
            bury(relay, relay.tenants().first(), &held, problems, is_strict).await
        }
    }
}

fn check_head(relay: &Relay, head: &http::request::Parts) -> Result<(), Reason> {
    if !relay.takes_at(head.uri.path()) {
        Err(Reason::NoSuchPath)
    } else if head.method != Method::POST {
        Err(Reason::NotPost)
    } else if relay.access().rules().lets_in(&head.headers) {
        Ok(())
    } else {
        Err(Reason::NoToken)
    }
}

/// Puts the request into the tenant's queue, and waits until it is safe there.
async fn store(relay: &Relay, Sorted { tenant, request, events }: Sorted<'_>) -> Result<Reason, Turned> {
    let Some(request) = request else { return Ok(Reason::Taken) };
    let until = tokio::time::Instant::now() + relay.config().limits.store_timeout;
    let _waiting = relay.waiting().try_acquire().map_err(|_| Reason::Busy)?;
    let stored = async { safe(tenant, add(tenant, request, until).await?, until).await };
    if let Err(reason) = stored.await {
        tenant.has_refused(reason.name(), relay.clock().elapsed());
        return Err(reason.into());
    }
    tenant.has_taken();
    tenant.repeats().remember(events);
    Ok(Reason::Taken)
}

/// Adds it, and waits for room until then.
async fn add(tenant: &Tenant, request: LogEvent, until: tokio::time::Instant) -> Result<Receipt, Reason> {
    let (mut request, mut pause) = (request, FIRST_PAUSE);
    loop {
        match tenant.intake().dispatcher().add(request) {
            Ok(receipt) => return Ok(receipt),
            Err(Refused { item, reason, .. }) if reason.is_full() => {
                if tokio::time::Instant::now() + pause >= until {
                    return Err(refused(&reason));
                }
                request = item;
            }
            Err(Refused { reason, .. }) => return Err(refused(&reason)),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

async fn safe(tenant: &Tenant, receipt: Receipt, until: tokio::time::Instant) -> Result<(), Reason> {
    match tokio::time::timeout_at(until, receipt).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(refused(&reason)),
        Err(_) if tenant.intake().kind() == Kind::Shared => Err(Reason::StreamTooSlow),
        Err(_) => Err(Reason::DiskTooSlow),
    }
}

fn refused(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::Closed => Reason::Closed,
        Refusal::TooLarge { .. } => Reason::BodyTooLarge,
        full if full.is_full() => Reason::Full,
        _ => Reason::Storage,
    }
}

/// Keeps what nobody can use, or says what is wrong with it.
async fn bury(
    relay: &Relay,
    tenant: &Tenant,
    held: &Held,
    problems: Vec<Problem>,
    is_strict: bool,
) -> Result<Reason, Turned> {
    if is_strict {
        return Err(Turned::Back(problems));
    }
    let until = tokio::time::Instant::now() + relay.config().limits.store_timeout;
    let _waiting = relay.waiting().try_acquire().map_err(|_| Reason::Busy)?;
    let why = problems.first().map(ToString::to_string).unwrap_or_default();
    let receipt = tenant
        .bury(held.bytes().clone(), why, relay.clock().now_ms())
        .map_err(|refusal| refused(&refusal))?;
    safe(tenant, receipt, until).await?;
    Ok(Reason::Unusable)
}

fn asks_for_strictness(headers: &HeaderMap) -> bool {
    headers.get(STRICT).is_some_and(|value| judge::asks_for_strictness(value.as_bytes()))
}

/// SDKs send JSON; beacons and proxies say otherwise.
fn note_content_type(relay: &Relay, headers: &HeaderMap) {
    let is_json = |value: &[u8]| value.to_ascii_lowercase().starts_with(b"application/json");
    if !headers.get(CONTENT_TYPE).is_some_and(|value| is_json(value.as_bytes())) {
        relay.counters().repaired(Repair::ContentType);
    }
}

fn note_packing(relay: &Relay, headers: &HeaderMap) {
    if unpack::is_packed(headers) {
        relay.counters().repaired(Repair::Gzip);
    }
}
