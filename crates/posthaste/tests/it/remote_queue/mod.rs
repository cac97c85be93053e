//! Two pipelines over one queue on another machine, whose answers take their time, fail and get lost, and whose leases run
//! out. In virtual time. Whatever happens: every event that was taken arrives, none is invented or changed, nobody sends
//! what they have been told they lost, and nobody sends what they have settled.

mod server;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Dispatcher, Health, Ledger, LogEvent, SnapshotEvent, UserEvent, Visitor,
    dispatch::{Answer, DispatchError, Response},
};

use self::server::{Remote, Server};
use crate::{
    house::{after, ok},
    support::{Driven, HOUR, SECOND, impression, larkspur},
};

/// The API, and what has arrived there.
#[derive(Debug)]
struct Api {
    random: fastrand::Rng,
    faults: u8,
    arrived: HashMap<String, SnapshotEvent>,
    /// What a pipeline did that it must not do.
    wrongs: Vec<String>,
}

impl Api {
    fn answer(&mut self, request: &LogEvent) -> (Duration, Answer) {
        let delay = Duration::from_millis(self.random.choice([5, 50, 4_000, 20_000]).unwrap());
        if self.random.u8(0..100) < self.faults {
            return (delay, self.random.choice([Fault::Lost, Fault::Busy, Fault::Wrong]).unwrap().answer());
        }
        let visitors = request.event().unwrap().visitors;
        if visitors.iter().any(|visitor| visitor.visitor_id.starts_with("bad")) {
            return (delay, Ok(Response::status(400)));
        }
        self.arrived.extend(events_in(visitors).map(|event| (event.uuid.clone(), event)));
        (delay, ok())
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Lost,
    Busy,
    Wrong,
}

impl Fault {
    fn answer(self) -> Answer {
        match self {
            Self::Lost => Err(DispatchError::Lost("reset".into())),
            Self::Busy => Ok(Response::status(503)),
            Self::Wrong => Ok(Response::status(404)),
        }
    }
}

fn events_in(visitors: Vec<Visitor>) -> impl Iterator<Item = SnapshotEvent> {
    visitors.into_iter().flat_map(|visitor| visitor.snapshots).flat_map(|snapshot| snapshot.events)
}

/// Sends nothing that its pipeline knows to be lost, or has settled.
fn dispatcher(api: &Arc<Mutex<Api>>, remote: &Remote) -> impl Dispatcher + use<> {
    let (api, remote) = (Arc::clone(api), remote.clone());
    after(move |request| {
        for event in events_in(request.event().unwrap().visitors) {
            // A panic would be taken for an answer.
            if !remote.known.lock().unwrap().may_send(&event.uuid) {
                api.lock()
                    .unwrap()
                    .wrongs
                    .push(format!("settled or known to be lost, and sent: {}", event.uuid));
            }
        }
        api.lock().unwrap().answer(request)
    })
}

struct Run {
    seed: u64,
    random: fastrand::Rng,
    server: Arc<Mutex<Server>>,
    api: Arc<Mutex<Api>>,
    pipelines: Vec<(Driven, Remote)>,
    offered: HashMap<String, UserEvent>,
    letters: Arc<Mutex<HashMap<String, u32>>>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let server = Arc::new(Mutex::new(Server::new(random.fork())));
        let faults = random.choice([0, 10, 40]).unwrap();
        let api = Api { random: random.fork(), faults, arrived: HashMap::new(), wrongs: Vec::new() };
        let api = Arc::new(Mutex::new(api));
        let letters = Arc::<Mutex<HashMap<String, u32>>>::default();
        let pipelines = (0..2).map(|_| {
            let remote = Remote::new(&server);
            let letters = Arc::clone(&letters);
            let builder = BatchEventProcessor::builder()
                .event_dispatcher(dispatcher(&api, &remote))
                .queue(remote.clone())
                .on_dead_letter(move |letter| {
                    *letters.lock().unwrap().entry(letter.item.uuid().to_string()).or_default() += 1;
                })
                .batch_size(random.usize(1..12))
                .in_flight(random.usize(1..8))
                .flush_interval(Duration::from_millis(random.choice([100, 1_000, 30_000]).unwrap()))
                .seed(random.u64(..));
            (Driven::new(builder), remote)
        });
        let pipelines = pipelines.collect();
        Self { seed, random, server, api, pipelines, offered: HashMap::new(), letters }
    }

