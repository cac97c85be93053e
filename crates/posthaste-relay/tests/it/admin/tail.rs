//! The tail tells what came in, what went out and what was answered, to those who want to hear of it.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::relay;
use crate::support::{PATIENCE, Running, body, post};

/// Somebody who listens.
struct Listener {
    stream: TcpStream,
    text: String,
}

impl Listener {
    async fn at(relay: &Running, query: &str) -> Self {
        let mut stream = TcpStream::connect(relay.admin).await.unwrap();
        let head = format!("GET /tail{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut listener = Self { stream, text: String::new() };
        listener.wait_for(|text| text.contains(": listening\n\n") || text.contains("HTTP/1.1 503")).await;
        listener
    }

    async fn wait_for(&mut self, is_there: impl Fn(&str) -> bool) {
        let mut buffer = [0; 4_096];
        let reading = async {
            while !is_there(&self.text) {
                let read = self.stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "it has ended: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("nothing of that came");
    }

    /// The events of this name so far.
    fn events(&self, name: &str) -> Vec<Value> {
        let start = format!("event: {name}\ndata: ");
        let data = self.text.split(&start).skip(1).filter_map(|rest| rest.split("\n\n").next());
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_of_as_it_comes_in_goes_out_and_is_answered() {
    let (_sink, relay, _) = relay(|_| 503).await;
    let mut listener = Listener::at(&relay, "").await;
    let body = body("7", "a")
        .replace(r#""revision""#, r#""client_name":"python-sdk","client_version":"5.7.0","revision""#);
    assert_eq!(post(relay.address, "", body.as_bytes()).await.0, 204);
    listener.wait_for(|text| text.contains("event: in") && text.contains("event: answer")).await;
    let (came, out, answered) = (listener.events("in"), listener.events("out"), listener.events("answer"));
    assert_eq!(
        [&came[0]["account"], &came[0]["tenant"], &came[0]["client_name"], &came[0]["client_version"]],
        ["7", "default", "python-sdk", "5.7.0"]
    );
    let numbers = |event: &Value, names: [&str; 3]| names.map(|name| event[name].as_u64());
    let length = Some(body.len() as u64);
    assert_eq!(numbers(&came[0], ["events", "bytes", "status"]), [Some(1), length, Some(204)]);
    assert_eq!(numbers(&out[0], ["events", "bytes", "request"]), [Some(1), length, Some(1)]);
    assert_eq!(numbers(&answered[0], ["events", "status", "request"]), [Some(1), Some(503), Some(1)]);
    assert!(answered[0]["milliseconds"].is_u64());
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_what_is_of_another_tenant_or_account() {
    let (_sink, relay, admin) = relay(|_| 204).await;
    let mut of_seven = Listener::at(&relay, "?account=7").await;
    let mut of_default = Listener::at(&relay, "?tenant=default").await;
    assert_eq!(admin.get("/tail?tenant=nobody").await.status, 404);
    for (account, uuid) in [("8", "a"), ("7", "b")] {
        assert_eq!(post(relay.address, "", body(account, uuid).as_bytes()).await.0, 204);
        relay.delivered().await;
    }
    // Of no tenant: it is refused before anybody knows whose it is.
    assert_eq!(post(relay.address, "", b"nonsense").await.0, 204);
    of_default.wait_for(|text| text.matches("event: answer").count() == 2).await;
    of_seven.wait_for(|text| text.contains("event: answer")).await;
    for name in ["in", "out", "answer"] {
        assert_eq!(of_default.events(name).len(), 2, "{name}");
        let of_seven = of_seven.events(name);
        assert_eq!((of_seven.len(), &of_seven[0]["account"]), (1, &"7".into()), "{name}");
    }
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_may_listen_and_a_place_comes_back_when_one_goes() {
    let (_sink, relay, _) = relay(|_| 204).await;
    let mut listeners = Vec::new();
    for _ in 0..8 {
        listeners.push(Listener::at(&relay, "").await);
    }
    assert!(Listener::at(&relay, "").await.text.contains("503 Service Unavailable"));
    listeners.pop();
    let again = async {
        while Listener::at(&relay, "").await.text.contains("503 Service Unavailable") {
            // That it has gone is noticed once there is something to tell it.
            assert_eq!(post(relay.address, "", body("1", "a").as_bytes()).await.0, 204);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the place has not come back");
    relay.end().await;
}
