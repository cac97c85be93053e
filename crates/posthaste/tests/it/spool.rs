//! The queue on disk under the processor and the queueing dispatcher: what survives, what is said about the rest.

use std::{io, path::Path, sync::Arc, time::Duration};

use posthaste::{
    Batch, BatchEventProcessor, DeadReason, LogEvent, Queue, QueueEventDispatcher, Refusal, SpoolQueue,
    UserContext, UserEvent, WhenFull, create_conversion_user_event, create_impression_user_event,
    queue::{DeliveryQueue, SpoolItem},
    testing::{RecordingDispatcher, ScriptedDispatcher},
};
use posthaste_spool::{FaultyFilesystem, MemoryFilesystem, Operation, Spool, SpoolOptions};
use serde_json::{Map, json};

use crate::support::{
    HOUR, SECOND, conversion, impression, impressions, larkspur, project, refuses_bad_visitors, uuids,
    uuids_of,
};

fn open<T: SpoolItem>(folder: &Path) -> SpoolQueue<T> {
    SpoolQueue::open(folder, SpoolOptions::default()).unwrap()
}

fn processor(queue: SpoolQueue<UserEvent>, dispatcher: &ScriptedDispatcher) -> BatchEventProcessor {
    BatchEventProcessor::builder()
        .event_dispatcher(dispatcher.clone())
        .queue(queue)
        .drop_deadline(Duration::ZERO)
        .build()
        .unwrap()
}

fn dead_upstream() -> ScriptedDispatcher {
    ScriptedDispatcher::by(|_| Err(posthaste::dispatch::DispatchError::Connect("refused".into())))
}

/// Every kind of event, encoded and read back, is sent with the same bytes.
#[test]
fn an_event_read_back_is_sent_as_it_would_have_been() {
    let mut context = None;
    for config in [
        larkspur(),
        larkspur().with_region_sent(),
        larkspur().as_todays_sdks_send(),
        project("larkspur_eu.json"),
        project("larkspur_eu.json").with_region_sent(),
        project("larkspur_r43.json"),
    ] {
        let user = UserContext::new("é\"☕\u{1}")
            .attribute("plan", "a\"b\\c\n\t")
            .attribute("age", 5e-324)
            .attribute("$opt_bot_filtering", "mine")
            .attribute("$opt_user_agent", "UA/1");
        let experiment = config.experiment_by_key("checkout_button").unwrap();
        let tags = Map::from_iter([
            ("revenue".to_owned(), json!(-4.9)),
            ("value".to_owned(), json!(1e21)),
            ("nested".to_owned(), json!({"a": [1, null, 0.1, u64::MAX, "\u{e000}x"]})),
        ]);
        let purchase = config.event_by_key("purchase").unwrap();
        let metadata = posthaste::DecisionMetadata::new("", "r", "", "", false);
        let events = [
            create_impression_user_event(&config, experiment, experiment.variation_by_key("control"), &user),
            create_impression_user_event(&config, experiment, None, &UserContext::new("")),
            create_impression_user_event(&config, experiment, None, &user).with_decision_metadata(metadata),
            create_conversion_user_event(&config, purchase, &user, &tags),
            create_conversion_user_event(&config, purchase, &user, &Map::new()).with_uuid("NOT-a-uuid"),
        ];
        for event in events {
            let read = UserEvent::from_record(&event.to_record(), &mut context).unwrap();
            let body = |event: &UserEvent| {
                serde_json::to_string(&Batch::from_user_events(std::slice::from_ref(event))).unwrap()
            };
            assert_eq!(body(&read), body(&event));
            assert_eq!(read.context(), event.context());
            assert_eq!((read.uuid(), read.timestamp_ms()), (event.uuid(), event.timestamp_ms()));
        }
    }
}

#[test]
fn what_is_left_is_delivered_by_the_next_process_that_opens_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let first = processor(open(folder.path()), &dead_upstream());
    let events = impressions(&larkspur(), 25);
    let receipts: Vec<_> = events.iter().map(|event| first.process_event(event.clone()).unwrap()).collect();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    let report = first.close(Duration::ZERO).wait();
    assert_eq!((report.delivered, report.left), (0, 25));
    drop(first);

    let upstream = ScriptedDispatcher::new([]);
    let second = processor(open(folder.path()), &upstream);
    assert_eq!(second.ledger().accepted, 25, "what was recovered is in the ledger");
    second.process_event(impression(&larkspur(), "new")).unwrap().forget();
    let report = second.close(HOUR).wait();
    assert_eq!((report.delivered, report.left), (26, 0));
    assert!(second.ledger().balances());
    drop(second);
    let mut expected = uuids_of(&events);
    let found = uuids(&upstream.delivered());
    expected.retain(|uuid| !found.contains(uuid));
    assert_eq!((expected, found.len()), (vec![], 26));

    let third = processor(open(folder.path()), &upstream);
    assert_eq!(third.ledger().accepted, 0, "nothing is sent again after an orderly end");
}

