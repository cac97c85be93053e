//! Thousands of schedules of faults in virtual time. Each ends with the laws that hold whatever happened: every accepted
//! event delivered at least once, dead-lettered or still queued; nothing invented; payloads equal; and a fresh event
//! flows once the faults stop.
//!
//! `POSTHASTE_SIM_SEEDS=10000` runs more of them, `POSTHASTE_SIM_SEED=17` runs one again.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    Batch, BatchEventProcessor, Clock, CloseReport, Dispatcher, FlushReport, Ledger, LogEvent, Pending,
    QueueEventDispatcher, SnapshotEvent, SpoolQueue, SystemClock, UserEvent, Visitor, WhenFull,
    clock::Sleep,
    dispatch::{Answer, DispatchError, DispatchFuture, Response, RetryAfter},
    queue::SpoolItem,
};
use posthaste_spool::{Fault, FaultyFilesystem, MemoryFilesystem, Operation, Spool, SpoolOptions};
use tokio::task::JoinSet;

use crate::support::{HOUR, conversion, impression, larkspur};

/// A clock whose time of day jumps; what waits is not to notice.
#[derive(Debug, Clone, Default)]
struct JumpingClock(Arc<Mutex<i64>>);

impl Clock for JumpingClock {
    fn now_ms(&self) -> i64 {
        1_795_500_000_000 + i64::try_from(self.elapsed().as_millis()).unwrap() + *self.0.lock().unwrap()
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
struct Upstream(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    healed: bool,
    clock: JumpingClock,
    /// Out of 100 requests, how many meet a fault.
    faults: u8,
    arrived: HashMap<String, (SnapshotEvent, String)>,
}

/// Visitors of this kind are refused for good, in every schedule.
fn is_bad(visitor: &str) -> bool {
    visitor.starts_with("bad")
}

impl Upstream {
    fn answer(&self, event: &LogEvent) -> (Duration, Answer) {
        let state = &mut *self.0.lock().unwrap();
        let delay = Duration::from_millis(state.random.u64(0..200));
        if !state.healed && state.random.u8(0..100) < state.faults {
            return state.fault(event, delay);
        }
        (delay, state.judge(event))
    }
}

impl State {
    fn judge(&mut self, event: &LogEvent) -> Answer {
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
        match self.random.u8(0..11) {
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
            _ => (delay, Ok(Response::status(self.random.choice([408, 425, 500, 502, 504]).unwrap()))),
        }
    }
}

impl Dispatcher for Upstream {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let upstream = self.clone();
        Box::pin(async move {
            // It is judged when it arrives, half-way.
            let (delay, answer) = upstream.answer(&event);
            tokio::time::sleep(delay).await;
            answer
        })
    }
}

/// What the schedules need of a pipeline, whichever it is.
trait Pipeline {
    type Item;
    /// Offers events that belong together; returns those that were accepted.
    fn offer(&self, events: Vec<UserEvent>) -> Vec<UserEvent>;
    fn flush(&self, deadline: Duration) -> Pending<FlushReport>;
    fn close(&self, deadline: Duration) -> Pending<CloseReport<Self::Item>>;
    fn ledger(&self) -> Ledger;
    fn replay(&self);
    /// Uuids in the queue, and in dead letters.
    fn kept(&self) -> (Vec<String>, Vec<String>);
}

impl Pipeline for BatchEventProcessor {
    fn offer(&self, events: Vec<UserEvent>) -> Vec<UserEvent> {
        let offer = |event: &UserEvent| match self.process_event(event.clone()) {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(refused.item, *event, "what is refused comes back whole");
                false
            }
        };
        events.into_iter().filter(offer).collect()
    }

    fn flush(&self, deadline: Duration) -> Pending<FlushReport> {
        self.flush(deadline)
    }

    type Item = UserEvent;

    fn close(&self, deadline: Duration) -> Pending<CloseReport<UserEvent>> {
        self.close(deadline)
    }

    fn ledger(&self) -> Ledger {
        self.ledger()
    }

    fn replay(&self) {
        self.replay_dead_letters();
    }

    fn kept(&self) -> (Vec<String>, Vec<String>) {
        let queued = self.get_events(usize::MAX).iter().map(|event| event.uuid().to_string()).collect();
        let dead = self.dead_letters().iter().map(|letter| letter.item.uuid().to_string()).collect();
        (queued, dead)
    }
}

