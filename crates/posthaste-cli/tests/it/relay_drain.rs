//! A relay's folder when the relay is gone, and `posthaste torture` of a whole relay.

use serde_json::json;

use crate::{
    relays::{Mood, Relay, Sink, post},
    support::{Files, Ran, free_address, run},
};

/// A body with an event of this uuid, of this account.
fn body(account: &str, uuid: &str) -> String {
    json!({
        "account_id": account, "project_id": "p", "revision": "1", "client_name": "x", "client_version": "1",
        "anonymize_ip": true, "enrich_decisions": true,
        "visitors": [{"visitor_id": "v", "attributes": [], "snapshots": [{"decisions": [], "events": [
            {"entity_id": "3", "key": "buy", "timestamp": 1_795_559_589_561_i64, "uuid": uuid},
        ]}]}],
    })
    .to_string()
}

/// What a killed relay has left in a folder: 20 events for one sink, and 30 of account 2 for the other.
fn left(files: &Files, sink: &Sink, other: &Sink) -> String {
    let data = files.path("data");
    let tenants = format!(
        "upstream = {:?}\n[[tenant]]\nname = \"other\"\naccounts = [\"2\"]\nupstream = {:?}\n",
        sink.url, other.url
    );
    let config = files.write("relay.toml", tenants);
    sink.be(Mood::Answers(503));
    other.be(Mood::Answers(503));
    let relay = Relay::start(&["--config", &config, "--data", &data]);
    for number in 0..50 {
        let account = if number < 20 { "1" } else { "2" };
        let body = body(account, &format!("uuid-{number}"));
        assert_eq!(post(&relay.url, "application/json", body.as_bytes()), 204);
    }
    relay.kill();
    sink.be(Mood::Answers(204));
    other.be(Mood::Answers(204));
    data
}

/// How many events each tenant's drain says it delivered.
fn delivered(ran: &Ran) -> Vec<u64> {
    let reports = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    reports.filter_map(|report| report["total"]["delivered"].as_u64()).collect()
}

#[test]
fn a_relays_folder_is_drained_to_the_upstreams_that_are_recorded_and_only_once() {
    let (files, sink, other) = (Files::new(), Sink::start(), Sink::start());
    let data = left(&files, &sink, &other);
    let ran = run(&["spool", "drain", "--json", &data]);
    assert_eq!(delivered(ran.ended(0)), [20, 30], "{ran:?}");
    let uuids = |range: std::ops::Range<u32>| range.map(|number| (format!("uuid-{number}"), 1)).collect();
    assert_eq!((sink.uuids(), other.uuids()), (uuids(0..20), uuids(20..50)));
    let again = run(&["spool", "drain", "--json", &data]);
    assert_eq!(delivered(again.ended(0)), [0, 0], "{again:?}");
    assert_eq!((sink.uuids(), other.uuids()), (uuids(0..20), uuids(20..50)));
}

#[test]
fn another_endpoint_takes_a_relays_folder_only_as_a_whole() {
    let (files, sink, other, elsewhere) = (Files::new(), Sink::start(), Sink::start(), Sink::start());
    let data = left(&files, &sink, &other);
    let refused = run(&["spool", "drain", &data, "--endpoint", &elsewhere.url]);
    assert!(refused.ended(2).stderr.contains("--all-tenants"), "{refused:?}");
    assert!(elsewhere.bodies().is_empty());
    let ran = run(&["spool", "drain", "--json", &data, "--all-tenants", "--endpoint", &elsewhere.url]);
    assert_eq!(delivered(ran.ended(0)), [20, 30], "{ran:?}");
    assert_eq!(elsewhere.uuids().len(), 50);
    assert!(sink.bodies().is_empty() && other.bodies().is_empty());
}

#[test]
fn what_a_tortured_relay_answered_204_arrives() {
    let files = Files::new();
    let [listen, sink] = [free_address(), free_address()].map(|it| it.port().to_string());
    let data = files.path("data");
    let url = |port: &str| format!("http://127.0.0.1:{port}/v1/events");
    let ran = run(&[
        "torture",
        "--json",
        "--relay",
        &url(&listen),
        "--sink",
        &sink,
        "--events",
        "800",
        "--kills",
        "5",
        "--",
        env!("CARGO_BIN_EXE_posthaste"),
        "relay",
        "--listen",
        &listen,
        "--admin",
        "none",
        "--upstream",
        &url(&sink),
        "--data",
        &data,
    ]);
    let report = ran.ended(0).json();
    assert_eq!(
        (&report["ok"], &report["kills"], &report["fresh"]),
        (&true.into(), &5.into(), &"flowed".into())
    );
    for (name, number) in [("claimed", 801), ("lost", 0), ("invented", 0), ("altered", 0), ("waiting", 0)] {
        assert_eq!(report[name], number, "{name}: {report}");
    }
    assert_eq!(report["problems"], json!([]));
}
