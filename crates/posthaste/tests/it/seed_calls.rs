//! 430 calls of the Go package at v1.0.0-beta7, and the body that it made of each: ours is the same JSON.

use posthaste::{
    Batch, ProjectConfig, UserContext, UserEvent, create_conversion_user_event, create_impression_user_event,
};
use serde_json::{Map, Value};

use crate::support::{project, read};

struct Recorded {
    call: Value,
    body: Value,
    differences: Vec<String>,
}

fn calls() -> Vec<Recorded> {
    let text = read("go-sdk-1.0.0-beta7.calls.jsonl");
    let parse = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let differences = line.get("deliberate_difference").map(strings).unwrap_or_default();
        let body = serde_json::from_str(line["body"].as_str().unwrap()).unwrap();
        Recorded { call: line["call"].clone(), body, differences }
    };
    text.lines().map(parse).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn config(call: &Value) -> ProjectConfig {
    project(call["datafile"].as_str().unwrap()).with_client("go-sdk", "1.0.0-beta7").with_raw_ids_sent()
}

/// Makes the event of a call. The vectors write every time as 0 and every uuid as UUID.
fn event(config: &ProjectConfig, call: &Value) -> UserEvent {
    let mut user = UserContext::new(call["user_id"].as_str().unwrap());
    for (key, value) in call["attributes"].as_object().into_iter().flatten() {
        user = user.attribute(key, value.clone());
    }
    let made = if let Some(key) = call["experiment"].as_str() {
        let experiment = config.experiment_by_key(key).unwrap();
        let variation = experiment.variation_by_key(call["variation"].as_str().unwrap()).unwrap();
        create_impression_user_event(config, experiment, variation, &user)
    } else {
        let event = config.event_by_key(call["event"].as_str().unwrap()).unwrap();
        let tags = call["tags"].as_object().cloned().unwrap_or_default();
        create_conversion_user_event(config, event, &user, &tags)
    };
    made.with_timestamp_ms(0).with_uuid("UUID")
}

fn body(event: &UserEvent) -> Value {
    serde_json::to_value(Batch::from_user_events(std::slice::from_ref(event))).unwrap()
}

/// Equal as JSON, numbers by value: the seed writes 3.0 as 3.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn every_call_gives_the_seeds_body() {
    let calls = calls();
    assert_eq!(calls.len(), 430);
    let mut compared = 0;
    for Recorded { call, body: theirs, differences } in &calls {
        if differences.is_empty() {
            let ours = body(&event(&config(call), call));
            assert!(same(&ours, theirs), "{call}\nours   {ours}\ntheirs {theirs}");
            compared += 1;
        }
    }
    assert_eq!(compared, 299);
}

/// The marked calls differ in nothing but what their mark names: attributes that today's SDKs drop, or a revenue that is
/// none.
#[test]
fn marked_calls_differ_only_as_marked() {
    let marked: Vec<Recorded> = calls().into_iter().filter(|call| !call.differences.is_empty()).collect();
    assert_eq!(marked.len(), 131);
    for Recorded { call, body: mut theirs, differences } in marked {
        for difference in &differences {
            let visitor = &mut theirs["visitors"][0];
            match difference.as_str() {
                "attribute_validation" => {
                    // Of an attribute that the datafile does not have, even the seed sends nothing.
                    assert!(
                        call["attributes"]
                            .as_object()
                            .unwrap()
                            .values()
                            .any(|value| !todays_sdks_send(value))
                    );
                    let attributes = visitor["attributes"].as_array_mut().unwrap();
                    attributes.retain(|attribute| todays_sdks_send(&attribute["value"]));
                }
                "revenue_out_of_range" => {
                    let event = visitor["snapshots"][0]["events"][0].as_object_mut().unwrap();
                    let revenue = event.remove("revenue").expect("the seed sends one");
                    assert_eq!(revenue, Value::from(i64::MIN), "{call}");
                }
                other => panic!("unknown mark {other}"),
            }
        }
        let ours = body(&event(&config(&call), &call));
        assert!(same(&ours, &theirs), "{call}\nours   {ours}\ntheirs {theirs}");
    }
}

/// PROTOCOL 2.5, today's column.
fn todays_sdks_send(value: &Value) -> bool {
    const LIMIT: i64 = 1 << 53;
    match value {
        Value::String(_) | Value::Bool(_) => true,
        Value::Number(number) => match number.as_i64() {
            Some(integer) => (-LIMIT..=LIMIT).contains(&integer),
            None => number.as_f64().unwrap().abs() <= 9_007_199_254_740_992.0,
        },
        _ => false,
    }
}

/// The same field order, too: the recorded body of the Go package, from its own events, byte for byte but for the escapes
/// that only Go makes, its numbers' form, and its random order of attributes.
#[test]
fn fields_come_in_the_seeds_order() {
    for Recorded { call, differences, .. } in calls().iter().take(40) {
        assert!(differences.len() < 3);
        let event = event(&config(call), call);
        let text = serde_json::to_string(&Batch::from_user_events(std::slice::from_ref(&event))).unwrap();
        let order = [
            "\"revision\"",
            "\"account_id\"",
            "\"client_version\"",
            "\"visitors\"",
            "\"attributes\"",
            "\"snapshots\"",
            "\"decisions\"",
            "\"events\"",
            "\"timestamp\"",
            "\"uuid\"",
            "\"visitor_id\"",
            "\"project_id\"",
            "\"client_name\"",
            "\"anonymize_ip\"",
            "\"enrich_decisions\"",
        ];
        let places: Vec<usize> = order.iter().map(|field| text.find(field).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
}

/// What official SDKs send can be read and is written again without loss of anything that the types know.
#[test]
fn the_seeds_recorded_body_survives_reading_and_writing() {
    let text = read("go-sdk-1.0.0-beta7.body.json");
    let batch: Batch = serde_json::from_str(&text).unwrap();
    let ours = serde_json::to_value(&batch).unwrap();
    assert!(same(&ours, &serde_json::from_str(&text).unwrap()));
    assert_eq!(batch.visitors[1].snapshots[0].decisions, []);
    let empty = Map::new();
    assert_eq!(batch.visitors[0].snapshots[0].events[0].tags, empty);
}
