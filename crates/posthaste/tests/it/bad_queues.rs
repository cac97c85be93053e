//! Queues and clocks of somebody else's that panic and lie: the process lives, every call ends in time, and where the
//! pipeline has ended, it says why.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, BatchEventProcessorBuilder, Clock, Health, InMemoryQueue, OptionsError, Queue,
    Receipt, Refused, SystemClock, UserEvent,
    clock::Sleep,
    dispatch::{Response, RetryAfter},
    outcome::Trouble,
    queue::{
        Counts, DeadLetterStore, DeliveryQueue, Displacing, Eventually, Finish, Leased, QueueError,
        QueueWatcher,
    },
};

use crate::{
    house::{by, for_each, within},
    support::{SECOND, impression, impressions, larkspur},
};

const SOON: Duration = Duration::from_millis(150);

/// A queue that is one in memory, except where it misbehaves.
#[derive(Debug)]
struct Odd {
    queue: InMemoryQueue<UserEvent>,
    how: How,
    calls: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// Panics in this method, from this call of it on.
    Panics(&'static str, u64),
    /// Panics in what this method returns.
    PanicsLater(&'static str),
    /// What this method returns never resolves.
    Hangs(&'static str),
    Fails(&'static str),
    Lies(Lie),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    SizeZero,
    SizeMax,
    SizeJumps,
    CapacityZeroLater,
    CapacityMax,
    LeasesNothing,
    LeasesMore,
    LeasesUnderOneId,
    LeasesTheSameAgain,
    Invents,
    SettleIgnored,
    CloseIgnored,
    ReleaseIgnored,
    CountsNothing,
    CountsMax,
    LeaseTimeZero,
    LeaseTimeMax,
    LosesEverything,
    LosesWhatWasNeverLeased,
    LeasesMaxZero,
    DisplacesAlways,
}

impl Lie {
    const ALL: [Self; 21] = [
        Self::SizeZero,
        Self::SizeMax,
        Self::SizeJumps,
        Self::CapacityZeroLater,
        Self::CapacityMax,
        Self::LeasesNothing,
        Self::LeasesMore,
        Self::LeasesUnderOneId,
        Self::LeasesTheSameAgain,
        Self::Invents,
        Self::SettleIgnored,
        Self::CloseIgnored,
        Self::ReleaseIgnored,
        Self::CountsNothing,
        Self::CountsMax,
        Self::LeaseTimeZero,
        Self::LeaseTimeMax,
        Self::LosesEverything,
        Self::LosesWhatWasNeverLeased,
        Self::LeasesMaxZero,
        Self::DisplacesAlways,
    ];
}

impl Odd {
    fn new(how: How) -> Self {
        Self { queue: InMemoryQueue::new(100), how, calls: AtomicU64::new(0) }
    }

    /// Called by every method that may panic.
    fn enter(&self, method: &str) {
        if let How::Panics(panics_in, from) = self.how
            && panics_in == method
        {
            assert!(self.calls.fetch_add(1, SeqCst) < from, "on purpose, in {method}");
        }
    }

    fn lies(&self, lie: Lie) -> bool {
        self.how == How::Lies(lie)
    }

    /// The answer, in whatever way this method gives it.
    fn eventually<R: Send + 'static>(
        &self,
        method: &'static str,
        answer: impl FnOnce() -> Eventually<Result<R, QueueError>>,
    ) -> Eventually<Result<R, QueueError>> {
        match self.how {
            How::PanicsLater(late) if late == method => {
                Eventually::later(async move { panic!("on purpose, later, in {method}") })
            }
            How::Hangs(hangs) if hangs == method => Eventually::later(std::future::pending()),
            How::Fails(fails) if fails == method => Eventually::Now(Err(QueueError::new("on purpose"))),
            _ => answer(),
        }
    }
}

impl Queue<UserEvent> for Odd {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.enter("add");
        self.queue.add(item)
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.enter("get");
        self.queue.get(count)
    }

    fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.enter("remove");
        self.queue.remove(count)
    }

    fn size(&self) -> usize {
        self.enter("size");
        match self.how {
            How::Lies(Lie::SizeZero) => 0,
            How::Lies(Lie::SizeMax) => usize::MAX,
            How::Lies(Lie::SizeJumps) => usize::try_from(self.calls.fetch_add(7_919, SeqCst) % 50).unwrap(),
            _ => self.queue.size(),
        }
    }
}

impl DeliveryQueue<UserEvent> for Odd {
    fn capacity(&self) -> usize {
        self.enter("capacity");
        match self.how {
            How::Lies(Lie::CapacityZeroLater) if self.calls.fetch_add(1, SeqCst) > 3 => 0,
            How::Lies(Lie::CapacityMax) => usize::MAX,
            _ => self.queue.capacity(),
        }
    }

