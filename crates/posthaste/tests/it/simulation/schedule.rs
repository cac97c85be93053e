//! One schedule: what happens to a pipeline, and the laws that hold in the end.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::LazyLock,
    time::Duration,
};

use posthaste::{ProjectConfig, SnapshotEvent, UserEvent, Visitor};
use posthaste_spool::{Fault, Operation};
use tokio::task::JoinSet;

use super::{
    pacing::Pacing,
    pipelines::{Built, Disk, Pipeline},
    upstream::{JumpingClock, Upstream},
};
use crate::support::{HOUR, conversion, impression, larkspur, project};

/// Two projects, whose events go to different regions' end points.
static PROJECTS: LazyLock<[ProjectConfig; 2]> = LazyLock::new(|| [larkspur(), project("larkspur_eu.json")]);

/// One schedule: what was accepted, and everything that is asked of it.
pub(super) struct Schedule<P> {
    pipeline: P,
    /// Where the queue is on disk.
    disk: Option<Disk>,
    _driver: JoinSet<()>,
    upstream: Upstream,
    clock: JumpingClock,
    random: fastrand::Rng,
    /// Where there is a drain rate.
    pacing: Option<Pacing>,
    end_points: usize,
    offered: u64,
    accepted: HashMap<String, (SnapshotEvent, String)>,
    reports: JoinSet<()>,
}

impl<P: Pipeline> Schedule<P> {
    pub(super) fn new(
        seed: u64,
        build: impl FnOnce(Upstream, JumpingClock, &mut fastrand::Rng, Option<NonZeroU32>) -> Built<P>,
    ) -> Self {
        Self::with_rate(seed, build, None)
    }

    /// The same with a drain rate, low or high.
    pub(super) fn paced(
        seed: u64,
        build: impl FnOnce(Upstream, JumpingClock, &mut fastrand::Rng, Option<NonZeroU32>) -> Built<P>,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let most = random.choice([5, 50, 5_000]).unwrap();
        Self::with_rate(seed, build, NonZeroU32::new(random.u32(1..most)))
    }

    fn with_rate(
        seed: u64,
        build: impl FnOnce(Upstream, JumpingClock, &mut fastrand::Rng, Option<NonZeroU32>) -> Built<P>,
        rate: Option<NonZeroU32>,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = JumpingClock::default();
        let upstream = Upstream::new(random.fork(), &clock);
        let end_points = random.usize(1..5);
        let mut tasks = JoinSet::new();
        let Built { pipeline, driver, disk } = build(upstream.clone(), clock.clone(), &mut random, rate);
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
            pacing: rate.map(Pacing::new),
            end_points,
            offered: 0,
            accepted: HashMap::new(),
            reports: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self) {
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
                    let to = self.random.usize(0..self.end_points);
                    let events = self.events(to);
                    self.offer(events, to);
                }
            }
            6 | 7 => tokio::time::sleep(Duration::from_millis(self.random.u64(0..500))).await,
            8 => tokio::time::sleep(Duration::from_secs(self.random.u64(0..100))).await,
            9 => *self.clock.0.lock().unwrap() += self.random.i64(-100_000_000..100_000_000),
            10 => {
                self.forget_dead();
                self.pipeline.replay();
            }
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

    /// What is dead is accepted anew when it is replayed, whenever that is.
    fn forget_dead(&mut self) {
        if let Some(pacing) = &mut self.pacing {
            self.pipeline.kept().1.iter().for_each(|uuid| pacing.forget(uuid));
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

    fn events(&mut self, to: usize) -> Vec<UserEvent> {
        let kind = match self.random.u8(0..40) {
            0..4 => "bad",
            4 => "cursed-503",
            5 => "cursed-403",
            _ => "good",
        };
        let one = self.random.bool().then_some(self.offered);
        let config = &PROJECTS[to % PROJECTS.len()];
        (0..self.random.usize(1..4))
            .map(|_| {
                self.offered += 1;
                let visitor = format!("{kind}-{}", one.unwrap_or(self.offered));
                let tags = serde_json::Map::from_iter([("revenue".to_owned(), self.offered.into())]);
                if self.random.bool() {
                    impression(config, &visitor)
                } else {
                    conversion(config, &visitor, &tags)
                }
            })
            .collect()
    }

    fn offer(&mut self, events: Vec<UserEvent>, to: usize) {
        for event in self.pipeline.offer(events, to) {
            let wire = Visitor::from(&event);
            if let Some(pacing) = &mut self.pacing {
                pacing.accepted(event.uuid().to_string());
            }
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
        assert!(self.pipeline.offer(vec![late], 0).is_empty(), "closed and still taking");
    }

    async fn heal_and_drain(&mut self) {
        self.upstream.heal();
        self.heal_disk();
        if self.pacing.is_some() {
            self.pass_backlog().await;
        }
        assert!(
            self.pipeline.flush(HOUR * 3).await.is_complete(),
            "not drained: {:?}",
            self.pipeline.ledger()
        );
        let fresh = impression(&larkspur(), "fresh");
        // A spool takes events again once it has noticed that its disk works.
        let before = self.accepted.len();
        while self.accepted.len() == before {
            self.offer(vec![fresh.clone()], 0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let report = self.pipeline.close(HOUR).await;
        assert_eq!((report.left, self.pipeline.ledger().queued), (0, 0));
        assert!(self.upstream.arrived().contains_key(&fresh.uuid().to_string()), "nothing flows");
        assert!(self.pipeline.kept().0.is_empty());
    }

    /// Once every end point has been found to work, a new event passes whatever is left.
    async fn pass_backlog(&mut self) {
        // Longer than any wait and any answer: 600 seconds, and then up to 90 and two minutes.
        tokio::time::sleep(Duration::from_secs(1_500)).await;
        let event = impression(&larkspur(), "prompt");
        let before = self.accepted.len();
        while self.accepted.len() == before {
            self.offer(vec![event.clone()], 0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The interval at which everything goes is a minute at most.
        tokio::time::sleep(Duration::from_secs(70)).await;
        let has_arrived = self.upstream.arrived().contains_key(&event.uuid().to_string());
        assert!(has_arrived, "a new event waits behind the backlog: {:?}", self.pipeline.ledger());
    }

    fn check(&self) {
        self.heal_disk();
        if let Some(pacing) = &self.pacing {
            pacing.check(&self.upstream.requests());
        }
        let arrived = &self.upstream.arrived();
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
        assert!(ledger.balances(), "{ledger:?}; queued {queued:?}, dead {dead:?}");
    }
}
