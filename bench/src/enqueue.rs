//! What it costs a program to make an event and to hand it over, and what a queued event costs in memory. Nothing is
//! delivered meanwhile: the dispatcher never answers.

use std::{thread, time::Duration};

use posthaste::{
    BatchEventProcessor, Dispatcher, LogEvent, ProjectConfig, UserContext, UserEvent,
    create_impression_user_event, dispatch::DispatchFuture,
};

use crate::process::{Stopwatch, memory};

const DATAFILE: &str = include_str!("../../crates/posthaste/tests/vectors/larkspur.json");

#[derive(Debug)]
struct Never;

impl Dispatcher for Never {
    fn dispatch_event(&self, _event: LogEvent) -> DispatchFuture {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn config() -> ProjectConfig {
    ProjectConfig::from_datafile(DATAFILE).expect("the datafile is sound")
}

/// The bench's event: an impression of a visitor with four attributes, as most lines of the example events have.
pub(crate) struct Maker {
    config: ProjectConfig,
    users: Vec<UserContext>,
}

impl Maker {
    /// Visitors are made beforehand: they are the program's, not the event's.
    pub(crate) fn new() -> Self {
        let user = |n: usize| {
            UserContext::new(format!("shopper-{n:05}"))
                .attribute("plan", "team")
                .attribute("country", "NZ")
                .attribute("logged_in", n.is_multiple_of(2))
                .attribute("age", 20 + n % 60)
        };
        Self { config: config(), users: (0..1_024).map(user).collect() }
    }

    pub(crate) fn make(&self, n: usize) -> UserEvent {
        let experiment = self.config.experiment_by_key("checkout_button").expect("in the datafile");
        let variation =
            experiment.variation_by_key(if n.is_multiple_of(2) { "control" } else { "green_button" });
        let user = self.users.get(n % self.users.len()).expect("there are users");
        create_impression_user_event(&self.config, experiment, variation, user)
    }
}

/// How often memory that the process already has is filled again.
const ROUNDS: u32 = 10;

/// What handing over costs.
pub(crate) struct Enqueued {
    /// Wall-clock time for each event of each thread, in memory that the process already has.
    pub(crate) ns: f64,
    /// The same where every event takes new memory from the system.
    pub(crate) ns_in_new_memory: f64,
    /// Resident memory for each event that waits.
    pub(crate) bytes: f64,
}

pub(crate) fn measure(events: usize, threads: usize) -> Enqueued {
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(Never)
        .queue_size(events + 10)
        .flush_interval(Duration::from_secs(3_600))
        .in_flight(1)
        .drop_deadline(Duration::ZERO)
        .build()
        .expect("the options are sound");
    let maker = Maker::new();
    let before = memory("VmRSS:");
    let ns_in_new_memory = fill(&processor, &maker, events, threads);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let bytes = memory("VmRSS:").saturating_sub(before) as f64 / events as f64;
    drop(processor.remove(events));
    let rounds: f64 = (0..ROUNDS)
        .map(|_| {
            let ns = fill(&processor, &maker, events / 20, threads);
            drop(processor.remove(events));
            ns
        })
        .sum();
    Enqueued { ns: rounds / f64::from(ROUNDS), ns_in_new_memory, bytes }
}

fn fill(processor: &BatchEventProcessor, maker: &Maker, events: usize, threads: usize) -> f64 {
    let watch = Stopwatch::start();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for n in 0..events / threads {
                    processor.process_event(maker.make(n)).expect("the queue has room").forget();
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let ns = watch.wall().as_nanos() as f64 / (events / threads) as f64;
    ns
}
