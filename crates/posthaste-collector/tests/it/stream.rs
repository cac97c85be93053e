//! Server-sent events: nothing that a filter picks is lost without a count, whatever happens in between.

use std::time::Duration;

use http::{Method, StatusCode};
use posthaste_collector::{Collector, CollectorOptions, LISTENERS_MAX, ROWS_MAX};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::{Server, batch, bytes, collector, conversion};

/// A client that reads a stream line by line; chunks' lengths are lines of their own and are passed over.
struct Stream(BufReader<TcpStream>);

#[derive(Debug)]
struct Told {
    id: u64,
    event: String,
    data: Value,
}

impl Stream {
    async fn open(server: &Server, query: &str, headers: &str) -> Self {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /stream{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", server.address);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self(BufReader::new(socket));
        assert!(stream.line().await.starts_with("HTTP/1.1 200"));
        while !stream.line().await.is_empty() {}
        stream
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        assert_ne!(read.await.unwrap().unwrap(), 0, "the stream has ended");
        line.trim_end().to_owned()
    }

    async fn next(&mut self) -> Told {
        let (mut id, mut event) = (None, None);
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some(("id", number)) => id = number.parse().ok(),
                Some(("event", name)) => event = Some(name.to_owned()),
                Some(("data", data)) => {
                    let data = serde_json::from_str(data).unwrap();
                    return Told { id: id.unwrap(), event: event.unwrap(), data };
                }
                _ => {}
            }
        }
    }

    /// Reads until this id was told of, and gives the ids of rows and how many were skipped.
    async fn until(&mut self, newest: u64) -> (Vec<u64>, u64) {
        let (mut ids, mut skipped) = (Vec::new(), 0);
        loop {
            let told = self.next().await;
            assert_eq!((told.event.as_str(), told.data["newest"].as_u64()), ("rows", Some(told.id)));
            let rows = told.data["rows"].as_array().unwrap();
            assert!(rows.len() <= ROWS_MAX);
            ids.extend(rows.iter().map(|row| row["id"].as_u64().unwrap()));
            skipped += told.data["skipped"].as_u64().unwrap();
            if told.id >= newest {
                return (ids, skipped);
            }
        }
    }
}

fn send(collector: &Collector, visitor: &str, events: std::ops::Range<u64>) {
    let all: Vec<_> = events.map(|event| conversion(visitor, &format!("u-{event}"))).collect();
    collector.receive(&bytes(&batch(&all)));
}

