//! Who may ask, and how much.

use std::time::Duration;

use posthaste_relay::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Client, relay};
use crate::support::{PATIENCE, Running, Sink, raw, read};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_admin_interface_is_on_the_public_listener_nor_the_other_way_round() {
    let (_sink, relay, admin) = relay(|_| 204).await;
    let public = Client::of(relay.address);
    for path in ["/", "/healthz", "/readyz", "/metrics", "/ledger", "/dead", "/tail"] {
        assert_eq!(public.get(path).await.status, 404, "{path}");
    }
    for path in ["/dead/replay", "/dead/purge"] {
        assert_eq!(public.post(path).await.status, 404, "{path}");
    }
    assert_eq!(admin.post("/v1/events").await.status, 404);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_foreign_pages_are_refused() {
    let (_sink, relay, admin) = relay(|_| 204).await;
    for path in ["/", "/metrics", "/dead", "/nowhere"] {
        let answer = admin.send("GET", path, &[("host", "rebound.example")], b"").await;
        assert_eq!((answer.status, answer.text().contains("localhost")), (403, true), "{path}");
    }
    let named = format!("localhost:{}", relay.admin.port());
    assert_eq!(admin.send("GET", "/healthz", &[("host", &named)], b"").await.status, 200);
    let own = format!("http://{}", relay.admin);
    for (origin, status) in [("https://evil.example", 403), ("null", 403), (own.as_str(), 200)] {
        for path in ["/dead/replay", "/dead/purge"] {
            let answer = admin.send("POST", path, &[("origin", origin)], b"").await;
            assert_eq!(answer.status, status, "{path} from {origin}");
        }
    }
    // A request that says two hosts, as one that is smuggled may.
    let two = "GET http://rebound.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(relay.admin, two.as_bytes(), PATIENCE).await.statuses(), [403]);
    let old = raw(relay.admin, b"GET /healthz HTTP/1.0\r\n\r\n", PATIENCE).await;
    assert!(old.closed && old.text.contains(" 200 OK") && old.text.ends_with("ok\n"), "{}", old.text);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads_are_bounded() {
    let (_sink, relay, admin) = relay(|_| 204).await;
    assert_eq!(admin.send("POST", "/dead/purge", &[], &[b'x'; 4_097]).await.status, 413);
    let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    assert_eq!(raw(relay.admin, head.as_bytes(), PATIENCE).await.statuses(), [431]);
    for (path, status) in
        [("/dead?tenant=default&nonsense=1", 400), ("/tail?nonsense=1", 400), ("/nowhere", 404)]
    {
        assert_eq!(admin.get(path).await.status, status, "{path}");
    }
    let answer = admin.send("DELETE", "/dead", &[], b"").await;
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "GET,HEAD"));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_who_is_beyond_the_bound_waits_for_a_place() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(relay.admin).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        open.push(stream);
    }
    let mut late = TcpStream::connect(relay.admin).await.unwrap();
    late.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut late, Duration::from_millis(200)).await.statuses(), [0_u16; 0]);
    open.pop();
    assert_eq!(read(&mut late, PATIENCE).await.statuses(), [200]);
    relay.end().await;
}
