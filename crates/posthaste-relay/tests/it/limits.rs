//! Every limit has its answer, and holds.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use posthaste_relay::{AccessConfig, Config, Forward, Limits, Store};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{PATIENCE, Running, Sink, body, post, post_to, raw, read, until};

const SHORT: Duration = Duration::from_millis(150);

async fn start(limits: Limits) -> (Sink, Running) {
    let sink = Sink::taking().await;
    let relay = Running::start(Config { limits, ..Config::to(&sink.url) }).await;
    (sink, relay)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_as_they_come_and_as_they_unpack() {
    let limits = Limits {
        body_bytes_max: 1_000,
        unpacked_bytes_max: 2_000,
        unpack_ratio_max: 20,
        ..Limits::default()
    };
    let (_sink, relay) = start(limits).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let padded = |bytes: usize| {
        let body = body("1", "a");
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(post(relay.address, "", padded(1_000).as_bytes()).await.0, 204);
    assert_eq!(post(relay.address, "", padded(1_001).as_bytes()).await.0, 413);
    let packed = "content-encoding: gzip\r\n";
    assert_eq!(post(relay.address, packed, &gzip(padded(2_000).as_bytes())).await.0, 204);
    assert_eq!(post(relay.address, packed, &gzip(padded(2_001).as_bytes())).await.0, 413);
    // Small as it comes, small once unpacked, and too much of a difference.
    assert_eq!(post(relay.address, packed, &gzip(&[b' '; 1_900])).await.0, 413);
    assert_eq!(post(relay.address, "content-encoding: br\r\n", b"x").await.0, 415);
    // Of unknown length.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
    let chunked = format!("POST /v1/events HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(raw(relay.address, chunked.as_bytes(), PATIENCE).await.statuses(), [413]);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded_in_bytes_lines_and_time() {
    let limits = Limits { headers_max: 10, head_bytes_max: 8_192, head_timeout: SHORT, ..Limits::default() };
    let (_sink, relay) = start(limits).await;
    let head = |lines: &str| format!("POST /v1/events HTTP/1.1\r\n{lines}\r\n");
    let many: String = (0..11).map(|at| format!("x-{at}: 1\r\n")).collect::<Vec<_>>().concat();
    assert_eq!(raw(relay.address, head(&many).as_bytes(), PATIENCE).await.statuses(), [431]);
    let long = format!("x: {}\r\n", "y".repeat(9_000));
    assert_eq!(raw(relay.address, head(&long).as_bytes(), PATIENCE).await.statuses(), [431]);
    let back = raw(relay.address, b"POST /v1/events HT", PATIENCE).await;
    assert_eq!((back.statuses(), back.closed), (vec![408], true));
    // One byte at a time does not buy more time.
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let slow = async {
        // Longer than anybody waits for it.
        for byte in head(&format!("x: {}\r\n", "y".repeat(4_000))).bytes() {
            if writer.write_all(&[byte]).await.is_err() {
                // The relay has had enough: the answer is there to be read.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = slow => panic!("it was to be ended"),
        read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer) => drop(read),
    }
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408 "));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_pauses_are_bounded_in_time() {
    let limits = Limits { body_timeout: SHORT, idle_timeout: SHORT * 4, ..Limits::default() };
    let (_sink, relay) = start(limits).await;
    let back =
        raw(relay.address, b"POST /v1/events HTTP/1.1\r\ncontent-length: 100\r\n\r\nabc", PATIENCE).await;
    assert_eq!((back.statuses(), back.closed), (vec![408], true));
    // Idle from the beginning, and after a request: closed without a word.
    let back = raw(relay.address, b"", PATIENCE).await;
    assert_eq!((back.text.as_str(), back.closed), ("", true));
    let body = body("1", "a");
    let request =
        format!("POST /v1/events HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let back = raw(relay.address, request.as_bytes(), PATIENCE).await;
    assert_eq!((back.statuses(), back.closed), (vec![204], true));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_in_number_and_age() {
    let (_sink, relay) = start(Limits { connections_max: 3, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(relay.address).await.unwrap());
    }
    let back = raw(relay.address, b"GET / HTTP/1.1\r\n\r\n", PATIENCE).await;
    assert_eq!((back.statuses(), back.closed), (vec![503], true), "{}", back.text);
    assert!(back.text.contains("retry-after: 1"));
    drop(held);
    let ok = || async { post(relay.address, "", body("1", "a").as_bytes()).await.0 == 204 };
    while !ok().await {}
    relay.end().await;

    let (_sink, relay) = start(Limits { connections_per_address_max: 1, ..Limits::default() }).await;
    let _held = TcpStream::connect(relay.address).await.unwrap();
    assert_eq!(raw(relay.address, b"GET / HTTP/1.1\r\n\r\n", PATIENCE).await.statuses(), [503]);
    relay.end().await;

    let (_sink, relay) = start(Limits { connection_age_max: SHORT, ..Limits::default() }).await;
    let mut held = TcpStream::connect(relay.address).await.unwrap();
    assert!(read(&mut held, PATIENCE).await.closed, "too old");
    relay.end().await;
}

/// Whoever asks and asks, and reads no answer, does not hold its place for ever.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_its_answers_is_not_waited_for() {
    let limits = Limits {
        connections_max: 1,
        connection_age_max: SHORT,
        head_timeout: SHORT,
        body_timeout: SHORT,
        store_timeout: SHORT,
        ..Limits::default()
    };
    let (_sink, relay) = start(limits).await;
    let mut deaf = TcpStream::connect(relay.address).await.unwrap();
    // An answer of its own for each, until nothing more goes in, or the relay has ended it.
    let asking = async {
        let many = "GET / HTTP/1.1\r\nhost: r\r\n\r\n".repeat(1_000);
        while deaf.write_all(many.as_bytes()).await.is_ok() {}
    };
    drop(tokio::time::timeout(SHORT, asking).await);
    while post(relay.address, "", body("1", "a").as_bytes()).await.0 != 204 {}
    drop(deaf);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_read_is_bounded_in_bytes() {
    let limits = Limits { intake_bytes_max: 64 << 10, ..Limits::default() };
    let (_sink, relay) = start(limits).await;
    let head = format!("POST /v1/events HTTP/1.1\r\ncontent-length: {}\r\n\r\n", 60 << 10);
    let begin = || async {
        let mut slow = TcpStream::connect(relay.address).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        slow
    };
    let mut slow = begin().await;
    // Announced, and not sent: it holds no room.
    let large = format!("{}{}", body("1", "a"), " ".repeat(40 << 10));
    assert_eq!(post(relay.address, "", large.as_bytes()).await.0, 204);
    slow.write_all(&vec![b' '; 50 << 10]).await.unwrap();
    let refused = loop {
        let (status, text) = post(relay.address, "", large.as_bytes()).await;
        if status == 503 {
            break text;
        }
        // Of the two, it may be the slow one that found no room.
        if slow.try_read(&mut [0; 1]).is_ok() {
            slow = begin().await;
            drop(slow.write_all(&vec![b' '; 50 << 10]).await);
        }
    };
    assert!(refused.contains("retry-after: 1"), "{refused}");
    drop(slow);
    while post(relay.address, "", large.as_bytes()).await.0 != 204 {}
    relay.end().await;
}

/// A queue that is full answers after a bounded wait, and takes events again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_recovers_without_a_restart() {
    let sink = Sink::start(|_| 503).await;
    let limits = Limits { store_timeout: SHORT, ..Limits::default() };
    let store = Store::Memory { bytes_max: 4_000 };
    let relay = Running::start(Config { limits, store, ..Config::to(&sink.url) }).await;
    let mut taken = Vec::new();
    let refused = loop {
        let uuid = taken.len().to_string();
        let (status, text) = post(relay.address, "", body("1", &uuid).as_bytes()).await;
        if status != 204 {
            break (status, text);
        }
        taken.push(uuid);
    };
    assert_eq!(refused.0, 503);
    assert!(refused.1.contains("retry-after: 1"), "{}", refused.1);
    assert!(taken.len() > 3);
    let ready = || async {
        let asked = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        raw(relay.admin, asked, PATIENCE).await
    };
    let told = ready().await;
    assert!(told.statuses() == [503] && told.text.contains("just refused a request: full"), "{}", told.text);
    sink.answers(|_| 204);
    relay.delivered().await;
    assert_eq!(post(relay.address, "", body("1", "again").as_bytes()).await.0, 204);
    assert_eq!(ready().await.statuses(), [200], "it has taken one since");
    relay.delivered().await;
    taken.push("again".to_owned());
    taken.sort_unstable();
    assert_eq!(sink.uuids().into_keys().collect::<Vec<_>>(), taken);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_methods_tokens_and_accounts_have_their_answers() {
    let folder = tempfile::tempdir().unwrap();
    let tokens_file = folder.path().join("tokens");
    std::fs::write(&tokens_file, "# ours\nan-old-token-of-ours\na-new-token-of-ours\n").unwrap();
    let access = AccessConfig {
        tokens_file: Some(tokens_file),
        accounts: vec!["1".to_owned()],
        ..AccessConfig::default()
    };
    let sink = Sink::taking().await;
    let relay = Running::start(Config { access, ..Config::to(&sink.url) }).await;
    let ours = "authorization: Bearer a-new-token-of-ours\r\n";
    let get = raw(relay.address, b"GET /v1/events HTTP/1.1\r\nconnection: close\r\n\r\n", PATIENCE).await;
    assert_eq!(get.statuses(), [405]);
    assert!(get.text.contains("allow: POST"));
    for (path, headers, account, status) in [
        ("/", ours, "1", 404),
        ("/v1/events/x", ours, "1", 404),
        ("/v1/events", "", "1", 401),
        ("/v1/events", "authorization: Bearer a-new-token-of-our\r\n", "1", 401),
        ("/v1/events", "authorization: Bearer a-new-token-of-ours2\r\n", "1", 401),
        ("/v1/events", "authorization: Basic a-new-token-of-ours\r\n", "1", 401),
        ("/v1/events", "authorization: Bearer \r\n", "1", 401),
        ("/v1/events", ours, "2", 403),
        ("/v1/events", ours, "1", 204),
        ("/v1/events", "authorization: bearer an-old-token-of-ours\r\n", "1", 204),
    ] {
        assert_eq!(
            post_to(relay.address, path, headers, body(account, "a").as_bytes()).await.0,
            status,
            "{path} {headers}"
        );
    }
    until(|| relay.relay.ledgers()[0].1.delivered == 2).await;
    relay.end().await;
}

/// An upstream that once asks for a day of rest does not keep an event from its experiment for a day.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_holds_a_request_back_for_no_longer_than_it_may() {
    let mut first = true;
    let sink = Sink::start(move |_| if std::mem::take(&mut first) { 429 } else { 204 }).await;
    let forward = Forward {
        wait: Duration::from_millis(1),
        retry_after_max: Duration::from_millis(50),
        ..Forward::default()
    };
    let relay = Running::start(Config { forward, ..Config::to(&sink.url) }).await;
    assert_eq!(post(relay.address, "", body("1", "a").as_bytes()).await.0, 204);
    relay.delivered().await;
    assert_eq!((sink.asked(), sink.uuids().len()), (2, 1));
    relay.end().await;
}
