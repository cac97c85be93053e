//! The way through a relay: requests as SDKs make them, sent again under the same uuids until they are answered 204. In
//! the middle the relay is killed, and started again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    Batch, Clock, Dispatcher, HttpEventDispatcher, LogEvent, OptionsError, SystemClock, UserEvent,
};
use serde::Serialize;
use tokio::{sync::watch, task::JoinSet};

use super::{
    PATIENCE,
    relay::{Folder, Ledger, Relay},
};
use crate::common::exit::Failure;

/// Events of a request: what most SDKs send.
const EVENTS: usize = 10;
/// Requests at the same time.
const CLIENTS: usize = 4;
/// How long a client waits before it sends a request again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often to look how far they are.
const EVERY: Duration = Duration::from_millis(1);

/// What clients and relay say of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Relayed {
    pub(super) requests: u64,
    /// Events of requests that were answered 204.
    pub(super) answered: u64,
    /// Requests that were sent again.
    pub(super) sent_again: u64,
    pub(super) kills: u64,
    /// Events that the relay found on disk when it was started again.
    pub(super) found: u64,
    /// By the relay that was started again.
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) left: u64,
    pub(super) balances: bool,
}

/// What clients share.
struct Clients {
    requests: Vec<LogEvent>,
    http: HttpEventDispatcher,
    next: AtomicUsize,
    done: AtomicUsize,
    /// Events that were answered 204.
    answered: AtomicU64,
    sent_again: AtomicU64,
    is_killed: watch::Sender<bool>,
}

impl Relayed {
    pub(super) fn is_perfect(&self, events: u64) -> bool {
        (self.answered, self.dead_lettered, self.left, self.balances) == (events, 0, 0, true)
    }
}

/// Sends the events through a relay to this URL. `began` is told the relay's.
pub(super) fn deliver(
    events: &[UserEvent],
    upstream: &str,
    began: impl FnOnce(&str),
) -> Result<Relayed, Failure> {
    let folder = Folder::make()?;
    let relay = Relay::start(&folder, upstream, "0")?;
    began(relay.url());
    let http = HttpEventDispatcher::builder().request_timeout(PATIENCE).no_proxy().build();
    let clients = Arc::new(Clients {
        requests: events
            .chunks(EVENTS)
            .map(|events| LogEvent::new(relay.url(), &Batch::from_user_events(events)))
            .collect(),
        http: http.map_err(OptionsError::from)?,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        answered: AtomicU64::new(0),
        sent_again: AtomicU64::new(0),
        is_killed: watch::Sender::new(false),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let relay = runtime.block_on(send(&clients, relay, &folder, upstream))?;
    let found = relay.found();
    let Ledger { accepted, delivered, dead_lettered, queued } = relay.stop()?;
    Ok(Relayed {
        requests: clients.requests.len() as u64,
        answered: clients.answered.load(SeqCst),
        sent_again: clients.sent_again.load(SeqCst),
        kills: 1,
        found,
        delivered,
        dead_lettered,
        left: queued,
        balances: accepted == delivered + dead_lettered + queued,
    })
}

/// Returns the relay that was started in place of the first.
async fn send(
    clients: &Arc<Clients>,
    relay: Relay,
    folder: &Folder,
    upstream: &str,
) -> Result<Relay, Failure> {
    let mut sending = JoinSet::new();
    for _ in 0..CLIENTS {
        let clients = Arc::clone(clients);
        sending.spawn(async move { clients.send_all().await });
    }
    while clients.done.load(SeqCst) < clients.requests.len() / 2 {
        tokio::time::sleep(EVERY).await;
    }
    let address = relay.address().to_owned();
    relay.kill()?;
    clients.is_killed.send_replace(true);
    let relay = Relay::start(folder, upstream, &address)?;
    sending.join_all().await;
    Ok(relay)
}

impl Clients {
    async fn send_all(&self) {
        loop {
            let at = self.next.fetch_add(1, SeqCst);
            let Some(request) = self.requests.get(at) else { return };
            // However slow the machine is, the last quarter meets the second relay.
            if at >= self.requests.len() * 3 / 4 {
                // The sender is here, so this cannot fail.
                drop(self.is_killed.subscribe().wait_for(|is_killed| *is_killed).await);
            }
            self.send(request).await;
            self.done.fetch_add(1, SeqCst);
        }
    }

    /// Sends it until it is answered 204, or has waited too long: then it is missing on the other side.
    async fn send(&self, request: &LogEvent) {
        let end = SystemClock.elapsed() + PATIENCE;
        loop {
            let answer = self.http.dispatch_event(request.clone()).await;
            if answer.is_ok_and(|answer| answer.status == 204) {
                self.answered.fetch_add(request.events() as u64, SeqCst);
                return;
            }
            if SystemClock.elapsed() >= end {
                return;
            }
            self.sent_again.fetch_add(1, SeqCst);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
