//! A full queue on disk that drops its oldest takes every new request at once: nothing that is under way, and no full
//! store of dead letters, stands in the way.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    DeadLetter, DeadReason, LogEvent, Queue, QueueEventDispatcher, Receipt, SpoolQueue, WhenDeadLettersFull,
    WhenFull, dispatch::Response, testing::ScriptedDispatcher,
};
use posthaste_spool::SpoolOptions;
use tokio::{task::JoinSet, time::Instant};

use crate::{age::TestTime, house, support::SECOND};

const QUEUE_BYTES: usize = 16 << 20;
/// What is leased at most: a quarter of the queue, whatever the window.
const LEASED_BYTES: usize = QUEUE_BYTES / 4;
/// How often the disk turns round, in `house::spool`.
const WRITE: Duration = Duration::from_millis(20);

/// Like the relay's: small segments, or those that a relay has over so small a queue.
struct Case {
    options: SpoolOptions,
    segment_bytes: usize,
    request_bytes: usize,
}

fn cases() -> [Case; 2] {
    let options = || SpoolOptions::default().size_bytes_max(QUEUE_BYTES as u64).dead_bytes_max(DEAD_BYTES);
    let small = options().segment_bytes(256 << 10).record_bytes_max(64 << 10);
    let large = options().record_bytes_max((3 << 20) + (1 << 19) + (64 << 10));
    [
        Case { options: small, segment_bytes: 256 << 10, request_bytes: 8 << 10 },
        Case { options: large, segment_bytes: 4 << 20, request_bytes: 60 << 10 },
    ]
}

const DEAD_BYTES: u64 = 1 << 20;

fn request(number: usize, bytes: usize) -> LogEvent {
    let note = "n".repeat(bytes);
    let body = format!(
        r#"{{"visitors":[{{"visitor_id":"{number}","snapshots":[{{"events":[{{"note":"{note}"}}]}}]}}]}}"#
    );
    LogEvent::from_body("http://127.0.0.1/v1/events", body).unwrap()
}

fn number(request: &LogEvent) -> usize {
    request.event().unwrap().visitors[0].visitor_id.parse().unwrap()
}

/// Numbers of what has become a dead letter, as it is told.
type Displaced = Arc<Mutex<Vec<usize>>>;

fn start(case: &Case) -> (QueueEventDispatcher, SpoolQueue<LogEvent>, Displaced, JoinSet<()>) {
    let (queue, disk) = house::spool::<LogEvent>(case.options.clone());
    let displaced = Displaced::default();
    let told = Arc::clone(&displaced);
    let (dispatcher, driver) =
        QueueEventDispatcher::builder(ScriptedDispatcher::by(|_| Ok(Response::status(503))))
            .event_end_point("http://127.0.0.1/v1/events")
            .queue(queue.clone())
            .clock(TestTime)
            .seed(7)
            .batch_size(500)
            .in_flight(32)
            .flush_interval(SECOND)
            .window_bytes(QUEUE_BYTES)
            .drain_rate(std::num::NonZeroU32::new(5_000))
            .dead_letters_bytes_max(DEAD_BYTES)
            .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
            .when_full(WhenFull::DropOldest)
            .on_dead_letter(move |letter: &DeadLetter<LogEvent>| {
                assert_eq!(letter.reason, DeadReason::Displaced);
                told.lock().unwrap().push(number(&letter.item));
            })
            .build_with_driver()
            .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(disk);
    tasks.spawn(driver);
    (dispatcher, queue, displaced, tasks)
}

/// Adds until it is taken, as the relay does. How long it was refused.
async fn add(dispatcher: &QueueEventDispatcher, mut request: LogEvent) -> (Receipt, Duration) {
    let begun = Instant::now();
    loop {
        request = match dispatcher.add(request) {
            Ok(receipt) => return (receipt, begun.elapsed()),
            Err(refused) => {
                assert!(refused.reason.is_full(), "{}", refused.reason);
                assert!(begun.elapsed() < SECOND * 60, "{}: it takes nothing more", refused.reason);
                refused.item
            }
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_on_disk_takes_every_request_at_once_and_drops_the_oldest() {
    const BEYOND: usize = 200;
    for case in cases() {
        let (dispatcher, queue, displaced, _tasks) = start(&case);
        let (mut taken, mut beyond) = (0, 0);
        while beyond < BEYOND {
            let (receipt, refused_for) = add(&dispatcher, request(taken, case.request_bytes)).await;
            taken += 1;
            let is_full = !displaced.lock().unwrap().is_empty();
            assert!(refused_for <= WRITE * 3, "{taken}: refused for {refused_for:?}");
            if !is_full && taken % 50 != 0 {
                receipt.forget();
                continue;
            }
            let begun = Instant::now();
            receipt.await.unwrap();
            assert!(begun.elapsed() < SECOND / 2, "{taken}: stored after {:?}", begun.elapsed());
            beyond += usize::from(is_full);
            assert!(taken < 4 * QUEUE_BYTES / case.request_bytes, "it never is full");
        }
        tokio::time::sleep(SECOND).await;
        let queued: BTreeSet<usize> = queue.get(usize::MAX).iter().map(number).collect();
        let displaced = displaced.lock().unwrap().clone();
        let (first, last) = (displaced[0], displaced[displaced.len() - 1]);
        assert_eq!(displaced, (first..=last).collect::<Vec<_>>(), "in their order, each once");
        let left: BTreeSet<usize> = (0..first).chain(last + 1..taken).collect();
        assert_eq!(queued, left, "what is no dead letter is in the queue");
        // What is under way stays, with what shares a segment with it.
        let leased_max = LEASED_BYTES + 2 * case.segment_bytes;
        assert!(first * case.request_bytes <= leased_max, "{first} were under way");
        let needed = (BEYOND + 1) * case.request_bytes + 2 * case.segment_bytes;
        assert!(displaced.len() * case.request_bytes <= needed, "{} gone", displaced.len());
        let ledger = dispatcher.ledger();
        assert_eq!((ledger.accepted, ledger.delivered), (taken as u64, 0));
        assert_eq!((ledger.dead_lettered, ledger.queued), (displaced.len() as u64, left.len() as u64));
        let kept = dispatcher.dead_letters().len() as u64;
        assert_eq!(kept + dispatcher.dead_letters_forgotten(), ledger.dead_lettered);
        assert!(kept > 0, "the newest of them");
    }
}
