//! The pipelines that schedules are tried on: a processor and a queueing dispatcher, in memory and on disk.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use posthaste::{
    Batch, BatchEventProcessor, Clock, CloseReport, DeadReason, FlushReport, Ledger, LogEvent, Pending,
    QueueEventDispatcher, SpoolQueue, SystemClock, UserEvent, WhenFull, queue::SpoolItem,
};
use posthaste_spool::{FaultyFilesystem, MemoryFilesystem, Spool, SpoolOptions};

use super::upstream::{BEGUN_MS, JumpingClock, Upstream};

/// What the schedules need of a pipeline, whichever it is.
pub(super) trait Pipeline {
    type Item;
    /// Offers events that belong together, for the end point of this number; returns those that were accepted.
    fn offer(&self, events: Vec<UserEvent>, to: usize) -> Vec<UserEvent>;
    fn flush(&self, deadline: Duration) -> Pending<FlushReport>;
    fn close(&self, deadline: Duration) -> Pending<CloseReport<Self::Item>>;
    fn ledger(&self) -> Ledger;
    fn replay(&self);
    /// Uuids in the queue, and in dead letters.
    fn kept(&self) -> (Vec<String>, Vec<String>);
}

/// Where its events go, their contexts say.
impl Pipeline for BatchEventProcessor {
    fn offer(&self, events: Vec<UserEvent>, _to: usize) -> Vec<UserEvent> {
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
    fn offer(&self, events: Vec<UserEvent>, to: usize) -> Vec<UserEvent> {
        let mut batch = Batch::from_user_events(&events);
        if events.iter().all(|event| event.visitor_id() == events[0].visitor_id()) {
            let snapshots = batch.visitors.iter().flat_map(|visitor| visitor.snapshots.clone()).collect();
            batch.visitors.truncate(1);
            batch.visitors[0].snapshots = snapshots;
        }
        let number = events[0].visitor_id().rsplit('-').next().and_then(|number| number.parse().ok());
        let mut request = in_an_envelope(&batch, number.unwrap_or(0), to);
        // Some may become too old, where there is such a thing.
        if number.is_some_and(|number| number % 5 == 0) {
            request = request.with_taken_ms(BEGUN_MS);
        }
        // Some are found to be unusable by whoever takes them.
        let added = match number {
            Some(number) if number % 11 == 0 => {
                self.bury(request.clone(), DeadReason::Unusable, "of no use".to_owned())
            }
            _ => self.add(request.clone()),
        };
        match added {
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

/// The request with its fields in any order, and in one of three envelopes, which each of its visitors names.
fn in_an_envelope(batch: &Batch, number: usize, to: usize) -> LogEvent {
    let mut body = serde_json::to_value(batch).unwrap();
    let envelope = [None, Some(false), Some(true)][number / 7 % 3];
    if let Some(envelope) = envelope {
        body["envelope"] = envelope.into();
    }
    for visitor in body["visitors"].as_array_mut().unwrap() {
        visitor["in_envelope"] = envelope.into();
    }
    let mut fields: Vec<_> =
        body.as_object().unwrap().iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    fields.rotate_left(number % 3);
    let body = format!("{{{}}}", fields.join(","));
    LogEvent::from_body(format!("http://upstream-{to}/v1/events"), body).unwrap()
}

/// A pipeline, what runs it, and the disk that its queue is on, with what runs that.
pub(super) struct Built<P> {
    pub(super) pipeline: P,
    pub(super) driver: posthaste::Driver,
    pub(super) disk: Option<(Disk, posthaste::Driver)>,
}

pub(super) type Disk = FaultyFilesystem;

/// Seldom a very short one: hours of it are what takes longest.
fn interval(random: &mut fastrand::Rng) -> Duration {
    let usual = [(100, 1_000), (1_000, 10_000), (10_000, 60_000), (10_000, 60_000)];
    let (least, most) = if random.u16(0..1_000) == 0 { (1, 100) } else { random.choice(usual).unwrap() };
    Duration::from_millis(random.u64(least..most))
}

/// Bytes that may be leased: often few, so that requests wait for each other.
fn window(random: &mut fastrand::Rng) -> usize {
    random.choice([1, 3_000, 30_000, usize::MAX, usize::MAX]).unwrap()
}

/// How old a request may be: often more than the clock ever jumps.
fn age(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.choice([1, 1_000_000, 100_000_000, u64::MAX, u64::MAX]).unwrap())
}

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

pub(super) fn spooled_processor(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
    rate: Option<NonZeroU32>,
) -> Built<BatchEventProcessor> {
    let (queue, disk) = spool(random);
    let (pipeline, driver) = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .clock(clock)
        .queue(queue)
        .batch_size(random.usize(1..30))
        .in_flight(random.usize(1..10))
        .flush_interval(interval(random))
        .when_full(if random.bool() { WhenFull::Reject } else { WhenFull::DropOldest })
        .seed(random.u64(..))
        .drain_rate(rate)
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: Some(disk) }
}

pub(super) fn spooled_dispatcher(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
    rate: Option<NonZeroU32>,
) -> Built<QueueEventDispatcher> {
    let (queue, disk) = spool(random);
    let (pipeline, driver) = QueueEventDispatcher::builder(upstream)
        .clock(clock)
        .queue(queue)
        .batch_size(random.usize(1..20))
        .in_flight(random.usize(1..10))
        .flush_interval(interval(random))
        .seed(random.u64(..))
        .window_bytes(window(random))
        .age_max(age(random))
        .drain_rate(rate)
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: Some(disk) }
}

pub(super) fn processor(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
    rate: Option<NonZeroU32>,
) -> Built<BatchEventProcessor> {
    let batch_size = random.usize(1..30);
    let (pipeline, driver) = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .clock(clock)
        .batch_size(batch_size)
        .queue_size(batch_size + random.usize(0..100))
        .in_flight(random.usize(1..10))
        .flush_interval(interval(random))
        .when_full(if random.bool() { WhenFull::Reject } else { WhenFull::DropOldest })
        .dead_letters_max(usize::MAX)
        .seed(random.u64(..))
        .drain_rate(rate)
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: None }
}

pub(super) fn dispatcher(
    upstream: Upstream,
    clock: JumpingClock,
    random: &mut fastrand::Rng,
    rate: Option<NonZeroU32>,
) -> Built<QueueEventDispatcher> {
    let queue_size = random.usize(1..100);
    let (pipeline, driver) = QueueEventDispatcher::builder(upstream)
        .clock(clock)
        .queue_size(queue_size)
        .in_flight(random.usize(1..10))
        .dead_letters_max(usize::MAX)
        .seed(random.u64(..))
        .batch_size(random.usize(0..20.min(queue_size)) + 1)
        .flush_interval(interval(random))
        .window_bytes(window(random))
        .age_max(age(random))
        .drain_rate(rate)
        .build_with_driver()
        .unwrap();
    Built { pipeline, driver, disk: None }
}
