//! Requests over HTTP/1.1 without TLS: written and read here, on connections of our own.
//!
//! ```text
//! take an idle connection, or make one ─▶ head and body in one write ─▶ the head of the answer ─┬─▶ its text ─▶ idle again
//!                                                                                             └─▶ odd: hyper reads it
//! ```
//!
//! What a request costs beyond its bytes is mostly how it is passed around. Here it is one future, which writes and reads by
//! itself: no task for each connection, no channel, no map of headers. What is sent is what hyper sends. Of answers, the usual
//! are read: a status from 200 to 599, and a text with a length. Any other (1xx, chunks, HTTP/1.0, a head that is broken or
//! large) hyper reads on the same connection, from its first byte; and for a while requests to that place go through the
//! other client. Invariant: whichever reads, the same bytes are the same answer.

mod answer;
mod connection;
mod idle;
mod place;
mod replay;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tower_service::Service as _;

pub(super) use self::place::Place;
use self::{
    answer::Head,
    connection::{Begun, Connection},
    idle::Idle,
    place::Plain,
};
use super::{connector::Connector, pool::ANSWER_HEADERS_MAX, said, text::BODY_TIME_MAX};
use crate::dispatch::{Answer, DispatchError, EndPoint, Response};

/// Places whose connections are remembered though nobody uses them now.
const PLACES_MAX: usize = 64;

/// The connections that there are.
#[derive(Debug)]
pub(super) struct Connections {
    connector: Connector,
    age_max: Option<Duration>,
    by_address: Mutex<FxHashMap<String, Arc<Idle>>>,
}

/// An answer that has begun.
enum Reached {
    Usual(Box<Connection>, Head),
    /// hyper has its head; the task drives its connection.
    Odd(http::Response<Incoming>, JoinSet<hyper::Result<()>>),
}

impl Connections {
    pub(super) fn new(connector: Connector, age_max: Option<Duration>) -> Self {
        Self { connector, age_max, by_address: Mutex::default() }
    }

    pub(super) fn place(&self, end_point: EndPoint, headers: &HeaderMap) -> Place {
        let address = end_point.address();
        Place::new(end_point, headers, || {
            let mut by_address = self.by_address.lock();
            if by_address.len() >= PLACES_MAX {
                by_address.retain(|_, idle| Arc::strong_count(idle) > 1 || !idle.is_empty());
            }
            Arc::clone(by_address.entry(address).or_default())
        })
    }

    /// Sends a request. `further` are headers of this request alone; `as_request` is the same for hyper.
    pub(super) async fn send(
        &self,
        place: &Place,
        further: &[(&str, &str)],
        body: &Bytes,
        within: Duration,
        as_request: impl FnOnce() -> Request<Full<Bytes>>,
    ) -> Answer {
        let asked_at = Instant::now();
        let reached = match timeout(within, self.reach(place, further, body, asked_at, as_request)).await {
            Ok(reached) => reached?,
            Err(_) => return Err(DispatchError::TimedOut(within)),
        };
        let time_left = || within.saturating_sub(asked_at.elapsed());
        match (reached, place.plain()) {
            (Reached::Usual(connection, head), Some(plain)) => {
                Ok(self.finish(plain, connection, head, body, time_left).await)
            }
            (Reached::Usual(_, head), None) => Ok(Response::status(head.status)),
            (Reached::Odd(response, _driven), _) => Ok(super::answer(response, time_left()).await),
        }
    }

    async fn reach(
        &self,
        place: &Place,
        further: &[(&str, &str)],
        body: &Bytes,
        now: Instant,
        as_request: impl FnOnce() -> Request<Full<Bytes>>,
    ) -> Result<Reached, DispatchError> {
        let end_point = place.end_point();
        let lost = |cause: String| DispatchError::Lost(format!("{}: {cause}", end_point.address()));
        let plain = place.plain().ok_or_else(|| lost("it is none of plain HTTP".to_owned()))?;
        let mut connection = self.connection(plain, end_point, now).await?;
        match connection.exchange(plain, further, body).await {
            Ok(Begun::Usual(head)) => Ok(Reached::Usual(connection, head)),
            Ok(Begun::Odd) => {
                place.is_odd();
                let request = for_hyper(as_request(), end_point.uri());
                by_hyper(connection, request).await.map_err(|error| lost(said(&error)))
            }
            Err(error) => Err(lost(said(&error))),
        }
    }

