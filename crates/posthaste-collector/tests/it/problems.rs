//! Every kind of problem: what is changed in a good body, and what is said of it.

use posthaste::judge::{PROBLEMS_PER_BODY_MAX, PROBLEMS_PER_PART_MAX};
use posthaste_collector::Filter;
use serde_json::{Value, json};

use crate::support::{TIMESTAMP, batch, bytes, collector, conversion, impression};

const VISITOR: &str = "/visitors/0";
const EVENT: &str = "/visitors/0/snapshots/0/events/0";
const DECISIONS: &str = "/visitors/0/snapshots/0/decisions";

/// A body with one impression (visitor 0) and one conversion (visitor 1), `field` of the object at `at` replaced, or
/// removed where `value` is `None`.
fn changed(at: &str, field: &str, value: Option<Value>) -> Value {
    let mut body = batch(&[impression("ann", "u-1"), conversion("ann", "u-2")]);
    let object = body.pointer_mut(at).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(object.insert(field.to_owned(), value)),
        None => drop(object.remove(field)),
    }
    body
}

#[test]
fn a_good_body_has_no_problems() {
    let body = bytes(&batch(&[impression("ann", "u-1"), conversion("ann", "u-2")]));
    assert_eq!(posthaste::judge::judge_batch(&body, None).problems, []);
}