    fn counts(&self) -> Counts {
        self.enter("counts");
        match self.how {
            How::Lies(Lie::CountsNothing) => Counts::default(),
            How::Lies(Lie::CountsMax) => Counts::new(u64::MAX, u64::MAX).with_lost(u64::MAX, u64::MAX),
            _ => self.queue.counts(),
        }
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<UserEvent>>, QueueError>> {
        self.enter("lease");
        self.eventually("lease", || match self.how {
            How::Lies(Lie::LeasesNothing) => Eventually::Now(Ok(Vec::new())),
            How::Lies(Lie::LeasesMore) => self.queue.lease(count + 100),
            How::Lies(Lie::Invents) => {
                Eventually::Now(Ok(vec![Leased::new(77, impression(&larkspur(), "invented"))]))
            }
            How::Lies(Lie::LeasesTheSameAgain) => {
                let leases = self.queue.lease(count);
                self.queue.release();
                leases
            }
            How::Lies(Lie::LeasesUnderOneId) => {
                let leases = self.queue.lease(count).wait().unwrap();
                Eventually::Now(Ok(leases.into_iter().map(|lease| Leased::new(0, lease.item)).collect()))
            }
            _ => self.queue.lease(count),
        })
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.enter("settle");
        self.eventually("settle", || {
            if self.lies(Lie::SettleIgnored) { Eventually::Now(Ok(())) } else { self.queue.settle(ids) }
        })
    }

    fn release(&self) {
        self.enter("release");
        if !self.lies(Lie::ReleaseIgnored) {
            self.queue.release();
        }
    }

    fn close(&self) {
        self.enter("close");
        if !self.lies(Lie::CloseIgnored) {
            self.queue.close();
        }
    }

    fn leases_max(&self) -> Option<usize> {
        self.enter("leases_max");
        self.lies(Lie::LeasesMaxZero).then_some(0)
    }

    fn lease_time(&self) -> Option<Duration> {
        self.enter("lease_time");
        match self.how {
            How::Lies(Lie::LeaseTimeZero) => Some(Duration::ZERO),
            How::Lies(Lie::LeaseTimeMax) => Some(Duration::MAX),
            How::Lies(Lie::LosesEverything | Lie::LosesWhatWasNeverLeased)
            | How::Panics("renew", _)
            | How::PanicsLater("renew")
            | How::Hangs("renew")
            | How::Fails("renew") => Some(Duration::from_millis(30)),
            _ => None,
        }
    }

    fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        self.enter("renew");
        self.eventually("renew", || {
            Eventually::Now(Ok(match self.how {
                How::Lies(Lie::LosesEverything) => ids.to_vec(),
                How::Lies(Lie::LosesWhatWasNeverLeased) => (1_000..1_100).collect(),
                _ => Vec::new(),
            }))
        })
    }

    fn add_displacing(&self, item: UserEvent) -> Displacing<UserEvent> {
        self.enter("add_displacing");
        self.queue.add_displacing(item)
    }

    fn displaced(&self, _count: usize) -> Vec<Leased<UserEvent>> {
        self.enter("displaced");
        let invents = self.lies(Lie::DisplacesAlways);
        invents.then(|| Leased::new(5, impression(&larkspur(), "displaced"))).into_iter().collect()
    }

    fn finish(&self, within: Duration) -> Finish {
        self.enter("finish");
        match self.how {
            How::PanicsLater("finish") => Box::pin(async { panic!("on purpose, later, in finish") }),
            How::Hangs("finish") => Box::pin(std::future::pending()),
            _ => self.queue.finish(within),
        }
    }

