//! What is kept has a bound, and repeats are told.

use posthaste::judge::ProblemKind;
use posthaste_collector::{Collector, CollectorLedger, CollectorOptions, EVENTS_PER_BODY_MAX, Filter};
use serde_json::{Value, json};

use crate::support::{batch, bytes, collector, conversion, impression};

fn uuids(collector: &Collector) -> Vec<String> {
    collector.good(&Filter::default()).into_iter().map(|event| event.uuid).collect()
}

fn send(collector: &Collector, uuid: &str) {
    collector.receive(&bytes(&batch(&[conversion("ann", uuid)])));
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let collector = Collector::new(CollectorOptions { events_max: 3, ..CollectorOptions::default() });
    for uuid in ["u-1", "u-2", "u-3", "u-4", "u-5"] {
        send(&collector, uuid);
    }
    assert_eq!(uuids(&collector), ["u-3", "u-4", "u-5"]);
    let expected =
        CollectorLedger { requests: 5, events: 5, good: 5, unique: 5, forgotten: 2, ..Default::default() };
    assert_eq!(collector.ledger(), expected);
    // A forgotten event cannot be recognised; a kept one is.
    send(&collector, "u-1");
    send(&collector, "u-5");
    assert_eq!((collector.ledger().good, collector.ledger().duplicates), (6, 1));
}

#[test]
fn a_repeat_is_counted_and_not_kept_twice() {
    let collector = collector();
    let body = bytes(&batch(&[impression("ann", "u-1"), conversion("ann", "u-2"), conversion("ann", "u-2")]));
    let first = collector.receive(&body);
    assert_eq!((first.good, first.duplicates), (2, 1));
    let again = collector.receive(&body);
    assert_eq!((again.good, again.duplicates), (0, 3));
    let expected = CollectorLedger {
        requests: 2,
        events: 6,
        good: 2,
        unique: 2,
        duplicates: 4,
        ..CollectorLedger::default()
    };
    assert_eq!(collector.ledger(), expected);
    assert_eq!(uuids(&collector), ["u-1", "u-2"]);
}

#[test]
fn entity_uuid_and_timestamp_make_the_difference() {
    let collector = collector();
    for (field, value) in
        [("entity_id", json!("30013")), ("timestamp", json!(1_795_500_003_395_i64)), ("uuid", json!("U-2"))]
    {
        let mut other = conversion("ann", "u-2");
        other["snapshots"][0]["events"][0][field] = value;
        collector.receive(&bytes(&batch(&[conversion("ann", "u-2"), other])));
    }
    assert_eq!((collector.ledger().good, collector.ledger().duplicates), (4, 2));
}

#[test]
fn a_bad_event_that_comes_again_repaired_is_good() {
    let collector = collector();
    let mut bad = conversion("ann", "u-2");
    bad["snapshots"][0]["events"][0]["revenue"] = json!("42");
    collector.receive(&bytes(&batch(&[bad])));
    collector.receive(&bytes(&batch(&[conversion("ann", "u-2")])));
    let ledger = collector.ledger();
    assert_eq!((ledger.good, ledger.bad, ledger.unique, ledger.duplicates), (1, 1, 1, 0));
}

#[test]
fn reset_forgets_events_counts_and_repeats() {
    let collector = collector();
    send(&collector, "u-1");
    collector.reset();
    assert_eq!(collector.ledger(), CollectorLedger::default());
    assert_eq!(collector.all(&Filter::default()).len(), 0);
    send(&collector, "u-1");
    assert_eq!((collector.ledger().good, collector.ledger().duplicates), (1, 0));
}

#[test]
fn a_body_of_too_many_events_is_one_bad_body() {
    let collector = collector();
    let visitors = vec![Value::Null; EVENTS_PER_BODY_MAX + 1];
    let received = collector.receive(&bytes(&batch(&visitors)));
    assert_eq!((received.bad, received.problems.len()), (1, 1));
    assert_eq!(received.problems[0].to_string(), "body: holds more than 100000 events; send several bodies");
}

#[test]
fn a_visitor_of_a_megabyte_with_thousands_of_events_is_one_bad_body() {
    let collector = collector();
    let mut visitor = conversion(&"x".repeat(1_000_000), "u-1");
    let event = visitor["snapshots"][0]["events"][0].clone();
    visitor["snapshots"][0]["events"] = Value::from(vec![event; 5_000]);
    let received = collector.receive(&bytes(&batch(&[visitor])));
    assert_eq!((received.good, received.bad), (0, 1));
    assert_eq!(received.problems[0].kind, ProblemKind::BodyTooLarge);
}

#[test]
fn strict_keeps_nothing_good_of_a_bad_body() {
    let collector = Collector::new(CollectorOptions { strict: true, ..CollectorOptions::default() });
    let mut bad = conversion("ann", "u-2");
    bad["snapshots"][0]["events"][0]["value"] = json!(true);
    let refused = collector.receive(&bytes(&batch(&[impression("ann", "u-1"), bad])));
    assert_eq!((refused.refused, refused.good, refused.bad), (true, 0, 1));
    let taken = collector.receive(&bytes(&batch(&[impression("ann", "u-1")])));
    assert_eq!((taken.refused, taken.good, taken.duplicates), (false, 1, 0));
}

#[test]
fn a_long_text_is_kept_in_part() {
    let collector = collector();
    let mut bad = conversion("ann", "");
    bad["snapshots"][0]["events"][0]["tags"]["long"] = json!("é".repeat(100_000));
    collector.receive(&bytes(&batch(&[bad])));
    collector.receive("é".repeat(100_000).as_bytes());
    for event in collector.bad(&Filter::default()) {
        let text: String = serde_json::from_str(event.event.get()).unwrap();
        assert!((8_000..=8_195).contains(&text.len()), "{}", text.len());
    }
}