#[test]
fn each_fault_is_named_with_its_place_and_a_fix() {
    let event = "visitors[0].snapshots[0].events[0]";
    let attribute = "visitors[0].attributes[0]";
    let cases = [
        ("", "account_id", None, "account_id: expected a string, found nothing; send the datafile's accountId, in quotes".to_owned()),
        ("", "account_id", Some(json!(10_000_001)), "account_id: expected a string, found number 10000001; send the datafile's accountId, in quotes".to_owned()),
        ("", "account_id", Some(json!(" ")), "account_id: only blanks; send the datafile's accountId, in quotes".to_owned()),
        ("", "project_id", Some(json!("\t\u{a0}")), "project_id: only blanks; send the datafile's projectId, in quotes, or leave it out".to_owned()),
        ("", "account_id", Some(json!("")), "account_id: empty; send the datafile's accountId, in quotes".to_owned()),
        ("", "project_id", Some(json!(5)), "project_id: expected a string, found number 5; put it in quotes: ids and names are strings, or leave it out".to_owned()),
        ("", "anonymize_ip", Some(json!("yes")), "anonymize_ip: expected a boolean, found string \"yes\"; send true or false, or leave it out".to_owned()),
        ("", "visitors", None, "visitors: expected a list, found nothing; list the visitors, one for each event".to_owned()),
        ("", "visitors", Some(json!({})), "visitors: expected a list, found an object of 0 fields; list the visitors, one for each event".to_owned()),
        ("", "visitors", Some(json!(["ann"])), "visitors[0]: expected an object, found string \"ann\"; send visitor_id, attributes and snapshots".to_owned()),
        (VISITOR, "visitor_id", None, "visitors[0].visitor_id: expected a string, found nothing; send the user's id, in quotes".to_owned()),
        (VISITOR, "visitor_id", Some(json!(17)), "visitors[0].visitor_id: expected a string, found number 17; send the user's id, in quotes".to_owned()),
        (VISITOR, "attributes", Some(json!({"plan": "pro"})), "visitors[0].attributes: expected a list, found an object of 1 field; send a list, or leave it out".to_owned()),
        (VISITOR, "attributes", Some(json!(["plan"])), format!("{attribute}: expected an object, found string \"plan\"; send entity_id, key, type and value")),
        (VISITOR, "snapshots", None, "visitors[0].snapshots: expected a list, found nothing; list the snapshots, one for each event".to_owned()),
        (VISITOR, "snapshots", Some(json!([null])), "visitors[0].snapshots[0]: expected an object, found nothing; send decisions and events".to_owned()),
        (VISITOR, "snapshots", Some(json!([{}])), "visitors[0].snapshots[0].events: expected a list, found nothing; list the events".to_owned()),
        ("/visitors/0/snapshots/0", "events", Some(json!([7])), format!("{event}: expected an object, found number 7; send entity_id, key, timestamp and uuid")),
        ("/visitors/0/snapshots/0", "decisions", Some(json!("60011")), "visitors[0].snapshots[0].decisions: expected a list, found string \"60011\"; send a list, or leave it out".to_owned()),
        (&format!("{DECISIONS}/0"), "variation_id", Some(json!(70_112)), "visitors[0].snapshots[0].decisions[0].variation_id: expected a string, found number 70112; put it in quotes: ids and names are strings, or leave it out".to_owned()),
        ("/visitors/0/attributes/0", "type", None, format!("{attribute}.type: expected a string, found nothing; send \"custom\", which attributes of a project are")),
        ("/visitors/0/attributes/0", "entity_id", None, format!("{attribute}.entity_id: expected a string, found nothing; send the attribute's id and key as the datafile has them")),
        ("/visitors/0/attributes/0", "key", Some(json!("")), format!("{attribute}.key: empty; send the attribute's id and key as the datafile has them")),
        ("", "project_id", Some(json!("")), "project_id: empty; send the datafile's projectId, in quotes, or leave it out".to_owned()),
        ("/visitors/0/attributes/0", "value", None, format!("{attribute}.value: expected a string, a number or a boolean, found nothing; leave the attribute out where it has no such value")),
        ("/visitors/0/attributes/0", "value", Some(json!([1, 2])), format!("{attribute}.value: expected a string, a number or a boolean, found a list of 2; leave the attribute out where it has no such value")),
        ("/visitors/0/attributes/0", "value", Some(json!({"a": 1})), format!("{attribute}.value: expected a string, a number or a boolean, found an object of 1 field; leave the attribute out where it has no such value")),
        ("/visitors/0/attributes/0", "entity_id", Some(json!(20_010)), format!("{attribute}.entity_id: expected a string, found number 20010; send the attribute's id and key as the datafile has them")),
        (EVENT, "uuid", None, format!("{event}.uuid: expected a string, found nothing; make a random uuid once, and keep it when sending again")),
        (EVENT, "uuid", Some(json!("")), format!("{event}.uuid: empty; make a random uuid once, and keep it when sending again")),
        (EVENT, "timestamp", None, format!("{event}.timestamp: expected an integer, found nothing; send milliseconds since 1970 as a number without quotes or fraction")),
        (EVENT, "timestamp", Some(json!("1795500003394")), format!("{event}.timestamp: expected an integer, found string \"1795500003394\"; send milliseconds since 1970 as a number without quotes or fraction")),
        (EVENT, "timestamp", Some(json!(1_795_500_003_394.5)), format!("{event}.timestamp: expected an integer, found number 1795500003394.5; send milliseconds since 1970 as a number without quotes or fraction")),
        (EVENT, "timestamp", Some(json!(1_795_500_003)), format!("{event}.timestamp: not milliseconds since 1970: 1795500003 looks like seconds; multiply by 1000")),
        (EVENT, "timestamp", Some(json!(1_795_500_003_394_000_i64)), format!("{event}.timestamp: not milliseconds since 1970: 1795500003394000 looks like microseconds; divide by 1000")),
        (EVENT, "timestamp", Some(json!(1_795_500_003_394_000_000_i64)), format!("{event}.timestamp: not milliseconds since 1970: 1795500003394000000 looks like nanoseconds; divide by 1000000")),
        (EVENT, "timestamp", Some(json!(0)), format!("{event}.timestamp: not milliseconds since 1970: 0 does not have 13 digits; send the time of the event in milliseconds, UTC")),
        (EVENT, "timestamp", Some(json!(-1_795_500_003_394_i64)), format!("{event}.timestamp: not milliseconds since 1970: -1795500003394 does not have 13 digits; send the time of the event in milliseconds, UTC")),
        (EVENT, "key", Some(json!(1)), format!("{event}.key: expected a string, found number 1; put it in quotes: ids and names are strings, or leave it out")),
        (EVENT, "entity_id", Some(json!("60012")), format!("{event}.entity_id: string \"60012\" is not a decision's campaign_id: \"60011\"; send the campaign_id of the decision that the impression reports")),
        (EVENT, "tags", Some(json!([])), format!("{event}.tags: expected an object, found a list of 0; send tags by name, or leave them out")),
        (EVENT, "revenue", Some(json!(4.5)), format!("{event}.revenue: expected an integer, found number 4.5; send the currency's smallest unit, as 64 bits can hold")),
        (EVENT, "revenue", Some(json!("42")), format!("{event}.revenue: expected an integer, found string \"42\"; send the currency's smallest unit, as 64 bits can hold")),
        (EVENT, "revenue", Some(json!(u64::MAX)), format!("{event}.revenue: expected an integer, found number 18446744073709551615; send the currency's smallest unit, as 64 bits can hold")),
        (EVENT, "value", Some(json!(true)), format!("{event}.value: expected a number, found boolean true; send a number without quotes, or leave it out")),
    ];
    for (at, field, value, expected) in cases {
        let body = changed(at, field, value);
        let problems = posthaste::judge::judge_batch(&bytes(&body), None).problems;
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [expected], "{body}");
    }
}

