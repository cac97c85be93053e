//! What is leased and has not ended is bounded in bytes, whatever the upstream does, and never so that nothing moves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    LogEvent, Queue, QueueEventDispatcher, Receipt, Refused, SpoolQueue,
    dispatch::Response,
    queue::{
        Counts, DeadLetterStore, DeliveryQueue, Eventually, Finish, Leased, QueueError, QueueItem,
        QueueWatcher,
    },
    testing::ScriptedDispatcher,
};
use posthaste_spool::SpoolOptions;
use tokio::task::JoinSet;

use crate::{house, support::HOUR};

/// A queue on disk, and how many bytes of its items are leased and have not ended: now, and at the most.
#[derive(Debug, Clone)]
struct Watched(SpoolQueue<LogEvent>, Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    by_id: HashMap<u64, usize>,
    now: usize,
    most: usize,
}

impl Watched {
    fn most(&self) -> usize {
        self.1.lock().unwrap().most
    }
}

impl Queue<LogEvent> for Watched {
    fn add(&self, item: LogEvent) -> Result<Receipt, Refused<LogEvent>> {
        self.0.add(item)
    }

    fn get(&self, count: usize) -> Vec<LogEvent> {
        self.0.get(count)
    }

    fn remove(&self, count: usize) -> Vec<LogEvent> {
        self.0.remove(count)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

impl DeliveryQueue<LogEvent> for Watched {
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn counts(&self) -> Counts {
        self.0.counts()
    }

    fn lease(&self, _count: usize) -> Eventually<Result<Vec<Leased<LogEvent>>, QueueError>> {
        panic!("leased without a bound")
    }

    fn lease_within(
        &self,
        count: usize,
        bytes: usize,
    ) -> Eventually<Result<Vec<Leased<LogEvent>>, QueueError>> {
        let leased = self.0.lease_within(count, bytes).wait().unwrap();
        let mut held = self.1.lock().unwrap();
        for lease in &leased {
            held.now += lease.item.bytes();
            held.by_id.insert(lease.id, lease.item.bytes());
        }
        held.most = held.most.max(held.now);
        Eventually::Now(Ok(leased))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let mut held = self.1.lock().unwrap();
        held.now -= ids.iter().filter_map(|id| held.by_id.remove(id)).sum::<usize>();
        self.0.settle(ids)
    }

    fn release(&self) {
        self.0.release();
    }

    fn close(&self) {
        self.0.close();
    }

    fn finish(&self, within: Duration) -> Finish {
        self.0.finish(within)
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.0.watch(watcher);
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<LogEvent>>> {
        DeliveryQueue::dead_letters(&self.0)
    }
}

/// A request with one event, of about so many bytes.
fn request(number: usize, bytes: usize) -> LogEvent {
    let note = "n".repeat(bytes);
    let body = format!(
        r#"{{"visitors":[{{"visitor_id":"{number}","snapshots":[{{"events":[{{"note":"{note}"}}]}}]}}]}}"#
    );
    LogEvent::from_body("http://127.0.0.1/v1/events", body).unwrap()
}

const WINDOW: usize = 100_000;
const LARGE: usize = 200_000;

/// Small requests with one now and then that is larger than the window.
fn requests() -> Vec<LogEvent> {
    (0..700).map(|number| request(number, if number % 500 == 250 { LARGE } else { 2_000 })).collect()
}

#[tokio::test(start_paused = true)]
async fn a_backlog_on_disk_is_delivered_through_a_small_window() {
    for batch_size in [1, 500] {
        let options = SpoolOptions::default().size_bytes_max(64 << 20);
        let (queue, disk) = house::spool(options);
        let queue = Watched(queue, Arc::default());
        let requests = requests();
        for request in &requests {
            queue.add(request.clone()).unwrap().forget();
        }
        let healed = Arc::new(Mutex::new(false));
        let is_healed = Arc::clone(&healed);
        let upstream = ScriptedDispatcher::by(move |_| {
            Ok(Response::status(if *is_healed.lock().unwrap() { 204 } else { 503 }))
        });
        let (dispatcher, driver) = QueueEventDispatcher::builder(upstream)
            .queue(queue.clone())
            .batch_size(batch_size)
            .window_bytes(WINDOW)
            .flush_interval(Duration::from_secs(1))
            .build_with_driver()
            .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(disk);
        tasks.spawn(driver);
        assert!(!dispatcher.flush(HOUR).await.is_complete(), "nobody takes anything");
        // The last one may go beyond the window: small, or alone.
        let bound = WINDOW + 3_000;
        assert!(queue.most() <= bound && queue.most() > WINDOW / 2, "{batch_size}: {} bytes", queue.most());
        *healed.lock().unwrap() = true;
        let report = dispatcher.flush(HOUR).await;
        assert!(report.is_complete(), "{batch_size}: {report}");
        assert_eq!(dispatcher.ledger().delivered, requests.len() as u64);
        assert!(queue.most() <= WINDOW + LARGE + 3_000, "{batch_size}: {} bytes", queue.most());
    }
}

#[test]
fn a_bound_of_no_bytes_is_an_error() {
    let upstream = ScriptedDispatcher::statuses([]);
    let error = QueueEventDispatcher::builder(upstream).window_bytes(0).build().unwrap_err();
    assert_eq!(error.to_string(), "window_bytes must be at least 1");
}

/// On disk, with nothing of it in memory.
#[tokio::test(start_paused = true)]
async fn a_lease_hands_on_no_more_bytes_than_asked_for() {
    let (queue, disk) = house::spool::<LogEvent>(SpoolOptions::default().size_bytes_max(128 << 20));
    let mut tasks = JoinSet::new();
    tasks.spawn(disk);
    for number in 0..50 {
        queue.add(request(number, 1_000_000)).unwrap().await.unwrap();
    }
    let leased = |count, bytes| queue.lease_within(count, bytes).wait().unwrap().len();
    assert_eq!((leased(10, 2_500_000), leased(10, 0), leased(2, usize::MAX)), (3, 1, 2));
}
