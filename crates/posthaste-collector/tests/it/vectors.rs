//! Requests that official SDKs really sent, against the datafiles that they had.

use posthaste::Batch;
use posthaste_collector::{BadEvent, Collector, CollectorOptions, Filter};
use serde_json::Value;

use crate::{
    larkspur::event,
    support::{TIMESTAMP, bytes, collector, collector_of, project, read},
};

fn requests(name: &str) -> Vec<Value> {
    read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The bytes of a body that is not UTF-8 or not JSON: each character is one byte.
fn raw_body(request: &Value) -> Vec<u8> {
    request["body_latin1"].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn deliver(collector: &Collector, name: &str) {
    for request in requests(name) {
        collector.receive(request["body"].as_str().unwrap().as_bytes());
    }
}

fn texts(event: &BadEvent) -> Vec<String> {
    event.problems.iter().map(|problem| format!("{}: {}", last(&problem.path), problem.problem)).collect()
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap()
}

#[test]
fn every_event_of_the_python_sdk_is_good() {
    let collector = collector_of("larkspur.json");
    deliver(&collector, "python-sdk-5.7.0.requests.jsonl");
    assert_eq!(collector.bad(&Filter::default()).iter().flat_map(texts).collect::<Vec<_>>(), [""; 0]);
    let ledger = collector.ledger();
    assert_eq!((ledger.requests, ledger.good, ledger.unique, ledger.duplicates), (15, 144, 144, 0));
}

/// The program passes `true` and `false` as revenue and value; the SDK sends the boolean on as `value`, which the
/// API documents as a number.
#[test]
fn every_event_of_the_javascript_sdk_is_good_but_three_with_a_boolean_value() {
    let collector = collector_of("larkspur.json");
    deliver(&collector, "javascript-sdk-6.6.1-node.requests.jsonl");
    let bad = collector.bad(&Filter::default());
    assert_eq!(
        bad.iter().flat_map(texts).collect::<Vec<_>>(),
        ["value: expected a number, found boolean false"; 3]
    );
    let ledger = collector.ledger();
    assert_eq!((ledger.requests, ledger.good, ledger.unique, ledger.duplicates), (15, 141, 144, 0));
}

#[test]
fn every_event_of_the_go_sdk_is_good_old_and_new() {
    for (name, events) in [("go-sdk-1.0.0-beta7.body.json", 3), ("go-sdk-2.4.0.bodies.json", 6)] {
        let collector = collector_of("datafiles/example.json");
        for body in read(name).lines() {
            assert_eq!(collector.receive(body.as_bytes()).problems, [], "{name}");
        }
        assert_eq!(collector.ledger().good, events, "{name}");
    }
}

/// The seed lets lists and objects through as attributes. It has no other fault in 430 calls.
#[test]
fn every_call_of_the_seed_is_good_unless_an_attribute_is_a_list_or_an_object() {
    let mut bad = 0;
    for (at, call) in requests("go-sdk-1.0.0-beta7.calls.jsonl").iter().enumerate() {
        let config = project(call["call"]["datafile"].as_str().unwrap());
        let mut body: Value = serde_json::from_str(call["body"].as_str().unwrap()).unwrap();
        // The vectors write every time as 0 and every uuid as UUID.
        let event = body.pointer_mut("/visitors/0/snapshots/0/events/0").unwrap();
        event["timestamp"] = Value::from(TIMESTAMP);
        let attributes = body.pointer("/visitors/0/attributes").unwrap().as_array().unwrap();
        let faults = attributes.iter().filter(|a| a["value"].is_array() || a["value"].is_object()).count();
        let problems = posthaste::judge::judge_batch(&bytes(&body), Some(&config)).problems;
        assert_eq!(problems.len(), faults, "call {at}: {problems:?}");
        bad += faults;
    }
    assert_eq!(bad, 45);
}

#[test]
fn a_latin_1_body_of_the_java_sdk_is_bad_at_its_first_such_byte() {
    for request in requests("java-sdk-4.3.1.requests.jsonl") {
        let body = raw_body(&request);
        let at = body.iter().position(|byte| *byte == 0xE9).unwrap();
        let collector = collector();
        let received = collector.receive(&body);
        assert_eq!((received.good, received.bad), (0, 1));
        let expected = format!("not UTF-8: byte 0xE9 at byte {at} (line 1, column {})", at + 1);
        assert_eq!(collector.bad(&Filter::default())[0].problems[0].problem, expected);
    }
}

#[test]
fn a_body_of_the_java_sdk_in_utf_8_is_good() {
    let collector = collector_of("datafiles/example.json");
    for request in requests("java-sdk-4.3.1.requests.jsonl") {
        collector.receive(request["body_latin1"].as_str().unwrap().as_bytes());
    }
    assert_eq!(collector.bad(&Filter::default()).iter().flat_map(texts).collect::<Vec<_>>(), [""; 0]);
    assert!(collector.ledger().good > 0);
}

#[test]
fn a_body_of_the_python_sdk_with_a_bare_nan_is_bad_there() {
    for request in requests("python-sdk-awkward.requests.jsonl") {
        let body = raw_body(&request);
        let text = String::from_utf8(body.clone()).unwrap();
        let at = ["NaN", "Infinity", "-Infinity"].iter().filter_map(|token| text.find(token)).min().unwrap();
        let collector = collector();
        let received = collector.receive(&body);
        assert_eq!((received.good, received.bad), (0, 1));
        let problem = &collector.bad(&Filter::default())[0].problems[0].problem;
        assert!(problem.contains(&format!("at byte {at} (line 1, column {})", at + 1)), "{problem}");
    }
}

#[test]
fn what_posthaste_makes_is_good_and_known_when_it_comes_again() {
    let config = project("larkspur.json");
    let events: Vec<_> = requests("larkspur.events.jsonl").iter().map(|line| event(&config, line)).collect();
    let collector =
        Collector::new(CollectorOptions { config: Some(config), strict: true, ..Default::default() });
    for _ in 0..2 {
        for batch in events.chunks(100) {
            let body = serde_json::to_vec(&Batch::from_user_events(batch)).unwrap();
            assert_eq!(collector.receive(&body).problems, []);
        }
    }
    let ledger = collector.ledger();
    assert_eq!((ledger.good, ledger.unique, ledger.duplicates), (1_699, 1_699, 1_699));
    let of = |key: &str| collector.good(&Filter { key: Some(key.to_owned()), ..Filter::default() }).len();
    assert_eq!((of("campaign_activated"), of("add_to_basket"), of("purchase")), (1_100, 480, 119));
}
