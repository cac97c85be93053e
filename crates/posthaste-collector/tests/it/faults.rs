//! Faults over real sockets: which bytes arrive, and how the connection ends.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use http::{Method, StatusCode};
use posthaste::testing::ManualClock;
use posthaste_collector::{Collector, CollectorOptions, Faults, Filter, Rule};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Server, batch, bytes, collector, conversion};

/// How a connection ended, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Closed,
    Reset,
}

pub(crate) fn event(uuid: &str) -> Vec<u8> {
    bytes(&batch(&[conversion("ann", uuid)]))
}

fn faulty(rules: impl IntoIterator<Item = Rule>) -> Collector {
    let faults = Faults::new(rules).unwrap();
    Collector::new(CollectorOptions { faults, ..CollectorOptions::default() })
}

fn request(path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\n{more}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// All that comes until the connection ends.
pub(crate) async fn read_all(stream: &mut TcpStream) -> (Vec<u8>, Seen) {
    let mut all = Vec::new();
    let seen = loop {
        match stream.read_buf(&mut all).await {
            Ok(0) => break Seen::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break Seen::Reset,
            Err(error) => panic!("{error}"),
        }
    };
    (all, seen)
}

async fn rest(stream: &mut TcpStream) -> (String, Seen) {
    let (bytes, seen) = read_all(stream).await;
    (String::from_utf8(bytes).unwrap(), seen)
}

async fn converse(server: &Server, request: &[u8]) -> (String, Seen) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    rest(&mut stream).await
}

/// The bytes without the date.
fn undated(answer: &str) -> String {
    let kept = answer.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    kept.collect()
}

