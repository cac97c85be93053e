//! Requests over HTTP: one pooled client, connections kept alive, HTTP/2 where the server offers it, rustls with the
//! system's roots, proxies from the environment. No redirects: a redirected POST would lose its body.

mod connector;

use std::{io::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use self::connector::Connector;
use super::{
    Answer, DispatchError, DispatchFuture, Dispatcher, EndPoint, HttpSetupError, Response, RetryAfter,
};
use crate::batch::LogEvent;

/// How long connecting may take: resolving, TCP and proxy; not TLS, which is part of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole request may take, connecting included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than the minute after which load balancers drop a connection without a word.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Idle connections kept for each host.
const IDLE_MAX: usize = 256;
/// How much of an answer is read so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// Below this, compressing costs more than it saves.
const GZIP_BYTES_MIN: usize = 1_024;

/// Whether the API is asked to refuse bad events (`X-Optimizely-Strict`) instead of throwing them away with a 204.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Strict {
    /// Never, as the official SDKs.
    #[default]
    Off,
    /// With every request.
    On,
    /// With this share of requests, from 0 to 1, chosen at random: enough to notice, without making the API check everything.
    Sampled(f64),
}

/// Sends each request over HTTP, once. Cheap to clone: clones share their connections.
///
/// Its connections belong to the runtime that made them: share one between processors only while the first that used it
/// lives.
#[doc(alias = "HTTPEventDispatcher")]
#[derive(Debug, Clone)]
pub struct HttpEventDispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client<Connector, Full<Bytes>>,
    headers: HeaderMap,
    request_timeout: Duration,
    strict: Strict,
    gzip: bool,
}

impl HttpEventDispatcher {
    /// Everything at its default.
    pub fn new() -> Result<Self, HttpSetupError> {
        Self::builder().build()
    }

    /// To choose time-outs, compression, strictness and headers.
    pub fn builder() -> HttpEventDispatcherBuilder {
        HttpEventDispatcherBuilder::default()
    }
}

impl Dispatcher for HttpEventDispatcher {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let request = inner.request(&event)?;
            let timeout = inner.request_timeout;
            let answer = tokio::time::timeout(timeout, inner.send(request)).await;
            answer.unwrap_or(Err(DispatchError::TimedOut(timeout)))
        })
    }
}

impl Inner {
    fn request(&self, event: &LogEvent) -> Result<Request<Full<Bytes>>, DispatchError> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = EndPoint::check(event.end_point())?.uri().clone();
        *request.headers_mut() = self.headers.clone();
        if self.is_strict() {
            request.headers_mut().insert("x-optimizely-strict", HeaderValue::from_static("true"));
        }
        let mut body = event.body().clone();
        if self.gzip && body.len() >= GZIP_BYTES_MIN {
            body = gzipped(&body);
            request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *request.body_mut() = Full::new(body);
        Ok(request)
    }

    fn is_strict(&self) -> bool {
        match self.strict {
            Strict::Off => false,
            Strict::On => true,
            Strict::Sampled(share) => fastrand::f64() < share,
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                DispatchError::Connect(chain(&error))
            } else {
                DispatchError::Lost(chain(&error))
            }
        })?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let answer = Response {
            status: head.status.as_u16(),
            retry_after: retry_after.and_then(RetryAfter::parse),
            text: String::new(),
        };
        Ok(answer.with_text(&text_of(body).await))
    }
}

/// What the body says, as far as it can be read: the status alone decides, so trouble here changes nothing.
async fn text_of(body: Incoming) -> String {
    if body.is_end_stream() {
        return String::new();
    }
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    read.map_or_else(|_| String::new(), |read| String::from_utf8_lossy(&read.to_bytes()).into_owned())
}

/// Writing into memory cannot fail.
fn gzipped(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte").into()
}

/// An error with everything that led to it: the outermost alone says little more than that there was one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What an [`HttpEventDispatcher`] is made of.
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug)]
pub struct HttpEventDispatcherBuilder {
    connect_timeout: Duration,
    request_timeout: Duration,
    strict: Strict,
    gzip: bool,
    headers: Vec<(String, String)>,
}

impl Default for HttpEventDispatcherBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            strict: Strict::Off,
            gzip: false,
            headers: Vec::new(),
        }
    }
}

impl HttpEventDispatcherBuilder {
    /// How long connecting may take. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a whole request may take, connecting included. Default: 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Whether the API is asked to refuse bad events. Default: never.
    pub fn strict(mut self, strict: Strict) -> Self {
        self.strict = strict;
        self
    }

    /// Whether bodies of 1 KiB and more are compressed: for a relay. No official SDK does it, and whether the Event API
    /// itself takes it is not documented. Default: no.
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// A header that every request carries, such as a token for a relay.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Reads the system's root certificates, and the environment's proxies.
    pub fn build(self) -> Result<HttpEventDispatcher, HttpSetupError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("posthaste/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in &self.headers {
            let wrong = || HttpSetupError::Header(name.clone());
            let field: HeaderName = name.parse().map_err(|_| wrong())?;
            headers.insert(field, HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector::new(self.connect_timeout)?);
        Ok(HttpEventDispatcher(Arc::new(Inner {
            client,
            headers,
            request_timeout: self.request_timeout,
            strict: self.strict,
            gzip: self.gzip,
        })))
    }
}
