//! Safe beside a browser: who may ask for what, and what a browser is told about the answers.

use http::{Method, StatusCode};
use posthaste_collector::{Collector, CollectorOptions};

use crate::support::{Server, batch, bytes, collector, conversion};

const PAGE: &str = "https://shop.example";

fn good() -> Vec<u8> {
    bytes(&batch(&[conversion("ann", "u-1")]))
}

#[tokio::test]
async fn a_page_of_any_origin_may_post_events() {
    let server = Server::start(collector()).await;
    let asked = [
        ("Origin", PAGE),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "Content-Type, x-posthaste-session,x-secret"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    for path in ["/v1/events", "/v1/events/", "/t/one/v1/events"] {
        let answer = server.send(Method::OPTIONS, path, &asked, b"").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.headers["access-control-allow-origin"], PAGE);
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers["access-control-allow-headers"], "content-type, x-posthaste-session");
        assert_eq!(answer.headers["vary"], "Origin");
    }
    let posted = server.post(&[("Origin", PAGE), ("Host", "events.example")], &good()).await;
    assert_eq!(posted.status, StatusCode::NO_CONTENT);
    assert_eq!(posted.headers["access-control-allow-origin"], PAGE);
    assert_eq!(posted.headers["access-control-allow-credentials"], "true");
    assert_eq!(server.collector.ledger().good, 1);
    assert_eq!(posted.headers["vary"], "Origin");
    let plain = server.post(&[], &good()).await;
    assert!(!plain.headers.contains_key("access-control-allow-origin"));
}

/// The browser shows a page only what it may see: without these headers, a 400 would be a riddle.
#[tokio::test]
async fn a_refusal_can_be_read_by_the_page_too() {
    let server = Server::start(collector()).await;
    let answer = server.post(&[("Origin", PAGE), ("X-Optimizely-Strict", "true")], b"{").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers["access-control-allow-origin"], PAGE);
}

#[tokio::test]
async fn a_foreign_page_and_a_rebound_host_get_403_and_change_nothing() {
    let server = Server::start(collector()).await;
    server.post(&[], &good()).await;
    let foreign: [&[(&str, &str)]; 4] = [
        &[("Origin", PAGE)],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
        &[("Host", "rebound.example")],
    ];
    let requests = [
        (Method::POST, "/reset"),
        (Method::PUT, "/faults"),
        (Method::OPTIONS, "/reset"),
        (Method::GET, "/all"),
        (Method::GET, "/"),
        (Method::GET, "/nowhere"),
        (Method::POST, "/eu/v1/events"),
    ];
    for headers in foreign {
        for (method, path) in &requests {
            let answer = server.send(method.clone(), path, headers, b"").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{method} {path}");
            let line = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        }
    }
    assert_eq!(server.collector.ledger().good, 1);
    let rebound = server.send(Method::GET, "/all", &[("Host", "rebound.example:80")], b"").await;
    let line = String::from_utf8(rebound.body.to_vec()).unwrap();
    assert!(line.contains("--allow-host rebound.example\n"), "{line}");
}

#[tokio::test]
async fn names_that_are_allowed_and_its_own_page_are_answered() {
    let hosts = vec!["collector".to_owned()];
    let server =
        Server::start(Collector::new(CollectorOptions { hosts, ..CollectorOptions::default() })).await;
    let own = server.address.to_string();
    for headers in [
        vec![("Host", "collector:8080")],
        vec![("Host", "localhost")],
        vec![("Origin", "http://collector"), ("Sec-Fetch-Site", "same-origin")],
    ] {
        let answer = server.send(Method::POST, "/reset", &headers, b"").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?}");
    }
    let origin = format!("http://{own}");
    let page = [("Origin", origin.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(server.send(Method::POST, "/reset", &page, b"").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn every_answer_but_that_to_events_protects_the_page() {
    let server = Server::start(collector()).await;
    for path in ["/", "/all", "/nowhere", "/openapi.json", "/good?limit=x"] {
        let answer = server.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin");
    }
    assert!(!server.post(&[], &good()).await.headers.contains_key("content-security-policy"));
}

#[tokio::test]
async fn a_base_stands_before_every_path() {
    let base = "/tools/collector".parse().unwrap();
    let server =
        Server::start(Collector::new(CollectorOptions { base, ..CollectorOptions::default() })).await;
    let posted = server.send(Method::POST, "/tools/collector/v1/events", &[], &good()).await;
    assert_eq!(posted.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get("/tools/collector/good?visitor=ann").await.uuids(), ["u-1"]);
    // A proxy that takes it off, and a probe on this machine.
    assert_eq!(server.get("/good").await.uuids(), ["u-1"]);
    assert_eq!(server.get("/tools/collectors/good").await.status, StatusCode::NOT_FOUND);
    let edge = server.get("/tools/collector?x=1").await;
    assert_eq!(edge.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(edge.headers["location"], "collector/?x=1");
    let refused = server.send(Method::POST, "/tools/collector/reset", &[("Origin", PAGE)], b"").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
