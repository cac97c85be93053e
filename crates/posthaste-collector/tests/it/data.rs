//! What is told of events that were kept: lists, one event, sessions, files.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use posthaste_collector::{Collector, CollectorOptions, Filter, Record, Verdict};
use serde_json::{Value, json};

use crate::support::{
    Answer, Server, TIMESTAMP, batch, bytes, collector, collector_of, conversion, impression, read,
};

/// An impression with a flag, a conversion, a conversion that is odd, and one that is bad; of two visitors.
fn four() -> Vec<u8> {
    let mut seen = impression("ann", "u-1");
    seen["snapshots"][0]["decisions"][0]["metadata"] = json!({"flag_key": "checkout", "rule_key": "checkout_button", "rule_type": "experiment", "variation_key": "green_button", "enabled": true});
    let mut odd = conversion("bob \"the\" Ünique", "u-3");
    odd["snapshots"][0]["events"][0]["tags"]["revenue"] = json!("12.50");
    let mut late = conversion("bob \"the\" Ünique", "u-4");
    late["snapshots"][0]["events"][0]["timestamp"] = json!(1_795_500_003);
    bytes(&batch(&[seen, conversion("ann", "u-2"), odd, late]))
}

fn ids(answer: &Answer) -> Vec<u64> {
    answer.json().as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

fn lines(answer: &Answer) -> Vec<&str> {
    str::from_utf8(&answer.body).unwrap().lines().collect()
}

async fn delete(server: &Server, path: &str) {
    assert_eq!(server.send(Method::POST, path, &[], b"").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_record_says_what_it_is_in_words_and_in_one_word() {
    let server = Server::start(collector_of("larkspur.json")).await;
    server.post(&[], &four()).await;
    let all = server.get("/all").await.json();
    let told: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["id"].as_u64().unwrap(),
                event["verdict"].as_str().unwrap(),
                event["words"].as_str().unwrap(),
            )
        })
        .collect();
    let bob = r#"visitor bob "the" Ünique did purchase (revenue 4200)"#;
    let expected = [
        (1, "good", "visitor ann saw green_button of checkout_button"),
        (2, "good", "visitor ann did purchase (revenue 4200)"),
        (3, "warned", bob),
        (4, "bad", bob),
    ];
    assert_eq!(told, expected);
    assert_eq!((&all[0]["flag"], &all[1]["flag"]), (&json!("checkout"), &Value::Null));
    assert_eq!((&all[3]["client_name"], &all[3]["request"]), (&json!("posthaste"), &json!(1)));
    assert!(all[0].get("repeats").is_none() && all[0].get("session").is_none());
    server.post(&[], &four()).await;
    assert_eq!(server.get("/good?uuid=u-1").await.json()[0]["repeats"], 1);
}