#[test]
fn two_owners_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first: SpoolQueue<UserEvent> = open(folder.path());
    let error = SpoolQueue::<UserEvent>::open(folder.path(), SpoolOptions::default()).unwrap_err();
    assert!(error.to_string().contains("in use by this very process"), "{error}");
}

#[test]
fn dead_letters_survive_on_disk_and_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let bad = impression(&larkspur(), "bad-1");
    let first = processor(open(folder.path()), &ScriptedDispatcher::by(refuses_bad_visitors));
    let mut events = impressions(&larkspur(), 9);
    events.push(bad.clone());
    for event in events {
        first.process_event(event).unwrap().forget();
    }
    let report = first.close(HOUR).wait();
    assert_eq!((report.delivered, report.dead_lettered), (9, 1));
    drop(first);

    let upstream = ScriptedDispatcher::new([]);
    let second = processor(open(folder.path()), &upstream);
    let [letter] = &second.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!(
        (letter.reason, letter.status, &*letter.text),
        (DeadReason::Rejected, Some(400), "visitors[0] is bad")
    );
    assert_eq!((letter.item.uuid(), letter.item.visitor_id()), (bad.uuid(), "bad-1"));
    assert!(letter.time_ms > 1_700_000_000_000);
    assert_eq!((second.ledger().accepted, second.ledger().dead_lettered), (1, 1));
    assert_eq!(second.replay_dead_letters(), 1);
    assert!(second.flush(HOUR).wait().is_complete());
    assert_eq!(uuids(&upstream.delivered()), [bad.uuid().to_string()]);
    assert!(second.dead_letters().is_empty() && second.ledger().balances());
}

#[test]
fn a_record_that_is_no_event_is_set_aside_and_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), SpoolOptions::default()).unwrap();
    spool.add("nonsense").unwrap().wait().unwrap();
    spool.add(LogEvent::new("http://x/", &Batch::default()).to_record()).unwrap().wait().unwrap();
    let upstream = ScriptedDispatcher::new([]);
    let processor = processor(SpoolQueue::over(spool), &upstream);
    processor.process_event(impression(&larkspur(), "v")).unwrap().forget();
    let report = processor.close(HOUR).wait();
    assert_eq!((report.delivered, report.dead_lettered, report.left), (1, 2, 0));
    assert!(processor.ledger().balances());
    drop(processor);
    let spool = Spool::open(folder.path(), SpoolOptions::default()).unwrap();
    assert_eq!(spool.dead().len().unwrap(), 2, "kept as it was, for a version that can read it");
    assert!(spool.dead().list(0, 9, 9_999).unwrap().records[0].bytes.ends_with(b"nonsense"));
}

/// Requests travel together, of however many events, every byte of their visitors as it was; those of another head stay
/// alone.
#[test]
fn requests_of_one_head_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open::<LogEvent>(folder.path());
    let upstream = RecordingDispatcher::new();
    let dispatcher = QueueEventDispatcher::builder(upstream.clone())
        .queue(queue)
        .batch_size(10)
        .in_flight(1)
        .build()
        .unwrap();
    let single = |event: UserEvent| LogEvent::new("http://x/v1/events", &Batch::from_user_events(&[event]));
    let singles: Vec<LogEvent> = (0..25).map(|n| single(impression(&larkspur(), &format!("v{n}")))).collect();
    let other = single(impression(&larkspur().with_client("other", "1"), "o"));
    let double = LogEvent::new("http://x/v1/events", &Batch::from_user_events(&impressions(&larkspur(), 2)));
    for request in singles.iter().chain([&other, &double]) {
        dispatcher.add(request.clone()).unwrap().forget();
    }
    let report = dispatcher.close(HOUR).wait();
    assert_eq!((report.delivered, report.left), (28, 0));
    let mut sizes: Vec<usize> = upstream.requests().iter().map(LogEvent::events).collect();
    sizes.sort_unstable();
    assert_eq!(sizes.iter().sum::<usize>(), 28);
    assert!(sizes.len() <= 7, "they travel together: {sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 10) && upstream.requests().contains(&other), "{sizes:?}");
    for request in singles.iter().chain([&double]) {
        let body = std::str::from_utf8(request.body()).unwrap();
        let visitor = &body[body.find("{\"attributes\"").unwrap()..body.find("],\"project_id\"").unwrap()];
        let carries = |sent: &LogEvent| std::str::from_utf8(sent.body()).unwrap().contains(visitor);
        assert_eq!(upstream.requests().iter().filter(|sent| carries(sent)).count(), 1);
    }
}