#[tokio::test]
async fn what_arrives_and_how_the_connection_ends() {
    let script = |text: &str| Faults::parse(&format!(r#"{{"rules": [{text}]}}"#)).unwrap();
    let cases = [
        (r#"{"end": "reset"}"#, "", Seen::Reset, 1),
        (r#"{"end": "reset", "take": false}"#, "", Seen::Reset, 0),
        (r#"{"end": "answer_then_reset"}"#, "HTTP/1.1 204 No Content\r\n\r\n", Seen::Reset, 1),
        (
            r#"{"end": "answer_then_reset", "status": 503, "body": "busy", "headers": {"retry-after": "7"}}"#,
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy",
            Seen::Reset,
            0,
        ),
        (
            r#"{"end": "half", "body": "0123456789"}"#,
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234",
            Seen::Closed,
            1,
        ),
        (
            r#"{"end": "half", "body": "01", "status": 500}"#,
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n0",
            Seen::Closed,
            0,
        ),
        (
            r#"{"status": 103, "headers": {"link": ["a", "b"]}}"#,
            "HTTP/1.1 103 Early Hints\r\nlink: a\r\nlink: b\r\n\r\n",
            Seen::Closed,
            0,
        ),
        (r#"{"status": 100}"#, "HTTP/1.1 100 Continue\r\n\r\n", Seen::Closed, 0),
        (
            r#"{"status": 429, "headers": {"retry-after": "1", "connection": "close"}, "body": "slow"}"#,
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 4\r\n\r\nslow",
            Seen::Closed,
            0,
        ),
        (
            r#"{"status": 599, "headers": {"connection": "close"}}"#,
            "HTTP/1.1 599 <none>\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            Seen::Closed,
            0,
        ),
    ];
    let server = Server::start(collector()).await;
    for (at, (rule, expected, end, taken)) in cases.into_iter().enumerate() {
        server.collector.reset();
        server.collector.set_faults(script(rule));
        // Once as it is, and once where the client wants no further answer.
        for more in ["", "connection: close\r\n"] {
            let (answer, seen) =
                converse(&server, &request("/v1/events", more, &event(&format!("u{more:?}")))).await;
            let answer = undated(&answer).replace("connection: close\r\n", "");
            assert_eq!((answer, seen), (expected.replace("connection: close\r\n", ""), end), "{at}: {rule}");
        }
        let ledger = server.collector.ledger();
        let counts = (ledger.good, ledger.faulted, ledger.not_taken, ledger.faults["rule 1"]);
        assert_eq!(counts, (2 * taken, 2, 2 - 2 * taken, 2), "{rule}");
    }
}

#[tokio::test]
async fn after_an_answer_by_a_rule_the_connection_goes_on() {
    let server = Server::start(faulty([Rule::status(503).header("retry-after", "1").nth(2)])).await;
    let mut all = request("/v1/events", "", &event("u-1"));
    all.extend(request("/v1/events", "", &event("u-2")));
    all.extend(request("/v1/events", "connection: close\r\n", &event("u-3")));
    let (answers, seen) = converse(&server, &all).await;
    let statuses: Vec<&str> =
        answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).map(|line| &line[..3]).collect();
    assert_eq!((statuses, seen), (vec!["204", "503", "204"], Seen::Closed), "{answers}");
    let uuids: Vec<_> =
        server.collector.good(&Filter::default()).into_iter().map(|event| event.uuid).collect();
    assert_eq!(uuids, ["u-1", "u-3"]);
}

/// A server and the clock that its delays run by.
async fn with_clock(rules: impl IntoIterator<Item = Rule>) -> (Server, ManualClock) {
    let clock = ManualClock::at_ms(0);
    let options = CollectorOptions { faults: Faults::new(rules).unwrap(), ..CollectorOptions::default() };
    let collector = Collector::with_clock(options, Arc::new(clock.clone()));
    (Server::start(collector).await, clock)
}

async fn until_someone_waits(clock: &ManualClock) {
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
}

fn assert_silent(stream: &TcpStream) {
    let mut byte = [0];
    assert_eq!(stream.try_read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_delay_is_kept_and_the_events_are_there_before_the_answer() {
    let delay = Duration::from_millis(500);
    for (rule, status, taken) in
        [(Rule::default().delay(delay), "204", 1), (Rule::status(503).delay(delay), "503", 0)]
    {
        let (server, clock) = with_clock([rule]).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = request("/v1/events", "connection: close\r\n", &event("u-1"));
        stream.write_all(&request).await.unwrap();
        until_someone_waits(&clock).await;
        assert_eq!(server.collector.ledger().good, taken);
        clock.advance(Duration::from_millis(499));
        // Another request's answer shows that the server has had its turn.
        server.get("/healthz").await;
        assert_silent(&stream);
        clock.advance(Duration::from_millis(1));
        let (answer, seen) = rest(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(seen, Seen::Closed);
    }
}

#[tokio::test]
async fn silence_ends_in_a_reset_when_its_time_is_over() {
    let (server, clock) = with_clock([Rule::hang()]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request("/v1/events", "", &event("u-1"))).await.unwrap();
    until_someone_waits(&clock).await;
    // One minute, untold.
    clock.advance(Duration::from_millis(59_999));
    server.get("/healthz").await;
    assert_silent(&stream);
    clock.advance(Duration::from_millis(1));
    assert_eq!(rest(&mut stream).await, (String::new(), Seen::Reset));
    assert_eq!(server.collector.ledger().good, 1);
}

#[tokio::test]
async fn silence_ends_when_the_client_leaves() {
    let (server, clock) = with_clock([Rule::hang()]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request("/v1/events", "", &event("u-1"))).await.unwrap();
    until_someone_waits(&clock).await;
    drop(stream);
    while clock.sleepers() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.collector.ledger().good, 1);
}

#[tokio::test]
async fn silence_ends_with_its_script_and_with_the_server() {
    let end_script = |server: Server| async move {
        let answer = server.send(Method::PUT, "/faults", &[], b"").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        Some(server)
    };
    let (server, clock) = with_clock([Rule::hang()]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request("/v1/events", "", &event("u-1"))).await.unwrap();
    until_someone_waits(&clock).await;
    let server = end_script(server).await.unwrap();
    assert_eq!(rest(&mut stream).await, (String::new(), Seen::Reset));
    server.collector.set_faults(Faults::new([Rule::hang()]).unwrap());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request("/v1/events", "", &event("u-2"))).await.unwrap();
    until_someone_waits(&clock).await;
    // Time stands still, so that it is not the five seconds' patience that ends it.
    server.stop().join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(rest(&mut stream).await, (String::new(), Seen::Reset));
}

#[tokio::test]
async fn events_say_what_was_done_to_their_request() {
    let server = Server::start(faulty([
        Rule::status(503).take(true).named("busy").nth(2),
        Rule::answer_then_reset(204).delay(Duration::from_millis(1)).nth(3),
    ]))
    .await;
    server.post(&[], &event("u-1")).await;
    server.post(&[], &event("u-2")).await;
    converse(&server, &request("/v1/events", "", b"{")).await;
    let events = server.get("/all").await.json();
    let faults: Vec<&Value> = events.as_array().unwrap().iter().map(|event| &event["fault"]).collect();
    assert_eq!(
        faults,
        [
            &Value::Null,
            &json!({"rule": "busy", "did": "503", "request": 2}),
            &json!({"rule": "rule 2", "did": "after 1 ms: 204, then reset", "request": 3}),
        ]
    );
    let ledger = server.get("/ledger").await.json();
    assert_eq!(ledger["faults"], json!({"busy": 1, "rule 2": 1}));
}

#[tokio::test]
async fn a_script_is_put_looked_at_and_ended_over_http() {
    let server = Server::start(collector()).await;
    let script =
        br#"{"seed": 9, "rules": [{"name": "busy", "n": 2, "status": 503, "headers": {"a": ["b", "c"]}}]}"#;
    assert_eq!(server.send(Method::PUT, "/faults", &[], script).await.status, StatusCode::NO_CONTENT);
    server.post(&[], &event("u-1")).await;
    let answer = server.post(&[], &event("u-2")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers.get_all("a").iter().collect::<Vec<_>>(), ["b", "c"]);
    let rule = json!({
        "name": "busy", "from": 2, "to": 2, "status": 503, "headers": {"a": ["b", "c"]}, "seen": 2, "applied": 1,
    });
    let expected = json!({"seed": 9, "requests": 2, "rules": [rule]});
    assert_eq!(server.get("/faults").await.json(), expected);

    let wrong = server.send(Method::PUT, "/faults", &[], br#"{"rules": [{"stauts": 1}]}"#).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let problem =
        json!([{"path": "rules[0]", "problem": "unknown key \"stauts\"", "fix": "did you mean \"status\"?"}]);
    assert_eq!(wrong.json(), problem);
    // The one before is still in force, and begins anew with everything else.
    assert_eq!(server.get("/faults").await.json(), expected);
    server.send(Method::POST, "/reset", &[], b"").await;
    assert_eq!(server.get("/faults").await.json()["requests"], 0);
    server.post(&[], &event("u-1")).await;
    assert_eq!(server.post(&[], &event("u-2")).await.status, StatusCode::SERVICE_UNAVAILABLE);

    assert_eq!(server.send(Method::PUT, "/faults", &[], b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get("/faults").await.json(), json!({"seed": 0, "requests": 0, "rules": []}));
    assert_eq!(server.post(&[], &event("u-2")).await.status, StatusCode::NO_CONTENT);
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(server.send(Method::PUT, "/faults", &[], &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_paths_are_end_points_where_a_rule_makes_them() {
    let server = Server::start(faulty([
        Rule::status(204).path("/eu/*").take(true).named("eu"),
        Rule::status(503).path("/down").named("down"),
    ]))
    .await;
    for (path, status) in [("/eu/v1/events", 204), ("/down", 503), ("/nowhere", 404), ("/v1/events", 204)] {
        let answer = server.send(Method::POST, path, &[], &event(path)).await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(server.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    let ledger = server.collector.ledger();
    assert_eq!((ledger.good, ledger.requests, ledger.faulted, ledger.not_taken), (2, 2, 2, 1));
}

#[tokio::test]
async fn the_collectors_own_paths_are_never_touched() {
    let server = Server::start(faulty([Rule::reset()])).await;
    for path in ["/ledger", "/good", "/bad", "/all", "/faults", "/healthz"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(server.send(Method::POST, "/reset", &[], b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.collector.faults().requests, 0);
}

/// A router in somebody else's server has no way to its connections, and says so.
#[tokio::test]
async fn without_the_collectors_server_there_are_statuses_and_no_resets() {
    let collector = faulty([Rule::status(503).nth(1), Rule::reset().nth(2), Rule::half("0123").nth(3)]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move { axum::serve(listener, collector.router()).await });
    for status in ["503", "500", "500", "204"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request("/v1/events", "connection: close\r\n", &event("u-1"))).await.unwrap();
        let (answer, seen) = rest(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!((seen, answer.contains("Collector::serve")), (Seen::Closed, status == "500"));
    }
}

#[tokio::test]
async fn a_packed_body_is_looked_into() {
    use std::io::Write;

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&event("u-1")).unwrap();
    let packed = packer.finish().unwrap();
    let server = Server::start(faulty([Rule::status(503).body_contains("u-1")])).await;
    let answer = server.post(&[("content-encoding", "gzip")], &packed).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.post(&[], &event("u-2")).await.status, StatusCode::NO_CONTENT);
}
