//! Options and queues that nothing else uses: a bound in bytes, a shared queue, a queue with the seed's four methods, and a
//! processor that wants nothing.

use std::{sync::Arc, time::Duration};

use posthaste::{
    BatchEventProcessor, InMemoryQueue, LogEvent, Processor, Queue, QueueEventDispatcher, Receipt, Refusal,
    Refused, UserEvent,
    processor::NullProcessor,
    queue::{DeliveryQueue, QueueItem, Sequential},
    testing::{RecordingDispatcher, ScriptedDispatcher},
};

use crate::{
    house::{by, ok},
    support::{Driven, HOUR, SECOND, conversion, impression, impressions, larkspur, uuids, uuids_of},
};

fn sends_nothing() -> impl posthaste::Dispatcher {
    by(|_| Box::pin(std::future::pending()))
}

#[test]
fn queue_bytes_bounds_the_queue_of_a_processor() {
    let events = impressions(&larkspur(), 100);
    let bytes: usize = events[..10].iter().map(QueueItem::bytes).sum();
    let builder = BatchEventProcessor::builder().event_dispatcher(sends_nothing()).queue_bytes(bytes);
    let processor = builder.drop_deadline(Duration::ZERO).build().unwrap();
    let refused: Vec<Refused<UserEvent>> =
        events.iter().filter_map(|event| processor.process_event(event.clone()).err()).collect();
    let taken = 100 - refused.len();
    assert!((9..=11).contains(&taken), "{taken}");
    for (refused, event) in refused.iter().zip(&events[taken..]) {
        assert_eq!((&refused.item, &refused.reason), (event, &Refusal::QueueBytesFull { bytes_max: bytes }));
    }
    assert_eq!((processor.events_count(), processor.ledger().refused), (taken, refused.len() as u64));
}

#[test]
fn queue_bytes_bounds_the_queue_of_a_dispatcher() {
    let request = LogEvent::of_event("http://x/", &impression(&larkspur(), "v"));
    let bytes = QueueItem::bytes(&request) * 10;
    let dispatcher = QueueEventDispatcher::builder(sends_nothing())
        .queue_bytes(bytes)
        .drop_deadline(Duration::ZERO)
        .build()
        .unwrap();
    for _ in 0..10 {
        dispatcher.add(request.clone()).unwrap().forget();
    }
    let refused = dispatcher.add(request.clone()).unwrap_err();
    assert_eq!((refused.item, refused.reason), (request, Refusal::QueueBytesFull { bytes_max: bytes }));
    assert_eq!(dispatcher.size(), 10);
}

/// What leaves makes room for its bytes.
#[tokio::test(start_paused = true)]
async fn what_is_delivered_frees_its_bytes() {
    let dispatcher = RecordingDispatcher::new();
    let builder = BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).queue_bytes(20_000);
    let driven = Driven::new(builder);
    let mut taken = 0;
    for round in 0..50 {
        let events = (0..20).map(|n| impression(&larkspur(), &format!("{round}-{n}")));
        taken += events.filter(|event| driven.processor.process_event(event.clone()).is_ok()).count();
        assert!(driven.processor.flush(SECOND).await.is_complete());
    }
    assert!(taken >= 50 * 5, "{taken}");
    assert_eq!(dispatcher.events().len(), taken);
}

#[test]
fn a_processor_that_wants_nothing_takes_everything_and_keeps_nothing() {
    let processor: Arc<dyn Processor> = Arc::new(NullProcessor);
    for event in impressions(&larkspur(), 10) {
        processor.process_event(event).unwrap().wait().unwrap();
    }
    let (flushed, closed) = (processor.flush(HOUR).wait(), processor.close(HOUR).wait());
    assert!(flushed.is_complete() && closed.is_complete());
    assert_eq!((flushed.ledger, closed.ledger), Default::default());
    assert!(processor.health().is_working());
    processor.process_event(impression(&larkspur(), "v")).unwrap().wait().unwrap();
}

/// The program keeps its queue, and sees in it what the processor does.
#[tokio::test(start_paused = true)]
async fn a_queue_behind_an_arc_is_the_programs_and_the_processors() {
    let queue = Arc::new(InMemoryQueue::<UserEvent>::new(50));
    let events = impressions(&larkspur(), 30);
    for event in &events[..10] {
        queue.add(event.clone()).unwrap().forget();
    }
    let dispatcher = RecordingDispatcher::new();
    let driven = Driven::new(
        BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).queue(Arc::clone(&queue)),
    );
    driven.take(events[10..].to_vec());
    assert_eq!((queue.size(), queue.capacity(), driven.processor.events_count()), (30, 50, 30));
    let report = driven.processor.close(HOUR).await;
    assert_eq!((report.delivered, report.ledger.accepted, queue.size()), (30, 30, 0));
    assert_eq!(uuids(&dispatcher.events()), uuids_of(&events));
    assert_eq!(queue.add(events[0].clone()).unwrap_err().reason, Refusal::Closed);
}

