//! Every name of the seed's package, used, and every one in docs/PARITY.md.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use posthaste::{
    Attribute, Batch, BatchEventProcessor, BatchEventProcessorBuilder, ChanQueue, Context, ConversionEvent,
    DEFAULT_BATCH_SIZE, DEFAULT_EVENT_FLUSH_INTERVAL, DEFAULT_EVENT_QUEUE_SIZE, Decision, Dispatcher, Event,
    Experiment, HttpEventDispatcher, ImpressionEvent, InMemoryQueue, LogEvent, Processor, ProjectConfig,
    Queue, QueueEventDispatcher, Snapshot, SnapshotEvent, UserContext, UserEvent, Variation, Visitor,
    VisitorAttribute, create_conversion_user_event, create_event_context, create_impression_user_event,
    notification,
    project::{CLIENT_NAME, CLIENT_VERSION},
    testing::RecordingDispatcher,
};
use serde_json::{Map, Value, json};

use crate::support::{SECOND, larkspur};

/// Exported names, methods and options of the `event` package at v1.0.0-beta7, then those of other packages that its
/// signatures mention.
const SEED: &[&str] = &[
    "DefaultBatchSize",
    "DefaultEventFlushInterval",
    "DefaultEventQueueSize",
    "ClientName",
    "Version",
    "BPOptionConfig",
    "WithBatchSize",
    "WithQueueSize",
    "WithFlushInterval",
    "WithQueue",
    "WithEventDispatcher",
    "WithSDKKey",
    "Processor",
    "BatchEventProcessor",
    "NewBatchEventProcessor",
    "BatchEventProcessor.Start",
    "BatchEventProcessor.ProcessEvent",
    "BatchEventProcessor.EventsCount",
    "BatchEventProcessor.GetEvents",
    "BatchEventProcessor.Remove",
    "BatchEventProcessor.FlushEvents",
    "BatchEventProcessor.OnEventDispatch",
    "BatchEventProcessor.RemoveOnEventDispatch",
    "Queue",
    "Queue.Add",
    "Queue.Get",
    "Queue.Remove",
    "Queue.Size",
    "InMemoryQueue",
    "NewInMemoryQueue",
    "ChanQueue",
    "NewChanQueue",
    "Dispatcher",
    "Dispatcher.DispatchEvent",
    "HTTPEventDispatcher",
    "QueueEventDispatcher",
    "NewQueueEventDispatcher",
    "LogEvent",
    "UserEvent",
    "ImpressionEvent",
    "ConversionEvent",
    "Context",
    "CreateEventContext",
    "CreateImpressionUserEvent",
    "CreateConversionUserEvent",
    "Batch",
    "Visitor",
    "VisitorAttribute",
    "Snapshot",
    "SnapshotEvent",
    "Decision",
    "pkg.ProjectConfig",
    "entities.Experiment",
    "entities.Variation",
    "entities.Event",
    "entities.Attribute",
    "entities.UserContext",
    "utils.ExecutionCtx",
    "utils.ExecutionCtx.TerminateAndWait",
    "registry.GetNotificationCenter",
];

#[test]
fn the_table_has_a_row_for_each_name() {
    let parity = include_str!("../../../../docs/PARITY.md");
    // The tables behind it are of other things than names.
    let table = parity.split("\n## What is judged").next().unwrap();
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let rows: Vec<Vec<&str>> = table.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let named: BTreeSet<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(named, SEED.iter().copied().collect());
    assert_eq!(rows.len(), SEED.len());
    assert!(rows.iter().all(|row| row.len() == 5 && !row[2].is_empty()));
}

/// The tests that the second table names are there.
#[test]
fn every_named_test_exists() {
    let table = include_str!("../../../../docs/PARITY.md");
    let tests = [
        include_str!("additions.rs"),
        include_str!("closing.rs"),
        include_str!("datafiles.rs"),
        include_str!("delivery.rs"),
        include_str!("http.rs"),
        include_str!("notifications.rs"),
        include_str!("queues.rs"),
        include_str!("spool.rs"),
    ]
    .concat();
    let defects = table.split("## Defects").nth(1).unwrap();
    let names: Vec<&str> =
        defects.split('`').filter(|text| text.contains('_') && !text.contains(' ')).collect();
    assert!(names.len() >= 14, "{names:?}");
    assert!(names.iter().all(|name| tests.contains(&format!("fn {name}("))), "{names:?}");
}

