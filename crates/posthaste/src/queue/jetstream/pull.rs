//! The way out of the stream: a pull request is open whenever there is room, so that a message is here as soon as it is in
//! the stream. All senders of a tenant share one durable consumer.
//!
//! Invariant: no more messages are asked for than the buffer bears. A pull that nobody hears of any more, since the
//! consumer's server is gone or the connection was lost, is asked for anew.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::consumer::{AckPolicy, DeliverPolicy, pull},
};
use futures_util::StreamExt;

use super::{
    connection::{ANSWER_WITHIN, differs, now},
    letters, message,
    state::Arrived,
    tenant::{ACK, Tenant},
};

/// Messages of one pull, at most.
const PULL_MAX: usize = 1_000;
/// How long a pull stays open.
const PULL_LASTS: Duration = Duration::from_secs(30);
/// How often the stream says that it is.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// After how long without a word a pull is over.
const SILENCE: Duration = Duration::from_millis(2_500);
/// Before the next attempt, where one has failed.
const RETRY: Duration = Duration::from_millis(500);
/// After a pull was refused.
const REFUSED: Duration = Duration::from_millis(100);
/// Of a message beside its body.
const HEADERS_MAX: usize = 64 << 10;

/// An open pull.
struct Pull {
    left: usize,
    heard_at: Duration,
}

