//! The ledger under load, in real time and from many threads: it balances at every look, and in the end says what the
//! callers were told, what the API took and what the callback heard.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, InMemoryQueue, Ledger, LogEvent, Queue, Receipt, Refused, SpoolQueue, UserEvent,
    WhenFull,
    dispatch::{Answer, DispatchError, Response},
    queue::{Counts, DeliveryQueue, Durability, Eventually, Leased, QueueError, SpoolOptions},
    testing::RecordingDispatcher,
};

use crate::{
    house::{after, ok},
    support::{Driven, HOUR, SECOND, impression, impressions, larkspur},
};

/// What everybody has been told, counted here.
#[derive(Debug, Default)]
struct Told {
    taken: AtomicU64,
    refused: AtomicU64,
    withdrawn: AtomicU64,
    arrived: Mutex<HashSet<String>>,
    dead: Mutex<HashSet<String>>,
}

impl Told {
    /// The API: fails now and then, refuses bad visitors, and counts what it takes.
    fn answer(&self, random: &Mutex<fastrand::Rng>, request: &LogEvent) -> (Duration, Answer) {
        let (delay, fault) = {
            let mut random = random.lock().unwrap();
            (Duration::from_micros(random.u64(0..3_000)), random.u8(0..20))
        };
        let visitors = request.event().unwrap().visitors;
        let answer = match fault {
            0 => Err(DispatchError::Connect("refused".into())),
            1 => Ok(Response::status(500)),
            2 => Ok(Response::status(413)),
            _ if visitors.iter().any(|visitor| visitor.visitor_id.starts_with("bad")) => {
                Ok(Response::status(400))
            }
            _ => ok(),
        };
        if matches!(&answer, Ok(response) if response.status == 204) {
            let events = visitors.into_iter().flat_map(|visitor| visitor.snapshots).flat_map(|s| s.events);
            let mut arrived = self.arrived.lock().unwrap();
            events.for_each(|event| assert!(arrived.insert(event.uuid), "delivered twice"));
        }
        (delay, answer)
    }

    fn is(&self, ledger: &Ledger) {
        assert_eq!(ledger.accepted, self.taken.load(SeqCst));
        assert_eq!(ledger.refused, self.refused.load(SeqCst));
        assert_eq!(ledger.delivered, self.arrived.lock().unwrap().len() as u64);
        let dead = self.dead.lock().unwrap().len() as u64;
        assert_eq!(ledger.dead_lettered, dead + self.withdrawn.load(SeqCst));
        assert!(ledger.balances(), "{ledger:?}");
    }
}

fn processor(
    told: &Arc<Told>,
    seed: u64,
    when_full: WhenFull,
    spool: Option<&std::path::Path>,
) -> BatchEventProcessor {
    let (api, letters) = (Arc::clone(told), Arc::clone(told));
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(after(move |request| api.answer(&random, request)))
        .on_dead_letter(move |letter| {
            assert!(letters.dead.lock().unwrap().insert(letter.item.uuid().to_string()), "dead twice");
        })
        .when_full(when_full)
        .queue_size(200)
        .batch_size(7)
        .in_flight(4)
        .backoff(Duration::from_millis(1), Duration::from_millis(5))
        .flush_interval(Duration::from_millis(20));
    let options = || {
        let small =
            SpoolOptions::default().segment_bytes(1 << 20).record_bytes_max(100_000).size_bytes_max(8 << 20);
        small.durability(Durability::Os)
    };
    match spool {
        Some(path) => builder.queue(SpoolQueue::open(path, options()).unwrap()),
        None => builder,
    }
    .build()
    .unwrap()
}

const PRODUCERS: usize = 4;
const EACH: usize = 300;

