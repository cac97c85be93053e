//! Requests over HTTP: connections kept alive, HTTP/2 where the server offers it, rustls with the system's roots, proxies.
//! Requests to `http` are written here ([`plain`]), those to `https` by hyper-util's client ([`pool`]). No redirects: a
//! redirected POST would lose its body.
//!
//! The status decides. Once the head of an answer has come, there is an answer, whatever becomes of the rest:
//!
//! | what comes | what it is |
//! |---|---|
//! | status and headers within the request's time-out | [`Response`], with what text comes in time |
//! | 1xx, however many | nothing yet: the time-out goes on |
//! | no connection | [`DispatchError::Connect`] |
//! | the end of the connection, or something that is no HTTP | [`DispatchError::Lost`] |
//! | nothing, or not all of the headers, within the time-out | [`DispatchError::TimedOut`] |
//!
//! The text is read within 64 KiB and a second, and within what is left of the request's time-out. A connection whose
//! answer was not read to its end is closed, and not used again.

mod builder;
mod connector;
mod plain;
mod pool;
mod proxy;
mod strict;
mod text;

use std::{future::ready, io::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::{
    Error,
    connect::{CaptureConnection, capture_connection},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

pub use self::{
    builder::HttpEventDispatcherBuilder,
    strict::{Share, ShareError, Strict},
};
use self::{
    plain::{Connections, Place},
    pool::Pool,
    text::text_of,
};
use super::{
    Answer, DispatchError, DispatchFuture, Dispatcher, EndPoint, EndPointError, HttpSetupError, Response,
    RetryAfter,
};
use crate::batch::LogEvent;

/// Below this, compressing costs more than it saves.
const GZIP_BYTES_MIN: usize = 1_024;

/// Sends each request over HTTP, once. Cheap to clone: clones share their connections.
///
/// A request is a `POST` with `Content-Type: application/json`, as the official SDKs send it (the project's
/// `docs/PROTOCOL.md`, section 1, has each of them). Answers are told apart by their status alone ([`verdict`]).
///
/// Its connections belong to the runtime that made them: share one between processors only while the first that used it
/// lives.
///
/// ```no_run
/// use posthaste::{Dispatcher, HttpEventDispatcher, LogEvent, dispatch::{Verdict, verdict}};
///
/// # async fn send(request: LogEvent) -> Result<(), Box<dyn std::error::Error>> {
/// let dispatcher = HttpEventDispatcher::builder().gzip(true).build()?;
/// let answer = dispatcher.dispatch_event(request).await;
/// assert_eq!(verdict(&answer, 0), Verdict::Delivered, "{answer:?}");
/// # Ok(())
/// # }
/// ```
///
/// [`verdict`]: super::verdict()
#[doc(alias = "HTTPEventDispatcher")]
#[derive(Debug, Clone)]
pub struct HttpEventDispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// For `http`.
    connections: Connections,
    /// For `https`, and where answers are unusual.
    pool: Pool,
    headers: HeaderMap,
    request_timeout: Duration,
    strict: Strict,
    gzip: bool,
    /// The last one that was checked: the next request most likely goes there as well.
    place: Mutex<Option<Arc<Place>>>,
}

impl HttpEventDispatcher {
    /// Everything at its default.
    pub fn new() -> Result<Self, HttpSetupError> {
        Self::builder().build()
    }

    /// To choose time-outs, compression, strictness, headers and the proxy.
    pub fn builder() -> HttpEventDispatcherBuilder {
        HttpEventDispatcherBuilder::default()
    }
}

impl Dispatcher for HttpEventDispatcher {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let place = match self.0.place(event.end_point()) {
            Ok(place) => place,
            Err(error) => return Box::pin(ready(Err(error.into()))),
        };
        let inner = Arc::clone(&self.0);
        let further = inner.further(&event);
        // Each future is as large as its way needs, and the plain one is small.
        if place.is_plain() {
            Box::pin(async move { inner.send_plain(&event, &place, further).await })
        } else {
            Box::pin(async move {
                let request = inner.request(&event, &place, &further);
                inner.send(request, place.end_point()).await
            })
        }
    }
}