#[test]
fn what_official_sdks_leave_out_or_add_is_no_problem() {
    let cases = [
        ("", "project_id", None),
        ("", "region", Some(json!("EU"))),
        ("", "something_new", Some(json!([1, {"a": null}]))),
        (VISITOR, "visitor_id", Some(json!(""))),
        (VISITOR, "attributes", None),
        (VISITOR, "attributes", Some(json!([]))),
        (VISITOR, "session_id", Some(json!("s"))),
        ("/visitors/0/attributes/0", "type", Some(json!("standard"))),
        ("/visitors/0/attributes/0", "value", Some(json!(""))),
        ("/visitors/0/attributes/0", "value", Some(json!(false))),
        ("/visitors/0/attributes/0", "value", Some(json!(-12.5e30))),
        (DECISIONS, "", None),
        (&format!("{DECISIONS}/0"), "variation_id", Some(Value::Null)),
        (&format!("{DECISIONS}/0"), "variation_id", Some(json!(""))),
        (&format!("{DECISIONS}/0"), "experiment_id", None),
        (&format!("{DECISIONS}/0"), "is_campaign_holdback", Some(json!(false))),
        ("/visitors/1/snapshots/0", "decisions", Some(json!([]))),
        (EVENT, "type", Some(json!("campaign_activated"))),
        (EVENT, "tags", Some(Value::Null)),
        (EVENT, "tags", Some(json!({"deep": {"list": [null]}}))),
        (EVENT, "revenue", Some(json!(i64::MIN))),
        (EVENT, "value", Some(json!(3))),
        (EVENT, "uuid", Some(json!("C280AD37-29A6-42E7-B126-0EBC7D56AB56"))),
    ];
    for (at, field, value) in cases {
        let body = match at {
            DECISIONS => changed("/visitors/0/snapshots/0", "decisions", None),
            at => changed(at, field, value),
        };
        assert_eq!(posthaste::judge::judge_batch(&bytes(&body), None).problems, [], "{body}");
    }
}

#[test]
fn a_missing_campaign_may_be_null_or_empty_or_absent() {
    let cases = [json!(null), json!("")];
    for (entity, campaign) in cases.iter().flat_map(|a| cases.iter().map(move |b| (a, b))) {
        let mut body = changed(EVENT, "entity_id", Some(entity.clone()));
        body.pointer_mut(DECISIONS).unwrap()[0]["campaign_id"] = campaign.clone();
        assert_eq!(posthaste::judge::judge_batch(&bytes(&body), None).problems, [], "{body}");
    }
}

