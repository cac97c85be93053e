//! What the processor does with events, in paused time: nothing here waits for real.

use std::time::Duration;

use posthaste::{
    BatchEventProcessor, Clock, Context, DeadReason, OptionsError, ProjectConfig, Refusal, UserEvent,
    WhenFull,
    judge::judge_batch,
    testing::{ManualClock, RecordingDispatcher, ScriptedDispatcher},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{
    Driven, HOUR, SECOND, conversion, impression, impressions, larkspur, project, settle, uuids, uuids_of,
};

fn sizes(dispatcher: &RecordingDispatcher) -> Vec<usize> {
    dispatcher.requests().iter().map(posthaste::LogEvent::events).collect()
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once_and_the_rest_at_the_interval() {
    let dispatcher = RecordingDispatcher::new();
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()));
    let events = impressions(&larkspur(), 23);
    driven.take(events.clone());
    settle().await;
    assert_eq!(sizes(&dispatcher), [10, 10]);
    tokio::time::sleep(SECOND * 29).await;
    assert_eq!(sizes(&dispatcher), [10, 10]);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(sizes(&dispatcher), [10, 10, 3]);
    assert_eq!(uuids(&dispatcher.events()), uuids_of(&events));
    assert_eq!(driven.processor.events_count(), 0);
}

/// With a clock that stands still, on the processor's own thread: the interval ends when the test says so.
#[test]
fn a_test_owns_the_processors_time() {
    let clock = ManualClock::at_ms(1_795_500_000_000);
    let (seen, requests) = std::sync::mpsc::sync_channel(10);
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(RecordingDispatcher::new())
        .clock(clock.clone())
        .sdk_key("manual clock")
        .build()
        .unwrap();
    processor.on_event_dispatch(move |event| seen.send(event.events()).unwrap());
    processor.process_event(impression(&larkspur(), "v")).unwrap().forget();
    clock.advance(SECOND * 29);
    assert_eq!(processor.ledger().queued, 1);
    clock.set_ms(0);
    clock.advance(SECOND);
    assert_eq!(requests.recv().unwrap(), 1);
    assert_eq!(clock.now_ms(), 1_000);
    assert!(clock.sleepers() <= 1);
    assert_eq!(processor.close(SECOND).wait().delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn flush_sends_what_there_is_and_reports() {
    let dispatcher = RecordingDispatcher::new();
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()));
    driven.take(impressions(&larkspur(), 3));
    assert_eq!(driven.processor.events_count(), 3);
    let report = driven.processor.flush(SECOND).await;
    assert!(report.is_complete() && report.ledger.balances());
    assert_eq!((report.ledger.delivered, sizes(&dispatcher)), (3, vec![3]));
    assert!(driven.processor.flush(Duration::ZERO).await.is_complete());
}

#[tokio::test(start_paused = true)]
async fn close_sends_the_rest_and_ends_the_driver() {
    let dispatcher = RecordingDispatcher::new();
    let mut driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()));
    driven.take(impressions(&larkspur(), 13));
    let report = driven.processor.close(SECOND).await;
    assert_eq!((report.delivered, report.left, report.dispatcher), (13, 0, None));
    driven.driver.join_next().await.unwrap().unwrap();
    let event = impression(&larkspur(), "late");
    let refused = driven.processor.process_event(event.clone()).unwrap_err();
    assert_eq!((refused.item, refused.reason), (event, Refusal::Closed));
    assert_eq!(driven.processor.ledger().refused, 1);
    assert_eq!(driven.processor.close(SECOND).await.delivered, 13);
}

#[tokio::test(start_paused = true)]
async fn events_share_a_request_only_where_the_whole_context_is_equal() {
    let base = || project("larkspur.json").with_client("go-sdk", "1.0.0-beta7");
    let configs: Vec<ProjectConfig> = vec![
        base(),
        base().with_client("other", "1.0.0-beta7"),
        base().with_client("go-sdk", "2"),
        base().with_region_sent(),
        project("larkspur_r43.json").with_client("go-sdk", "1.0.0-beta7"),
        project("larkspur_eu.json").with_client("go-sdk", "1.0.0-beta7"),
    ];
    let dispatcher = RecordingDispatcher::new();
    let driven = Driven::new(
        BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).batch_size(4).in_flight(1),
    );
    for round in 0..8 {
        driven.take(configs.iter().map(|config| impression(config, &format!("visitor-{round}"))));
    }
    // The same revision read twice is the same context.
    driven.take((0..4).map(|n| impression(&base(), &format!("again-{n}"))));
    driven.processor.flush(SECOND).await;
    let requests = dispatcher.requests();
    assert_eq!(requests.len(), 2 * configs.len() + 1);
    for request in &requests {
        assert_eq!(request.events(), 4);
        let eu = request.event().unwrap().revision == "44";
        assert_eq!(request.end_point().contains("//eu."), eu);
    }
}