    async fn run(mut self) {
        for _ in 0..self.random.usize(5..40) {
            self.step().await;
        }
        if self.random.u8(0..4) == 0 {
            self.close_amid_faults().await;
        } else {
            self.heal_and_drain().await;
        }
        self.check();
    }

    async fn step(&mut self) {
        let at = self.random.usize(0..self.pipelines.len());
        let (driven, _) = &self.pipelines[at];
        match self.random.u8(0..8) {
            0..4 => {
                for _ in 0..self.random.usize(1..20) {
                    let kind = if self.random.u8(0..20) == 0 { "bad" } else { "good" };
                    let event = impression(&larkspur(), &format!("{kind}-{}", self.offered.len()));
                    driven.take([event.clone()]);
                    self.offered.insert(event.uuid().to_string(), event);
                }
            }
            4 => {
                let within = Duration::from_millis(self.random.u64(0..5_000));
                let begun = tokio::time::Instant::now();
                driven.processor.flush(within).await;
                assert!(
                    begun.elapsed() <= within + Duration::from_millis(2),
                    "seed {}: a late flush",
                    self.seed
                );
            }
            5 => tokio::time::sleep(Duration::from_secs(self.random.u64(0..60))).await,
            _ => tokio::time::sleep(Duration::from_millis(self.random.u64(0..500))).await,
        }
    }

    async fn close_amid_faults(&mut self) {
        for (driven, _) in &self.pipelines {
            let within = Duration::from_millis(self.random.u64(0..20_000));
            let begun = tokio::time::Instant::now();
            let report = driven.processor.close(within).await;
            // A queue may be waited for a little longer, as a disk is.
            let bound = within + Duration::from_millis(260);
            assert!(begun.elapsed() <= bound, "seed {}: a late close: {report}", self.seed);
        }
    }

    async fn heal_and_drain(&mut self) {
        (self.server.lock().unwrap().faults, self.api.lock().unwrap().faults) = (0, 0);
        let begun = tokio::time::Instant::now();
        while self.server.lock().unwrap().size() > 0 {
            tokio::time::sleep(SECOND).await;
            let seed = self.seed;
            assert!(begun.elapsed() < HOUR, "seed {seed}: not drained: {:?}", self.told());
        }
        let calls = self.server.lock().unwrap().lease_calls;
        for (driven, _) in &self.pipelines {
            let report = driven.processor.close(SECOND * 60).await;
            assert_eq!(report.left, 0, "seed {}: {report}", self.seed);
        }
        assert!(calls < 3_000, "seed {}: {calls} leases were asked for", self.seed);
    }

    fn told(&self) -> Vec<(Ledger, Health)> {
        let told = |processor: &BatchEventProcessor| (processor.ledger(), processor.health());
        self.pipelines.iter().map(|(driven, _)| told(&driven.processor)).collect()
    }

    fn check(&self) {
        let seed = self.seed;
        let (api, letters) = (self.api.lock().unwrap(), self.letters.lock().unwrap());
        let left: Vec<String> = posthaste::Queue::get(&self.pipelines[0].1, usize::MAX)
            .iter()
            .map(|e| e.uuid().to_string())
            .collect();
        assert!(api.wrongs.is_empty(), "seed {seed}: {:?}", &api.wrongs[..api.wrongs.len().min(3)]);
        for (uuid, event) in &self.offered {
            match api.arrived.get(uuid) {
                Some(arrived) => {
                    assert_eq!(*arrived, Visitor::from(event).snapshots[0].events[0], "seed {seed}");
                }
                None => assert!(
                    left.contains(uuid) || letters.contains_key(uuid),
                    "seed {seed}: {uuid} of {} is lost",
                    event.visitor_id()
                ),
            }
        }
        assert!(
            api.arrived.keys().chain(letters.keys()).all(|uuid| self.offered.contains_key(uuid)),
            "seed {seed}"
        );
        for uuid in letters.keys() {
            assert!(self.offered[uuid].visitor_id().starts_with("bad"), "seed {seed}: a good event is dead");
        }
    }
}

#[test]
fn two_pipelines_over_a_remote_queue_lose_nothing() {
    for seed in 0..25 {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let run = AssertUnwindSafe(|| runtime.block_on(async move { Run::new(seed).run().await }));
        if let Err(panic) = catch_unwind(run) {
            eprintln!("seed {seed} failed");
            resume_unwind(panic);
        }
    }
}