/// A queue of somebody else's.
#[derive(Debug)]
struct FourMethods(InMemoryQueue<UserEvent>);

impl Queue<UserEvent> for FourMethods {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.0.add(item)
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.0.get(count)
    }

    fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.0.remove(count)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

fn sequential(events: &[UserEvent]) -> Arc<Sequential<UserEvent, FourMethods>> {
    let queue = FourMethods(InMemoryQueue::new(1_000));
    for event in events {
        queue.add(event.clone()).unwrap().forget();
    }
    Arc::new(Sequential::over(queue, 1_000))
}

/// Requests end in any order, some with dead letters; the queue gives up its front alone.
#[tokio::test(start_paused = true)]
async fn a_queue_of_four_methods_delivers_everything_once() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let upstream = RecordingDispatcher::new();
        let (arrived, delays) = (upstream.clone(), std::sync::Mutex::new(random.fork()));
        let dispatcher = by(move |event| {
            let delay = Duration::from_millis(delays.lock().unwrap().u64(0..5_000));
            let is_bad =
                event.event().unwrap().visitors.iter().any(|visitor| visitor.visitor_id.starts_with("bad"));
            let taken = (!is_bad).then(|| posthaste::Dispatcher::dispatch_event(&arrived, event));
            Box::pin(async move {
                tokio::time::sleep(delay).await;
                match taken {
                    Some(taken) => taken.await,
                    None => Ok(posthaste::dispatch::Response::status(400)),
                }
            })
        });
        let name = |n: usize| if n % 17 == 3 { format!("bad-{n}") } else { format!("good-{n}") };
        let events: Vec<UserEvent> = (0..200).map(|n| impression(&larkspur(), &name(n))).collect();
        let found = random.usize(0..100);
        let queue = sequential(&events[..found]);
        let builder = BatchEventProcessor::builder()
            .event_dispatcher(dispatcher)
            .queue(queue)
            .batch_size(random.usize(1..20))
            .in_flight(random.usize(1..10));
        let driven = Driven::new(builder);
        driven.take(events[found..].to_vec());
        let report = driven.processor.close(HOUR * 10).await;
        let (good, bad): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.visitor_id().starts_with("good"));
        let dead: Vec<UserEvent> =
            driven.processor.dead_letters().into_iter().map(|letter| letter.item).collect();
        assert_eq!((report.left, report.ledger.accepted), (0, 200), "seed {seed}");
        assert_eq!(uuids(&upstream.events()), uuids_of(&good), "seed {seed}");
        assert_eq!(uuids_of(&dead), uuids_of(&bad), "seed {seed}");
    }
}

/// Closed in the midst of it, nothing is lost: what was not confirmed is in the queue, for the next processor.
#[tokio::test(start_paused = true)]
async fn a_queue_of_four_methods_keeps_what_close_leaves() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let every = random.usize(2..9);
        let dispatcher = ScriptedDispatcher::by(move |request| {
            let visitors = request.event().unwrap().visitors;
            let is_slow = visitors.iter().any(|visitor| visitor.visitor_id.len() % every == 0);
            if is_slow { Ok(posthaste::dispatch::Response::status(503)) } else { ok() }
        });
        let tags = serde_json::Map::new();
        let events: Vec<UserEvent> =
            (0..100).map(|_| conversion(&larkspur(), &"v".repeat(random.usize(1..20)), &tags)).collect();
        let queue = sequential(&[]);
        let builder = BatchEventProcessor::builder()
            .event_dispatcher(dispatcher.clone())
            .queue(Arc::clone(&queue))
            .batch_size(random.usize(1..5));
        let driven = Driven::new(builder);
        driven.take(events.clone());
        let report = driven.processor.close(SECOND * 3).await;
        let left = uuids_of(&queue.get(usize::MAX));
        let delivered = uuids(&dispatcher.delivered());
        assert!(report.ledger.accepted == 100 && report.left == queue.counts().held, "seed {seed}: {report}");
        for uuid in uuids_of(&events) {
            assert!(left.contains(&uuid) || delivered.contains(&uuid), "seed {seed}: {uuid} is lost");
        }
        assert_eq!(left.len(), queue.size(), "seed {seed}");
    }
}
