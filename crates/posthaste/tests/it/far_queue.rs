//! A queue that answers late, bounds its leases and takes some back: what delivery does then.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, DeadLetter, InMemoryQueue, Queue, QueueEventDispatcher, Receipt, Refused,
    dispatch::{DispatchError, Response},
    queue::{Counts, DeadLetterStore, DeliveryQueue, Eventually, Leased, NotKept, QueueError, QueueItem},
    testing::{RecordingDispatcher, ScriptedDispatcher},
};

use crate::{
    house::{after, ok},
    support::{Driven, HOUR, SECOND, impression, impressions, larkspur, refuses_bad_visitors},
};

/// A queue in memory that behaves as if it were elsewhere.
#[derive(Debug)]
struct Far<T> {
    queue: InMemoryQueue<T>,
    /// How long it takes to confirm the end of leases, and whether it has confirmed one.
    confirms_after: Duration,
    has_confirmed: Arc<AtomicBool>,
    leases_max: Option<usize>,
    /// Leases that have not ended, and the most that there have been.
    open: AtomicUsize,
    most: AtomicUsize,
    lease_time: Option<Duration>,
    /// Leases that are lost: said at the next renewal.
    lost: Mutex<Vec<u64>>,
    letters: Arc<Letters>,
}

impl<T> Far<T> {
    fn new() -> Self {
        Self {
            queue: InMemoryQueue::new(1_000),
            confirms_after: Duration::ZERO,
            has_confirmed: Arc::default(),
            leases_max: None,
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            lease_time: None,
            lost: Mutex::default(),
            letters: Arc::default(),
        }
    }
}

impl<T: QueueItem> Queue<T> for Far<T> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        self.queue.add(item)
    }

    fn get(&self, count: usize) -> Vec<T> {
        self.queue.get(count)
    }

    fn remove(&self, count: usize) -> Vec<T> {
        self.queue.remove(count)
    }

    fn size(&self) -> usize {
        self.queue.size()
    }
}

impl<T: QueueItem> DeliveryQueue<T> for Far<T> {
    fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    fn counts(&self) -> Counts {
        self.queue.counts()
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        let leased = self.queue.lease(count).wait();
        let open = self.open.fetch_add(leased.as_ref().map_or(0, Vec::len), SeqCst);
        self.most.fetch_max(open + leased.as_ref().map_or(0, Vec::len), SeqCst);
        Eventually::Now(leased)
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.open.fetch_sub(ids.len(), SeqCst);
        let settled = self.queue.settle(ids).wait();
        let (confirms_after, has_confirmed) = (self.confirms_after, Arc::clone(&self.has_confirmed));
        Eventually::Later(Box::pin(async move {
            tokio::time::sleep(confirms_after).await;
            has_confirmed.store(true, SeqCst);
            settled
        }))
    }

    fn release(&self) {
        self.queue.release();
    }

    fn close(&self) {
        self.queue.close();
    }

    fn leases_max(&self) -> Option<usize> {
        self.leases_max
    }

    fn lease_time(&self) -> Option<Duration> {
        self.lease_time
    }

    fn renew(&self, _ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        Eventually::Now(Ok(std::mem::take(&mut self.lost.lock().unwrap())))
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        Some(Arc::clone(&self.letters) as _)
    }
}

/// Notes which items its letters are about the whole of.
#[derive(Debug, Default)]
struct Letters(Mutex<Vec<Option<u64>>>);

impl<T> DeadLetterStore<T> for Letters {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn push(&self, _letter: DeadLetter<T>, of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let mut letters = self.0.lock().unwrap();
        letters.push(of);
        Ok((letters.len() as u64, Receipt::stored()))
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        Vec::new()
    }

    fn remove(&self, _ids: &[u64]) {}
}

#[tokio::test(start_paused = true)]
async fn close_waits_until_the_queue_has_confirmed_what_ended() {
    let queue = Far { confirms_after: SECOND * 7, ..Far::new() };
    let has_confirmed = Arc::clone(&queue.has_confirmed);
    let builder = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).queue(queue);
    let driven = Driven::new(builder);
    driven.take(impressions(&larkspur(), 3));
    let report = driven.processor.close(SECOND * 60).await;
    assert_eq!((report.delivered, report.left, has_confirmed.load(SeqCst)), (3, 0, true));
}