#[test]
fn a_queue_on_disk_keeps_the_promises_of_queues() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open::<UserEvent>(folder.path());
    let events = impressions(&larkspur(), 6);
    for event in events.clone() {
        queue.add(event).unwrap().wait().unwrap();
    }
    assert_eq!(queue.size(), 6);
    assert_eq!(uuids_of(&queue.get(2)), uuids_of(&events[..2]));
    let leases = queue.lease(3).wait().unwrap();
    assert_eq!(uuids_of(&queue.remove(1)), uuids_of(&events[3..4]));
    queue.settle(&[leases[1].id]).wait().unwrap();
    assert_eq!(queue.size(), 4);
    queue.release();
    let again: Vec<UserEvent> =
        queue.lease(9).wait().unwrap().into_iter().map(|leased| leased.item).collect();
    let expected = [&events[0], &events[2], &events[4], &events[5]].map(Clone::clone);
    assert_eq!(uuids_of(&again), uuids_of(&expected));
    queue.close();
    assert_eq!(queue.add(events[0].clone()).unwrap_err().reason, Refusal::Closed);
}

fn faulty() -> (FaultyFilesystem, SpoolQueue<UserEvent>) {
    let filesystem = FaultyFilesystem::new(MemoryFilesystem::new());
    let options =
        SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10).size_bytes_max(256 << 10);
    let spool = Spool::open_with(Arc::new(filesystem.clone()), "/spool", options).unwrap();
    (filesystem, SpoolQueue::over(spool))
}

/// What was taken is delivered from memory while the disk refuses it, and nothing new is taken until it works again.
#[test]
fn an_event_that_the_disk_would_not_take_is_delivered_all_the_same() {
    let (disk, queue) = faulty();
    let upstream = ScriptedDispatcher::new([]);
    let processor = processor_of_singles(queue, &upstream);
    processor.process_event(impression(&larkspur(), "before")).unwrap().wait().unwrap();
    disk.fail_always(Operation::Write, io::ErrorKind::PermissionDenied);
    let mut taken = vec!["before".to_owned()];
    let refused = loop {
        // Taken until the spool has noticed that nothing can be written.
        let visitor = format!("during-{}", taken.len());
        match processor.process_event(impression(&larkspur(), &visitor)) {
            Ok(receipt) => {
                taken.push(visitor);
                receipt.wait().unwrap();
            }
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused.reason, Refusal::Storage(_)), "{}", refused.reason);
    assert!(refused.item.visitor_id().starts_with("during"));
    disk.heal();
    let receipt = loop {
        if let Ok(receipt) = processor.process_event(impression(&larkspur(), "after")) {
            break receipt;
        }
        std::thread::yield_now();
    };
    receipt.wait().unwrap();
    taken.push("after".to_owned());
    let report = processor.close(HOUR).wait();
    assert_eq!((report.delivered, report.left), (taken.len() as u64, 0), "{report:?}");
    assert!(report.not_stored.is_empty());
    let mut delivered = visitors(&upstream.requests());
    delivered.sort_unstable();
    taken.sort_unstable();
    assert_eq!(delivered, taken);
}

/// A disk that stalls from the very start keeps no event from an API that works.
#[test]
fn a_disk_that_never_answers_holds_up_no_delivery() {
    for operation in [Operation::Sync, Operation::Write] {
        let (disk, queue) = faulty();
        disk.stall(operation);
        let upstream = ScriptedDispatcher::new([]);
        let processor = processor_of_singles(queue, &upstream);
        let receipts: Vec<_> = (0..20)
            .map(|n| processor.process_event(impression(&larkspur(), &format!("v{n}"))).unwrap())
            .collect();
        for receipt in receipts {
            receipt.wait().unwrap();
        }
        let report = processor.close(Duration::from_millis(100)).wait();
        assert_eq!((report.delivered, report.dead_lettered, report.left), (20, 0, 0), "{operation:?}");
        disk.unstall();
    }
}