fn produce(processor: &BatchEventProcessor, told: &Told, producer: usize) {
    for n in 0..EACH {
        let kind = if n % 29 == 7 { "bad" } else { "good" };
        match processor.process_event(impression(&larkspur(), &format!("{kind}-{producer}-{n}"))) {
            Ok(receipt) => {
                receipt.forget();
                told.taken.fetch_add(1, SeqCst);
            }
            Err(_) => drop(told.refused.fetch_add(1, SeqCst)),
        }
        if n % 101 == 50 {
            told.withdrawn.fetch_add(processor.remove(1).len() as u64, SeqCst);
        }
    }
}

/// Looks until it is told to stop.
fn look(processor: &BatchEventProcessor, stop: &AtomicBool) {
    let mut last = Ledger::default();
    while !stop.load(SeqCst) {
        let ledger = processor.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        assert!(
            ledger.accepted >= last.accepted
                && ledger.delivered >= last.delivered
                && ledger.dead_lettered >= last.dead_lettered
                && ledger.refused >= last.refused,
            "went back: {last:?} {ledger:?}"
        );
        last = ledger;
        thread::yield_now();
    }
}

#[test]
fn the_ledger_balances_at_every_look_and_says_what_was_told() {
    let policies = [WhenFull::Reject, WhenFull::DropOldest, WhenFull::Block(SECOND * 30)];
    for (seed, (when_full, is_spooled)) in
        (1..).zip(policies.into_iter().flat_map(|policy| [(policy, false), (policy, true)]))
    {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(Told::default());
        let processor = processor(&told, seed, when_full, is_spooled.then(|| folder.path()));
        let stop = AtomicBool::new(false);
        let report = thread::scope(|scope| {
            let looker = scope.spawn(|| look(&processor, &stop));
            let (processor, told) = (&processor, &told);
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|producer| scope.spawn(move || produce(processor, told, producer)))
                .collect();
            for producer in producers {
                assert!(processor.flush(Duration::from_millis(20)).wait().ledger.balances());
                producer.join().unwrap();
            }
            let report = processor.close(SECOND * 60).wait();
            stop.store(true, SeqCst);
            looker.join().unwrap();
            report
        });
        assert_eq!(report.left, 0, "{when_full:?}: {report}");
        told.is(&report.ledger);
        told.is(&processor.ledger());
    }
}

/// A queue that says more, or less, than it has taken or holds.
#[derive(Debug)]
struct Miscounting {
    queue: InMemoryQueue<UserEvent>,
    taken: i64,
    held: i64,
}

impl Queue<UserEvent> for Miscounting {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.queue.add(item)
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.queue.get(count)
    }

    fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.queue.remove(count)
    }

    fn size(&self) -> usize {
        self.queue.size()
    }
}

impl DeliveryQueue<UserEvent> for Miscounting {
    fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    fn counts(&self) -> Counts {
        let counts = self.queue.counts();
        Counts::new(
            counts.taken.saturating_add_signed(self.taken),
            counts.held.saturating_add_signed(self.held),
        )
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<UserEvent>>, QueueError>> {
        self.queue.lease(count)
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.queue.settle(ids)
    }

    fn release(&self) {
        self.queue.release();
    }

    fn close(&self) {
        self.queue.close();
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_miscounts_unbalances_the_ledger() {
    for (taken, held) in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (3, 2)] {
        let queue = Miscounting { queue: InMemoryQueue::new(100), taken, held };
        let dispatcher = RecordingDispatcher::new();
        let driven =
            Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).queue(queue));
        driven.take(impressions(&larkspur(), 15));
        assert_eq!(driven.processor.ledger().balances(), taken == held, "{taken} {held}");
        let ledger = driven.processor.flush(HOUR).await.ledger;
        assert_eq!((ledger.delivered, dispatcher.events().len()), (15, 15));
        let is_seen = taken == held || (held < 0 && taken == 0);
        assert_eq!(
            ledger.balances(),
            is_seen,
            "{taken} {held}: what is held cannot be fewer than none: {ledger:?}"
        );
    }
}