    /// An idle one or a new one, whichever is first: a server that takes long to let somebody in may be quick with those
    /// that it has.
    async fn connection(
        &self,
        plain: &Plain,
        to: &EndPoint,
        now: Instant,
    ) -> Result<Box<Connection>, DispatchError> {
        if let Some(idle) = plain.idle.take(now, self.age_max) {
            return Ok(idle);
        }
        tokio::select! {
            biased;
            connected = self.connect_anew(to, now) => connected,
            idle = plain.idle.taken(self.age_max) => Ok(idle),
        }
    }

    /// A server that says something before it is asked would seem to have answered.
    async fn connect_anew(&self, to: &EndPoint, now: Instant) -> Result<Box<Connection>, DispatchError> {
        let mut connection = self.connect(to, now).await?;
        // What has come by now is seen only once the runtime has looked.
        tokio::task::yield_now().await;
        if connection.is_open() {
            return Ok(connection);
        }
        let cause = "the server closed the connection, or said something, before anything was asked";
        Err(DispatchError::Lost(format!("{}: {cause}", to.address())))
    }

    async fn connect(&self, to: &EndPoint, now: Instant) -> Result<Box<Connection>, DispatchError> {
        let mut connector = self.connector.clone();
        let failed = |cause: &(dyn std::error::Error + 'static)| {
            DispatchError::Connect(format!("{}: {}", to.address(), said(cause)))
        };
        std::future::poll_fn(|context| connector.poll_ready(context))
            .await
            .map_err(|error| failed(&*error))?;
        let link = connector.call(to.uri().clone()).await.map_err(|error| failed(&*error))?;
        Ok(Box::new(Connection::new(link, now)))
    }

    /// Reads the text, as far as it comes in time. A connection whose answer has ended waits for the next request.
    async fn finish(
        &self,
        plain: &Plain,
        mut connection: Box<Connection>,
        head: Head,
        body: &[u8],
        time_left: impl Fn() -> Duration,
    ) -> Response {
        let mut answer = Response::status(head.status);
        answer.retry_after = head.retry_after;
        if !head.text.is_empty() {
            // Whether it ended, broke or was late makes no difference.
            let _ = timeout(time_left().min(BODY_TIME_MAX), connection.read_text(&head)).await;
            answer = answer.with_text(&String::from_utf8_lossy(connection.text(&head)));
        }
        if connection.is_done(&head, body) {
            plain.idle.put(connection, Instant::now());
        }
        answer
    }
}

/// What hyper's connections want: the path alone, and the host as a header.
fn for_hyper(mut request: Request<Full<Bytes>>, uri: &Uri) -> Request<Full<Bytes>> {
    if let Ok(host) = place::host(uri).parse() {
        request.headers_mut().entry(http::header::HOST).or_insert(host);
    }
    let path = uri.path_and_query().and_then(|path| Uri::try_from(path.as_str()).ok());
    *request.uri_mut() = path.unwrap_or_else(|| Uri::from_static("/"));
    request
}

async fn by_hyper(connection: Box<Connection>, request: Request<Full<Bytes>>) -> hyper::Result<Reached> {
    let (mut sender, driver) = http1::Builder::new()
        .max_headers(ANSWER_HEADERS_MAX)
        .ignore_invalid_headers_in_responses(true)
        .handshake(connection.replayed())
        .await?;
    let mut driven = JoinSet::new();
    driven.spawn(driver);
    Ok(Reached::Odd(sender.send_request(request).await?, driven))
}
