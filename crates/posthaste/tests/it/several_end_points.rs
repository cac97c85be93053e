//! One dead end point beside healthy ones: what goes to these is delivered in bounded time, the dead one is asked seldom,
//! and it alone is named. In paused time, over every way of being dead, every share and both kinds of queue.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Dispatcher, Driver, Health, Ledger, LogEvent, ProjectConfig, QueueEventDispatcher,
    Refusal, Refused,
    dispatch::{Answer, DispatchError, Response, RetryAfter},
    outcome::{Trouble, UpstreamState},
    queue::SpoolOptions,
};
use tokio::task::JoinSet;

use crate::{
    house::{after, ok, spool},
    support::{HOUR, SECOND, impression, larkspur, project},
};

/// In what way it is dead.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    Refuses,
    NotFound,
    Unavailable,
    Hangs,
    AsksForAnHour,
    /// It answers, and takes nothing.
    BadRequest,
}

impl Death {
    const ALL: [Self; 6] = [
        Self::Refuses,
        Self::NotFound,
        Self::Unavailable,
        Self::Hangs,
        Self::AsksForAnHour,
        Self::BadRequest,
    ];

    fn answer(self) -> (Duration, Answer) {
        let answer = match self {
            Self::Refuses => Err(DispatchError::Connect("refused".into())),
            Self::NotFound => Ok(Response::status(404)),
            Self::Unavailable => Ok(Response::status(503)),
            Self::AsksForAnHour => Ok(Response::status(429).with_retry_after(RetryAfter::Delay(HOUR))),
            Self::BadRequest => Ok(Response::status(400)),
            Self::Hangs => return (HOUR * 24 * 365, ok()),
        };
        (TRIP, answer)
    }
}

const TRIP: Duration = Duration::from_millis(5);

/// How long everything for the healthy ones may take: they could take it in a second.
const BOUND: Duration = Duration::from_secs(60);

/// How often each end point was asked, and how many events it took.
type Asked = Arc<Mutex<BTreeMap<String, (usize, usize)>>>;

#[derive(Debug, Clone, Copy)]
struct Case {
    death: Death,
    /// Events for the dead one for each that is for a healthy one.
    dead_share: usize,
    healthy: usize,
    dead_come_first: bool,
    in_flight: usize,
    is_spooled: bool,
}

const EVENTS: usize = 600;

impl Case {
    fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            // Each death in turn, so that a few seeds have them all.
            death: Death::ALL[usize::try_from(seed).unwrap() % Death::ALL.len()],
            dead_share: random.choice([1, 10, 50]).unwrap(),
            healthy: random.choice([1, 2, 100]).unwrap(),
            dead_come_first: random.bool(),
            in_flight: random.choice([2, 10, 64]).unwrap(),
            is_spooled: random.bool(),
        }
    }

    /// To which end point each event goes: 0 is the dead one.
    fn targets(&self) -> Vec<usize> {
        let healthy = (EVENTS / (1 + self.dead_share)).max(self.healthy);
        let to = |n: usize| {
            if n.is_multiple_of(1 + self.dead_share) {
                1 + n / (1 + self.dead_share) % self.healthy
            } else {
                0
            }
        };
        let mut targets: Vec<usize> = (0..healthy * (1 + self.dead_share)).map(to).collect();
        if self.dead_come_first {
            targets.sort_unstable_by_key(|target| *target != 0);
        }
        targets
    }

    /// One that is dead only to addresses that it is told are.
    fn dispatcher(&self, asked: &Asked, is_dead: fn(&str) -> bool) -> impl Dispatcher + use<> {
        let (asked, death) = (Arc::clone(asked), self.death);
        after(move |request: &LogEvent| {
            let mut asked = asked.lock().unwrap();
            let (times, taken) = asked.entry(request.end_point().to_owned()).or_default();
            *times += 1;
            if is_dead(request.end_point()) {
                return death.answer();
            }
            *taken += request.events();
            (TRIP, ok())
        })
    }

    fn check(&self, name: &str, asked: &Asked, dead: &str, told: &Told) {
        let asked = asked.lock().unwrap();
        let targets = self.targets();
        let to_dead = targets.iter().filter(|target| **target == 0).count();
        let taken: usize = asked.values().map(|(_, taken)| taken).sum();
        assert_eq!(taken, targets.len() - to_dead, "{name}: {told:?} {asked:?}");
        let (times, _) = asked.get(dead).copied().unwrap_or_default();
        // Those under way when it was found to be dead, and probes since; where it refuses each event, each once.
        let bound = if self.death == Death::BadRequest { to_dead * 2 } else { self.in_flight.max(5) + 30 };
        assert!(times <= bound, "{name}: the dead one was asked {times} times");
        self.check_told(name, dead, to_dead as u64, told);
    }

    /// The dead one is named, and no other.
    fn check_told(&self, name: &str, dead: &str, to_dead: u64, told: &Told) {
        assert!(told.ledger.balances(), "{name}: {told:?}");
        let troubled = told.health.upstreams.iter().filter(|upstream| upstream.trouble.is_some());
        let of_others = troubled.filter(|upstream| upstream.end_point != dead).count();
        assert_eq!(of_others, 0, "{name}: {told:?}");
        assert!(
            told.reasons.iter().all(|reason| reason.end_point.as_deref() == Some(dead)),
            "{name}: {told:?}"
        );
        if self.death == Death::BadRequest {
            assert_eq!((told.left, told.ledger.dead_lettered), (0, to_dead), "{name}: {told:?}");
            assert!(told.health.is_working() && told.reasons.is_empty(), "{name}: {told:?}");
            return;
        }
        assert_eq!((told.left, told.ledger.dead_lettered), (to_dead, 0), "{name}: {told:?}");
        assert!(!told.reasons.is_empty(), "{name}: {told:?}");
        let state = told.health.upstreams.iter().find(|upstream| upstream.end_point == dead).map(|u| u.state);
        let expected = match self.death {
            Death::NotFound => Some(UpstreamState::Held),
            // It has not failed: it has not answered.
            // It is not told of again while nothing changes, so that others may have been in use then.
            Death::Hangs if self.healthy > 60 => state,
            Death::Hangs => Some(UpstreamState::Working),
            // Where fewer requests are under way than failures open the breaker, the server's hour comes first.
            Death::AsksForAnHour if self.in_flight < 5 => state,
            _ => Some(UpstreamState::Failing),
        };
        assert_eq!(state, expected, "{name}: {told:?}");
    }
}