/// Events that belong together make one request; those of one visitor are that visitor's snapshots.
impl Pipeline for QueueEventDispatcher {
    fn offer(&self, events: Vec<UserEvent>) -> Vec<UserEvent> {
        let mut batch = Batch::from_user_events(&events);
        if events.iter().all(|event| event.visitor_id() == events[0].visitor_id()) {
            let snapshots = batch.visitors.iter().flat_map(|visitor| visitor.snapshots.clone()).collect();
            batch.visitors.truncate(1);
            batch.visitors[0].snapshots = snapshots;
        }
        let request = LogEvent::new("http://upstream/v1/events", &batch);
        match self.add(request.clone()) {
            Ok(_) => events,
            Err(refused) => {
                assert_eq!(refused.item, request, "what is refused comes back whole");
                Vec::new()
            }
        }
    }

    fn flush(&self, deadline: Duration) -> Pending<FlushReport> {
        self.flush(deadline)
    }

    type Item = LogEvent;

    fn close(&self, deadline: Duration) -> Pending<CloseReport<LogEvent>> {
        self.close(deadline)
    }

    fn ledger(&self) -> Ledger {
        self.ledger()
    }

    fn replay(&self) {
        self.replay_dead_letters();
    }

    fn kept(&self) -> (Vec<String>, Vec<String>) {
        let uuids = |events: Vec<LogEvent>| {
            let batches = events.into_iter().map(|event| event.event().unwrap());
            let visitors = batches.flat_map(|batch| batch.visitors);
            let events = visitors.flat_map(|visitor| visitor.snapshots).flat_map(|snapshot| snapshot.events);
            events.map(|event| event.uuid).collect::<Vec<_>>()
        };
        let dead = self.dead_letters().into_iter().map(|letter| letter.item).collect();
        (uuids(self.get(usize::MAX)), uuids(dead))
    }
}

/// One schedule: what was accepted, and everything that is asked of it.
struct Schedule<P> {
    pipeline: P,
    /// Where the queue is on disk.
    disk: Option<Disk>,
    _driver: JoinSet<()>,
    upstream: Upstream,
    clock: JumpingClock,
    random: fastrand::Rng,
    offered: u64,
    accepted: HashMap<String, (SnapshotEvent, String)>,
    reports: JoinSet<()>,
}

