//! What a recorder sees: each counter moves for its reason, and every name is documented.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use posthaste::{
    BatchEventProcessor, Clock, Refusal, SpoolQueue, SystemClock, UserContext, WhenFull,
    create_conversion_user_event, metrics, testing::ScriptedDispatcher,
};
use posthaste_spool::{FaultyFilesystem, MemoryFilesystem, Operation, Spool, SpoolOptions};
use serde_json::{Map, json};

use crate::support::{
    Driven, HOUR, SECOND, conversion, impression, impressions, larkspur, refuses_bad_visitors, settle,
};

/// `name{label}` to value.
fn read(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let snapshot = snapshotter.snapshot().into_vec();
    let figures = snapshot.into_iter().map(|(key, _, _, value)| {
        let labels = key.key().labels().filter(|label| label.key() != "pipeline");
        let labels: Vec<&str> = labels.map(::metrics::Label::value).collect();
        let name = [&[key.key().name()], &labels[..]].concat().join(" ");
        let value = match value {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            DebugValue::Counter(value) => value as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => panic!("there are no histograms"),
        };
        (name, value)
    });
    figures.collect()
}

#[tokio::test(start_paused = true)]
async fn every_counter_moves_for_its_reason() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = ::metrics::set_default_local_recorder(&recorder);

    let dispatcher = ScriptedDispatcher::by(|request| {
        let visitors = request.event().unwrap().visitors;
        if visitors.iter().any(|visitor| visitor.visitor_id == "huge") {
            return Ok(posthaste::dispatch::Response::status(413));
        }
        refuses_bad_visitors(request)
    })
    .after([503, 404].map(|status| Ok(posthaste::dispatch::Response::status(status))));
    let driven = Driven::new(
        BatchEventProcessor::builder()
            .event_dispatcher(dispatcher)
            .queue_size(10)
            .in_flight(1)
            .max_batch_bytes(10_000)
            .dead_letters_max(2)
            .when_full(WhenFull::DropOldest),
    );
    let processor = &driven.processor;
    let config = larkspur();
    driven.take(impressions(&config, 11));
    processor.remove(1);
    driven.take([impression(&config, "huge")]);
    assert!(processor.flush(HOUR).await.is_complete());
    driven.take([impression(&config, "bad")]);
    assert!(processor.flush(HOUR).await.is_complete());
    processor.replay_dead_letters();
    let refused = |event| drop(processor.process_event(event).unwrap_err());
    refused(impression(&config, "v").with_uuid(""));
    refused(conversion(&config, "v", &Map::from_iter([("x".to_owned(), json!("x".repeat(20_000)))])));
    let user = UserContext::new("v").attribute("unknown", 1).attribute("plan", json!([]));
    create_conversion_user_event(&config, config.event_by_key("purchase").unwrap(), &user, &Map::new());
    let user = UserContext::new("v");
    config.conversion("purchase", &user, [("revenue", json!(4.5)), ("value", json!(1))]).unwrap();
    config.conversion("purchase", &user, [("revenue", json!("4")), ("value", json!("1"))]).unwrap();
    config.conversion("purchase", &user, [("revenue", json!(4)), ("value", json!(1.5))]).unwrap();
    settle().await;
    let report = processor.close(HOUR).await;
    assert_eq!(report.left, 0);
    refused(impression(&config, "late"));

    let full = Driven::new(
        BatchEventProcessor::builder()
            .event_dispatcher(ScriptedDispatcher::by(|_| Ok(posthaste::dispatch::Response::status(401))))
            .queue_size(10),
    );
    full.take(impressions(&config, 10));
    full.processor.process_event(impression(&config, "x")).unwrap_err();
    tokio::time::sleep(SECOND).await;

    let found = read(&snapshotter);
    for (name, value) in [
        ("posthaste_events_accepted_total", 13.0 + 10.0),
        ("posthaste_events_refused_total invalid", 1.0),
        ("posthaste_events_refused_total too_large", 1.0),
        ("posthaste_events_refused_total closed", 1.0),
        ("posthaste_events_refused_total queue_full", 1.0),
        ("posthaste_events_delivered_total", 9.0),
        ("posthaste_events_dead_lettered_total displaced", 1.0),
        ("posthaste_events_dead_lettered_total withdrawn", 1.0),
        ("posthaste_events_dead_lettered_total too_large", 2.0),
        ("posthaste_events_dead_lettered_total rejected", 2.0),
        ("posthaste_events_replayed_total", 2.0),
        ("posthaste_dead_letters_forgotten_total", 1.0),
        ("posthaste_attributes_dropped_total unknown", 1.0),
        ("posthaste_attributes_dropped_total invalid", 1.0),
        ("posthaste_tags_unusable_total revenue", 2.0),
        ("posthaste_tags_unusable_total value", 1.0),
        ("posthaste_requests_total retry", 1.0),
        ("posthaste_events_queued", 10.0),
        ("posthaste_requests_in_flight", 0.0),
        ("posthaste_concurrency_limit", 64.0),
        ("posthaste_breaker_state", 2.0),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name}: {found:#?}");
    }
    for name in ["delivered", "halve", "bisect", "hold"] {
        assert!(found[&format!("posthaste_requests_total {name}")] > 0.0, "{name}");
    }
}

