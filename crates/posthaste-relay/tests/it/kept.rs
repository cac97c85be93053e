//! Connections that are kept: an answer may come before the body of its request is in, and then the next request on the
//! same connection is served, or the client was told that there is none.

use std::time::Duration;

use posthaste_relay::{AccessConfig, Config, Limits};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{PATIENCE, Running, Sink, body, raw};

const TOKEN: &str = "authorization: Bearer a-token-of-ours-01\r\n";
/// Requests that are answered without a look at their bodies.
const EARLY: [(&str, &str, u16); 3] =
    [("POST /nowhere", TOKEN, 404), ("PUT /v1/events", TOKEN, 405), ("POST /v1/events", "", 401)];

/// A relay that asks for a token, and waits for the rest of a body for so long.
async fn relay(sink: &Sink, folder: &tempfile::TempDir, rest_timeout: Duration) -> Running {
    let tokens_file = folder.path().join("tokens");
    std::fs::write(&tokens_file, "a-token-of-ours-01").unwrap();
    let access = AccessConfig { tokens_file: Some(tokens_file), ..AccessConfig::default() };
    let limits = Limits { rest_timeout, ..Limits::default() };
    Running::start(Config { access, limits, ..Config::to(&sink.url) }).await
}

/// A client that keeps its connection for as long as it may.
struct Keeper {
    stream: TcpStream,
}

impl Keeper {
    async fn of(relay: &Running) -> Self {
        let stream = TcpStream::connect(relay.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The status of the next answer, and whether the connection goes on.
    async fn answer(&mut self) -> (u16, bool) {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, self.stream.read_u8()).await.unwrap();
            text.push(byte.expect("the answer is whole"));
        }
        let head = String::from_utf8(text).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut told = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut told).await.unwrap();
        (head[9..12].parse().unwrap(), !head.contains("connection: close"))
    }

    /// An honest request on the same connection.
    async fn is_served(&mut self, uuid: &str) {
        let body = body("1", uuid);
        self.say(&head("POST /v1/events", TOKEN, body.len())).await;
        self.say(&body).await;
        assert_eq!(self.answer().await, (204, true));
    }

    /// Nothing more comes.
    async fn ends(mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok() && rest.is_empty(), "{read:?}: {}", String::from_utf8_lossy(&rest));
    }
}

fn head(line: &str, headers: &str, length: usize) -> String {
    format!("{line} HTTP/1.1\r\nhost: relay\r\n{headers}content-length: {length}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_is_read_whenever_it_comes_and_the_connection_is_kept() {
    let (sink, folder) = (Sink::taking().await, tempfile::tempdir().unwrap());
    let relay = relay(&sink, &folder, PATIENCE).await;
    for (line, headers, status) in EARLY {
        let mut keeper = Keeper::of(&relay).await;
        for length in [0, 500, Limits::default().rest_bytes_max] {
            let (head, body) = (head(line, headers, length), "x".repeat(length));
            keeper.say(&format!("{head}{body}")).await;
            assert_eq!(keeper.answer().await, (status, true), "{line}, in one piece");
            keeper.say(&head).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (one, other) = body.split_at(length / 2);
            keeper.say(one).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            keeper.say(other).await;
            assert_eq!(keeper.answer().await, (status, true), "{line}, later");
            keeper.is_served("kept").await;
        }
    }
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_is_to_come_the_answer_ends_the_connection() {
    let (sink, folder) = (Sink::taking().await, tempfile::tempdir().unwrap());
    let slow = relay(&sink, &folder, Duration::from_millis(100)).await;
    let relay = relay(&sink, &folder, PATIENCE).await;
    for (line, headers, status) in EARLY {
        // It never comes.
        let mut keeper = Keeper::of(&slow).await;
        keeper.say(&head(line, headers, 500)).await;
        keeper.say("only this").await;
        assert_eq!(keeper.answer().await, (status, false), "{line}");
        keeper.ends().await;
        // It is large: nobody waits for it, and it may come all the same.
        for length in [Limits::default().rest_bytes_max + 1, 3_000_000] {
            let mut keeper = Keeper::of(&relay).await;
            keeper.say(&head(line, headers, length)).await;
            assert_eq!(keeper.answer().await, (status, false), "{line} {length}");
            keeper.ends().await;
            let whole = head(line, headers, length) + &"x".repeat(length);
            let back = raw(relay.address, whole.as_bytes(), PATIENCE).await;
            assert_eq!((back.statuses(), back.closed), (vec![status], true), "{line} {length}");
            assert!(back.text.contains("connection: close"), "{}", back.text);
        }
        // Who sends chunks is told that this is the last answer, as always.
        let mut keeper = Keeper::of(&relay).await;
        keeper
            .say(&format!("{line} HTTP/1.1\r\nhost: relay\r\n{headers}transfer-encoding: chunked\r\n\r\n"))
            .await;
        assert_eq!(keeper.answer().await, (status, false), "{line}");
        // Who waits to be asked for the body is not asked.
        let mut keeper = Keeper::of(&relay).await;
        keeper.say(&head(line, &format!("{headers}expect: 100-continue\r\n"), 500)).await;
        assert_eq!(keeper.answer().await, (status, false), "{line}");
        keeper.ends().await;
    }
    slow.end().await;
    relay.end().await;
}

/// A body that is refused for what it holds has been read: there is nothing to end the connection for.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_the_body_keeps_the_connection() {
    let (sink, folder) = (Sink::taking().await, tempfile::tempdir().unwrap());
    let relay = relay(&sink, &folder, PATIENCE).await;
    let mut keeper = Keeper::of(&relay).await;
    let packed = format!("{TOKEN}content-encoding: br\r\n");
    for (headers, sent, status) in
        [(&*packed, "x", 415), (&format!("{TOKEN}x-optimizely-strict: 1\r\n"), "nonsense", 400)]
    {
        keeper.say(&(head("POST /v1/events", headers, sent.len()) + sent)).await;
        assert_eq!(keeper.answer().await, (status, true));
        keeper.is_served("kept").await;
    }
    relay.end().await;
}
