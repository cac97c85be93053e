//! Faults that stick to one request, to the disk, or to the delivery thread itself: they cost what they hit, and no more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, LogEvent, QueueEventDispatcher, Refusal, SpoolQueue, UserEvent, WhenFull,
    dispatch::{Answer, Response, RetryAfter},
    queue::SpoolItem,
    testing::{RecordingDispatcher, ScriptedDispatcher},
};
use posthaste_spool::{FaultyFilesystem, MemoryFilesystem, Operation, Spool, SpoolOptions};
use serde_json::{Map, json};

use crate::support::{Driven, HOUR, SECOND, conversion, impression, impressions, larkspur, settle};

fn has_bad(request: &LogEvent) -> bool {
    request.event().unwrap().visitors.iter().any(|visitor| visitor.visitor_id.starts_with("bad"))
}

/// An API, or something before it, that answers one visitor's requests like this for ever.
fn poisoned(status: u16) -> ScriptedDispatcher {
    ScriptedDispatcher::by(move |request| Ok(Response::status(if has_bad(request) { status } else { 204 })))
}

#[tokio::test(start_paused = true)]
async fn a_request_that_always_fails_holds_back_no_other_however_long() {
    for status in [500, 503, 403, 404] {
        let upstream = poisoned(status);
        let builder = BatchEventProcessor::builder().event_dispatcher(upstream.clone()).batch_size(1).seed(1);
        let driven = Driven::new(builder);
        driven.take([impression(&larkspur(), "bad")]);
        tokio::time::sleep(SECOND * 600).await;
        driven.take(impressions(&larkspur(), 20));
        tokio::time::sleep(SECOND * 70).await;
        let ledger = driven.processor.ledger();
        assert_eq!((ledger.delivered, ledger.queued), (20, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_request_among_good_ones_is_tried_slowly_and_slows_no_other() {
    let upstream = poisoned(403);
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(upstream.clone())
        .batch_size(1)
        .in_flight(2)
        .queue_size(10_000)
        .seed(1);
    let driven = Driven::new(builder);
    driven.take([impression(&larkspur(), "bad")]);
    for round in 0..60 {
        driven.take((0..100).map(|n| impression(&larkspur(), &format!("good-{round}-{n}"))));
        tokio::time::sleep(SECOND * 10).await;
    }
    assert_eq!(driven.processor.ledger().delivered, 6_000);
    let tries = upstream.requests().iter().filter(|request| has_bad(request)).count();
    assert!((5..60).contains(&tries), "{tries} tries in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_everything_that_waited_goes_at_once_but_what_was_asked_to_wait() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let first = Arc::new(AtomicBool::new(true));
    let upstream = ScriptedDispatcher::by(move |_| {
        if first.swap(false, SeqCst) {
            return Ok(Response::status(503).with_retry_after(RetryAfter::Delay(SECOND * 500)));
        }
        Ok(Response::status(if is_down.load(SeqCst) { 503 } else { 204 }))
    });
    let builder = BatchEventProcessor::builder().event_dispatcher(upstream.clone()).batch_size(1).seed(1);
    let driven = Driven::new(builder);
    driven.take(impressions(&larkspur(), 64));
    tokio::time::sleep(SECOND * 300).await;
    down.store(false, SeqCst);
    tokio::time::sleep(SECOND * 30).await;
    assert_eq!(driven.processor.ledger().delivered, 63, "a probe comes within 30 s, and with it all others");
    tokio::time::sleep(SECOND * 175).await;
    assert_eq!(driven.processor.ledger().delivered, 64);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_from_attempt_to_attempt() {
    let upstream = ScriptedDispatcher::statuses(vec![500; 30]);
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(upstream.clone())
        .batch_size(1)
        .breaker_threshold(1_000)
        .seed(3);
    let driven = Driven::new(builder);
    driven.take([impression(&larkspur(), "v")]);
    tokio::time::sleep(SECOND).await;
    let early = upstream.requests().len();
    tokio::time::sleep(SECOND * 29).await;
    let half_a_minute = upstream.requests().len();
    assert!(
        early >= 2 && half_a_minute < 20,
        "{early} in the first second, {half_a_minute} in half a minute"
    );
    tokio::time::sleep(HOUR).await;
    assert_eq!(driven.processor.ledger().delivered, 1);
}

/// Splitting a visitor counts what it counted whole, whatever its snapshots look like.
#[test]
fn parts_of_a_request_carry_no_more_events_than_it_did() {
    for (visitor, events) in [
        (r#"{"visitor_id":"v","snapshots":[{"events":[{"uuid":"a"},{"uuid":"b"}]},{"events":[]}]}"#, 2),
        (r#"{"visitor_id":"v","snapshots":[{"events":[]},{"events":[]}]}"#, 1),
        (r#"{"visitor_id":"v","snapshots":[7,{"events":[{"uuid":"a"}]},null]}"#, 1),
        (r#"{"visitor_id":"v","snapshots":[{"events":[{"uuid":"a"},{"uuid":"b"},{"uuid":"c"}]}]}"#, 3),
        (r#"{"visitor_id":"v","snapshots":{"no":"list"}}"#, 1),
        ("7", 1),
    ] {
        for status in [413, 400, 422] {
            let body = format!(r#"{{"account_id":"1","visitors":[{visitor}]}}"#);
            let request = LogEvent::from_body("http://x/v1/events", body).unwrap();
            assert_eq!(request.events(), events, "{visitor}");
            let upstream = ScriptedDispatcher::by(move |_| Ok(Response::status(status)));
            let dispatcher = QueueEventDispatcher::builder(upstream).build().unwrap();
            dispatcher.add(request).unwrap().forget();
            let report = dispatcher.close(SECOND * 60).wait();
            assert_eq!(
                (report.dead_lettered, report.delivered, report.left),
                (events as u64, 0, 0),
                "{visitor}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_driver_that_is_gone() {
    let build =
        || BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build_with_driver();
    let (processor, driver) = build().unwrap();
    processor.process_event(impression(&larkspur(), "v")).unwrap().forget();
    let asked_before = processor.flush(HOUR);
    drop(driver);
    assert_eq!(asked_before.await.left, 1);
    assert_eq!(processor.close(HOUR).await.left, 1);
    assert_eq!(processor.flush(HOUR).await.left, 1);
}

/// `Duration::MAX` means never, or without end: nothing overflows.
#[tokio::test(start_paused = true)]
async fn the_longest_times_are_only_long() {
    let later = Ok(Response::status(503).with_retry_after(RetryAfter::Delay(Duration::MAX)));
    let upstream = ScriptedDispatcher::new([later]);
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .batch_size(1)
        .queue_size(1)
        .flush_interval(Duration::MAX)
        .retry_after_max(Duration::MAX)
        .backoff(Duration::MAX, Duration::MAX)
        .hold_backoff(Duration::MAX, Duration::MAX)
        .when_full(WhenFull::Block(Duration::MAX));
    let driven = Driven::new(builder);
    driven.take([impression(&larkspur(), "v")]);
    tokio::time::sleep(HOUR).await;
    assert_eq!(driven.processor.flush(HOUR).await.left, 1);
    assert_eq!(driven.processor.close(SECOND).await.left, 1);
    assert_eq!(RetryAfter::At(i64::MIN).from_now(i64::MAX), Duration::ZERO);
}

/// While others are being refused, the report of a close is exact.
#[test]
fn what_is_being_refused_never_shows_in_the_ledger() {
    for _ in 0..50 {
        let processor = BatchEventProcessor::builder()
            .event_dispatcher(RecordingDispatcher::new())
            .queue_size(1_000)
            .build()
            .unwrap();
        let event = impression(&larkspur(), "v");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !matches!(
                        processor.process_event(event.clone()).map_err(|refused| refused.reason),
                        Err(Refusal::Closed)
                    ) {}
                    for _ in 0..1_000 {
                        assert!(processor.process_event(event.clone()).is_err());
                    }
                });
            }
            let report = processor.close(SECOND * 60).wait();
            assert_eq!(report.left, 0, "{report:?}");
        });
        let ledger = processor.ledger();
        assert_eq!((ledger.accepted, ledger.queued), (ledger.delivered, 0));
    }
}

#[test]
fn a_caller_who_waits_for_room_is_let_go_by_close_and_by_room() {
    let build = || {
        BatchEventProcessor::builder()
            .event_dispatcher(ScriptedDispatcher::by(|_| Ok(Response::status(503))))
            .queue_size(10)
            .when_full(WhenFull::Block(HOUR))
            .drop_deadline(Duration::ZERO)
            .build()
            .unwrap()
    };
    let processor = build();
    for event in impressions(&larkspur(), 10) {
        processor.process_event(event).unwrap().forget();
    }
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| processor.process_event(impression(&larkspur(), "x")).unwrap_err().reason);
        assert_eq!(processor.close(Duration::from_millis(50)).wait().left, 10);
        assert_eq!(waiting.join().unwrap(), Refusal::Closed);
    });
}

fn faulty<T: SpoolItem>(record: Option<&str>) -> (FaultyFilesystem, SpoolQueue<T>) {
    let disk = FaultyFilesystem::new(MemoryFilesystem::new());
    let options =
        SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10).size_bytes_max(256 << 10);
    let spool = Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap();
    if let Some(record) = record {
        spool.add(record.to_owned()).unwrap().wait().unwrap();
    }
    (disk, SpoolQueue::over(spool))
}

/// A disk that cannot be read is asked now and then, not all the time.
#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_read_is_left_alone_for_a_while() {
    let (disk, queue) = faulty::<UserEvent>(None);
    // As an earlier process left it: what is added through the queue is delivered from memory.
    let record = impression(&larkspur(), "v").to_record();
    queue.spool().add(record).unwrap().wait().unwrap();
    let upstream = RecordingDispatcher::new();
    disk.fail_always(Operation::Read, io::ErrorKind::PermissionDenied);
    let driven = Driven::new(
        BatchEventProcessor::builder().event_dispatcher(upstream.clone()).queue(queue).batch_size(1),
    );
    settle().await;
    tokio::time::sleep(SECOND * 5).await;
    let before = disk.operations();
    tokio::time::sleep(SECOND * 60).await;
    let asked = disk.operations() - before;
    // A try looks into several places; a loop without a rest would make hundreds of thousands.
    assert!(asked < 60 * 200, "{asked} operations in a minute");
    disk.heal();
    tokio::time::sleep(SECOND * 3).await;
    assert_eq!(driven.processor.ledger().delivered, 1);
}

/// What can be neither read nor set aside waits for the disk, and holds up nothing.
#[tokio::test(start_paused = true)]
async fn an_unreadable_record_waits_for_a_disk_that_takes_it() {
    let (disk, queue) = faulty::<UserEvent>(Some("nonsense"));
    let spool_writes = queue.spool().add("more nonsense").unwrap();
    spool_writes.wait().unwrap();
    disk.fail_names(Operation::Write, "dead/", io::ErrorKind::PermissionDenied);
    let upstream = RecordingDispatcher::new();
    let driven = Driven::new(
        BatchEventProcessor::builder().event_dispatcher(upstream.clone()).queue(queue).batch_size(1),
    );
    driven.processor.process_event(impression(&larkspur(), "v")).unwrap().wait().unwrap();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!((driven.processor.ledger().delivered, driven.processor.ledger().dead_lettered), (1, 0));
    disk.heal();
    // The spool tries again in real time, which passes by itself.
    while driven.processor.ledger().queued > 0 {
        tokio::time::sleep(SECOND).await;
        std::thread::yield_now();
    }
    let ledger = driven.processor.ledger();
    assert_eq!((ledger.dead_lettered, ledger.queued), (2, 0), "{ledger:?}");
}

/// A crash at any operation of a replay leaves the letter in the queue, among the dead, or in both.
#[test]
fn a_crash_while_dead_letters_are_replayed_loses_none() {
    // How many operations fall within the replay depends on how far the threads behind it come meanwhile: all moments
    // are tried, and a last replay meets no crash.
    let moments = (1..60).map(Some).chain([None]);
    let mut crashes = 0;
    for moment in moments {
        let disk = FaultyFilesystem::new(MemoryFilesystem::new());
        let open = || {
            let options = SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10);
            Spool::open_with(Arc::new(disk.clone()), "/spool", options)
        };
        let start = |answer: fn(&LogEvent) -> Answer| {
            let queue = SpoolQueue::over(open().unwrap());
            let builder = BatchEventProcessor::builder().event_dispatcher(ScriptedDispatcher::by(answer));
            builder.queue(queue).batch_size(1).drop_deadline(Duration::ZERO).build().unwrap()
        };
        let processor = start(|_| Ok(Response::status(400)));
        processor.process_event(impression(&larkspur(), "v")).unwrap().forget();
        assert_eq!(processor.close(SECOND * 60).wait().dead_lettered, 1);
        drop(processor);

        let processor = start(|_| Ok(Response::status(503)));
        if let Some(moment) = moment {
            disk.crash_at(disk.operations() + moment, 0);
        }
        let replayed = processor.replay_dead_letters();
        crashes += usize::from(disk.crashed());
        assert!(replayed == 1 || disk.crashed(), "not replayed although nothing crashed, at {moment:?}");
        drop(processor);
        disk.heal();
        let spool = open().unwrap();
        assert!(spool.len() + spool.dead().len().unwrap() >= 1, "lost by a crash at operation {moment:?}");
    }
    assert!(crashes >= 3, "a replay reads and writes; only {crashes} of its operations met a crash");
}

/// A full spool lets what it has go without waiting for a batch to fill.
#[test]
fn a_full_spool_goes_without_waiting_for_the_interval() {
    let (_disk, queue) = faulty(None);
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(RecordingDispatcher::new())
        .queue(queue)
        .batch_size(1_000)
        .flush_interval(HOUR)
        .when_full(WhenFull::Block(HOUR))
        .build()
        .unwrap();
    let big = Map::from_iter([("note".to_owned(), json!("n".repeat(10_000)))]);
    for _ in 0..100 {
        processor.process_event(conversion(&larkspur(), "v", &big)).unwrap().forget();
    }
    assert_eq!(processor.close(SECOND * 60).wait().left, 0);
}

#[test]
fn recovered_requests_count_the_events_that_they_carry() {
    let disk = FaultyFilesystem::new(MemoryFilesystem::new());
    let open = || {
        let options = SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10);
        SpoolQueue::<LogEvent>::over(Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap())
    };
    let start = |status| {
        let upstream = ScriptedDispatcher::by(move |_| Ok(Response::status(status)));
        let builder = QueueEventDispatcher::builder(upstream).queue(open()).drop_deadline(Duration::ZERO);
        builder.build().unwrap()
    };
    let first = start(503);
    let three = LogEvent::new("http://x/", &posthaste::Batch::from_user_events(&impressions(&larkspur(), 3)));
    let none = LogEvent::from_body("http://x/", r#"{"visitors":[]}"#).unwrap();
    assert!(matches!(first.add(none).unwrap_err().reason, Refusal::Invalid(_)), "nothing to be counted");
    first.add(three).unwrap().wait().unwrap();
    assert_eq!(first.ledger().accepted, 3);
    drop(first);
    let second = start(204);
    let report = second.close(SECOND * 60).wait();
    assert_eq!((report.delivered, report.left, report.ledger.accepted), (3, 0, 3), "{report:?}");
}
