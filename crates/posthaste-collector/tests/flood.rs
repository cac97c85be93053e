//! Fifty thousand events a second with three pages open: nothing is dropped without a count.
//!
//! `cargo test --release -p posthaste-collector --test flood -- --ignored --nocapture`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and one tells of its figures"
)]
#![expect(clippy::disallowed_methods, reason = "a measurement of real time")]

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use posthaste_collector::{Collector, CollectorOptions};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

const CLIENTS: u64 = 4;
const EVENTS_PER_BODY: u64 = 50;

fn body(first: u64) -> String {
    let mut visitors = String::new();
    for event in first..first + EVENTS_PER_BODY {
        let comma = if event == first { "" } else { "," };
        write!(
            visitors,
            r#"{comma}{{"visitor_id":"shopper-{:05}","attributes":[{{"entity_id":"20010","key":"plan","type":"custom","value":"pro"}}],"snapshots":[{{"events":[{{"entity_id":"30012","key":"purchase","timestamp":1795500003394,"uuid":"{event:08x}-1111-4222-8333-{event:012x}","tags":{{"revenue":4200}},"revenue":4200}}]}}]}}"#,
            event % 100_000,
        )
        .unwrap();
    }
    format!(
        r#"{{"account_id":"10000001","project_id":"10000002","revision":"42","client_name":"posthaste","client_version":"0.1.0","anonymize_ip":true,"enrich_decisions":true,"visitors":[{visitors}]}}"#
    )
}

/// Sends its share, no faster than told.
async fn client(address: SocketAddr, number: u64, bodies: u64, pause: Duration) {
    let mut socket = BufReader::new(TcpStream::connect(address).await.unwrap());
    let started = tokio::time::Instant::now();
    for at in 0..bodies {
        tokio::time::sleep_until(started + pause * u32::try_from(at).unwrap()).await;
        let body = body((number * bodies + at) * EVENTS_PER_BODY);
        let request =
            format!("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut status = String::new();
        socket.read_line(&mut status).await.unwrap();
        assert!(status.starts_with("HTTP/1.1 204"), "{status}");
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            socket.read_line(&mut line).await.unwrap();
        }
    }
}

/// Listens until so many were told of, in rows or counted; gives the rows and the longest wait between two tellings.
async fn page(address: SocketAddr, events: u64) -> (u64, Duration) {
    let mut socket = BufReader::with_capacity(1 << 16, TcpStream::connect(address).await.unwrap());
    socket.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let (mut told, mut rows, mut longest, mut last) = (0, 0, Duration::ZERO, Instant::now());
    let mut line = String::new();
    while told < events {
        line.clear();
        assert_ne!(socket.read_line(&mut line).await.unwrap(), 0);
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let data: Value = serde_json::from_str(data).unwrap();
        let count = data.get("rows").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        rows += count;
        told += count + data.get("skipped").and_then(Value::as_u64).unwrap_or_default();
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert_eq!(told, events);
    (rows, longest)
}

async fn run(events: u64, a_second: u64) {
    let collector =
        Collector::new(CollectorOptions { memory_bytes_max: 64 << 20, ..CollectorOptions::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = JoinSet::new();
    let serving = collector.clone();
    server.spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
    let mut pages = JoinSet::new();
    for _ in 0..3 {
        pages.spawn(page(address, events));
    }
    let started = Instant::now();
    let mut clients = JoinSet::new();
    let bodies = events / EVENTS_PER_BODY / CLIENTS;
    let pause = Duration::from_secs(1) * u32::try_from(EVENTS_PER_BODY * CLIENTS).unwrap()
        / u32::try_from(a_second).unwrap();
    for number in 0..CLIENTS {
        clients.spawn(client(address, number, bodies, pause));
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let took = started.elapsed();
    while let Some(done) = pages.join_next().await {
        let (rows, longest) = done.unwrap();
        println!("a page: {rows} rows, the longest wait {longest:?}");
    }
    let ledger = collector.ledger();
    println!("{} events in {took:?}, {} forgotten", ledger.good, ledger.forgotten);
    assert_eq!((ledger.good, ledger.duplicates, ledger.bad), (events, 0, 0));
    drop(stop);
    server.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_seconds_of_a_few_thousand_are_told_whole() {
    run(4_000, 4_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "twenty seconds at full speed"]
async fn fifty_thousand_a_second_are_told_whole() {
    run(1_000_000, 50_000).await;
}