/// While an end point is dead, and not before.
#[tokio::test(start_paused = true)]
async fn a_queue_bounds_its_leases_while_an_end_point_is_dead() {
    let is_dead = Arc::new(AtomicBool::new(false));
    let dead = Arc::clone(&is_dead);
    let upstream = ScriptedDispatcher::by(move |_| {
        if dead.load(Relaxed) { Err(DispatchError::Connect("refused".into())) } else { ok() }
    });
    let queue = Arc::new(Far { leases_max: Some(5), ..Far::new() });
    let builder = BatchEventProcessor::builder().event_dispatcher(upstream.clone()).queue(Arc::clone(&queue));
    let driven = Driven::new(builder.batch_size(10).in_flight(1).flush_interval(HOUR).seed(1));
    driven.take(impressions(&larkspur(), 10));
    tokio::time::sleep(SECOND).await;
    assert_eq!((upstream.delivered().len(), upstream.requests().len()), (10, 1));
    is_dead.store(true, Relaxed);
    driven.take(impressions(&larkspur(), 10));
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(queue.most.swap(0, SeqCst), 10);
    driven.take(impressions(&larkspur(), 200));
    // No probe is due so soon.
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((queue.most.load(SeqCst), queue.open.load(SeqCst)), (0, 10));
    assert_eq!(driven.processor.ledger().queued, 210);
}

/// What the answer was about may be what is lost: the rest is asked about anew.
#[tokio::test(start_paused = true)]
async fn an_event_beside_a_lost_one_is_judged_by_itself() {
    let upstream = Arc::new(Mutex::new(Vec::new()));
    let delivered = Arc::clone(&upstream);
    let dispatcher = after(move |request| {
        let answer = refuses_bad_visitors(request);
        if answer.as_ref().is_ok_and(|response| response.status == 204) {
            delivered.lock().unwrap().extend(request.event().unwrap().visitors);
        }
        (SECOND * 5, answer)
    });
    let queue = Arc::new(Far { lease_time: Some(SECOND * 9), ..Far::new() });
    let builder = BatchEventProcessor::builder().event_dispatcher(dispatcher).queue(Arc::clone(&queue));
    let driven = Driven::new(builder.batch_size(2));
    driven.take([impression(&larkspur(), "bad"), impression(&larkspur(), "good")]);
    tokio::time::sleep(SECOND).await;
    let bad = queue.queue.get(1).remove(0);
    assert_eq!(bad.visitor_id(), "bad");
    *queue.lost.lock().unwrap() = vec![0];
    tokio::time::sleep(SECOND * 60).await;
    let delivered: Vec<_> =
        upstream.lock().unwrap().iter().map(|visitor| visitor.visitor_id.clone()).collect();
    assert_eq!((delivered, driven.processor.ledger().dead_lettered), (vec!["good".to_owned()], 0));
}

/// So that a store can tell whether it has the letter of this item already.
#[tokio::test(start_paused = true)]
async fn a_letter_names_its_item_where_it_is_about_the_whole_of_it() {
    let queue = Far::new();
    let letters = Arc::clone(&queue.letters);
    let builder = QueueEventDispatcher::builder(ScriptedDispatcher::by(refuses_bad_visitors)).queue(queue);
    let dispatcher = builder.batch_size(1).build().unwrap();
    let request = |visitors: &[&str]| {
        let events: Vec<_> = visitors.iter().map(|visitor| impression(&larkspur(), visitor)).collect();
        posthaste::LogEvent::new("http://x/", &posthaste::Batch::from_user_events(&events))
    };
    dispatcher.add(request(&["bad"])).unwrap().forget();
    assert!(dispatcher.flush(HOUR).wait().is_complete());
    dispatcher.add(request(&["good", "bad"])).unwrap().forget();
    assert!(dispatcher.flush(HOUR).wait().is_complete());
    let of = letters.0.lock().unwrap().clone();
    assert!(matches!(of[..], [Some(_), None]), "{of:?}");
}

/// Everything that is there, and each once.
#[tokio::test(start_paused = true)]
async fn what_is_left_has_its_reasons_and_nothing_else() {
    let upstream = ScriptedDispatcher::by(|_| Ok(Response::status(503).with_text("busy")));
    let builder = BatchEventProcessor::builder().event_dispatcher(upstream).in_flight(1).batch_size(1);
    let driven = Driven::new(builder.event_end_point("http://127.0.0.1/v1/events"));
    driven.take(impressions(&larkspur(), 1));
    let report = driven.processor.flush(SECOND * 30).await;
    let [reason] = &report.reasons[..] else { panic!("{report}") };
    assert_eq!((reason.what.as_str(), reason.status, reason.events), ("status 503: busy", Some(503), 1));
    let health = driven.processor.health();
    assert!(!health.is_working() && health.troubles().count() == 1, "{health}");
    driven.take(impressions(&larkspur(), 20));
    let report = driven.processor.flush(SECOND * 30).await;
    let events: u64 = report.reasons.iter().map(|reason| reason.events).sum();
    let untaken = report.reasons.iter().find(|reason| reason.end_point.is_none());
    assert_eq!((report.left, events), (21, 21), "{report}");
    assert!(untaken.is_some_and(|reason| reason.what == "not taken from the queue yet"), "{report}");
}

/// A queue says how large an event is by what it holds.
#[test]
fn a_long_event_takes_more_bytes() {
    let bytes = |visitor: &str| QueueItem::bytes(&impression(&larkspur(), visitor));
    assert_eq!(bytes(&"v".repeat(10_000)) - bytes(&"v".repeat(5_000)), 5_000);
}