    fn give_up(&self) -> Vec<UserEvent> {
        self.enter("give_up");
        self.queue.give_up()
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.enter("watch");
        self.queue.watch(watcher);
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<UserEvent>>> {
        self.enter("dead_letters");
        self.queue.dead_letters()
    }
}

/// What a processor says after events, a flush and a close, each of which must end in time; and the drop.
struct Told {
    reasons: Vec<Trouble>,
    health: Health,
}

fn use_it(name: &str, builder: BatchEventProcessorBuilder) -> Result<Told, OptionsError> {
    let processor = Arc::new(builder.drop_deadline(SOON).build()?);
    for event in impressions(&larkspur(), EVENTS) {
        let add = AssertUnwindSafe(|| processor.process_event(event).is_ok());
        drop(catch_unwind(add));
    }
    let flushed = Arc::clone(&processor);
    within(&format!("{name}: flush"), SOON, move || flushed.flush(SOON).wait());
    let closed = Arc::clone(&processor);
    let report = within(&format!("{name}: close"), SOON, move || closed.close(SOON).wait());
    let told = Told { reasons: report.reasons, health: processor.health() };
    within(&format!("{name}: drop"), SOON, move || drop(processor));
    Ok(told)
}

const EVENTS: usize = 25;

fn answering(status: u16) -> BatchEventProcessorBuilder {
    BatchEventProcessor::builder().event_dispatcher(by(move |_| {
        let answer = Response::status(status).with_retry_after(RetryAfter::At(i64::MIN));
        Box::pin(async move { Ok(answer) })
    }))
}

const METHODS: [&str; 17] = [
    "add",
    "get",
    "remove",
    "size",
    "capacity",
    "counts",
    "lease",
    "settle",
    "release",
    "close",
    "leases_max",
    "lease_time",
    "renew",
    "displaced",
    "finish",
    "give_up",
    "watch",
];

#[test]
fn a_queue_that_panics_ends_its_pipeline_with_the_reason_and_nothing_else() {
    let cases = METHODS.into_iter().chain(["dead_letters"]);
    let cases = cases.flat_map(|method| [0, 1, 4].map(|from| (method, from)));
    for_each(cases, |(method, from)| {
        let name = format!("panics in {method} from call {from} on");
        let odd = Arc::new(Odd::new(How::Panics(method, from)));
        let told = match catch_unwind(AssertUnwindSafe(|| {
            use_it(&name, answering(204).queue(Arc::clone(&odd)))
        })) {
            Ok(Ok(told)) => told,
            Ok(Err(OptionsError::Panicked(what))) => return assert!(what.contains(method), "{name}: {what}"),
            Ok(Err(error)) => panic!("{name}: {error}"),
            Err(panic) => panic!("{name}: it reached the caller: {panic:?}"),
        };
        let has_panicked = odd.calls.load(SeqCst) > from;
        // What callers call is the callers' to hear; what runs at the very end ends nothing.
        let is_callers = ["add", "get"].contains(&method);
        if has_panicked && !is_callers && told.health.ended.is_none() {
            let is_late =
                ["release", "finish", "give_up", "close", "counts", "remove", "size"].contains(&method);
            assert!(is_late, "{name}: {:?}", told.health);
        }
        if let Some(ended) = told.health.ended {
            assert!(ended.what.contains(&format!("panicked in {method}: on purpose")), "{name}: {ended}");
        }
    });
}

#[test]
fn a_queue_that_panics_later_ends_its_pipeline_with_the_reason() {
    for_each(["lease", "settle", "renew", "finish"], |method| {
        let name = format!("panics later in {method}");
        let told = use_it(&name, answering(503).queue(Odd::new(How::PanicsLater(method)))).unwrap();
        if method != "finish" && method != "settle" {
            let ended = told.health.ended.unwrap_or_else(|| panic!("{name}: {:?}", told.reasons));
            assert!(ended.what.contains("on purpose"), "{name}: {ended}");
        }
        let delivers = use_it(&name, answering(204).queue(Odd::new(How::PanicsLater(method)))).unwrap();
        if method == "settle" {
            let ended = delivers.health.ended.unwrap_or_else(|| panic!("{name}: {:?}", delivers.reasons));
            assert!(ended.what.contains("on purpose"), "{name}: {ended}");
        }
    });
}

#[test]
fn a_queue_that_never_answers_or_always_fails_hangs_nobody() {
    let hangs = ["lease", "settle", "renew", "finish"].map(How::Hangs);
    let fails = ["lease", "settle", "renew"].map(How::Fails);
    for_each(hangs.into_iter().chain(fails), |how| {
        for status in [204, 503] {
            let told = use_it(&format!("{how:?}, {status}"), answering(status).queue(Odd::new(how))).unwrap();
            assert_eq!(told.health.ended, None, "{how:?}");
            if how == How::Fails("lease") {
                assert!(
                    told.reasons.iter().any(|reason| reason.what.contains("on purpose")),
                    "{:?}",
                    told.reasons
                );
            }
        }
    });
}

#[test]
fn a_queue_that_lies_hangs_nobody() {
    for_each(
        Lie::ALL.into_iter().flat_map(|lie| [204, 400, 503].map(|status| (lie, status))),
        |(lie, status)| {
            let name = format!("{lie:?}, {status}");
            match use_it(&name, answering(status).queue(Odd::new(How::Lies(lie)))) {
                Ok(told) => drop(told),
                Err(error) => panic!("{name}: {error}"),
            }
        },
    );
}

// Clocks.

#[derive(Debug)]
struct OddClock(&'static str, AtomicU64);

impl Clock for OddClock {
    fn now_ms(&self) -> i64 {
        match self.0 {
            "now_ms min" => i64::MIN,
            "now_ms max" => i64::MAX,
            "now_ms panics" => panic!("on purpose, in now_ms"),
            _ => SystemClock.now_ms(),
        }
    }

    fn elapsed(&self) -> Duration {
        let calls = self.1.fetch_add(1, SeqCst);
        match self.0 {
            "goes back" => Duration::from_millis(1_000_000_u64.saturating_sub(calls * 10)),
            "zero" => Duration::ZERO,
            "max" => Duration::MAX,
            "jumps" => Duration::from_secs(if calls.is_multiple_of(2) { 5 } else { 500_000 }),
            "elapsed panics" if calls > 20 => panic!("on purpose, in elapsed"),
            _ => SystemClock.elapsed(),
        }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        match self.0 {
            "sleeps not" => SystemClock.sleep(Duration::from_millis(1)),
            "sleeps for ever" => Box::pin(std::future::pending()),
            "sleep panics" => panic!("on purpose, in sleep"),
            "sleep panics later" => Box::pin(async { panic!("on purpose, in a sleep") }),
            _ => SystemClock.sleep(duration),
        }
    }
}

#[test]
fn a_clock_that_lies_or_panics_hangs_nobody() {
    let clocks = [
        "goes back",
        "zero",
        "max",
        "jumps",
        "sleeps not",
        "sleeps for ever",
        "now_ms min",
        "now_ms max",
        "now_ms panics",
        "elapsed panics",
        "sleep panics",
        "sleep panics later",
    ];
    let cases = clocks.into_iter().flat_map(|clock| [204, 503].map(|status| (clock, status)));
    for_each(cases, |(clock, status)| {
        let name = format!("{clock}, {status}");
        let told = use_it(&name, answering(status).clock(OddClock(clock, AtomicU64::new(0)))).unwrap();
        match told.health.ended {
            Some(ended) => assert!(ended.what.contains("on purpose"), "{name}: {ended}"),
            None => assert!(clock != "elapsed panics" && !clock.starts_with("sleep panics"), "{name}"),
        }
    });
}

/// Numbers at their ends are no reason to panic, to spin or to hang.
#[test]
fn the_largest_and_smallest_options_are_options() {
    let ends = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
    let cases = ends.into_iter().flat_map(|first| ends.map(|cap| (first, cap)));
    for_each(
        cases.flat_map(|(first, cap)| [404, 503].map(|status| (first, cap, status))),
        |(first, cap, status)| {
            let builder = answering(status).backoff(first, cap).hold_backoff(first, cap).breaker_threshold(0);
            use_it(&format!("{first:?} {cap:?} {status}"), builder.retry_after_max(cap)).unwrap();
        },
    );
    let largest = answering(204)
        .queue_size(usize::MAX)
        .in_flight(usize::MAX)
        .batch_size((1 << 31) - 1)
        .max_batch_bytes(usize::MAX)
        .flush_interval(Duration::MAX)
        .dead_letters_max(usize::MAX)
        .breaker_threshold(u32::MAX);
    assert!(use_it("largest", largest).unwrap().reasons.is_empty());
    let forever = Arc::new(answering(204).build().unwrap());
    forever.process_event(impression(&larkspur(), "v")).unwrap().forget();
    within("no deadline", SECOND, move || assert_eq!(forever.close(Duration::MAX).wait().delivered, 1));
}