#[test]
fn contexts_differ_in_every_field() {
    let context = || Context::new("1", "2", "3");
    for changed in [
        Context::new("x", "2", "3"),
        Context::new("1", "x", "3"),
        Context::new("1", "2", "x"),
        context().with_client("x", posthaste::project::CLIENT_VERSION),
        context().with_client(posthaste::project::CLIENT_NAME, "x"),
        context().with_anonymize_ip(true),
        context().with_bot_filtering(true),
        context().with_region(posthaste::Region::Eu),
        context().with_region_sent(true),
    ] {
        assert!(!changed.can_batch(&context()), "{changed:?}");
    }
    assert!(context().can_batch(&context()));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_returns_the_event() {
    let never = ScriptedDispatcher::by(|_| Err(posthaste::dispatch::DispatchError::Connect("down".into())));
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(never).queue_size(20));
    driven.take(impressions(&larkspur(), 20));
    let event = impression(&larkspur(), "one too many");
    let refused = driven.processor.process_event(event.clone()).unwrap_err();
    assert_eq!((refused.item, refused.reason), (event, Refusal::QueueFull { capacity: 20 }));
    let ledger = driven.processor.ledger();
    assert_eq!((ledger.accepted, ledger.queued, ledger.refused), (20, 20, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_of_unlike_events_goes_without_waiting_for_the_interval() {
    let dispatcher = RecordingDispatcher::new();
    let driven =
        Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).queue_size(10));
    let other = larkspur().with_client("other", "1");
    driven.take((0..5).flat_map(|_| [impression(&larkspur(), "a"), impression(&other, "b")]));
    settle().await;
    assert_eq!(sizes(&dispatcher), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_event_makes_room_where_that_was_asked_for() {
    let (seen, dead) = std::sync::mpsc::sync_channel(100);
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(ScriptedDispatcher::statuses(vec![503; 1_000]))
        .queue_size(10)
        .when_full(WhenFull::DropOldest)
        .on_dead_letter(move |letter| seen.send(letter.item.visitor_id().to_owned()).unwrap());
    let driven = Driven::new(builder);
    driven.take(impressions(&larkspur(), 13));
    assert_eq!(dead.try_iter().collect::<Vec<_>>(), ["visitor-0", "visitor-1", "visitor-2"]);
    let ledger = driven.processor.ledger();
    assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued, ledger.refused), (13, 3, 10, 0));
    assert!(driven.processor.dead_letters().iter().all(|letter| letter.reason == DeadReason::Displaced));
    // What is under way cannot make room: then the new one is handed back.
    settle().await;
    let refused = driven.processor.process_event(impression(&larkspur(), "x")).unwrap_err();
    assert_eq!(refused.reason, Refusal::QueueFull { capacity: 10 });
    assert!(driven.processor.ledger().balances());
}

#[test]
fn a_caller_waits_for_room_where_that_was_asked_for() {
    let dispatcher = RecordingDispatcher::new();
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(dispatcher.clone())
        .queue_size(10)
        .when_full(WhenFull::Block(HOUR))
        .build()
        .unwrap();
    let events = impressions(&larkspur(), 1_000);
    for event in events.clone() {
        processor.process_event(event).unwrap().forget();
    }
    assert_eq!(processor.close(HOUR).wait().delivered, 1_000);
    assert_eq!(uuids(&dispatcher.events()), uuids_of(&events));
}

#[test]
fn a_caller_waits_for_room_no_longer_than_was_asked_for() {
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(ScriptedDispatcher::statuses(vec![503; 1_000]))
        .queue_size(10)
        .when_full(WhenFull::Block(Duration::from_millis(20)))
        .drop_deadline(Duration::ZERO)
        .build()
        .unwrap();
    for event in impressions(&larkspur(), 10) {
        processor.process_event(event).unwrap().forget();
    }
    let refused = processor.process_event(impression(&larkspur(), "x")).unwrap_err();
    assert_eq!(refused.reason, Refusal::QueueFull { capacity: 10 });
    assert!(processor.ledger().balances());
}

fn tags(bytes: usize) -> Map<String, Value> {
    Map::from_iter([("note".to_owned(), json!("n".repeat(bytes)))])
}

#[tokio::test(start_paused = true)]
async fn an_event_too_large_for_any_request_is_handed_back() {
    let dispatcher = RecordingDispatcher::new();
    let builder = BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).max_batch_bytes(2_000);
    let driven = Driven::new(builder);
    let bytes_of = |event: &UserEvent| {
        let batch = posthaste::Batch::from_user_events(std::slice::from_ref(event));
        serde_json::to_vec(&batch).unwrap().len()
    };
    let small = conversion(&larkspur(), "v", &tags(0));
    let largest = conversion(&larkspur(), "v", &tags(2_000 - bytes_of(&small)));
    assert_eq!(bytes_of(&largest), 2_000);
    driven.take([largest]);
    let too_large = conversion(&larkspur(), "v", &tags(2_001 - bytes_of(&small)));
    let refused = driven.processor.process_event(too_large.clone()).unwrap_err();
    assert_eq!(
        (refused.item, refused.reason),
        (too_large, Refusal::TooLarge { bytes: 2_001, bytes_max: 2_000 })
    );
    assert!(driven.processor.flush(SECOND).await.is_complete());
    assert_eq!(dispatcher.requests()[0].body().len(), 2_000);
}