#[test]
fn constants_are_the_seeds() {
    assert_eq!((DEFAULT_BATCH_SIZE, DEFAULT_EVENT_FLUSH_INTERVAL), (10, Duration::from_secs(30)));
    assert_eq!(DEFAULT_EVENT_QUEUE_SIZE, 2_000);
    assert_eq!((CLIENT_NAME, CLIENT_VERSION), ("posthaste", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_processor_does_all_that_the_seeds_does() {
    let dispatcher = RecordingDispatcher::new();
    let builder: BatchEventProcessorBuilder = BatchEventProcessor::builder();
    let processor: BatchEventProcessor = builder
        .batch_size(3)
        .queue_size(100)
        .flush_interval(SECOND * 60)
        .queue(InMemoryQueue::<UserEvent>::new(100))
        .event_dispatcher(dispatcher.clone())
        .sdk_key("parity")
        .build()
        .unwrap();
    let (seen, requests) = std::sync::mpsc::sync_channel(10);
    let id = processor.on_event_dispatch(move |event: &LogEvent| seen.send(event.events()).unwrap());
    let taker: &dyn Processor = &processor;
    taker.process_event(impression()).unwrap().forget();
    processor.process_event(conversion()).unwrap().wait().unwrap();
    assert_eq!((processor.events_count(), processor.get_events(1).len()), (2, 1));
    assert!(processor.flush(SECOND * 60).wait().is_complete());
    assert_eq!(requests.recv().unwrap(), 2);
    processor.remove_on_event_dispatch(id).unwrap();
    processor.process_event(impression()).unwrap().forget();
    assert_eq!(processor.remove(1).len(), 1);
    let report = processor.close(SECOND * 60).wait();
    assert_eq!((report.delivered, report.left, dispatcher.events().len()), (2, 0, 2));
    assert!(Arc::ptr_eq(&notification::center("parity"), &notification::center("parity")));
}

#[test]
fn queues_do_all_that_the_seeds_do() {
    let queues: [Box<dyn Queue<UserEvent>>; 2] =
        [Box::new(InMemoryQueue::new(10)), Box::new(ChanQueue::new(10))];
    for queue in queues {
        let event = impression();
        queue.add(event.clone()).unwrap().forget();
        assert_eq!((queue.size(), queue.get(5)), (1, vec![event.clone()]));
        assert_eq!((queue.remove(5), queue.size()), (vec![event], 0));
    }
}

#[tokio::test]
async fn dispatchers_do_all_that_the_seeds_do() {
    let server = crate::server::Server::start([]);
    let http = HttpEventDispatcher::new().unwrap();
    let event = LogEvent::new(server.url(), &Batch::from_user_events(&[impression(), conversion()]));
    assert_eq!(event.end_point(), server.url());
    assert_eq!(http.dispatch_event(event.clone()).await.unwrap().status, 204);
    let queueing = QueueEventDispatcher::builder(HttpEventDispatcher::new().unwrap()).build().unwrap();
    let dispatcher: &dyn Dispatcher = &queueing;
    assert_eq!(dispatcher.dispatch_event(event).await.unwrap().status, 202);
    assert_eq!(queueing.close(SECOND * 60).await.delivered, 2);
    assert_eq!(server.received().len(), 2);
}

fn impression() -> UserEvent {
    let config = larkspur();
    let experiment: &Experiment = config.experiment_by_key("checkout_button").unwrap();
    let variation: &Variation = experiment.variation_by_key("control").unwrap();
    let user = UserContext::new("visitor-1").attribute("plan", "pro").attribute("$opt_user_agent", "UA/1");
    create_impression_user_event(&config, experiment, variation, &user)
}

fn conversion() -> UserEvent {
    let config = larkspur();
    let event: &Event = config.event_by_key("purchase").unwrap();
    let tags = Map::from_iter([("revenue".to_owned(), json!(4200)), ("value".to_owned(), json!(1.5))]);
    create_conversion_user_event(&config, event, &UserContext::new("visitor-1"), &tags)
}

#[test]
fn events_carry_all_that_the_seeds_carry() {
    let config: ProjectConfig = larkspur();
    let attribute: &Attribute = config.attribute_by_key("plan").unwrap();
    assert_eq!((attribute.id(), attribute.key()), ("20010", "plan"));
    let context: Arc<Context> = create_event_context(&config);
    assert_eq!(
        (context.account_id(), context.project_id(), context.revision()),
        ("10000001", "10000002", "42")
    );
    assert_eq!((context.client_name(), context.client_version()), ("go-sdk", "1.0.0-beta7"));
    assert!(context.anonymize_ip() && context.bot_filtering());

    let event = impression();
    let seen: ImpressionEvent<'_> = event.impression().unwrap();
    assert_eq!((seen.key(), seen.entity_id(), seen.campaign_id()), ("campaign_activated", "60011", "60011"));
    assert_eq!((seen.experiment_id(), seen.variation_id()), ("40011", Some("70111")));
    assert_eq!((event.visitor_id(), event.conversion()), ("visitor-1", None));
    assert!(event.timestamp_ms() > 1_700_000_000_000 && event.uuid().to_string().len() == 36);
    assert_eq!(event.context().revision(), "42");

    let event = conversion();
    let done: ConversionEvent<'_> = event.conversion().unwrap();
    assert_eq!(
        (done.key(), done.entity_id(), done.revenue(), done.value()),
        ("purchase", "30012", Some(4200), Some(1.5))
    );
    assert_eq!(Value::Object(done.tags()), json!({"revenue": 4200, "value": 1.5}));
}

#[test]
fn wire_types_have_all_that_the_seeds_have() {
    let event =
        impression().with_timestamp_ms(1_795_500_003_394).with_uuid("c280ad37-29a6-42e7-b126-0ebc7d56ab56");
    let batch: Batch = Batch::from_user_events(&[event]);
    let Visitor { attributes, snapshots, visitor_id, .. } = batch.visitors[0].clone();
    let Snapshot { decisions, events, .. } = snapshots[0].clone();
    assert_eq!(visitor_id, "visitor-1");
    let names = |attribute: &VisitorAttribute| {
        (attribute.entity_id.clone(), attribute.key.clone(), attribute.value.clone())
    };
    assert_eq!(
        attributes.iter().map(names).collect::<Vec<_>>(),
        [
            ("$opt_user_agent".into(), "$opt_user_agent".into(), json!("UA/1")),
            ("20010".into(), "plan".into(), json!("pro")),
            ("$opt_bot_filtering".into(), "$opt_bot_filtering".into(), json!(true)),
        ]
    );
    assert!(attributes.iter().all(|attribute| attribute.attribute_type == "custom"));
    assert_eq!(decisions, [Decision::new("60011", "40011", Some("70111"))]);
    assert_eq!(
        events,
        [SnapshotEvent::new(
            "60011",
            "campaign_activated",
            1_795_500_003_394,
            "c280ad37-29a6-42e7-b126-0ebc7d56ab56",
        )]
    );
}
