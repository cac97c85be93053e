//! How old requests become: the age of the oldest is told, and those beyond their age become dead letters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    Clock, DeadReason, Driver, LogEvent, Queue, QueueEventDispatcher, SpoolQueue, SystemClock, clock::Sleep,
    dispatch::Response, processor::QueueEventDispatcherBuilder, testing::ScriptedDispatcher,
};
use posthaste_spool::{MemoryFilesystem, SpoolOptions};
use tokio::task::JoinSet;

use crate::{
    house,
    support::{HOUR, SECOND},
};

/// The test's time, as time of day too.
#[derive(Debug)]
pub(crate) struct TestTime;

impl Clock for TestTime {
    fn now_ms(&self) -> i64 {
        i64::try_from(SystemClock.elapsed().as_millis()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

fn request(visitor: &str) -> LogEvent {
    let body =
        format!(r#"{{"visitors":[{{"visitor_id":"{visitor}","snapshots":[{{"events":[{{}},{{}}]}}]}}]}}"#);
    LogEvent::from_body("http://x/v1/events", body).unwrap()
}

/// An upstream that takes nothing until it is told to.
fn upstream() -> (ScriptedDispatcher, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let does_work = Arc::clone(&works);
    let answer = move |_: &LogEvent| Ok(Response::status(if does_work.load(SeqCst) { 204 } else { 503 }));
    (ScriptedDispatcher::by(answer), works)
}

fn build(builder: QueueEventDispatcherBuilder) -> (QueueEventDispatcher, JoinSet<()>) {
    let (dispatcher, driver) = builder.clock(TestTime).seed(7).build_with_driver().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    (dispatcher, tasks)
}

fn visitors(requests: &[LogEvent]) -> Vec<String> {
    let batches = requests.iter().map(|request| request.event().unwrap());
    let visitors = batches.flat_map(|batch| batch.visitors);
    visitors.map(|visitor| visitor.visitor_id).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_becomes_a_dead_letter_while_nobody_takes_anything() {
    for batch_size in [1, 100] {
        let (api, works) = upstream();
        let builder = QueueEventDispatcher::builder(api.clone()).age_max(HOUR).batch_size(batch_size);
        let (dispatcher, _tasks) = build(builder);
        let begun_ms = TestTime.now_ms();
        for (visitor, minutes) in [("old", 0), ("older", -30), ("new", 30)] {
            let taken_ms = begun_ms + minutes * 60_000;
            dispatcher.add(request(visitor).with_taken_ms(taken_ms)).unwrap().forget();
        }
        dispatcher.add(request("ageless")).unwrap().forget();
        assert_eq!(dispatcher.oldest_ms(), Some(begun_ms), "the first, whatever the others say");
        assert!(!dispatcher.flush(SECOND * 1_799).await.is_complete());
        assert!(dispatcher.dead_letters().is_empty(), "{batch_size}: exactly as old as it may be");
        tokio::time::sleep(SECOND * 3).await;
        let dead = |dispatcher: &QueueEventDispatcher| -> Vec<String> {
            let letters = dispatcher.dead_letters();
            assert!(
                letters.iter().all(|letter| letter.reason == DeadReason::Expired && letter.status.is_none())
            );
            visitors(&letters.into_iter().map(|letter| letter.item).collect::<Vec<_>>())
        };
        assert_eq!(dead(&dispatcher), ["older"], "{batch_size}");
        tokio::time::sleep(HOUR / 2).await;
        assert_eq!(dead(&dispatcher), ["older", "old"], "{batch_size}");
        assert_eq!(dispatcher.oldest_ms(), Some(begun_ms + 1_800_000));
        let ledger = dispatcher.ledger();
        assert_eq!((ledger.dead_lettered, ledger.queued, ledger.balances()), (4, 4, true));
        works.store(true, SeqCst);
        assert!(dispatcher.flush(HOUR).await.is_complete());
        assert_eq!(api.delivered().len(), 4);
        assert_eq!(dispatcher.ledger().delivered, 4);
        assert_eq!((dispatcher.oldest_ms(), dead(&dispatcher).len()), (None, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_on_disk_that_is_too_old_is_never_sent() {
    let (queue, disk) = house::spool::<LogEvent>(SpoolOptions::default().size_bytes_max(64 << 20));
    let mut disk_tasks = JoinSet::new();
    disk_tasks.spawn(disk);
    let begun_ms = TestTime.now_ms();
    for number in 0..50 {
        let taken_ms = begun_ms + i64::from(number % 2) * 3_600_000;
        queue.add(request(&format!("{number}")).with_taken_ms(taken_ms)).unwrap().await.unwrap();
    }
    tokio::time::sleep(HOUR * 3 / 2).await;
    let (api, works) = upstream();
    works.store(true, SeqCst);
    let builder = QueueEventDispatcher::builder(api.clone()).queue(queue).age_max(HOUR);
    let (dispatcher, _tasks) = build(builder);
    let report = dispatcher.close(HOUR).await;
    assert_eq!((report.delivered, report.dead_lettered, report.left), (50, 50, 0), "{report}");
    let odd: Vec<String> =
        (0..50).filter(|number| number % 2 == 1).map(|number| number.to_string()).collect();
    let mut sent = visitors(&api.requests());
    sent.sort_by_key(|visitor| visitor.parse::<u32>().unwrap());
    assert_eq!(sent, odd);
    assert_eq!(dispatcher.dead_letters()[0].item.taken_ms(), Some(begun_ms), "kept with the letter");
}

/// The oldest is read once, and again only once it has gone.
#[tokio::test(start_paused = true)]
async fn the_oldest_request_on_disk_is_told() {
    let (queue, disk) = house::spool::<LogEvent>(SpoolOptions::default().size_bytes_max(64 << 20));
    let mut tasks = JoinSet::new();
    tasks.spawn(disk);
    let (api, works) = upstream();
    let (dispatcher, _tasks) = build(QueueEventDispatcher::builder(api).queue(queue.clone()).in_flight(1));
    assert_eq!(dispatcher.oldest_ms(), None);
    for taken_ms in [5, 3, 9] {
        dispatcher.add(request("v").with_taken_ms(taken_ms)).unwrap().await.unwrap();
        assert_eq!(dispatcher.oldest_ms(), Some(5));
    }
    works.store(true, SeqCst);
    assert!(dispatcher.flush(HOUR).await.is_complete());
    assert_eq!(dispatcher.oldest_ms(), None);
    works.store(false, SeqCst);
    dispatcher.add(request("v")).unwrap().forget();
    assert_eq!((dispatcher.oldest_ms(), queue.size()), (None, 1), "nobody has said when that was taken");
}

/// One that was put back is as young as one that has just come, for the process after this one too; what is told and sent
/// stays.
#[tokio::test(start_paused = true)]
async fn what_is_put_back_has_its_whole_age_before_it_once_more() {
    let disk = MemoryFilesystem::new();
    let open = || -> (SpoolQueue<LogEvent>, Driver) {
        house::spool_on(disk.clone(), SpoolOptions::default().size_bytes_max(64 << 20))
    };
    let (api, works) = upstream();
    let (queue, turns) = open();
    let mut disk_tasks = JoinSet::new();
    disk_tasks.spawn(turns);
    let begun_ms = TestTime.now_ms();
    let builder = QueueEventDispatcher::builder(api.clone()).queue(queue).age_max(SECOND * 120);
    let (dispatcher, mut tasks) = build(builder);
    let taken = request("v").with_taken_ms(begun_ms);
    dispatcher.add(taken.clone()).unwrap().await.unwrap();
    tokio::time::sleep(SECOND * 125).await;
    assert_eq!(dispatcher.dead_letters()[0].reason, DeadReason::Expired);
    for round in 1..=2 {
        assert_eq!(dispatcher.replay_dead_letters(), 2, "{round}");
        tokio::time::sleep(SECOND * 115).await;
        assert_eq!((dispatcher.oldest_ms(), dispatcher.ledger().queued), (Some(begun_ms), 2), "{round}");
        tokio::time::sleep(SECOND * 10).await;
        assert_eq!((dispatcher.dead_letters().len(), dispatcher.ledger().queued), (1, 0), "{round}");
    }
    assert_eq!(dispatcher.replay_dead_letters(), 2);
    tokio::time::sleep(SECOND * 20).await;
    assert_eq!(dispatcher.close(SECOND).await.left, 2);
    drop(dispatcher);
    tasks.shutdown().await;
    disk_tasks.shutdown().await;

    let (queue, turns) = open();
    let mut disk_tasks = JoinSet::new();
    disk_tasks.spawn(turns);
    let builder = QueueEventDispatcher::builder(api.clone()).queue(queue).age_max(SECOND * 120);
    let (dispatcher, _tasks) = build(builder);
    // Far from its end, since the next attempt may be half a minute away.
    tokio::time::sleep(SECOND * 40).await;
    assert_eq!((dispatcher.oldest_ms(), dispatcher.ledger().queued), (Some(begun_ms), 2));
    works.store(true, SeqCst);
    assert!(dispatcher.flush(HOUR).await.is_complete());
    assert_eq!((dispatcher.ledger().delivered, api.delivered().len()), (2, 2));
    assert!(api.requests().iter().all(|sent| sent.body() == taken.body()), "sent as it came");
}

#[test]
fn an_age_of_nothing_is_an_error() {
    let builder = QueueEventDispatcher::builder(ScriptedDispatcher::statuses([]));
    let error = builder.age_max(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.to_string(), "age_max must be at least 1");
}