#[tokio::test]
async fn filters_pick_by_what_an_event_says() {
    let server = Server::start(collector_of("larkspur.json")).await;
    server.post(&[], &four()).await;
    let session = [("X-Posthaste-Session", "s-1")];
    server.post(&session, &bytes(&batch(&[conversion("annabel", "u-5")]))).await;
    let cases: [(&str, &[u64]); 22] = [
        ("/all?variation=70112", &[1]),
        ("/all?variation=green_button", &[1]),
        ("/all?variation=blue_button", &[]),
        ("/all?experiment=checkout_button&variation=green_button", &[1]),
        ("/all?flag=checkout", &[1]),
        ("/all?problem=timestamp-in-seconds", &[4]),
        ("/all?problem=revenue-not-an-integer", &[3]),
        ("/all?problem=no-such-kind", &[]),
        ("/all?session=s-1", &[5]),
        ("/all?session=s-2", &[]),
        ("/all?verdict=warned", &[3]),
        ("/good", &[1, 2, 3, 5]),
        ("/bad", &[4]),
        ("/all?visitor=ann*", &[1, 2, 5]),
        ("/all?visitor=ann", &[1, 2]),
        ("/all?q=GREEN_button", &[1]),
        ("/all?q=the%22%20%C3%BC", &[3, 4]),
        ("/all?order=newest", &[5, 4, 3, 2, 1]),
        ("/all?order=newest&until=4&limit=2&offset=1", &[3, 2]),
        ("/all?after=3", &[4, 5]),
        ("/all?after=1&until=3&key=purchase", &[2, 3]),
        ("/all?q=%22visitor_id%22:%22annabel%22", &[5]),
    ];
    for (path, expected) in cases {
        assert_eq!(ids(&server.get(path).await), expected, "{path}");
    }
    let answer = server.get("/all?visitor=ann&limit=1").await;
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(["x-total-count", "x-forgotten", "x-newest"].map(header), ["2", "0", "5"]);
    assert_eq!(server.get("/all?verdict=fine").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_event_in_detail_can_be_sent_again_and_its_problems_stand_in_it() {
    let server = Server::start(collector_of("larkspur.json")).await;
    let headers = [("Authorization", "Bearer s3cret"), ("User-Agent", "it")];
    server.post(&headers, &four()).await;
    let detail = server.get("/event/4").await.json();
    assert_eq!(detail["event"]["id"], 4);
    let place = &detail["places"][0];
    assert_eq!(
        (&place["at"], &place["kind"], &place["severity"], &place["fix"]),
        (
            &json!("/visitors/0/snapshots/0/events/0/timestamp"),
            &json!("timestamp-in-seconds"),
            &json!("error"),
            &json!("multiply by 1000")
        )
    );
    assert_eq!(
        detail["raw"].pointer("/visitors/0/snapshots/0/events/0/timestamp"),
        Some(&json!(1_795_500_003))
    );
    let request = &detail["request"];
    assert_eq!((&request["id"], &request["status"], &request["events"]), (&json!(1), &json!(204), &json!(4)));
    assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!("/v1/events")));
    assert_eq!(request["bytes"], four().len());
    assert_eq!(request["sdk"], json!({"name": "posthaste", "version": "0.1.0"}));
    let headers: BTreeMap<_, _> = request["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    assert_eq!((headers["authorization"], headers["user-agent"]), ("(hidden)", "it"));
    assert_eq!(headers["content-length"], four().len().to_string());
    assert!(!server.get("/event/4").await.body.windows(6).any(|text| text == b"s3cret"));
    let curl = detail["curl"].as_str().unwrap();
    assert!(curl.starts_with(&format!("curl 'http://{}/v1/events' ", server.address)), "{curl}");
    for gone in ["/event/5", "/event/0", "/event/x"] {
        let answer = server.get(gone).await;
        assert_eq!((answer.status, answer.json()["error"].is_string()), (StatusCode::NOT_FOUND, true));
    }
}

/// An oracle that splits bodies by itself: what `/event/ID` gives as `raw` is the envelope with that event alone.
#[tokio::test]
async fn each_event_alone_is_as_it_was_sent_with_every_field() {
    let server = Server::start(collector()).await;
    let mut body = batch(&[]);
    body["unknown"] = json!({"of": ["the", "envelope", 1.5e300, -7, null]});
    let mut expected = Vec::new();
    for visitor in 0..3 {
        let mut snapshots = Vec::new();
        for snapshot in 0..2 {
            let decisions = json!([{"campaign_id": "9"}, {"campaign_id": "60011", "experiment_id": "4", "extra": [1], "metadata": {"flag_key": "\"f\"\u{1}"}}]);
            let events: Vec<_> = (0..2)
                .map(|event| {
                    json!({"entity_id": "60011", "key": if event == 0 { "campaign_activated" } else { "k\\y" },
                        "uuid": format!("\u{e9}-{visitor}-{snapshot}-{event}"), "timestamp": TIMESTAMP, "x": {"y": [true]}})
                })
                .collect();
            let whole = |events: Value| json!({"decisions": decisions, "events": events, "more": "\n"});
            let who = |snapshots: Value| json!({"visitor_id": format!("v{visitor}"), "attributes": [], "z": 1, "snapshots": snapshots});
            for event in &events {
                let mut alone = body.clone();
                alone["visitors"] = json!([who(json!([whole(json!([event]))]))]);
                expected.push(alone);
            }
            snapshots.push(whole(Value::from(events)));
        }
        let visitor =
            json!({"visitor_id": format!("v{visitor}"), "attributes": [], "z": 1, "snapshots": snapshots});
        body["visitors"].as_array_mut().unwrap().push(visitor);
    }
    server.post(&[], &bytes(&body)).await;
    for (expected, id) in expected.iter().zip(1..) {
        let detail = server.get(&format!("/event/{id}")).await.json();
        assert_eq!(detail["raw"], *expected, "{id}");
        let event = &expected["visitors"][0]["snapshots"][0]["events"][0];
        assert_eq!(detail["event"]["uuid"], event["uuid"]);
        assert_eq!(detail["event"]["key"], event["key"]);
        if event["key"] == "campaign_activated" {
            assert_eq!(detail["event"]["flag"], "\"f\"\u{1}");
        }
    }
    assert_eq!(server.get("/all").await.json().as_array().unwrap().len(), expected.len());
}

#[tokio::test]
async fn parts_that_cannot_be_read_are_told_as_far_as_they_go() {
    let server = Server::start(collector()).await;
    let body =
        json!({"account_id": "1", "visitors": [5, {"visitor_id": "ann", "snapshots": [{"events": 7}]}]});
    server.post(&[], &bytes(&body)).await;
    server.post(&[], b"{\"cut\": ").await;
    let raw = |id: u64| format!("/event/{id}");
    let first = server.get(&raw(1)).await.json();
    assert_eq!(first["raw"], json!({"account_id": "1", "visitors": [5]}));
    assert_eq!(first["places"][0]["at"], "/visitors/0");
    let second = server.get(&raw(2)).await.json();
    assert_eq!(second["raw"]["visitors"][0], body["visitors"][1]);
    assert_eq!(second["places"][0]["at"], "/visitors/0/snapshots/0/events");
    assert_eq!(server.get(&raw(3)).await.json()["raw"], "{\"cut\": ");
}

#[tokio::test]
async fn sessions_are_told_apart_and_one_is_forgotten_without_the_other() {
    let server = Server::start(collector()).await;
    let body = bytes(&batch(&[impression("ann", "u-1"), conversion("ann", "u-2")]));
    let post = async |path: &str, headers: &[(&str, &str)]| {
        server.send(Method::POST, path, headers, &body).await.status
    };
    assert_eq!(post("/v1/events", &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(post("/t/one/v1/events", &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(post("/t/one/v1/events/", &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(post("/v1/events", &[("x-posthaste-session", "two")]).await, StatusCode::NO_CONTENT);
    assert_eq!(post("/t/n%20o/v1/events", &[]).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("/v1/events", &[("x-posthaste-session", "")]).await, StatusCode::BAD_REQUEST);
    let ledger = async |session: &str| {
        let ledger = server.get(&format!("/ledger{session}")).await.json();
        ["requests", "events", "good", "duplicates"].map(|name| ledger[name].as_u64().unwrap())
    };
    assert_eq!(ledger("").await, [4, 8, 6, 2]);
    assert_eq!(ledger("?session=one").await, [2, 4, 2, 2]);
    assert_eq!(ledger("?session=two").await, [1, 2, 2, 0]);
    delete(&server, "/reset?session=one").await;
    assert_eq!(ledger("?session=one").await, [0; 4]);
    assert_eq!(ledger("").await, [2, 4, 4, 0]);
    assert_eq!(ids(&server.get("/all").await), [1, 2, 5, 6]);
    assert_eq!(post("/t/one/v1/events", &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(ids(&server.get("/all?session=one").await), [7, 8]);
    assert_eq!(post("/t/two/v1/events", &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(ledger("?session=two").await, [2, 4, 2, 2]);
}

#[tokio::test]
async fn ids_go_on_after_a_reset() {
    let server = Server::start(collector()).await;
    server.post(&[], &four()).await;
    delete(&server, "/reset").await;
    assert_eq!(ids(&server.get("/all").await), [0; 0]);
    server.post(&[], &four()).await;
    assert_eq!(ids(&server.get("/all").await), [5, 6, 7, 8]);
}

#[tokio::test]
async fn a_file_of_all_events_brings_the_same_into_another_collector() {
    let one = Server::start(collector_of("larkspur.json")).await;
    one.post(&[], &four()).await;
    let file = one.get("/export").await;
    assert_eq!(file.headers["content-type"], "application/jsonl");
    assert_eq!(lines(&file).len(), 4);
    let two = Server::start(collector_of("larkspur.json")).await;
    let imported = two.send(Method::POST, "/import", &[], &file.body).await;
    assert_eq!(
        (imported.status, imported.json()),
        (StatusCode::OK, json!({"requests": 4, "events": 4, "bad": 1}))
    );
    assert_eq!(two.get("/export").await.body, file.body);
    let told = |answer: Answer| -> Vec<(Value, Value)> {
        answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|event| (event["uuid"].clone(), event["words"].clone()))
            .collect()
    };
    assert_eq!(told(two.get("/all").await), told(one.get("/all").await));
    let some = one.get("/export?visitor=ann&key=purchase").await;
    assert_eq!(lines(&some).len(), 1);
}

#[test]
fn what_is_too_old_is_forgotten_and_counted() {
    let clock = posthaste::testing::ManualClock::at_ms(TIMESTAMP);
    let options =
        CollectorOptions { age_max: Some(std::time::Duration::from_secs(60)), ..CollectorOptions::default() };
    let collector = Collector::with_clock(options, std::sync::Arc::new(clock.clone()));
    let send = |uuid| collector.receive(&bytes(&batch(&[conversion("ann", uuid)])));
    send("u-1");
    clock.advance(std::time::Duration::from_secs(50));
    send("u-2");
    assert_eq!(collector.all(&Filter::default()).len(), 2);
    clock.advance(std::time::Duration::from_secs(11));
    let left: Vec<_> = collector.all(&Filter::default()).iter().map(Record::id).collect();
    assert_eq!((left, collector.ledger().forgotten), (vec![2], 1));
    assert_eq!(send("u-1").good, 1, "a forgotten event is not recognised");
}

/// Many sizes in little memory; what is kept is the newest, in order, and nothing is forgotten uncounted.
#[test]
fn whatever_the_bound_what_is_kept_is_the_newest_and_the_rest_is_counted() {
    for bytes_max in [0, 1_000, 10_000, 100_000, 1 << 20] {
        let options = CollectorOptions { memory_bytes_max: bytes_max, ..CollectorOptions::default() };
        let collector = Collector::new(options);
        let mut rng = fastrand::Rng::with_seed(7);
        for event in 0..500_u64 {
            let mut visitor = conversion("ann", &format!("u-{event}"));
            visitor["visitor_id"] = json!("x".repeat(rng.usize(1..3_000)));
            collector.receive(&bytes(&batch(&[visitor])));
            let kept = collector.all(&Filter { after: Some(event.saturating_sub(2)), ..Filter::default() });
            assert_eq!(kept.last().map(Record::id), Some(event + 1), "the newest is kept");
        }
        let ids: Vec<_> = collector.all(&Filter::default()).iter().map(Record::id).collect();
        let first = collector.ledger().forgotten + 1;
        assert_eq!(ids, (first..=500).collect::<Vec<_>>(), "{bytes_max}");
    }
}

#[test]
fn a_verdict_is_of_the_record() {
    let collector = collector_of("larkspur.json");
    collector.receive(&four());
    let verdicts: Vec<_> = collector.all(&Filter::default()).iter().map(Record::verdict).collect();
    assert_eq!(verdicts, [Verdict::Good, Verdict::Good, Verdict::Warned, Verdict::Bad]);
}

/// What official SDKs really sent, once around: each event alone is judged as it was among the others.
#[tokio::test]
async fn what_sdks_sent_is_the_same_after_a_way_through_a_file() {
    let names = ["python-sdk-5.7.0.requests.jsonl", "javascript-sdk-6.6.1-node.requests.jsonl"];
    for name in names {
        let [one, two] = [collector_of("larkspur.json"), collector_of("larkspur.json")];
        for line in read(name).lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            one.receive(request["body"].as_str().unwrap().as_bytes());
        }
        let server = Server::start(one.clone()).await;
        for line in lines(&server.get("/export").await) {
            two.receive(line.as_bytes());
        }
        let [sent, taken] = [&one, &two].map(|collector| {
            let mut events = collector.all(&Filter::default());
            for event in &mut events {
                if let Record::Good(event) = event {
                    (event.request, event.received_ms) = (0, 0);
                }
            }
            let good = events.into_iter().filter(|event| event.verdict() == Verdict::Good);
            good.map(|event| serde_json::to_value(event).unwrap()).collect::<Vec<_>>()
        });
        assert!(sent.len() > 100);
        assert_eq!(sent, taken, "{name}");
        let counts = |collector: &Collector| {
            let ledger = collector.ledger();
            (ledger.events, ledger.good, ledger.bad, ledger.warned)
        };
        assert_eq!(counts(&one), counts(&two));
    }
}