impl<P: Pipeline> Schedule<P> {
    fn new(seed: u64, build: impl FnOnce(Upstream, JumpingClock, &mut fastrand::Rng) -> Built<P>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = JumpingClock::default();
        let state = State {
            random: random.fork(),
            healed: false,
            clock: clock.clone(),
            faults: random.choice([0, 10, 50, 90, 100]).unwrap(),
            arrived: HashMap::new(),
        };
        let upstream = Upstream(Arc::new(Mutex::new(state)));
        let mut tasks = JoinSet::new();
        let Built { pipeline, driver, disk } = build(upstream.clone(), clock.clone(), &mut random);
        tasks.spawn(driver);
        let disk = disk.map(|(disk, turns)| {
            tasks.spawn(turns);
            disk
        });
        Self {
            pipeline,
            disk,
            _driver: tasks,
            upstream,
            clock,
            random,
            offered: 0,
            accepted: HashMap::new(),
            reports: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        for _ in 0..self.random.usize(5..60) {
            self.step().await;
            assert!(self.pipeline.ledger().balances());
        }
        if self.random.u8(0..4) == 0 {
            self.close_amid_faults().await;
        } else {
            self.heal_and_drain().await;
        }
        while let Some(report) = self.reports.join_next().await {
            report.unwrap();
        }
        self.check();
    }

    async fn step(&mut self) {
        match self.random.u8(0..if self.disk.is_some() { 16 } else { 12 }) {
            0..=5 => {
                for _ in 0..self.random.usize(1..20) {
                    let events = self.events();
                    self.offer(events);
                }
            }
            6 | 7 => tokio::time::sleep(Duration::from_millis(self.random.u64(0..500))).await,
            8 => tokio::time::sleep(Duration::from_secs(self.random.u64(0..100))).await,
            9 => *self.clock.0.lock().unwrap() += self.random.i64(-100_000_000..100_000_000),
            10 => self.pipeline.replay(),
            12.. => self.hurt_disk(),
            _ => {
                let within = Duration::from_millis(self.random.u64(0..20_000));
                let started = tokio::time::Instant::now();
                let flush = self.pipeline.flush(within);
                self.reports.spawn(async move {
                    let report = flush.await;
                    assert!(report.ledger.balances());
                    assert!(
                        started.elapsed() <= within + Duration::from_millis(2),
                        "a flush outlived its deadline"
                    );
                });
            }
        }
    }

    /// The disk fails in some way, or works again.
    fn hurt_disk(&mut self) {
        let Some(disk) = &self.disk else { return };
        let operation =
            self.random.choice([Operation::Write, Operation::Sync, Operation::Open, Operation::Allocate]);
        let errno =
            self.random.choice([Fault::EIO, Fault::ENOSPC, Fault::EDQUOT, Fault::EROFS, Fault::EMFILE]);
        let (operation, errno) = (operation.unwrap(), errno.unwrap());
        match self.random.u8(0..6) {
            0 => disk.fail_next(operation, errno),
            1 => disk.fail_always(operation, errno),
            2 => disk.fail_at(disk.operations() + self.random.u64(0..200), errno),
            3 => disk.set_space(Some(self.random.u64(0..200_000))),
            _ => disk.heal(),
        }
    }

    fn heal_disk(&self) {
        if let Some(disk) = &self.disk {
            disk.heal();
        }
    }

    fn events(&mut self) -> Vec<UserEvent> {
        let kind = match self.random.u8(0..40) {
            0..4 => "bad",
            4 => "cursed-503",
            5 => "cursed-403",
            _ => "good",
        };
        let one = self.random.bool().then_some(self.offered);
        let config = larkspur();
        (0..self.random.usize(1..4))
            .map(|_| {
                self.offered += 1;
                let visitor = format!("{kind}-{}", one.unwrap_or(self.offered));
                let tags = serde_json::Map::from_iter([("revenue".to_owned(), self.offered.into())]);
                if self.random.bool() {
                    impression(&config, &visitor)
                } else {
                    conversion(&config, &visitor, &tags)
                }
            })
            .collect()
    }

    fn offer(&mut self, events: Vec<UserEvent>) {
        for event in self.pipeline.offer(events) {
            let wire = Visitor::from(&event);
            let payload = (wire.snapshots[0].events[0].clone(), wire.visitor_id);
            assert!(self.accepted.insert(event.uuid().to_string(), payload).is_none());
        }
    }

    async fn close_amid_faults(&mut self) {
        let within = Duration::from_millis(self.random.u64(0..60_000));
        let started = tokio::time::Instant::now();
        let report = self.pipeline.close(within).await;
        assert!(started.elapsed() <= within + Duration::from_millis(2), "close outlived its deadline");
        assert_eq!(report.left, self.pipeline.ledger().queued);
        let late = impression(&larkspur(), "late");
        assert!(self.pipeline.offer(vec![late]).is_empty(), "closed and still taking");
    }

    async fn heal_and_drain(&mut self) {
        self.upstream.0.lock().unwrap().healed = true;
        self.heal_disk();
        assert!(
            self.pipeline.flush(HOUR * 3).await.is_complete(),
            "not drained: {:?}",
            self.pipeline.ledger()
        );
        let fresh = impression(&larkspur(), "fresh");
        // A spool takes events again once it has noticed that its disk works.
        let before = self.accepted.len();
        while self.accepted.len() == before {
            self.offer(vec![fresh.clone()]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let report = self.pipeline.close(HOUR).await;
        assert_eq!((report.left, self.pipeline.ledger().queued), (0, 0));
        assert!(
            self.upstream.0.lock().unwrap().arrived.contains_key(&fresh.uuid().to_string()),
            "nothing flows"
        );
        assert!(self.pipeline.kept().0.is_empty());
    }

    fn check(&self) {
        self.heal_disk();
        let arrived = &self.upstream.0.lock().unwrap().arrived;
        let (queued, dead) = self.pipeline.kept();
        let kept: HashSet<&String> = queued.iter().chain(&dead).collect();
        for (uuid, payload) in &self.accepted {
            match arrived.get(uuid) {
                Some(found) => assert_eq!(found, payload),
                None => assert!(kept.contains(uuid), "{uuid} is lost"),
            }
        }
        assert!(arrived.keys().all(|uuid| self.accepted.contains_key(uuid)), "an event was invented");
        assert!(kept.iter().all(|uuid| self.accepted.contains_key(*uuid)), "an event was invented");
        let ledger = self.pipeline.ledger();
        assert_eq!(ledger.accepted, self.accepted.len() as u64);
        assert!(ledger.balances());
    }
}

/// A pipeline, what runs it, and the disk that its queue is on, with what runs that.
struct Built<P> {
    pipeline: P,
    driver: posthaste::Driver,
    disk: Option<(Disk, posthaste::Driver)>,
}

type Disk = FaultyFilesystem;

/// A queue on a disk in memory, which writes when it is told to.
fn spool<T: SpoolItem>(random: &mut fastrand::Rng) -> (SpoolQueue<T>, (Disk, posthaste::Driver)) {
    let disk = FaultyFilesystem::new(MemoryFilesystem::new());
    let options = SpoolOptions::default()
        .segment_bytes(16_384)
        .record_bytes_max(6_000)
        .size_bytes_max(random.u64(4..20) * 16_384)
        .pending_bytes_max(random.usize(8_000..100_000))
        .cursor_acks_max(random.u64(1..50));
    let (spool, turns) = Spool::open_by_hand(Arc::new(disk.clone()), "/spool", options).unwrap();
    let pause = Duration::from_millis(random.choice([20, 300, 1_000]).unwrap());
    let run = Box::pin(async move {
        loop {
            turns.turn(SystemClock.elapsed());
            tokio::time::sleep(pause).await;
        }
    });
    (SpoolQueue::over(spool), (disk, run))
}

fn spooled_processor(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
) -> Built<BatchEventProcessor> {
    let (queue, disk) = spool(random);
    let (pipeline, driver) = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .clock(clock)
        .queue(queue)
        .batch_size(random.usize(1..30))
        .in_flight(random.usize(1..10))
        .flush_interval(Duration::from_millis(random.u64(1..60_000)))
        .when_full(if random.bool() { WhenFull::Reject } else { WhenFull::DropOldest })
        .seed(random.u64(..))
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: Some(disk) }
}

/// Requests of single events may be merged.
fn spooled_dispatcher(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
) -> Built<QueueEventDispatcher> {
    let (queue, disk) = spool(random);
    let (pipeline, driver) = QueueEventDispatcher::builder(upstream)
        .clock(clock)
        .queue(queue)
        .batch_size(random.usize(1..20))
        .in_flight(random.usize(1..10))
        .flush_interval(Duration::from_millis(random.u64(1..60_000)))
        .seed(random.u64(..))
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: Some(disk) }
}

fn processor(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
) -> Built<BatchEventProcessor> {
    let batch_size = random.usize(1..30);
    let (pipeline, driver) = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .clock(clock)
        .batch_size(batch_size)
        .queue_size(batch_size + random.usize(0..100))
        .in_flight(random.usize(1..10))
        .flush_interval(Duration::from_millis(random.u64(1..60_000)))
        .when_full(if random.bool() { WhenFull::Reject } else { WhenFull::DropOldest })
        .dead_letters_max(usize::MAX)
        .seed(random.u64(..))
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: None }
}