/// The reasons that only a queue on disk has.
#[tokio::test(start_paused = true)]
async fn a_queue_on_disk_counts_its_reasons_too() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = ::metrics::set_default_local_recorder(&recorder);

    let disk = FaultyFilesystem::new(MemoryFilesystem::new());
    let options =
        SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(32 << 10).size_bytes_max(256 << 10);
    let spool = Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap();
    spool.add("nonsense").unwrap().wait().unwrap();
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(ScriptedDispatcher::by(|_| Ok(posthaste::dispatch::Response::status(503))))
        // With one end point alone, delivery leases no more than it can send: the rest can be taken back below.
        .event_end_point("http://127.0.0.1:9/v1/events")
        .queue(SpoolQueue::over(spool));
    let driven = Driven::new(builder);
    // Its letter is stored in real time, which passes by itself.
    while driven.processor.ledger().dead_lettered == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::thread::yield_now();
    }

    // The disk's thread works in real time.
    let until = SystemClock.elapsed() + Duration::from_secs(30);
    let refused = |reason: fn(&Refusal) -> bool| {
        let big = Map::from_iter([("x".to_owned(), json!("x".repeat(10_000)))]);
        loop {
            match driven.processor.process_event(conversion(&larkspur(), "v", &big)) {
                Ok(receipt) => receipt.forget(),
                Err(refused) if reason(&refused.reason) => return,
                Err(refused) => assert!(SystemClock.elapsed() < until, "{:?}", refused.reason),
            }
            std::thread::yield_now();
        }
    };
    refused(|reason| matches!(reason, Refusal::StorageFull(_)));
    driven.processor.remove(usize::MAX);
    // Room comes back, and only then the disk fails.
    while let Err(refused) = driven.processor.process_event(conversion(&larkspur(), "v", &Map::new())) {
        assert!(SystemClock.elapsed() < until, "{:?}", refused.reason);
        std::thread::yield_now();
    }
    disk.fail_always(Operation::Open, std::io::ErrorKind::PermissionDenied);
    disk.fail_always(Operation::Write, std::io::ErrorKind::PermissionDenied);
    refused(|reason| matches!(reason, Refusal::Storage(_)));
    tokio::time::sleep(Duration::from_secs(1)).await;

    let found = read(&snapshotter);
    assert_eq!(found.get("posthaste_events_dead_lettered_total unreadable"), Some(&1.0), "{found:#?}");
    for reason in ["storage_full", "storage"] {
        assert!(found[&format!("posthaste_events_refused_total {reason}")] >= 1.0, "{found:#?}");
    }
}

#[test]
fn every_name_is_documented() {
    let documented = include_str!("../../../../docs/metrics.md");
    let source = include_str!("../../src/metrics.rs");
    let names: Vec<&str> = source.split('"').filter(|text| text.starts_with("posthaste_")).collect();
    assert_eq!(names.len(), 15);
    assert!(names.contains(&metrics::NOTIFICATIONS_LOST));
    for name in names {
        assert!(documented.contains(&format!("| `{name}` |")), "{name}");
    }
}
