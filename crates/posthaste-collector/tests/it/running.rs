//! A collector in the test's own process, inside and outside of a runtime.

use std::{
    io::{Read, Write},
    net::TcpStream,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use posthaste_collector::{Collector, Running};
use serde_json::json;

use crate::support::{batch, bytes, conversion};

/// What a program under test does.
fn buy(events_url: &str, visitor: &str) {
    let (host, path) = events_url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = bytes(&batch(&[conversion(visitor, "u-1")]));
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

fn said_of(api: &Running, pattern: &str) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| api.expect(pattern))).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn it_is_met_by_its_url_and_says_what_is_missing() {
    let api = Collector::start().unwrap().waiting(Duration::from_millis(50));
    buy(&api.events_url(), "ann");
    api.expect(r#"{"visitor": "ann", "key": "purchase", "revenue": 4200, "count": 1}"#);
    api.expect(json!([{"visitor": "ann"}, {"no_bad": true}]));
    assert_eq!(api.ledger().good, 1);
    let said = said_of(&api, r#"{"visitor": "ann", "revenue": 9900}"#);
    assert!(said.contains("revenue: expected 9900, came 4200"), "{said}");
    assert!(said_of(&api, r#"{"vistor": "ann"}"#).contains("did you mean \"visitor\"?"));
}

#[test]
fn it_waits_for_what_is_still_to_come() {
    let api = Collector::start().unwrap();
    let url = api.events_url();
    let buying = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        buy(&url, "ann");
    });
    api.expect(r#"{"visitor": "ann", "key": "purchase"}"#);
    buying.join().unwrap();
}

/// The program's task runs on the same thread, so only who awaits lets it.
#[tokio::test]
async fn it_can_be_awaited() {
    let api = Collector::start().unwrap();
    let body = bytes(&batch(&[conversion("ann", "u-1")]));
    let buys = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        api.receive(&body);
    };
    tokio::join!(api.expected(r#"{"visitor": "ann"}"#), buys);
    api.expect(r#"{"visitor": "ann"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_may_block_where_there_are_threads() {
    let api = Collector::start().unwrap();
    let url = api.events_url();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        tokio::task::spawn_blocking(move || buy(&url, "ann")).await.unwrap();
    });
    api.expect(r#"{"visitor": "ann"}"#);
    tasks.join_next().await.unwrap().unwrap();
}

#[test]
fn it_ends_with_its_last_line_even_where_a_connection_is_open() {
    let api = Collector::start().unwrap();
    let address = api.url().strip_prefix("http://").unwrap().to_owned();
    let mut open = TcpStream::connect(&address).unwrap();
    open.write_all(b"POST /v1/events HTTP/1.1\r\n").unwrap();
    drop(api);
    assert!(TcpStream::connect(&address).is_err());
}
