//! How connections end: never under a request that was sent over them.

use std::time::Duration;

use posthaste_relay::{Config, Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::support::{PATIENCE, Running, Sink, body, read};

fn request(uuid: &str) -> String {
    let body = body("1", uuid);
    format!("POST /v1/events HTTP/1.1\r\nhost: relay\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Sends a request over a connection that stays, and returns the head of the answer.
async fn answer(stream: &mut TcpStream, uuid: &str) -> String {
    stream.write_all(request(uuid).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_too_old_says_so_in_its_last_answer() {
    let sink = Sink::taking().await;
    let limits = Limits { connection_age_max: Duration::from_millis(200), ..Limits::default() };
    let relay = Running::start(Config { limits, ..Config::to(&sink.url) }).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let mut asked = 0;
    loop {
        let head = answer(&mut stream, &asked.to_string()).await;
        asked += 1;
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        if head.contains("connection: close") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let back = read(&mut stream, PATIENCE).await;
    assert_eq!((back.text.as_str(), back.closed), ("", true));
    assert!(asked > 1, "the first was not old");
    relay.delivered().await;
    assert_eq!(sink.uuids().len(), asked);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_while_the_relay_ends_is_answered_and_who_is_quiet_does_not_hold_it_up() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let mut busy = TcpStream::connect(relay.address).await.unwrap();
    assert!(answer(&mut busy, "a").await.starts_with("HTTP/1.1 204 "));
    let (mut silent, mut idle) =
        (TcpStream::connect(relay.address).await.unwrap(), TcpStream::connect(relay.address).await.unwrap());
    assert!(answer(&mut idle, "b").await.starts_with("HTTP/1.1 204 "));

    let (begun, at_most) = (Instant::now(), Config::to("").shutdown_timeout);
    let asking = async {
        busy.write_all(request("c").as_bytes()).await.unwrap();
        read(&mut busy, PATIENCE).await
    };
    let (report, back) = tokio::join!(relay.end(), asking);
    assert_eq!((back.statuses(), back.closed), (vec![204], true), "{}", back.text);
    for stream in [&mut silent, &mut idle] {
        let back = read(stream, PATIENCE).await;
        assert_eq!((back.text.as_str(), back.closed), ("", true));
    }
    assert!(begun.elapsed() < at_most, "{:?}", begun.elapsed());
    assert_eq!((report.tenants[0].accepted, report.tenants[0].delivered), (3, 3));
}

/// Neither a client that never says the rest nor an upstream that is away makes the end take longer than it may.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_takes_no_longer_than_it_may() {
    let sink = Sink::start(|_| 503).await;
    let within = Duration::from_secs(4);
    let relay = Running::start(Config { shutdown_timeout: within, ..Config::to(&sink.url) }).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    assert!(answer(&mut stream, "a").await.starts_with("HTTP/1.1 204 "));
    stream
        .write_all(b"POST /v1/events HTTP/1.1\r\nhost: relay\r\ncontent-length: 500\r\n\r\n{")
        .await
        .unwrap();
    let begun = Instant::now();
    let report = relay.end().await;
    assert_eq!(report.tenants[0].queued, 1);
    // Twice as long, where each of the two had all of the time.
    assert!(begun.elapsed() < within * 3 / 2, "{:?}", begun.elapsed());
}