/// Fetches for as long as there is somebody to fetch for.
pub(super) async fn run(tenant: Arc<Tenant>) {
    loop {
        drop(tenant.core().usable().await);
        while tenant.state().is_halted() {
            tenant.wanted.notified().await;
        }
        if let Err(why) = session(&tenant).await {
            if tenant.state().set_fetch_trouble(Some(why.clone())) {
                tracing::warn!(why, subject = tenant.subject(), "nothing can be fetched; trying again");
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Fetches until the connection changes, or something is wrong.
async fn session(tenant: &Arc<Tenant>) -> Result<(), String> {
    let core = tenant.core();
    let mut link = core.follow();
    let at = *link.borrow_and_update();
    let consumer = consumer(tenant).await?;
    let inbox = core.client().new_inbox();
    let mut messages = core.client().subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    let mut pull: Option<Pull> = None;
    let mut tick = tokio::time::interval(HEARTBEAT.min(tenant.ack_wait() / 6));
    loop {
        if tenant.state().is_halted() {
            return stop(tenant, messages).await;
        }
        if pull.is_none() {
            let room = room(tenant).min(PULL_MAX);
            if room > 0 {
                let asked = consumer.request_batch(batch(tenant, room), inbox.clone().into());
                asked.await.map_err(|error| error.to_string())?;
                tenant.state().set_fetch_trouble(None);
                pull = Some(Pull { left: room, heard_at: now() });
            }
        }
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or("the subscription has ended")?;
                heard(tenant, &mut pull, message).await?;
            }
            () = tenant.wanted.notified() => {}
            _ = tick.tick() => {
                if pull.as_ref().is_some_and(|pull| now().saturating_sub(pull.heard_at) > SILENCE) {
                    pull = None;
                }
                tenant.renew_buffer().await;
            }
            () = differs(&mut link, at) => return Ok(()),
        }
    }
}

/// Ends the pull: what comes all the same is for others, at once.
async fn stop(tenant: &Arc<Tenant>, mut messages: Subscriber) -> Result<(), String> {
    messages.unsubscribe().await.map_err(|error| error.to_string())?;
    let mut replies = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(REFUSED, messages.next()).await {
        replies
            .extend(message.reply.filter(|_| message.status.is_none_or(|status| status == StatusCode::OK)));
    }
    tenant.give_back(replies);
    Ok(())
}

fn room(tenant: &Tenant) -> usize {
    let options = tenant.core().options();
    let room = tenant.state().room(options.prefetch, options.prefetch_bytes);
    // Not one by one where the pipeline takes one by one.
    if room < options.prefetch.div_ceil(4) { 0 } else { room }
}

async fn consumer(tenant: &Tenant) -> Result<async_nats::jetstream::consumer::PullConsumer, String> {
    let (core, options) = (tenant.core(), tenant.core().options());
    let config = pull::Config {
        durable_name: Some(tenant.consumer().to_owned()),
        description: Some("those who deliver the events of a tenant".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // However often: only a dead letter ends an event that is not delivered.
        max_deliver: -1,
        filter_subject: tenant.subject().to_owned(),
        max_ack_pending: i64::try_from(options.leases_max).unwrap_or(i64::MAX),
        ..pull::Config::default()
    };
    let made = core.context().create_consumer_on_stream(config, core.stream());
    made.await.map_err(|error| error.to_string())
}

fn batch(tenant: &Tenant, room: usize) -> pull::BatchConfig {
    let bytes_max = tenant.core().client().max_payload().saturating_add(HEADERS_MAX);
    pull::BatchConfig {
        batch: room,
        expires: Some(PULL_LASTS),
        // A message that is larger than all of it would never come.
        max_bytes: tenant.core().options().prefetch_bytes.max(bytes_max),
        idle_heartbeat: HEARTBEAT,
        ..pull::BatchConfig::default()
    }
}

async fn heard(tenant: &Arc<Tenant>, pull: &mut Option<Pull>, message: Message) -> Result<(), String> {
    match message.status {
        None | Some(StatusCode::OK) => {
            if let Some(open) = pull {
                open.heard_at = now();
                open.left = open.left.saturating_sub(1);
            }
            if pull.as_ref().is_some_and(|open| open.left == 0) {
                *pull = None;
            }
            take(tenant, message);
        }
        Some(StatusCode::IDLE_HEARTBEAT) => {
            if let Some(open) = pull {
                open.heard_at = now();
                tenant.state().idle();
                tenant.tell(|watcher| watcher.gone());
            }
        }
        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => *pull = None,
        Some(StatusCode::NO_RESPONDERS) => return Err("the consumer is not there".to_owned()),
        Some(status) => {
            let why = message.description.unwrap_or_default();
            tracing::debug!(%status, why, "a pull has ended");
            *pull = None;
            if why.contains("Deleted") {
                return Err(why);
            }
            tokio::time::sleep(REFUSED).await;
        }
    }
    Ok(())
}

/// A message of the stream.
fn take(tenant: &Arc<Tenant>, message: Message) {
    let Some(reply) = message.reply else { return };
    let Some(place) = Place::of(&reply) else {
        tracing::warn!(%reply, "a message has no place in the stream");
        return;
    };
    let at = now();
    let request = match message::read(message.headers.as_ref(), &message.payload) {
        Ok(request) => request,
        Err(why) => return set_aside(tenant, reply, place, message.headers, message.payload, why),
    };
    let until = at.saturating_add(tenant.ack_wait());
    let arrived = {
        let mut state = tenant.state();
        let arrived = state.arrived(place.sequence, reply.clone(), place.left, at, until, || request);
        if place.times > 1 {
            state.redelivered(place.sequence);
        }
        arrived
    };
    match arrived {
        Arrived::Buffered => {
            tenant.filled.notify_waiters();
            tenant.tell(|watcher| watcher.changed());
        }
        Arrived::Known => {}
        Arrived::Settled => {
            let tenant = Arc::clone(tenant);
            tenant.state().begin_saying();
            tenant.clone().handle().spawn(async move {
                tenant.say_once(reply, ACK).await;
                tenant.state().said();
                tenant.ended.notify_waiters();
            });
        }
    }
}

/// A message that this version cannot read becomes a dead letter, as it is, and then leaves the stream.
fn set_aside(
    tenant: &Arc<Tenant>,
    reply: async_nats::Subject,
    place: Place,
    headers: Option<async_nats::HeaderMap>,
    body: bytes::Bytes,
    why: String,
) {
    if !tenant.state().aside(place.sequence) {
        return;
    }
    let (sequence, is_again) = (place.sequence, place.times > 1);
    tracing::error!(sequence, why, "a message of the stream cannot be read; it becomes a dead letter");
    let tenant = Arc::clone(tenant);
    tenant.clone().handle().spawn(async move {
        let events = message::events(headers.as_ref()) as u64;
        let id = letters::id_of_message(&tenant, sequence);
        let headers = message::unreadable_headers(headers.as_ref(), &id, &why, now_ms());
        let kept = letters::store(&tenant, headers, body).await;
        let is_gone = match kept {
            Ok((_, was_there)) => {
                tenant.state().buried(events, was_there);
                tenant.say_once(reply, ACK).await
            }
            Err(why) => {
                tracing::error!(why, "a dead letter could not be kept; its message comes again");
                false
            }
        };
        tenant.state().set_aside(sequence, is_gone.then_some(events), is_again);
        tenant.ended.notify_waiters();
        tenant.tell(|watcher| watcher.gone());
    });
}

fn now_ms() -> i64 {
    use crate::clock::{Clock as _, SystemClock};
    SystemClock.now_ms()
}

/// What the reply's subject says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    sequence: u64,
    /// How many more the stream has for the consumer.
    left: u64,
    /// How often it has been handed out, this time included.
    times: u64,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer's>.<time>.<left>`, or with domain and account before
    /// the stream, and anything behind.
    fn of(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let from = if tokens.len() > 7 { 2 } else { 0 };
        let number = |at: usize| tokens.get(from + at)?.parse().ok();
        Some(Self { sequence: number(3)?, left: number(6)?, times: number(2)? })
    }
}

/// How long the first message of a lease is waited for.
pub(super) const LEASE_WITHIN: Duration = Duration::from_secs(1);

/// Waits until there is something to lease, or there will be nothing so soon.
pub(super) async fn until_filled(tenant: &Tenant) {
    let filled = tenant.filled.notified();
    tokio::pin!(filled);
    filled.as_mut().enable();
    if !tenant.state().has_buffered() {
        drop(tokio::time::timeout(LEASE_WITHIN, filled).await);
    }
    debug_assert!(LEASE_WITHIN < ANSWER_WITHIN, "delivery asks again meanwhile");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_reply_say_where_a_message_stands() {
        let place = Some(Place { sequence: 41, left: 7, times: 1 });
        assert_eq!(Place::of("$JS.ACK.events.shop.1.41.5.1795500003394000000.7"), place);
        assert_eq!(Place::of("$JS.ACK._.AbC.events.shop.1.41.5.1795500003394000000.7"), place);
        assert_eq!(Place::of("$JS.ACK.hub.AbC.events.shop.1.41.5.1795500003394000000.7.token"), place);
        for odd in ["", "$JS.ACK.", "_INBOX.1.2", "$JS.ACK.events.shop.1.x.5.1.7", "$JS.ACK.a.b.1"] {
            assert_eq!(Place::of(odd), None, "{odd}");
        }
    }
}