#[test]
fn a_body_that_is_not_json_is_bad_as_a_whole_and_says_where() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "body: empty; send a JSON object"),
        (b"null", "body: expected an object, found nothing; send an object with account_id and visitors"),
        (b"[]", "body: expected an object, found a list of 0; send an object with account_id and visitors"),
        (
            b"{\"a\": \"\xe9\"}",
            "body: not UTF-8: byte 0xE9 at byte 7 (line 1, column 8); encode the body as UTF-8; the Java SDK sends ISO-8859-1 unless it has another event handler",
        ),
        (
            b"{\n  \"a\": NaN}",
            "body: not JSON: NaN at byte 9 (line 2, column 8); send a finite number or leave it out; the Python SDK passes on what event tags hold",
        ),
        (
            b"{\"a\": [1, -Infinity]}",
            "body: not JSON: -Infinity at byte 10 (line 1, column 11); send a finite number or leave it out; the Python SDK passes on what event tags hold",
        ),
        (
            b"{\"a\": Infinity}",
            "body: not JSON: Infinity at byte 6 (line 1, column 7); send a finite number or leave it out; the Python SDK passes on what event tags hold",
        ),
        (
            b"{\"account_id\": \"1",
            "body: not JSON: ends in the middle, at byte 17 (line 1, column 18); send the whole body; JavaScript SDKs before 6.5.0 count characters for its length, not bytes",
        ),
        (
            b"{} trailing",
            "body: not JSON: trailing characters at byte 3 (line 1, column 4); send one JSON object, without anything around it",
        ),
    ];
    for (body, expected) in cases {
        let collector = collector();
        let received = collector.receive(body);
        assert_eq!(received.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        let bad = collector.bad(&Filter::default());
        assert_eq!((received.bad, bad.len(), bad[0].problems.len()), (1, 1, 1));
    }
}

#[test]
fn one_bad_event_leaves_the_others_good() {
    let mut visitors = [impression("ann", "u-1"), conversion("ann", "u-2"), conversion("bob", "u-3")];
    visitors[1]["snapshots"][0]["events"][0]["timestamp"] = json!(1_795_500_003);
    let collector = collector();
    let received = collector.receive(&bytes(&batch(&visitors)));
    assert_eq!((received.good, received.bad), (2, 1));
    let bad = &collector.bad(&Filter::default())[0];
    assert_eq!((bad.visitor_id.as_deref(), bad.uuid.as_deref()), (Some("ann"), Some("u-2")));
    assert_eq!((bad.key.as_deref(), bad.timestamp), (Some("purchase"), Some(1_795_500_003)));
    assert_eq!(bad.problems[0].path, "visitors[1].snapshots[0].events[0].timestamp");
    let event: Value = serde_json::from_str(bad.event.get()).unwrap();
    assert_eq!(event, visitors[1]["snapshots"][0]["events"][0]);
}

#[test]
fn a_fault_condemns_what_stands_beneath_it() {
    let envelope = changed("", "account_id", None);
    let visitor = changed(VISITOR, "visitor_id", None);
    for (body, good, bad) in [(envelope, 0, 2), (visitor, 1, 1)] {
        let received = collector().receive(&bytes(&body));
        assert_eq!((received.good, received.bad, received.problems.len()), (good, bad, 1), "{body}");
    }
}

#[test]
fn a_fault_without_events_beneath_it_is_kept_too() {
    let cases = [
        json!({"visitors": []}),
        json!({"account_id": "1", "visitors": [{"snapshots": []}]}),
        json!({"account_id": "1", "visitors": [{"visitor_id": "ann", "snapshots": [{"decisions": 1, "events": []}]}]}),
    ];
    for body in cases {
        let received = collector().receive(&bytes(&body));
        assert_eq!((received.good, received.bad, received.problems.len()), (0, 1, 1), "{body}");
    }
}

#[test]
fn a_body_without_events_is_a_problem_of_the_body() {
    for visitors in [json!([]), json!([{"visitor_id": "ann", "snapshots": []}])] {
        let received = collector().receive(&bytes(&json!({"account_id": "1", "visitors": visitors})));
        assert_eq!((received.good, received.bad, received.problems.len()), (0, 1, 1));
        assert!(received.problems[0].to_string().starts_with("body: holds no events"));
    }
}