/// What a pipeline says after a while, and when it closes.
#[derive(Debug)]
struct Told {
    health: Health,
    ledger: Ledger,
    left: u64,
    reasons: Vec<Trouble>,
}

fn tasks(drivers: impl IntoIterator<Item = Driver>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for driver in drivers {
        tasks.spawn(driver);
    }
    tasks
}

fn room() -> SpoolOptions {
    SpoolOptions::default().segment_bytes(1 << 20).record_bytes_max(100_000).size_bytes_max(64 << 20)
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_holds_back_no_requests_for_others() {
    for seed in 0..36 {
        let case = Case::drawn(seed);
        let name = format!("seed {seed}: {case:?}");
        let asked = Asked::default();
        let builder = QueueEventDispatcher::builder(case.dispatcher(&asked, |to| to.contains("//dead")))
            .queue_size(100_000)
            .in_flight(case.in_flight)
            .dead_letters_max(usize::MAX)
            .seed(seed);
        let (builder, disk) = if case.is_spooled {
            let (queue, disk) = spool(room());
            (builder.queue(queue), Some(disk))
        } else {
            (builder, None)
        };
        let (dispatcher, driver) = builder.build_with_driver().unwrap();
        let _tasks = tasks([driver].into_iter().chain(disk));
        let event = impression(&larkspur(), "visitor");
        for target in case.targets() {
            let to =
                if target == 0 { "http://dead/".to_owned() } else { format!("http://healthy-{target}/") };
            let mut request = LogEvent::of_event(to, &event);
            // A disk makes room as fast as it is written to.
            while let Err(Refused { item, reason, .. }) = dispatcher.add(request) {
                assert!(matches!(reason, Refusal::StorageFull(_)), "{name}: {reason}");
                tokio::time::sleep(TRIP).await;
                request = item;
            }
        }
        tokio::time::sleep(BOUND).await;
        let health = dispatcher.health();
        let report = dispatcher.close(Duration::ZERO).await;
        let told = Told { health, ledger: report.ledger, left: report.left, reasons: report.reasons };
        case.check(&name, &asked, "http://dead/", &told);
    }
}

const US: &str = "https://logx.optimizely.com/v1/events";

/// One processor of two projects: the Event API of the one's region is dead.
#[tokio::test(start_paused = true)]
async fn a_dead_region_holds_back_no_events_of_another() {
    let (american, european): (ProjectConfig, ProjectConfig) = (larkspur(), project("larkspur_eu.json"));
    for seed in 0..36 {
        let case = Case { healthy: 1, ..Case::drawn(seed) };
        let name = format!("seed {seed}: {case:?}");
        let asked = Asked::default();
        let builder = BatchEventProcessor::builder()
            .event_dispatcher(case.dispatcher(&asked, |to| to == US))
            .queue_size(100_000)
            .batch_size(1)
            .in_flight(case.in_flight)
            .dead_letters_max(usize::MAX)
            .seed(seed);
        let (builder, disk) = if case.is_spooled {
            let (queue, disk) = spool(room());
            (builder.queue(queue), Some(disk))
        } else {
            (builder, None)
        };
        let (processor, driver) = builder.build_with_driver().unwrap();
        let _tasks = tasks([driver].into_iter().chain(disk));
        for target in case.targets() {
            let event = impression(if target == 0 { &american } else { &european }, "visitor");
            processor.process_event(event).unwrap().forget();
        }
        tokio::time::sleep(BOUND).await;
        let health = processor.health();
        let report = processor.close(Duration::ZERO).await;
        let told = Told { health, ledger: report.ledger, left: report.left, reasons: report.reasons };
        case.check(&name, &asked, US, &told);
    }
}

/// What comes later meets what is known of the dead one: it waits for nobody either.
#[tokio::test(start_paused = true)]
async fn events_that_come_later_do_not_wait_for_a_dead_end_point_either() {
    for (seed, death) in (0..).zip(Death::ALL) {
        let case = Case { death, in_flight: 10, ..Case::drawn(seed) };
        let asked = Asked::default();
        let dispatcher = case.dispatcher(&asked, |to| to.contains("//dead"));
        let (dispatcher, driver) = QueueEventDispatcher::builder(dispatcher)
            .queue_size(10_000)
            .in_flight(10)
            .build_with_driver()
            .unwrap();
        let _tasks = tasks([driver]);
        let event = impression(&larkspur(), "visitor");
        for round in 0..100 {
            for _ in 0..20 {
                dispatcher.add(LogEvent::of_event("http://dead/", &event)).unwrap().forget();
            }
            dispatcher.add(LogEvent::of_event("http://healthy/", &event)).unwrap().forget();
            tokio::time::sleep(SECOND * 3).await;
            let taken = asked.lock().unwrap().get("http://healthy/").map_or(0, |(_, taken)| *taken);
            assert_eq!(taken, round + 1, "{death:?}");
        }
    }
}
