//! Passing on what was taken.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use parking_lot::Mutex;
use posthaste::{
    LogEvent,
    dispatch::{DispatchError, EndPoint, Response, RetryAfter, from_fn},
};
use posthaste_collector::{Collector, CollectorOptions, Faults, Forward, Rule};

use crate::support::{Server, batch, bytes, conversion};

type Seen = Arc<Mutex<Vec<LogEvent>>>;

fn elsewhere() -> EndPoint {
    EndPoint::check("http://events.example/v1/events").unwrap()
}

/// A collector that forwards to this, with what that saw.
async fn forwarding(
    options: CollectorOptions,
    answer: impl Fn() -> posthaste::dispatch::Answer + Send + Sync + 'static,
) -> (Server, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let to = from_fn(move |event| {
        noted.lock().push(event);
        answer()
    });
    let forward = Some(Forward::through(elsewhere(), to));
    (Server::start(Collector::new(CollectorOptions { forward, ..options })).await, seen)
}

fn good() -> Vec<u8> {
    bytes(&batch(&[conversion("ann", "u-1")]))
}

#[tokio::test]
async fn the_end_points_answer_is_answered_and_the_verdict_stays() {
    let retry = RetryAfter::Delay(Duration::from_secs(7));
    let answer = move || Ok(Response::status(429).with_text("[\"slow down\"]").with_retry_after(retry));
    let (server, seen) = forwarding(CollectorOptions::default(), answer).await;
    let answer = server.post(&[], &good()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (&answer.headers["retry-after"], &answer.headers["content-type"]),
        (&"7".parse().unwrap(), &"application/json".parse().unwrap())
    );
    assert_eq!(answer.json(), serde_json::json!(["slow down"]));
    assert_eq!(server.collector.ledger().good, 1);
    let seen = seen.lock();
    assert_eq!(
        (seen.len(), seen[0].end_point(), &seen[0].body()[..]),
        (1, elsewhere().as_str(), &good()[..])
    );
}

#[tokio::test]
async fn a_bad_body_is_passed_on_and_one_that_is_refused_here_is_not() {
    let (server, seen) = forwarding(CollectorOptions::default(), || Ok(Response::status(204))).await;
    assert_eq!(server.post(&[], b"{").await.status, StatusCode::NO_CONTENT);
    assert_eq!((server.collector.ledger().bad, seen.lock().len()), (1, 1));
    let refused = server.post(&[("X-Optimizely-Strict", "1")], b"{").await;
    assert_eq!((refused.status, seen.lock().len()), (StatusCode::BAD_REQUEST, 1));
}

#[tokio::test]
async fn an_end_point_that_does_not_answer_is_said() {
    for (error, status) in [
        (DispatchError::Connect("events.example:80: refused".to_owned()), StatusCode::BAD_GATEWAY),
        (DispatchError::TimedOut(Duration::from_secs(8)), StatusCode::GATEWAY_TIMEOUT),
    ] {
        let (server, _) = forwarding(CollectorOptions::default(), move || Err(error.clone())).await;
        let answer = server.post(&[], &good()).await;
        let line = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(answer.status, status);
        assert!(line.starts_with("kept here, and not forwarded to events.example:80: "), "{line}");
        assert_eq!(server.collector.ledger().good, 1);
    }
}

#[tokio::test]
async fn what_a_script_lets_get_lost_is_not_passed_on() {
    let faults = Faults::new([Rule::status(503).requests(1..=1)]).unwrap();
    let options = CollectorOptions { faults, ..CollectorOptions::default() };
    let (server, seen) = forwarding(options, || Ok(Response::status(204))).await;
    assert_eq!(server.post(&[], &good()).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(seen.lock().is_empty());
    assert_eq!(server.post(&[], &good()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(seen.lock().len(), 1);
}

#[tokio::test]
async fn what_was_forwarded_is_not_forwarded_again() {
    let (server, seen) = forwarding(CollectorOptions::default(), || Ok(Response::status(204))).await;
    let answer = server.post(&[("X-Posthaste-Forwarded", "collector")], &good()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!((seen.lock().len(), server.collector.ledger().requests), (0, 0));
}