#[tokio::test]
async fn what_is_kept_and_what_arrives_is_told_once() {
    let server = Server::start(collector()).await;
    send(&server.collector, "ann", 0..3);
    let mut stream = Stream::open(&server, "", "").await;
    let first = stream.next().await;
    assert_eq!(first.data["rows"].as_array().unwrap().len(), 3);
    let told =
        ["newest", "oldest", "total", "forgotten", "skipped"].map(|name| first.data[name].as_u64().unwrap());
    assert_eq!(told, [3, 1, 3, 0, 0]);
    assert_eq!(first.data["ledger"]["good"], 3);
    send(&server.collector, "ann", 3..5);
    assert_eq!(stream.until(5).await, (vec![4, 5], 0));
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_lost_and_counts_what_was_forgotten_meanwhile() {
    let options = CollectorOptions { events_max: 5, ..CollectorOptions::default() };
    let server = Server::start(Collector::new(options)).await;
    send(&server.collector, "ann", 0..4);
    for (query, headers) in
        [("?after=2", ""), ("", "Last-Event-ID: 2\r\n"), ("?after=1", "Last-Event-ID: 2\r\n")]
    {
        assert_eq!(Stream::open(&server, query, headers).await.until(4).await, (vec![3, 4], 0));
    }
    send(&server.collector, "ann", 4..10);
    // 6 to 10 are kept; 3, 4 and 5 are gone.
    assert_eq!(Stream::open(&server, "?after=2", "").await.until(10).await, (vec![6, 7, 8, 9, 10], 3));
}

#[tokio::test]
async fn filters_count_what_they_pick() {
    let server = Server::start(collector()).await;
    let mut stream = Stream::open(&server, "?visitor=ann", "").await;
    assert_eq!(stream.next().await.data["total"], 0);
    for (at, visitor) in [(0, "ann"), (1, "bob"), (2, "ann")] {
        send(&server.collector, visitor, at..at + 1);
    }
    assert_eq!(stream.until(3).await, (vec![1, 3], 0));
    send(&server.collector, "ann", 100..1_000);
    let mut later = Stream::open(&server, "?visitor=ann&after=3", "").await;
    let told = later.next().await;
    assert_eq!(told.data["total"], 902);
    let (rows, skipped) = (told.data["rows"].as_array().unwrap(), told.data["skipped"].as_u64().unwrap());
    assert_eq!((rows.len(), skipped), (ROWS_MAX, 900 - ROWS_MAX as u64));
    assert_eq!(rows.last().unwrap()["id"], 903);
}

#[tokio::test]
async fn a_reset_is_told_and_a_collector_that_was_started_anew_is_noticed() {
    let server = Server::start(collector()).await;
    send(&server.collector, "ann", 0..3);
    let mut stream = Stream::open(&server, "", "").await;
    stream.until(3).await;
    server.send(Method::POST, "/reset", &[], b"").await;
    let reset = stream.next().await;
    assert_eq!((reset.event.as_str(), &reset.data["newest"]), ("reset", &Value::from(3)));
    let told = stream.next().await;
    assert_eq!((&told.data["total"], &told.data["skipped"]), (&Value::from(0), &Value::from(0)));
    send(&server.collector, "ann", 0..1);
    assert_eq!(stream.until(4).await, (vec![4], 0));

    let mut stream = Stream::open(&server, "?after=1000", "").await;
    assert_eq!(stream.next().await.event, "reset");
    assert_eq!(stream.until(4).await, (vec![4], 0));
}

#[tokio::test]
async fn listeners_are_bounded_and_a_seat_is_free_again() {
    let server = Server::start(collector()).await;
    let mut streams = Vec::new();
    for _ in 0..LISTENERS_MAX {
        streams.push(Stream::open(&server, "", "").await);
    }
    let refused = server.get("/stream").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.json()["error"].is_string());
    drop(streams);
    // News make the server find out that they are gone.
    for event in 0.. {
        send(&server.collector, "ann", event..event + 1);
        let again = TcpStream::connect(server.address).await.unwrap();
        let mut again = BufReader::new(again);
        again.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut line = String::new();
        again.read_line(&mut line).await.unwrap();
        if line.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn listeners_do_not_keep_a_collector_from_ending() {
    let server = Server::start(collector()).await;
    let mut stream = Stream::open(&server, "", "").await;
    stream.next().await;
    let ended = tokio::time::timeout(Duration::from_secs(3), server.stop().join_next()).await;
    ended.unwrap().unwrap().unwrap().unwrap();
}

/// Three listen while five thousand events arrive: each is in a row or counted, for each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_told_to_all_who_listen_without_a_gap() {
    const EVENTS: u64 = 5_000;
    let options = CollectorOptions { memory_bytes_max: 1 << 20, ..CollectorOptions::default() };
    let server = Server::start(Collector::new(options)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Stream::open(&server, "", "").await);
    }
    let collector = server.collector.clone();
    let flood = tokio::task::spawn_blocking(move || {
        for start in (0..EVENTS).step_by(50) {
            send(&collector, "ann", start..start + 50);
        }
    });
    for mut stream in streams {
        let (ids, skipped) = stream.until(EVENTS).await;
        assert_eq!(ids.len() as u64 + skipped, EVENTS);
        assert!(ids.is_sorted_by(|one, next| one < next));
    }
    flood.await.unwrap();
    assert!(server.collector.ledger().forgotten > 0);
}