fn dispatcher(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
) -> Built<QueueEventDispatcher> {
    let (pipeline, driver) = QueueEventDispatcher::builder(upstream)
        .clock(clock)
        .queue_size(random.usize(1..100))
        .in_flight(random.usize(1..10))
        .dead_letters_max(usize::MAX)
        .seed(random.u64(..))
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: None }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Schedules that every run tries; those with a disk take longer.
const IN_MEMORY: u64 = 1_500;
const ON_DISK: u64 = 200;

/// Runs the seeds, and names the one that fails.
fn simulate<F: Future<Output = ()>>(count: u64, schedule: impl Fn(u64) -> F) {
    let seeds = match number("POSTHASTE_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POSTHASTE_SIM_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(schedule(seed)));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed} failed; POSTHASTE_SIM_SEED={seed} runs it again");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn no_schedule_of_faults_loses_an_event_of_the_processor() {
    simulate(IN_MEMORY, |seed| async move { Schedule::new(seed, processor).run().await });
}

#[test]
fn no_schedule_of_faults_loses_an_event_of_the_queueing_dispatcher() {
    simulate(IN_MEMORY, |seed| async move { Schedule::new(seed, dispatcher).run().await });
}

#[test]
fn no_schedule_of_faults_of_api_and_disk_loses_an_event_of_the_processor() {
    simulate(ON_DISK, |seed| async move { Schedule::new(seed, spooled_processor).run().await });
}

#[test]
fn no_schedule_of_faults_of_api_and_disk_loses_an_event_of_the_queueing_dispatcher() {
    simulate(ON_DISK, |seed| async move { Schedule::new(seed, spooled_dispatcher).run().await });
}
