//! The steps of an event that are counted, each done so often that a growing table or a new segment does not show.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use posthaste::{
    BatchEventProcessor, Dispatcher, Driver, InMemoryQueue, LogEvent, ProjectConfig, Queue, UserContext,
    UserEvent, create_impression_user_event,
    dispatch::{DispatchFuture, Response},
    queue::DeliveryQueue,
    testing::ManualClock,
};
use posthaste_spool::{Durability, RealFilesystem, Spool, SpoolOptions, Turns};

use crate::Outcome;

/// Events of a round.
pub(crate) const EVENTS: u16 = 4_000;
const COUNT: usize = EVENTS as usize;
const BATCH: usize = 10;
/// A record of about the size of an event.
const RECORD_BYTES: usize = 400;

/// One step of an event's way.
trait Step {
    /// Makes ready what the step needs; not counted.
    fn prepare(&mut self) -> Outcome<()>;
    /// Takes `EVENTS` events through the step.
    fn run(&mut self) -> Outcome<()>;
}

/// Every step's name, in the order in which an event meets them.
pub(crate) const STEPS: [&str; 6] = ["create", "enqueue", "encode", "settle", "deliver", "append"];

fn step(name: &str) -> Outcome<Box<dyn Step>> {
    Ok(match name {
        "create" => Box::new(Create { maker: Maker::new()?, made: Vec::with_capacity(COUNT) }),
        "enqueue" => Box::new(Enqueue::new()?),
        "encode" => Box::new(Encode { events: Maker::new()?.events() }),
        "settle" => Box::new(Settle { events: Maker::new()?.events(), queue: InMemoryQueue::new(COUNT) }),
        "deliver" => Box::new(Deliver(Enqueue::new()?)),
        "append" => Box::new(Append::new()?),
        _ => return Err(format!("{name:?} is no step: {STEPS:?}").into()),
    })
}

/// Takes events through a step once or twice. What is made ready is the same, however often, and nothing is dropped at
/// the end: so the second round is all by which two runs differ.
pub(crate) fn run(name: &str, rounds: &str) -> Outcome<()> {
    let mut step = step(name)?;
    step.prepare()?;
    step.run()?;
    step.prepare()?;
    if rounds == "2" {
        step.run()?;
    }
    Box::leak(step);
    Ok(())
}

/// Makes the event that is counted: an impression of a visitor with four attributes.
struct Maker {
    config: ProjectConfig,
    users: Vec<UserContext>,
}

impl Maker {
    fn new() -> Outcome<Self> {
        let datafile = include_str!("../../../crates/posthaste/tests/vectors/larkspur.json");
        let user = |n: usize| {
            UserContext::new(format!("shopper-{n:05}"))
                .attribute("plan", "team")
                .attribute("country", "NZ")
                .attribute("logged_in", n.is_multiple_of(2))
                .attribute("age", 20 + n % 60)
        };
        Ok(Self { config: ProjectConfig::from_datafile(datafile)?, users: (0..1_024).map(user).collect() })
    }

    fn make(&self, n: usize) -> UserEvent {
        let experiment = self.config.experiment_by_key("checkout_button").expect("in the datafile");
        let key = if n.is_multiple_of(2) { "control" } else { "green_button" };
        let user = self.users.get(n % self.users.len()).expect("there are users");
        create_impression_user_event(&self.config, experiment, experiment.variation_by_key(key), user)
    }

    fn events(&self) -> Vec<UserEvent> {
        (0..COUNT).map(|n| self.make(n)).collect()
    }
}

/// An event is made.
struct Create {
    maker: Maker,
    made: Vec<UserEvent>,
}

impl Step for Create {
    fn prepare(&mut self) -> Outcome<()> {
        self.made.clear();
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        self.made.extend((0..COUNT).map(|n| self.maker.make(n)));
        Ok(())
    }
}

/// Answers at once.
#[derive(Debug)]
struct Taker;

