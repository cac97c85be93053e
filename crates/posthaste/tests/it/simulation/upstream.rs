//! The API, which fails in every way there is, at each end point in its own measure, until it is healed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    Batch, Clock, Dispatcher, LogEvent, SnapshotEvent, SystemClock,
    clock::Sleep,
    dispatch::{Answer, DispatchError, DispatchFuture, Response, RetryAfter},
};
use tokio::time::Instant;

/// When every schedule begins.
pub(super) const BEGUN_MS: i64 = 1_795_500_000_000;

/// A clock whose time of day jumps; what waits is not to notice.
#[derive(Debug, Clone, Default)]
pub(super) struct JumpingClock(pub(super) Arc<Mutex<i64>>);

impl Clock for JumpingClock {
    fn now_ms(&self) -> i64 {
        BEGUN_MS + i64::try_from(self.elapsed().as_millis()).unwrap() + *self.0.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

/// An API that fails in every way there is, until it is healed.
#[derive(Debug, Clone)]
pub(super) struct Upstream(Arc<Mutex<State>>);

/// What has arrived: each event and its visitor, by uuid.
pub(super) type Arrived = HashMap<String, (SnapshotEvent, String)>;

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    healed: bool,
    clock: JumpingClock,
    /// By end point: out of 100 requests, how many meet a fault.
    faults: HashMap<String, u8>,
    arrived: Arrived,
    requests: Vec<Request>,
}

/// A request as the API saw it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) end_point: String,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
    /// `None`: no answer that means anything.
    pub(super) status: Option<u16>,
    pub(super) uuids: Vec<String>,
}

/// Visitors of this kind are refused for good, in every schedule.
pub(super) fn is_bad(visitor: &str) -> bool {
    visitor.starts_with("bad")
}

impl Upstream {
    pub(super) fn new(random: fastrand::Rng, clock: &JumpingClock) -> Self {
        let (faults, arrived) = (HashMap::new(), Arrived::new());
        let requests = Vec::new();
        Self(Arc::new(Mutex::new(State {
            random,
            healed: false,
            clock: clock.clone(),
            faults,
            arrived,
            requests,
        })))
    }

    /// From here on, it works.
    pub(super) fn heal(&self) {
        self.0.lock().unwrap().healed = true;
    }

    pub(super) fn arrived(&self) -> Arrived {
        self.0.lock().unwrap().arrived.clone()
    }

    /// Those that have been answered, in the order of their answers.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    fn answer(&self, event: &LogEvent) -> (Duration, Answer) {
        let state = &mut *self.0.lock().unwrap();
        let delay = Duration::from_millis(state.random.u64(0..200));
        // Each end point has its own health, which it keeps.
        let drawn = state.random.choice([0, 10, 50, 90, 100]).unwrap();
        let faults = *state.faults.entry(event.end_point().to_owned()).or_insert(drawn);
        if !state.healed && state.random.u8(0..100) < faults {
            return state.fault(event, delay);
        }
        (delay, state.judge(event))
    }
}

/// Visitors whose requests had other fields never travel together.
fn assert_one_envelope(event: &LogEvent) {
    let batch: serde_json::Value = serde_json::from_slice(event.body()).unwrap();
    for visitor in batch["visitors"].as_array().unwrap() {
        assert_eq!(visitor["in_envelope"], batch["envelope"], "{batch}");
    }
}

impl State {
    fn judge(&mut self, event: &LogEvent) -> Answer {
        assert_one_envelope(event);
        let batch = event.event().unwrap();
        if event.events() > 13 {
            return Ok(Response::status(413));
        }
        // Something on the way takes exception to these, every time, until it is healed.
        for (kind, status) in [("cursed-503", 503), ("cursed-403", 403)] {
            if !self.healed && batch.visitors.iter().any(|visitor| visitor.visitor_id.starts_with(kind)) {
                return Ok(Response::status(status));
            }
        }
        if batch.visitors.iter().any(|visitor| is_bad(&visitor.visitor_id)) {
            return Ok(Response::status(if self.random.bool() { 400 } else { 422 }));
        }
        self.take(&batch);
        Ok(Response::status(204))
    }

    fn take(&mut self, batch: &Batch) {
        for visitor in &batch.visitors {
            for event in visitor.snapshots.iter().flat_map(|snapshot| &snapshot.events) {
                self.arrived.insert(event.uuid.clone(), (event.clone(), visitor.visitor_id.clone()));
            }
        }
    }

    fn fault(&mut self, event: &LogEvent, delay: Duration) -> (Duration, Answer) {
        let wait = RetryAfter::Delay(Duration::from_secs(self.random.u64(0..90)));
        let date = RetryAfter::At(self.clock.now_ms() + self.random.i64(-5_000..90_000));
        let batch = event.event().unwrap();
        let lost = |error| (delay, Err(error));
        match self.random.u8(0..12) {
            0 => lost(DispatchError::Connect("refused".into())),
            1 => (Duration::from_secs(30), Err(DispatchError::TimedOut(Duration::from_secs(30)))),
            2 | 3 => {
                // It arrived, and the answer was lost: it comes again.
                if !batch.visitors.iter().any(|visitor| is_bad(&visitor.visitor_id)) {
                    self.take(&batch);
                }
                lost(DispatchError::Lost("reset".into()))
            }
            4 => lost(DispatchError::Panicked),
            5 => (delay, Ok(Response::status(429).with_retry_after(wait))),
            6 => (delay, Ok(Response::status(503).with_retry_after(date))),
            7 => (delay, Ok(Response::status(self.random.choice([301, 401, 403, 404, 410]).unwrap()))),
            8 => (delay, Ok(Response::status(413))),
            // The dispatcher gives up on an answer that never comes.
            9 => (Duration::from_secs(600), Err(DispatchError::TimedOut(Duration::from_secs(600)))),
            _ => (delay, Ok(Response::status(self.random.choice([408, 425, 500, 502, 504]).unwrap()))),
        }
    }
}

fn uuids(batch: &Batch) -> Vec<String> {
    let snapshots = batch.visitors.iter().flat_map(|visitor| &visitor.snapshots);
    snapshots.flat_map(|snapshot| &snapshot.events).map(|event| event.uuid.clone()).collect()
}

impl Dispatcher for Upstream {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let upstream = self.clone();
        Box::pin(async move {
            // It is judged when it arrives, half-way.
            let (sent, (delay, answer)) = (Instant::now(), upstream.answer(&event));
            tokio::time::sleep(delay).await;
            let request = Request {
                end_point: event.end_point().to_owned(),
                sent,
                answered: Instant::now(),
                status: answer.as_ref().ok().map(|response| response.status),
                uuids: uuids(&event.event().unwrap()),
            };
            upstream.0.lock().unwrap().requests.push(request);
            answer
        })
    }
}
