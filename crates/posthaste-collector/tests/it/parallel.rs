//! Many tests at a time that share a collector, each with two sessions: none sees what is another's, and none waits in
//! vain. How long an answer takes after its event is recorded.
//!
//! `POSTHASTE_ROUNDS=100` makes each test go on for a hundred rounds. The figures are printed with `--nocapture`.

use std::time::Duration;

use http::{Method, StatusCode};
use posthaste::{Clock, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Server, batch, bytes, collector, conversion};

const TESTS: usize = 64;

fn rounds() -> usize {
    let otherwise = if cfg!(debug_assertions) { 3 } else { 100 };
    std::env::var("POSTHASTE_ROUNDS").map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_what_is_anothers_and_nobody_waits_in_vain() {
    let server = std::sync::Arc::new(Server::start(collector()).await);
    let mut tests = JoinSet::new();
    for test in 0..TESTS {
        let server = std::sync::Arc::clone(&server);
        tests.spawn(async move {
            let mut took = Vec::new();
            for round in 0..rounds() {
                took.push(one_round(&server, test, round).await);
            }
            took
        });
    }
    let mut took: Vec<Duration> = Vec::new();
    while let Some(done) = tests.join_next().await {
        took.extend(done.unwrap());
    }
    took.sort_unstable();
    assert_eq!(took.len(), TESTS * rounds());
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    let (median, most, last) = (at(50), at(99), at(100));
    println!(
        "from an event to the answer of its expectation: median {median:?}, 99 % {most:?}, all {last:?}"
    );
}

/// Every test has the same visitor, and the same key in each round. Returns the time from just before the event is sent
/// until who waited for it has the answer.
async fn one_round(server: &Server, test: usize, round: usize) -> Duration {
    let [mine, other] = ["a", "b"].map(|name| format!("/t/{test}-{round}-{name}"));
    let expects = |session: &str, rest: &str| {
        let path = format!("{session}/expect?visitor=ann&key=purchase{rest}");
        async move { server.get(&path).await }
    };
    let sends = |session: &str| {
        let body = bytes(&batch(&[conversion("ann", &format!("{session}-{round}"))]));
        let path = format!("{session}/v1/events");
        async move {
            // So that the other has begun to wait.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let began = SystemClock.elapsed();
            let answer = server.send(Method::POST, &path, &[], &body).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
            began
        }
    };
    let waits = async {
        let answer = expects(&mine, "&wait=60s").await;
        (answer, SystemClock.elapsed())
    };
    let ((answer, ended), began) = tokio::join!(waits, sends(&mine));
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    for (session, rest, status) in [
        (&other, "", StatusCode::UNPROCESSABLE_ENTITY),
        (&other, "&count=0", StatusCode::OK),
        (&mine, "&count=0", StatusCode::UNPROCESSABLE_ENTITY),
        (&mine, "&count=1", StatusCode::OK),
    ] {
        let answer = expects(session, rest).await;
        assert_eq!(answer.status, status, "{session}{rest}: {:?}", answer.body);
    }
    sends(&other).await;
    let pattern = json!([{"visitor": "ann", "count": 1}, {"no_bad": true}]);
    for session in [&mine, &other] {
        let path = format!("{session}/expect");
        let answer = server.send(Method::POST, &path, &[], &bytes(&pattern)).await;
        assert_eq!(answer.status, StatusCode::OK, "{session}: {:?}", answer.body);
    }
    ended.saturating_sub(began)
}
