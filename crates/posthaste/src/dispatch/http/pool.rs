//! hyper-util's client, its connections, and how old they may become.
//!
//! A host's name is looked up when a connection is made. Where its addresses may change, as in a failover, connections
//! must not last for ever: all are left after a while, each once its request has ended, and new ones are made.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::connector::Connector;

/// Shorter than the minute after which load balancers drop a connection without a word.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Idle connections kept for each host.
const IDLE_MAX: usize = 256;
/// Header lines of an answer that are understood: with more, its status would be lost, and the request sent again.
pub(super) const ANSWER_HEADERS_MAX: usize = 1_000;

type HttpClient = Client<Connector, Full<Bytes>>;

#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    /// `None`: as old as they like.
    age_max: Option<Duration>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    client: HttpClient,
    /// When it was first used.
    since: Option<Instant>,
}

impl Pool {
    pub(super) fn new(connector: Connector, age_max: Option<Duration>) -> Self {
        let current = Mutex::new(Current { client: client(connector.clone()), since: None });
        Self { connector, age_max, current }
    }

    /// Sends a request over one of them.
    pub(super) fn request(&self, request: http::Request<Full<Bytes>>) -> ResponseFuture {
        match self.age_max {
            None => self.current.lock().client.request(request),
            Some(age_max) => self.young(age_max).request(request),
        }
    }

    fn young(&self, age_max: Duration) -> HttpClient {
        let mut current = self.current.lock();
        let since = *current.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= age_max {
            // What the old one has under way keeps it; its idle connections close.
            *current = Current { client: client(self.connector.clone()), since: Some(Instant::now()) };
        }
        current.client.clone()
    }
}

fn client(connector: Connector) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .http1_max_headers(ANSWER_HEADERS_MAX)
        .http1_ignore_invalid_headers_in_responses(true)
        .build(connector)
}
