//! An API that is away and comes back, and knows of each event when it was accepted.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    Dispatcher, LogEvent, UserEvent,
    dispatch::{DispatchFuture, Response},
};
use tokio::time::{Instant, sleep};

/// How long an answer takes.
const TRIP: Duration = Duration::from_millis(40);

#[derive(Debug, Clone)]
pub(super) struct Api(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_up: bool,
    mended: Option<Instant>,
    accepted: HashMap<String, Instant>,
    arrived: HashMap<String, Instant>,
    sent: Vec<Sent>,
    /// When it first answered after each time that it was away.
    recoveries: Vec<Instant>,
    has_recovered: bool,
}

/// A request: when it came, and its events.
#[derive(Debug)]
struct Sent {
    at: Instant,
    uuids: Vec<String>,
}

impl Api {
    pub(super) fn down() -> Self {
        Self(Arc::default())
    }

    pub(super) fn up() -> Self {
        let api = Self::down();
        api.mend();
        api
    }

    pub(super) fn mend(&self) {
        let mut state = self.0.lock().unwrap();
        (state.is_up, state.mended) = (true, Some(Instant::now()));
    }

    pub(super) fn fail(&self) {
        let mut state = self.0.lock().unwrap();
        (state.is_up, state.mended, state.has_recovered) = (false, None, false);
    }

    pub(super) fn has_recovered(&self) -> bool {
        self.0.lock().unwrap().has_recovered
    }

    /// When it first answered after it was away last.
    pub(super) fn recovered(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap();
        state.recoveries.last().copied().filter(|_| state.has_recovered)
    }

    pub(super) fn accepted(&self, event: &UserEvent) {
        self.0.lock().unwrap().accepted.insert(event.uuid().to_string(), Instant::now());
    }

    /// Different events that have arrived.
    pub(super) fn arrived(&self) -> usize {
        self.0.lock().unwrap().arrived.len()
    }

    /// How long each event took that was accepted after this moment.
    pub(super) fn delays_after(&self, after: Instant) -> Vec<Duration> {
        let state = self.0.lock().unwrap();
        let new = state.accepted.iter().filter(|(_, accepted)| **accepted > after);
        new.map(|(uuid, accepted)| state.arrived[uuid] - *accepted).collect()
    }

    /// In no second that begins after a recovery did more events come that had been accepted before it than the rate
    /// and one request has.
    pub(super) fn is_paced(&self, rate: u32, batch: usize) {
        let state = self.0.lock().unwrap();
        assert!(!state.recoveries.is_empty());
        let old: Vec<(Instant, usize)> =
            state.sent.iter().map(|sent| (sent.at, state.old_in(sent))).collect();
        assert!(old.iter().any(|(_, old)| *old > 0), "nothing was old");
        for (at, (from, _)) in old.iter().enumerate() {
            let second = old.iter().skip(at).take_while(|(time, _)| *time < *from + Duration::from_secs(1));
            let events: usize = second.map(|(_, old)| *old).sum();
            assert!(events <= rate as usize + batch, "{events} of the backlog in a second from {from:?} on");
        }
    }
}

impl State {
    /// How many events of a request had been accepted before the last recovery that it came after.
    fn old_in(&self, sent: &Sent) -> usize {
        let Some(recovery) = self.recoveries.iter().rev().find(|recovery| **recovery < sent.at) else {
            return 0;
        };
        sent.uuids.iter().filter(|uuid| self.accepted.get(*uuid).is_some_and(|at| at < recovery)).count()
    }

    fn arrive(&mut self, sent: Instant, uuids: &[String]) {
        let now = Instant::now();
        let is_back = self.mended.is_some_and(|mended| mended <= sent);
        if is_back && !std::mem::replace(&mut self.has_recovered, true) {
            self.recoveries.push(now);
        }
        for uuid in uuids {
            self.arrived.entry(uuid.clone()).or_insert(now);
        }
    }
}

impl Dispatcher for Api {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let api = self.clone();
        Box::pin(async move {
            let batch = event.event().unwrap();
            let snapshots = batch.visitors.into_iter().flat_map(|visitor| visitor.snapshots);
            let uuids: HashSet<String> =
                snapshots.flat_map(|snapshot| snapshot.events).map(|event| event.uuid).collect();
            let uuids: Vec<String> = uuids.into_iter().collect();
            let sent = Instant::now();
            let is_up = {
                let mut state = api.0.lock().unwrap();
                state.sent.push(Sent { at: sent, uuids: uuids.clone() });
                state.is_up
            };
            sleep(TRIP).await;
            if !is_up {
                return Ok(Response::status(503));
            }
            api.0.lock().unwrap().arrive(sent, &uuids);
            Ok(Response::status(204))
        })
    }
}
