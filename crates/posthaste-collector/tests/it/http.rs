//! Over a real socket with a real client: status codes, compression, strictness, filters.

use std::{io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use http::{Method, StatusCode};
use posthaste::testing::ManualClock;
use posthaste_collector::{Collector, CollectorOptions, PAGE_MAX};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Server, batch, bytes, collector, collector_of, conversion, impression};

const STRICT: (&str, &str) = ("X-Optimizely-Strict", "true");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

fn good() -> Vec<u8> {
    bytes(&batch(&[impression("ann", "u-1"), conversion("bob", "u-2")]))
}

fn bad() -> Vec<u8> {
    let mut late = conversion("bob", "u-2");
    late["snapshots"][0]["events"][0]["timestamp"] = json!(1_795_500_003);
    bytes(&batch(&[impression("ann", "u-1"), late]))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_body_gets_204_and_nothing_else() {
    let server = Server::start(collector()).await;
    for body in [good(), bad(), b"{".to_vec(), b"\xff".to_vec(), Vec::new()] {
        let answer = server.post(&[("Content-Type", "text/plain")], &body).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::NO_CONTENT, 0));
    }
    assert_eq!(
        server.get("/ledger").await.json(),
        json!({
            "requests": 5, "refused": 0, "events": 7, "good": 2, "bad": 4, "unique": 3, "duplicates": 1, "forgotten": 0,
            "warned": 0, "too_early": 0, "mixed": 0, "repaired": 0, "faulted": 0, "not_taken": 0,
        })
    );
}