#[test]
fn a_good_event_keeps_its_fields() {
    let collector = collector();
    collector.receive(&bytes(&batch(&[impression("ann", "u-1"), conversion("", "u-2")])));
    let mut found = serde_json::to_value(collector.good(&Filter::default())).unwrap();
    for event in found.as_array_mut().unwrap() {
        assert!(event.as_object_mut().unwrap().remove("received_ms").unwrap().is_i64());
    }
    let expected = json!([
        {
            "account_id": "10000001", "project_id": "10000002", "revision": "42",
            "client_name": "posthaste", "client_version": "0.1.0",
            "visitor_id": "ann", "uuid": "u-1", "timestamp": 1_795_500_003_394_i64,
            "key": "campaign_activated", "is_impression": true, "entity_id": "60011",
            "campaign_id": "60011", "experiment_id": "40011", "variation_id": "70112",
            "tags": {}, "revenue": null, "value": null, "attributes": {"plan": "pro"},
            "id": 1, "request": 1, "verdict": "good", "words": "visitor ann saw 70112 of 40011",
        },
        {
            "account_id": "10000001", "project_id": "10000002", "revision": "42",
            "client_name": "posthaste", "client_version": "0.1.0",
            "visitor_id": "", "uuid": "u-2", "timestamp": 1_795_500_003_399_i64,
            "key": "purchase", "is_impression": false, "entity_id": "30012",
            "campaign_id": null, "experiment_id": null, "variation_id": null,
            "tags": {"revenue": 4200, "value": 1.5, "sku": "A1"}, "revenue": 4200, "value": 1.5,
            "attributes": {}, "id": 2, "request": 1, "verdict": "good",
            "words": "a visitor without an id did purchase (revenue 4200)",
        },
    ]);
    assert_eq!(found, expected);
}

#[test]
fn problems_are_bounded_and_never_down_to_none() {
    let attribute = json!({"entity_id": 1, "key": 2, "type": 3, "value": null});
    let many: Vec<_> = (0..500)
        .map(|at| {
            let mut visitor = conversion("ann", &format!("u-{at}"));
            visitor["attributes"] = Value::from(vec![attribute.clone(); 20]);
            visitor
        })
        .collect();
    let collector = collector();
    let received = collector.receive(&bytes(&batch(&many)));
    assert_eq!((received.bad, received.good), (500, 0));
    assert_eq!(received.problems.len(), PROBLEMS_PER_BODY_MAX);
    for event in collector.bad(&Filter::default()) {
        assert_eq!(event.problems.len(), PROBLEMS_PER_PART_MAX);
    }
}

/// What comes later in time than it should is told with whichever of the two came in last, and counts all the same.
#[test]
fn a_conversion_before_its_decision_is_told_with_the_event_whichever_comes_in_first() {
    let at = |mut visitor: Value, timestamp: i64| {
        visitor["snapshots"][0]["events"][0]["timestamp"] = timestamp.into();
        bytes(&batch(&[visitor]))
    };
    let early = at(conversion("ann", "u-2"), TIMESTAMP - 5);
    let late = at(impression("ann", "u-1"), TIMESTAMP);
    for (bodies, odd, said) in [
        ([&late, &early], "u-2", "this conversion is 5 ms earlier than the first decision"),
        ([&early, &late], "u-1", "is 5 ms later than the conversion"),
    ] {
        let collector = collector();
        for body in bodies {
            assert_eq!(collector.receive(body).good, 1);
        }
        let events = collector.good(&Filter::default());
        let warned: Vec<_> = events.iter().filter(|event| !event.warnings.is_empty()).collect();
        assert_eq!((warned.len(), warned[0].uuid.as_str(), warned[0].warnings.len()), (1, odd, 1));
        assert!(warned[0].warnings[0].problem.contains(said), "{}", warned[0].warnings[0]);
        let ledger = collector.ledger();
        assert_eq!((ledger.good, ledger.warned, ledger.too_early), (2, 1, 1));
    }
    // In order, or of another visitor, nothing is said.
    let collector = collector();
    for body in
        [&late, &at(conversion("ann", "u-3"), TIMESTAMP), &at(conversion("bob", "u-4"), TIMESTAMP - 5)]
    {
        collector.receive(body);
    }
    assert_eq!((collector.ledger().warned, collector.ledger().too_early), (0, 0));
}
