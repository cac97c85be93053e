//! Streams that are made, and checked: what each promises, and which setting breaks it.

use std::time::Duration;

use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use posthaste::queue::jetstream::{Fault, Holds, JetStream, JetStreamError, JetStreamOptions, Syncs};

use crate::{
    oracle::Oracle,
    servers::{Config, Servers},
    support::{SECOND, STREAM, open, options, small},
};

#[test]
fn streams_are_made_as_safe_as_asked_for() {
    let servers = Servers::one();
    let oracle = Oracle::at(&servers.urls());
    let asked = small(&servers).max_bytes(1 << 20).duplicate_window(SECOND * 300);
    let stream = open(asked);
    let made = oracle.info(STREAM).config;
    assert_eq!(
        (made.retention, made.storage, made.discard),
        (RetentionPolicy::WorkQueue, StorageType::File, DiscardPolicy::New)
    );
    assert_eq!((made.num_replicas, made.max_bytes, made.max_age), (1, 1 << 20, Duration::ZERO));
    assert_eq!((made.duplicate_window, made.no_ack), (SECOND * 300, false));
    let dead = oracle.info("events-dead").config;
    assert_eq!(
        (dead.retention, dead.storage, dead.discard),
        (RetentionPolicy::Limits, StorageType::File, DiscardPolicy::New)
    );
    assert_eq!((dead.max_bytes, dead.max_messages, dead.max_age), (-1, -1, Duration::ZERO));

    let report = stream.report().unwrap();
    let named: Vec<_> = report.findings.iter().map(|found| (found.stream.as_str(), found.setting)).collect();
    assert_eq!(named, [("events", "num_replicas"), ("events-dead", "num_replicas")], "{report}");
    let holds: Vec<Holds> = Fault::ALL.iter().map(|fault| report.holds(*fault)).collect();
    assert_eq!(holds, [Holds::Yes, Holds::Yes, Holds::Yes, Holds::No, Holds::Unknown], "{report}");
    let text = report.to_string();
    assert_eq!(text.lines().count(), 1 + 5 + 2, "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["promises"][3]["fault"], "server_lost");
    assert_eq!(json["promises"][3]["holds"], "no");
}

#[test]
fn one_server_alone_makes_no_stream_of_three_replicas_and_says_so_at_once() {
    let servers = Servers::one();
    let begun = std::time::Instant::now();
    let error = JetStream::open(options(&servers)).unwrap_err();
    assert!(matches!(error, JetStreamError::TooFewServers { replicas: 3, is_cluster: false, .. }), "{error}");
    assert!(error.to_string().contains("1 replica"), "{error}");
    assert!(begun.elapsed() < SECOND * 10);
}

#[test]
fn looking_makes_nothing() {
    let servers = Servers::one();
    let error = JetStream::inspect(small(&servers).connect_timeout(SECOND * 5)).unwrap_err();
    assert_eq!(error, JetStreamError::NoStream(STREAM.to_owned()));
    let oracle = Oracle::at(&servers.urls());
    assert!(oracle.run(async |context| context.get_stream(STREAM).await.is_err()));
}

#[test]
fn each_wrong_setting_of_a_stream_that_is_there_is_named() {
    let servers = Servers::one();
    let oracle = Oracle::at(&servers.urls());
    let good = |name: &str| stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        ..stream::Config::default()
    };
    let cases = [
        ("memory", stream::Config { storage: StorageType::Memory, ..good("memory") }, "storage"),
        ("limits", stream::Config { retention: RetentionPolicy::Limits, ..good("limits") }, "retention"),
        (
            "interest",
            stream::Config { retention: RetentionPolicy::Interest, ..good("interest") },
            "retention",
        ),
        ("old", stream::Config { discard: DiscardPolicy::Old, max_bytes: 1 << 20, ..good("old") }, "discard"),
        ("aging", stream::Config { max_age: SECOND * 3_600, ..good("aging") }, "max_age"),
        ("noack", stream::Config { no_ack: true, ..good("noack") }, "no_ack"),
        ("brief", stream::Config { duplicate_window: SECOND, ..good("brief") }, "duplicate_window"),
        ("few", stream::Config { max_messages_per_subject: 5, ..good("few") }, "max_msgs_per_subject"),
        ("other", stream::Config { subjects: vec!["elsewhere.*".to_owned()], ..good("other") }, "subjects"),
    ];
    for (name, config, setting) in cases {
        oracle.create(config);
        let options = JetStreamOptions::at(&servers.address(name)).unwrap().replicas(1);
        let report = JetStream::inspect(options).unwrap();
        let named: Vec<_> = report.findings.iter().map(|found| found.setting).collect();
        assert!(named.contains(&setting), "{name}: {report}");
        assert_eq!(named.len(), 2, "that and the number of replicas: {report}");
        assert!(!report.is_fine());
    }
}

#[test]
fn servers_say_at_their_monitoring_addresses_whether_they_sync_always() {
    for (syncs_always, sync, holds) in
        [(true, Syncs::Always, Holds::Yes), (false, Syncs::EveryMs(120_000), Holds::No)]
    {
        let servers = Servers::start(&Config { count: 1, syncs_always, ..Config::default() });
        let stream = open(small(&servers).monitors(servers.monitors()));
        let report = stream.report().unwrap();
        assert_eq!((&report.syncs[0].sync, report.syncs[0].server.as_str()), (&sync, "n1"), "{report}");
        assert_eq!(report.holds(Fault::AllLosePower), holds, "{report}");
    }
    let servers = Servers::one();
    let report = open(small(&servers).monitors(["http://127.0.0.1:1"])).report().unwrap();
    assert!(matches!(&report.syncs[0].sync, Syncs::Unknown(_)));
    assert_eq!(report.holds(Fault::AllLosePower), Holds::Unknown);
}

#[test]
fn notes_are_there_for_every_process() {
    let servers = Servers::one();
    let (one, other) = (open(small(&servers)), open(small(&servers)));
    assert!(other.notes().unwrap().is_empty());
    one.write_note("relay-1", "first").unwrap();
    one.write_note("relay-1", "second").unwrap();
    other.write_note("relay-2", "third").unwrap();
    let notes: Vec<_> = one.notes().unwrap().into_iter().collect();
    assert_eq!(notes, [("relay-1".to_owned(), "second".into()), ("relay-2".to_owned(), "third".into())]);
    one.remove_note("relay-2").unwrap();
    assert_eq!(other.notes().unwrap().len(), 1);
}