#[tokio::test]
async fn a_bad_body_gets_400_and_what_is_wrong_where_strictness_is_asked_for() {
    let server = Server::start(collector()).await;
    let answer = server.post(&[STRICT], &bad()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json(),
        json!([{
            "kind": "timestamp-in-seconds",
            "severity": "error",
            "path": "visitors[1].snapshots[0].events[0].timestamp",
            "problem": "not milliseconds since 1970: 1795500003 looks like seconds",
            "fix": "multiply by 1000",
        }])
    );
    assert_eq!(server.post(&[STRICT], &good()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.post(&[("X-Optimizely-Strict", "false")], &bad()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_strict_collector_needs_no_header() {
    let options = CollectorOptions { strict: true, ..CollectorOptions::default() };
    let server = Server::start(Collector::new(options)).await;
    assert_eq!(server.post(&[], &bad()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.post(&[], &good()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let server = Server::start(collector()).await;
    let cases = [
        (Method::GET, "/v1/events", StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, "/v1/events", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/good", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/reset", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/v1/event", StatusCode::NOT_FOUND),
        (Method::POST, "/", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/good?visitors=ann", StatusCode::BAD_REQUEST),
        (Method::GET, "/good?limit=-1", StatusCode::BAD_REQUEST),
        (Method::GET, "/healthz", StatusCode::OK),
    ];
    for (method, path, status) in cases {
        let answer = server.send(method.clone(), path, &[], b"{}").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert_eq!(server.collector.ledger().requests, 0);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_said_and_no_larger() {
    let body = good();
    let options = CollectorOptions { body_bytes_max: body.len(), ..CollectorOptions::default() };
    let server = Server::start(Collector::new(options)).await;
    let larger = [&body[..], b" "].concat();
    assert_eq!(server.post(&[], &body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.post(&[], &larger).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.post(&[GZIP], &gzip(&body)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.post(&[GZIP], &gzip(&larger)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.collector.ledger().requests, 2);
}

#[tokio::test]
async fn a_body_of_the_apis_limit_is_taken() {
    let server = Server::start(collector()).await;
    let mut event = conversion("ann", "u-1");
    event["snapshots"][0]["events"][0]["tags"]["pad"] = json!("");
    let room = 3_500_000 - bytes(&batch(&[event.clone()])).len();
    event["snapshots"][0]["events"][0]["tags"]["pad"] = json!("x".repeat(room));
    let body = bytes(&batch(&[event]));
    assert_eq!(server.post(&[], &body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.collector.ledger().good, 1);
}

#[tokio::test]
async fn gzip_is_taken_off_and_broken_gzip_is_a_bad_body() {
    let server = Server::start(collector()).await;
    let whole = gzip(&good());
    assert_eq!(server.post(&[GZIP], &whole).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.collector.ledger().good, 2);
    for broken in [&whole[..whole.len() / 2], b"{}"] {
        assert_eq!(server.post(&[GZIP], broken).await.status, StatusCode::NO_CONTENT);
        assert_eq!(server.post(&[GZIP, STRICT], broken).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(server.collector.ledger().bad, 4);
    let other = server.post(&[("Content-Encoding", "br")], &good()).await;
    assert_eq!(other.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        server.post(&[("Content-Encoding", "identity")], &good()).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn filters_pick_by_each_field_and_page() {
    let server = Server::start(collector_of("larkspur.json")).await;
    let mut late = conversion("bob", "u-3");
    late["snapshots"][0]["events"][0]["timestamp"] = json!(1_795_500_003);
    let body = batch(&[impression("ann", "u-1"), conversion("ann", "u-2"), late, conversion("bob", "u-4")]);
    server.post(&[], &bytes(&body)).await;
    let cases: [(&str, &[&str]); 14] = [
        ("/good", &["u-1", "u-2", "u-4"]),
        ("/bad", &["u-3"]),
        ("/all", &["u-1", "u-2", "u-3", "u-4"]),
        ("/good?visitor=ann", &["u-1", "u-2"]),
        ("/good?visitor=", &[]),
        ("/bad?visitor=ann", &[]),
        ("/all?visitor=bob", &["u-3", "u-4"]),
        ("/good?key=purchase", &["u-2", "u-4"]),
        ("/good?experiment=40011", &["u-1"]),
        ("/good?experiment=checkout_button", &["u-1"]),
        ("/all?uuid=u-3", &["u-3"]),
        ("/good?visitor=ann&key=purchase", &["u-2"]),
        ("/all?limit=2&offset=1", &["u-2", "u-3"]),
        ("/all?offset=9", &[]),
    ];
    for (path, uuids) in cases {
        assert_eq!(server.get(path).await.uuids(), uuids, "{path}");
    }
    assert_eq!(server.get("/good?limit=1").await.headers["x-total-count"], "3");
    let bad = server.get("/bad").await.json();
    assert_eq!(bad[0]["event"]["uuid"], "u-3");
    assert_eq!(bad[0]["problems"][0]["fix"], "multiply by 1000");
}

#[tokio::test]
async fn an_answer_has_a_page_at_most_and_says_how_many_there_are() {
    let server = Server::start(collector()).await;
    let events: Vec<_> = (0..=PAGE_MAX).map(|at| conversion("ann", &format!("u-{at}"))).collect();
    server.collector.receive(&bytes(&batch(&events)));
    for (path, first, count) in [("/good", "u-0", PAGE_MAX), ("/good?limit=20000&offset=10000", "u-10000", 1)]
    {
        let answer = server.get(path).await;
        let uuids = answer.uuids();
        assert_eq!((uuids[0].as_str(), uuids.len()), (first, count), "{path}");
        assert_eq!(answer.headers["x-total-count"], "10001");
    }
}

#[tokio::test]
async fn reset_empties_everything() {
    let server = Server::start(collector()).await;
    server.post(&[], &bad()).await;
    assert_eq!(server.send(Method::POST, "/reset", &[], b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get("/all").await.json(), json!([]));
    let ledger = server.get("/ledger").await.json();
    assert!(ledger.as_object().unwrap().values().all(|count| count == 0), "{ledger}");
}

#[tokio::test]
async fn many_clients_at_once_lose_nothing() {
    let server = Arc::new(Server::start(collector()).await);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..20 {
        let server = Arc::clone(&server);
        clients.spawn(async move {
            for event in 0..20 {
                let body = batch(&[conversion("ann", &format!("u-{client}-{event}"))]);
                assert_eq!(server.post(&[], &bytes(&body)).await.status, StatusCode::NO_CONTENT);
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let ledger = server.collector.ledger();
    assert_eq!((ledger.requests, ledger.good, ledger.duplicates), (400, 400, 0));
}

#[tokio::test]
async fn serving_ends_when_told_to() {
    let server = Server::start(collector()).await;
    server.get("/healthz").await;
    server.stop().join_next().await.unwrap().unwrap().unwrap();
}

/// The clock stands still until the wait has begun; then five seconds pass at once.
#[tokio::test]
async fn a_client_that_never_finishes_does_not_keep_it_from_ending() {
    let clock = ManualClock::at_ms(0);
    let collector = Collector::with_clock(CollectorOptions::default(), Arc::new(clock.clone()));
    let server = Server::start(collector).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
    // Another request's answer shows that connections are being accepted.
    server.get("/healthz").await;
    let mut task = server.stop();
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(5));
    task.join_next().await.unwrap().unwrap().unwrap();
}

/// Nobody looks into these: they are counted, so that no run passes that lost them.
#[tokio::test]
async fn requests_that_are_refused_unread_are_counted() {
    let server = Server::start(Collector::new(CollectorOptions {
        body_bytes_max: 1_000,
        ..CollectorOptions::default()
    }))
    .await;
    for (headers, body, status) in [
        (&[][..], vec![b'x'; 1_001], StatusCode::PAYLOAD_TOO_LARGE),
        (&[("Content-Encoding", "br")], b"{}".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[("X-Posthaste-Session", "a b")], b"{}".to_vec(), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.post(headers, &body).await.status, status);
    }
    let ledger = server.collector.ledger();
    assert_eq!((ledger.refused, ledger.requests, ledger.events), (3, 0, 0));
}

#[tokio::test]
async fn a_reset_by_header_empties_its_session_and_no_other() {
    let server = Server::start(collector()).await;
    for session in ["a", "b"] {
        let answer = server.post(&[("X-Posthaste-Session", session)], &good()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let reset = async |session: &str| {
        server.send(Method::POST, "/reset", &[("X-Posthaste-Session", session)], b"").await.status
    };
    assert_eq!(reset("a b").await, StatusCode::BAD_REQUEST);
    assert_eq!(reset("a").await, StatusCode::NO_CONTENT);
    let left = async |session: &str| {
        server.get(&format!("/ledger?session={session}")).await.json()["requests"].clone()
    };
    assert_eq!((left("a").await, left("b").await), (json!(0), json!(1)));
}
