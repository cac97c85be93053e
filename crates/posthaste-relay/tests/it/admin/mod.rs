//! The admin interface over real sockets: what it says is so, whoever must not ask is refused, and everything is bounded.

mod counts;
mod dead;
mod guard;
mod health;
mod openapi;
mod tail;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use posthaste_relay::Config;
use serde_json::Value;

use crate::support::{Running, Sink, body, post};

/// Somebody who asks.
pub(super) struct Client {
    at: SocketAddr,
    http: Http<HttpConnector, Full<Bytes>>,
}

/// One answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn of(at: SocketAddr) -> Self {
        Self { at, http: Http::builder(TokioExecutor::new()).build_http() }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let method: Method = method.parse().unwrap();
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.at));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let (parts, body) = self.http.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub(super) async fn post(&self, path: &str) -> Answer {
        self.send("POST", path, &[], b"").await
    }
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn content_type(&self) -> &str {
        self.headers.get("content-type").map_or("", |value| value.to_str().unwrap())
    }
}

/// A relay whose upstream answers like this.
pub(super) async fn relay(answering: impl FnMut(&[u8]) -> u16 + Send + 'static) -> (Sink, Running, Client) {
    let sink = Sink::start(answering).await;
    let forward =
        posthaste_relay::Forward { wait: std::time::Duration::from_millis(1), ..Default::default() };
    // Where the upstream is away, nobody waits for it at the end.
    let shutdown_timeout = std::time::Duration::from_millis(200);
    let running = Running::start(Config { forward, shutdown_timeout, ..Config::to(&sink.url) }).await;
    let client = Client::of(running.admin);
    (sink, running, client)
}

/// Posts an event of this uuid; it has to be taken.
pub(super) async fn take(relay: &Running, uuid: &str) {
    let (status, text) = post(relay.address, "", body("1", uuid).as_bytes()).await;
    assert_eq!(status, 204, "{text}");
}

/// The upstream refuses events with `bad` in them for good, and is away for those with `later`.
fn fate_by_name(body: &[u8]) -> u16 {
    let has = |word: &[u8]| body.windows(word.len()).any(|part| part == word);
    if has(b"bad") {
        400
    } else if has(b"later") {
        503
    } else {
        204
    }
}