/// Tags of which one is so many lists within each other.
fn nested(lists: usize) -> Map<String, Value> {
    let value = (0..lists).fold(Value::Null, |within, _| Value::from(vec![within]));
    Map::from_iter([("a".to_owned(), value)])
}

/// What is taken is read by everybody who reads the request; one that is not would lose it whole.
#[tokio::test(start_paused = true)]
async fn the_deepest_tags_that_are_taken_are_read_in_the_request() {
    let dispatcher = RecordingDispatcher::new();
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()));
    driven.take([conversion(&larkspur(), "v", &nested(119)), impression(&larkspur(), "v")]);
    assert!(driven.processor.flush(SECOND).await.is_complete());
    let judgement = judge_batch(dispatcher.requests()[0].body(), None);
    assert_eq!((judgement.good, judgement.problems), (2, vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_the_api_would_throw_away_is_handed_back() {
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()));
    for event in [
        impression(&larkspur(), "v").with_uuid(""),
        impression(&larkspur(), "v").with_timestamp_ms(0),
        impression(&larkspur(), "v").with_timestamp_ms(-1),
        conversion(&larkspur(), "v", &nested(120)),
    ] {
        let refused = driven.processor.process_event(event).unwrap_err();
        assert!(matches!(refused.reason, Refusal::Invalid(_)), "{}", refused.reason);
    }
    assert_eq!(driven.processor.ledger().refused, 4);
}

#[tokio::test(start_paused = true)]
async fn events_can_be_looked_at_and_taken_back() {
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()));
    let events = impressions(&larkspur(), 5);
    driven.take(events.clone());
    assert_eq!(driven.processor.get_events(2), events[..2]);
    assert_eq!(driven.processor.events_count(), 5);
    assert_eq!(driven.processor.remove(2), events[..2]);
    assert_eq!(driven.processor.get_events(100), events[2..]);
    let ledger = driven.processor.ledger();
    assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued), (5, 2, 3));
    assert_eq!(driven.processor.close(SECOND).await.delivered, 3);
}

#[test]
fn a_batch_larger_than_the_queue_is_an_error_that_says_so() {
    let build = |batch, queue| {
        BatchEventProcessor::builder()
            .event_dispatcher(RecordingDispatcher::new())
            .batch_size(batch)
            .queue_size(queue)
            .build()
    };
    let error = build(11, 10).unwrap_err();
    assert!(
        matches!(error, OptionsError::BatchLargerThanQueue { batch_size: 11, queue_size: 10 }),
        "{error}"
    );
    for (batch, queue, name) in [(0, 10, "batch_size"), (1, 0, "queue_size")] {
        assert!(matches!(build(batch, queue).unwrap_err(), OptionsError::Zero(found) if found == name));
    }
    assert!(build(10, 10).is_ok());
}

proptest! {
    /// Whatever is in the events, no request is larger than allowed, none holds more events than allowed, and together they
    /// hold each event once.
    #[test]
    fn batches_respect_both_bounds(
        sizes in prop::collection::vec(0_usize..3_000, 1..60),
        batch_size in 1_usize..30,
        letter in prop::sample::select(vec!["n", "\"", "é", "\u{1}", "☕"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let dispatcher = RecordingDispatcher::new();
            let builder = BatchEventProcessor::builder()
                .event_dispatcher(dispatcher.clone())
                .batch_size(batch_size)
                .max_batch_bytes(6_000);
            let driven = Driven::new(builder);
            let mut accepted = Vec::new();
            for size in sizes {
                let note = Map::from_iter([("note".to_owned(), json!(letter.repeat(size)))]);
                let event = conversion(&larkspur(), letter, &note);
                match driven.processor.process_event(event.clone()) {
                    Ok(_) => accepted.push(event),
                    Err(refused) => prop_assert_eq!(refused.reason.name(), "too_large"),
                }
            }
            prop_assert!(driven.processor.close(SECOND).await.left == 0);
            for request in dispatcher.requests() {
                prop_assert!(request.body().len() <= 6_000 && request.events() <= batch_size);
                let batch = request.event().unwrap();
                prop_assert_eq!(serde_json::to_vec(&batch).unwrap(), request.body().to_vec());
            }
            prop_assert_eq!(uuids(&dispatcher.events()), uuids_of(&accepted));
            Ok(())
        })?;
    }
}