/// What a request has beyond what every request has.
struct Further {
    is_strict: bool,
    is_gzipped: bool,
}

const STRICT: (&str, &str) = ("x-optimizely-strict", "true");
const GZIPPED: (&str, &str) = ("content-encoding", "gzip");

impl Further {
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match (self.is_strict, self.is_gzipped) {
            (false, false) => &[],
            (true, false) => &[STRICT],
            (false, true) => &[GZIPPED],
            (true, true) => &[STRICT, GZIPPED],
        }
    }

    fn body(&self, event: &LogEvent) -> Bytes {
        if self.is_gzipped { gzipped(event.body()) } else { event.body().clone() }
    }
}

impl Inner {
    fn place(&self, url: &str) -> Result<Arc<Place>, EndPointError> {
        let mut last = self.place.lock();
        if let Some(place) = last.as_ref().filter(|place| place.end_point().as_str() == url) {
            return Ok(Arc::clone(place));
        }
        let place = self.connections.place(EndPoint::check(url)?, &self.headers);
        Ok(Arc::clone(last.insert(Arc::new(place))))
    }

    fn further(&self, event: &LogEvent) -> Further {
        let is_gzipped = self.gzip && event.body().len() >= GZIP_BYTES_MIN;
        Further { is_strict: self.strict.is_due(), is_gzipped }
    }

    async fn send_plain(&self, event: &LogEvent, to: &Place, further: Further) -> Answer {
        let body = further.body(event);
        let as_request = || self.request_of(body.clone(), to, &further);
        self.connections.send(to, further.headers(), &body, self.request_timeout, as_request).await
    }

    fn request(&self, event: &LogEvent, to: &Place, further: &Further) -> Request<Full<Bytes>> {
        self.request_of(further.body(event), to, further)
    }

    fn request_of(&self, body: Bytes, to: &Place, further: &Further) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to.end_point().uri().clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in further.headers() {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        request
    }

    async fn send(&self, mut request: Request<Full<Bytes>>, to: &EndPoint) -> Answer {
        let asked_at = Instant::now();
        let connection = capture_connection(&mut request);
        match timeout(self.request_timeout, self.pool.request(request)).await {
            Ok(Ok(response)) => {
                if has_text_of_none(&response) {
                    use_no_more(&connection);
                }
                Ok(answer(response, self.request_timeout.saturating_sub(asked_at.elapsed())).await)
            }
            Ok(Err(error)) => Err(failed(&error, to)),
            Err(_) => Err(DispatchError::TimedOut(self.request_timeout)),
        }
    }
}

/// Whether an answer that can have no text, such as a 204, announces one all the same. Nobody reads that, and it would
/// be taken for the next request's answer.
fn has_text_of_none(response: &http::Response<Incoming>) -> bool {
    let announces = |name, nothing: &str| response.headers().get(name).is_some_and(|value| value != nothing);
    let announces_text = announces(header::CONTENT_LENGTH, "0") || announces(header::TRANSFER_ENCODING, "");
    announces_text && response.body().is_end_stream()
}

fn use_no_more(connection: &CaptureConnection) {
    if let Some(connection) = connection.connection_metadata().as_ref() {
        connection.poison();
    }
}

/// There is one by now: in `time_left` its text is read.
async fn answer(response: http::Response<Incoming>, time_left: Duration) -> Response {
    let (head, body) = response.into_parts();
    let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let mut answer = Response::status(head.status.as_u16());
    answer.retry_after = retry_after.and_then(RetryAfter::parse);
    answer.with_text(&text_of(body, time_left).await)
}

fn failed(error: &Error, to: &EndPoint) -> DispatchError {
    // The outermost error only repeats what the variant says.
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), said);
    let text = format!("{}: {cause}", to.address());
    if error.is_connect() { DispatchError::Connect(text) } else { DispatchError::Lost(text) }
}

/// An error with everything that led to it: the outermost alone says little more than that there was one.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
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

/// Writing into memory cannot fail.
fn gzipped(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte").into()
}
