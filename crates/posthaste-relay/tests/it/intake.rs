//! What becomes of bodies: taken, repaired, merged, refused, kept.

use std::{fs, io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use posthaste_relay::{Config, Forward, Limits, Repeats, TenantConfig};
use serde_json::Value;

use crate::support::{PATIENCE, Running, Sink, body, post, post_to, raw, until, uuids};

const JSON: &str = "content-type: application/json\r\n";

fn quick(config: Config) -> Config {
    let forward = Forward { wait: Duration::from_millis(20), ..Forward::default() };
    // However busy the machine is, no disk is too slow.
    let limits = Limits { store_timeout: PATIENCE, ..Limits::default() };
    Config { forward, limits, ..config }
}

pub(crate) fn vector(name: &str) -> Vec<Value> {
    let path = format!("{}/../posthaste/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The bytes that an SDK sent.
pub(crate) fn bytes_of(request: &Value) -> Vec<u8> {
    match (&request["body"], &request["body_latin1"]) {
        (Value::String(text), _) => text.as_bytes().to_vec(),
        (_, Value::String(text)) => text.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect(),
        _ => panic!("a request has a body"),
    }
}

/// The visitors of a body, each as its text.
fn visitors(body: &[u8]) -> Vec<String> {
    let batch = posthaste::RawBatch::parse(body).unwrap();
    batch.visitors().iter().map(|visitor| visitor.get().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sdks_sent_arrives_visitor_by_visitor_byte_for_byte() {
    let sink = Sink::start(|_| 503).await;
    let relay = Running::start(quick(Config::to(&sink.url))).await;
    let (mut sent, mut posts) = (Vec::new(), 0);
    for name in ["javascript-sdk-6.6.1-node.requests.jsonl", "python-sdk-5.7.0.requests.jsonl"] {
        for request in vector(name) {
            let bytes = bytes_of(&request);
            let (status, text) = post(relay.address, JSON, &bytes).await;
            assert_eq!((status, text.ends_with("\r\n\r\n")), (204, true), "an empty body: {text}");
            sent.extend(visitors(&bytes));
            posts += 1;
        }
    }
    // All of them wait by now.
    sink.answers(|_| 204);
    relay.delivered().await;
    let mut arrived: Vec<String> = sink.bodies().iter().flat_map(|body| visitors(body)).collect();
    sent.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(sent, arrived);
    assert!(sink.bodies().len() * 2 < posts, "{} requests of {posts}: they were merged", sink.bodies().len());
    relay.end().await;
}

/// The Java SDK sends Latin-1, the Python SDK NaN: their events count all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_sdks_break_is_mended() {
    let sink = Sink::taking().await;
    let relay = Running::start(quick(Config::to(&sink.url))).await;
    let mut events = 0;
    for name in ["java-sdk-4.3.1.requests.jsonl", "python-sdk-awkward.requests.jsonl"] {
        for request in vector(name) {
            let bytes = bytes_of(&request);
            assert!(serde_json::from_slice::<Value>(&bytes).is_err(), "{name} is no JSON as it is");
            assert_eq!(post(relay.address, JSON, &bytes).await.0, 204);
            events += String::from_utf8_lossy(&bytes).matches("\"timestamp\"").count();
        }
    }
    relay.delivered().await;
    let ledger = relay.relay.ledgers()[0].1;
    assert_eq!((ledger.delivered, ledger.dead_lettered), (events as u64, 0));
    for body in sink.bodies() {
        serde_json::from_slice::<Value>(&body).unwrap();
    }
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_packing_and_type_is_taken() {
    let sink = Sink::taking().await;
    let relay =
        Running::start(quick(Config { paths: vec!["/events".to_owned()], ..Config::to(&sink.url) })).await;
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let (left, right) = {
        let whole = body("1", "members");
        let (left, right) = whole.split_at(50);
        (gzip(left), gzip(right))
    };
    let marked = format!("\u{feff}{}", body("1", "marked"));
    let surrogate = body("1", "surrogate").replace("v-surrogate", "\\ud83d");
    let cases: [(&str, &str, Vec<u8>); 9] = [
        ("/v1/events", JSON, body("1", "plain").into()),
        ("/v1/events/", JSON, body("1", "slash").into()),
        ("/events", JSON, body("1", "extra").into()),
        ("/v1/events?x=1", JSON, body("1", "query").into()),
        ("/v1/events", "content-type: text/plain\r\n", body("1", "beacon").into()),
        ("/v1/events", "", body("1", "untyped").into()),
        ("/v1/events", "content-encoding: gzip\r\n", [left, right].concat()),
        ("/v1/events", JSON, marked.into()),
        ("/v1/events", JSON, surrogate.into()),
    ];
    let count = cases.len();
    for (path, headers, bytes) in cases {
        assert_eq!(post_to(relay.address, path, headers, &bytes).await.0, 204, "{path} {headers}");
    }
    relay.delivered().await;
    assert_eq!(sink.uuids().len(), count);
    assert!(
        sink.bodies().iter().any(|body| String::from_utf8_lossy(body).contains(r#""visitor_id":"\ufffd""#))
    );
    relay.end().await;
}

/// Every field outside the visitors, unknown ones included; what is absent is not what is false.
#[tokio::test(flavor = "multi_thread")]
async fn only_equal_envelopes_share_a_request() {
    let sink = Sink::start(|_| 503).await;
    let relay = Running::start(quick(Config::to(&sink.url))).await;
    let with = |field: &str, uuid: &str| body("1", uuid).replacen('{', &format!("{{{field}"), 1);
    let fields =
        ["", r#""anonymize_ip":false,"#, r#""anonymize_ip":true,"#, r#""region":"EU","#, r#""new":[1, 2],"#];
    for round in 0..10 {
        for (at, field) in fields.iter().enumerate() {
            let uuid = format!("{at}-{round}");
            assert_eq!(post(relay.address, JSON, with(field, &uuid).as_bytes()).await.0, 204);
        }
    }
    sink.answers(|_| 204);
    relay.delivered().await;
    for body in sink.bodies() {
        let value: Value = serde_json::from_slice(&body).unwrap();
        let kinds: std::collections::BTreeSet<String> =
            uuids(&value).iter().map(|uuid| uuid.split('-').next().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 1, "{value}");
        let field = fields[kinds.first().unwrap().parse::<usize>().unwrap()];
        assert!(String::from_utf8_lossy(&body).starts_with(&format!("{{{field}")), "{value}");
    }
    assert_eq!(sink.uuids().len(), 50);
    assert!(sink.uuids().values().all(|times| *times == 1));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_use_is_kept_and_answered_as_the_api_does() {
    let sink = Sink::taking().await;
    let relay = Running::start(quick(Config::to(&sink.url))).await;
    let faulty: [&[u8]; 7] = [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        br#"{"account_id":"1","visitors":[]}"#,
        br#"{"visitors":[{"timestamp":1}]}"#,
        b"\xff\xfe\x00",
    ];
    for bytes in faulty {
        assert_eq!(post(relay.address, JSON, bytes).await.0, 204);
    }
    let ledger = relay.relay.ledgers()[0].1;
    assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued), (7, 7, 0));
    for bytes in faulty {
        let (status, text) =
            post(relay.address, &format!("{JSON}x-optimizely-strict: true\r\n"), bytes).await;
        assert_eq!(status, 400);
        let list: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        for key in ["kind", "path", "problem", "fix"] {
            assert!(list[0][key].is_string(), "{list}");
        }
        assert_eq!(list[0]["severity"], "error");
    }
    assert_eq!(relay.relay.ledgers()[0].1.accepted, 7, "what was refused is the client's");
    assert_eq!(sink.asked(), 0);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_mode_refuses_what_the_api_would_throw_away() {
    let sink = Sink::taking().await;
    let relay = Running::start(quick(Config { strict: true, ..Config::to(&sink.url) })).await;
    let no_time = body("1", "a").replace("1795559589561", "17");
    let (status, text) = post(relay.address, JSON, no_time.as_bytes()).await;
    assert_eq!(status, 400);
    assert!(text.contains("visitors[0].snapshots[0].events[0].timestamp"), "{text}");
    assert_eq!(post(relay.address, JSON, body("1", "a").as_bytes()).await.0, 204);
    relay.delivered().await;
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_to_their_tenant_and_a_dead_one_holds_back_nobody_else() {
    let (first, second, dead) = (Sink::taking().await, Sink::taking().await, Sink::start(|_| 500).await);
    let tenant = |name: &str, accounts: &[&str], projects: &[&str], url: &str| TenantConfig {
        name: name.to_owned(),
        accounts: accounts.iter().map(|id| (*id).to_owned()).collect(),
        projects: projects.iter().map(|id| (*id).to_owned()).collect(),
        upstream: url.to_owned(),
    };
    let tenants = vec![
        tenant("rest", &[], &[], &first.url),
        tenant("shop", &["7"], &[], &second.url),
        tenant("down", &["8"], &["q"], &dead.url),
    ];
    let relay = Running::start(quick(Config { tenants, ..Config::to("") })).await;
    for number in 0..20 {
        for account in ["1", "7", "8"] {
            let uuid = format!("{account}-{number}");
            assert_eq!(post(relay.address, JSON, body(account, &uuid).as_bytes()).await.0, 204);
        }
    }
    let of_project = body("7", "project").replace(r#""project_id":"p""#, r#""project_id":"q""#);
    assert_eq!(post(relay.address, JSON, of_project.as_bytes()).await.0, 204);
    until(|| first.uuids().len() == 20 && second.uuids().len() == 20).await;
    assert!(first.uuids().keys().all(|uuid| uuid.starts_with("1-")));
    assert!(second.uuids().keys().all(|uuid| uuid.starts_with("7-")));
    // The upstream has them a moment before the relay hears of it.
    let queued = || relay.relay.ledgers().iter().map(|(_, ledger)| ledger.queued).collect::<Vec<_>>();
    until(|| queued() == [0, 0, 21]).await;
    dead.answers(|_| 204);
    relay.delivered().await;
    assert_eq!(dead.uuids().len(), 21);
    relay.end().await;
}

/// A client that got no answer sends the same again.
#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_left_out_where_that_was_asked_for() {
    for (leave_out, arrive) in [(false, 2), (true, 1)] {
        let sink = Sink::taking().await;
        let repeats = Repeats { leave_out, ..Repeats::default() };
        let relay = Running::start(quick(Config { repeats, ..Config::to(&sink.url) })).await;
        for _ in 0..2 {
            assert_eq!(post(relay.address, JSON, body("1", "same").as_bytes()).await.0, 204);
        }
        relay.delivered().await;
        assert_eq!(sink.uuids()["same"], arrive);
        relay.end().await;
    }
}

/// Whoever sends an event again that the upstream had refused wants it to arrive, now that the upstream is mended.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_rejected_and_is_sent_again_is_no_repeat() {
    let sink =
        Sink::start(|body| if String::from_utf8_lossy(body).contains("v-bad") { 400 } else { 204 }).await;
    let repeats = Repeats { leave_out: true, ..Repeats::default() };
    // They share a request, and what is rejected is found by halving it.
    let forward = Forward { wait: Duration::from_millis(200), ..Forward::default() };
    let relay = Running::start(Config { repeats, forward, ..Config::to(&sink.url) }).await;
    let send =
        async |uuid: &str| assert_eq!(post(relay.address, JSON, body("1", uuid).as_bytes()).await.0, 204);
    for uuid in ["a", "bad-1", "b", "bad-2"] {
        send(uuid).await;
    }
    relay.delivered().await;
    assert_eq!(relay.relay.ledgers()[0].1.dead_lettered, 2);
    let purge =
        b"POST /dead/purge HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let purged = raw(relay.admin, purge, PATIENCE).await;
    assert!(purged.text.ends_with(r#"{"purged":2}"#), "{}", purged.text);
    sink.answers(|_| 204);
    for uuid in ["bad-1", "a", "bad-1", "bad-2"] {
        send(uuid).await;
    }
    relay.delivered().await;
    let arrived = ["a", "b", "bad-1", "bad-2"].map(|uuid| (uuid.to_owned(), 1));
    assert_eq!(sink.uuids().into_iter().collect::<Vec<_>>(), arrived);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_event_breaks_the_others_survive() {
    let sink =
        Sink::start(|body| if String::from_utf8_lossy(body).contains("\"v-bad\"") { 400 } else { 204 }).await;
    let relay = Running::start(quick(Config::to(&sink.url))).await;
    for uuid in ["a", "b", "bad", "c", "d"] {
        assert_eq!(post(relay.address, JSON, body("1", uuid).as_bytes()).await.0, 204);
    }
    relay.delivered().await;
    let ledger = relay.relay.ledgers()[0].1;
    assert_eq!((ledger.delivered, ledger.dead_lettered), (4, 1));
    assert_eq!(
        sink.uuids().into_iter().collect::<Vec<_>>(),
        ["a", "b", "c", "d"].map(|uuid| (uuid.to_owned(), 1))
    );
    relay.end().await;
}

/// What waits on disk is there after a restart, also what a tenant of an earlier config has left.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_outlasts_the_process_and_the_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start(|_| 503).await;
    let named = TenantConfig { name: "old".to_owned(), ..TenantConfig::default_to(&sink.url) };
    let config = quick(Config {
        tenants: vec![named],
        shutdown_timeout: Duration::from_millis(100),
        ..Config::to("")
    });
    let relay = Running::start(config.on_disk(folder.path())).await;
    for number in 0..10 {
        assert_eq!(post(relay.address, JSON, body("1", &number.to_string()).as_bytes()).await.0, 204);
    }
    let report = relay.end().await;
    assert_eq!((report.tenants[0].accepted, report.tenants[0].queued), (10, 10), "{report}");
    sink.answers(|_| 204);
    let elsewhere = Sink::taking().await;
    let relay = Running::start(quick(Config::to(&elsewhere.url)).on_disk(folder.path())).await;
    relay.delivered().await;
    assert_eq!((sink.uuids().len(), elsewhere.asked()), (10, 0));
    relay.end().await;
}