/// Where the process ends before the disk has them, events that were not delivered either are dead letters.
#[test]
fn what_neither_the_disk_nor_the_api_has_at_the_end_is_a_dead_letter() {
    let (disk, queue) = faulty();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let callback = Arc::clone(&told);
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(dead_upstream())
        .queue(queue.clone())
        .drop_deadline(Duration::ZERO)
        .on_dead_letter(move |letter| {
            callback.lock().unwrap().push((letter.item.visitor_id().to_owned(), letter.reason));
        })
        .build()
        .unwrap();
    processor.process_event(impression(&larkspur(), "stored")).unwrap().wait().unwrap();
    disk.stall(Operation::Sync);
    let receipt = processor.process_event(impression(&larkspur(), "taken")).unwrap();
    let report = processor.close(Duration::from_millis(100)).wait();
    assert_eq!((report.delivered, report.dead_lettered, report.left), (0, 1, 1), "{report:?}");
    assert_eq!(report.not_stored.len(), 1);
    assert_eq!(*told.lock().unwrap(), [("taken".to_owned(), DeadReason::NotStored)]);
    assert_eq!(processor.dead_letters().len(), 1);
    assert!(receipt.wait().is_err());
    // Its writer has not ended: nobody else may have the folder.
    drop(processor);
    drop(queue);
    let again = Spool::open_with(Arc::new(disk.clone()), "/spool", SpoolOptions::default());
    assert!(again.unwrap_err().to_string().contains("still waits for its disk"));
    disk.unstall();
}

fn processor_of_singles(
    queue: SpoolQueue<UserEvent>,
    dispatcher: &ScriptedDispatcher,
) -> BatchEventProcessor {
    let builder = BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).queue(queue);
    builder.batch_size(1).drop_deadline(Duration::ZERO).build().unwrap()
}

fn visitors(delivered: &[LogEvent]) -> Vec<String> {
    let batches = delivered.iter().map(|request| request.event().unwrap());
    batches.flat_map(|batch| batch.visitors).map(|visitor| visitor.visitor_id).collect()
}

/// What makes room is buried once each, and no more of it than a segment holds; the rest stays to be delivered.
#[test]
fn a_full_spool_displaces_the_oldest_segment_and_buries_each_event_once() {
    let (_disk, queue) = faulty();
    let buried = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&buried);
    let upstream =
        ScriptedDispatcher::by(|_| Err(posthaste::dispatch::DispatchError::Connect("refused".into())));
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(upstream)
        .queue(queue)
        .in_flight(1)
        .batch_size(1)
        .when_full(WhenFull::DropOldest)
        .drop_deadline(Duration::ZERO)
        .on_dead_letter(move |letter| {
            told.lock().unwrap().push((letter.item.uuid().to_string(), letter.reason));
        })
        .build()
        .unwrap();
    let note = Map::from_iter([("note".to_owned(), json!("n".repeat(20)))]);
    let mut taken = Vec::new();
    // While nothing gets through, little is under way: the newer segments hold none of it.
    while buried.lock().unwrap().len() < 500 {
        let event = conversion(&larkspur(), "v", &note);
        let uuid = event.uuid().to_string();
        match processor.process_event(event) {
            Ok(receipt) => {
                receipt.forget();
                taken.push(uuid);
            }
            Err(refused) => {
                assert!(refused.reason.is_full(), "{}", refused.reason);
                std::thread::yield_now();
            }
        }
    }
    let report = processor.close(Duration::from_millis(500)).wait();
    let buried = buried.lock().unwrap().clone();
    let unique: std::collections::HashSet<_> = buried.iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(unique.len(), buried.len(), "each is buried once");
    assert_eq!(report.ledger.accepted, taken.len() as u64);
    assert_eq!(report.dead_lettered, buried.len() as u64);
    assert_eq!(report.left + report.dead_lettered, taken.len() as u64);
}

#[test]
fn a_full_spool_says_so_and_a_caller_can_wait_for_room() {
    let (_disk, queue) = faulty();
    let processor = processor(queue, &dead_upstream());
    let big = Map::from_iter([("note".to_owned(), json!("n".repeat(10_000)))]);
    let refused = loop {
        match processor.process_event(conversion(&larkspur(), "v", &big)) {
            Ok(receipt) => drop(receipt.wait()),
            Err(refused) => break refused,
        }
    };
    assert!(refused.reason.is_full(), "{}", refused.reason);
    assert!(processor.ledger().balances() && processor.ledger().queued > 5);
    drop(processor);

    let (_disk, queue) = faulty();
    let upstream = RecordingDispatcher::new();
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(upstream.clone())
        .queue(queue)
        .batch_size(1)
        .when_full(WhenFull::Block(HOUR))
        .build()
        .unwrap();
    for _ in 0..100 {
        processor.process_event(conversion(&larkspur(), "v", &big)).unwrap().forget();
    }
    let report = processor.close(SECOND * 60).wait();
    assert_eq!((report.left, report.ledger.delivered + report.ledger.refused), (0, 100));
}