impl Dispatcher for Taker {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        black_box(event);
        Box::pin(std::future::ready(Ok(Response::status(204))))
    }
}

/// An event is handed to a processor, which sleeps.
struct Enqueue {
    maker: Maker,
    processor: BatchEventProcessor,
    driver: Driver,
    events: Vec<UserEvent>,
}

impl Enqueue {
    fn new() -> Outcome<Self> {
        let (processor, driver) = BatchEventProcessor::builder()
            .event_dispatcher(Taker)
            .clock(ManualClock::at_ms(1_795_500_000_000))
            .batch_size(BATCH)
            .queue_size(COUNT)
            .drop_deadline(Duration::ZERO)
            .build_with_driver()?;
        Ok(Self { maker: Maker::new()?, processor, driver, events: Vec::new() })
    }

    fn deliver(&mut self) -> Outcome<()> {
        let mut context = Context::from_waker(Waker::noop());
        // The machine gives way now and then; it needs no more turns than there are requests.
        for _ in 0..=COUNT {
            if let Poll::Ready(()) = self.driver.as_mut().poll(&mut context) {
                return Err("delivery has ended".into());
            }
            if self.processor.events_count() == 0 {
                return Ok(());
            }
        }
        Err("events are left".into())
    }
}

impl Step for Enqueue {
    fn prepare(&mut self) -> Outcome<()> {
        self.deliver()?;
        self.events = self.maker.events();
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        for event in self.events.drain(..) {
            self.processor.process_event(event)?.forget();
        }
        Ok(())
    }
}

/// Waiting events are leased, encoded, sent, and settled: all of delivery but the network.
struct Deliver(Enqueue);

impl Step for Deliver {
    fn prepare(&mut self) -> Outcome<()> {
        self.0.prepare()?;
        self.0.run()
    }

    fn run(&mut self) -> Outcome<()> {
        self.0.deliver()
    }
}

/// A request of one event is written.
struct Encode {
    events: Vec<UserEvent>,
}

impl Step for Encode {
    fn prepare(&mut self) -> Outcome<()> {
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        let end_point: std::sync::Arc<str> = "http://127.0.0.1/v1/events".into();
        for event in &self.events {
            black_box(LogEvent::of_event(std::sync::Arc::clone(&end_point), event));
        }
        Ok(())
    }
}

/// A queue's events are leased and settled, ten at a time.
struct Settle {
    events: Vec<UserEvent>,
    queue: InMemoryQueue<UserEvent>,
}

impl Step for Settle {
    fn prepare(&mut self) -> Outcome<()> {
        for event in &self.events {
            self.queue.add(event.clone())?.forget();
        }
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        while self.queue.size() > 0 {
            let leased = self.queue.lease(BATCH).wait()?;
            let ids: Vec<u64> = leased.iter().map(|leased| leased.id).collect();
            drop(leased);
            self.queue.settle(&ids).wait()?;
        }
        Ok(())
    }
}

/// A record is appended to a spool, one a commit.
struct Append {
    spool: Spool,
    turns: Turns,
    record: Bytes,
    // Deleted last.
    _folder: tempfile::TempDir,
}

impl Append {
    fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let options = SpoolOptions::default().durability(Durability::Os);
        let files = std::sync::Arc::new(RealFilesystem);
        let (spool, turns) = Spool::open_by_hand(files, folder.path(), options)?;
        Ok(Self { spool, turns, record: vec![7; RECORD_BYTES].into(), _folder: folder })
    }
}

impl Step for Append {
    fn prepare(&mut self) -> Outcome<()> {
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        for _ in 0..COUNT {
            let receipt = self.spool.add(self.record.clone())?;
            self.turns.turn(Duration::ZERO);
            let mut context = Context::from_waker(Waker::noop());
            match pin!(receipt).poll(&mut context) {
                Poll::Ready(stored) => stored?,
                Poll::Pending => return Err("the spool did not store a record in its turn".into()),
            };
        }
        Ok(())
    }
}
