//! The upstream: a server on this machine that answers as the dice say, and writes down what arrives.
//!
//! What it writes down as taken is what it answered with 2xx, whether or not the answer was heard.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use posthaste::{Clock, SystemClock};
use posthaste_oracle::{Answer, Digest, Fact};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use super::{
    books::Books,
    dice::{Dice, Roll},
    payload,
};
use crate::common::exit::Failure;

/// The API's own limit is 3.5 MB.
const BODY_BYTES_MAX: usize = 4 << 20;
/// After an error of the system's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Upstream {
    url: String,
    dice: Arc<Mutex<Dice>>,
    stop: oneshot::Sender<Infallible>,
    thread: JoinHandle<()>,
}

/// A connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("reset")]
struct Reset;

type Answered = Result<Response<Full<Bytes>>, Reset>;

impl Upstream {
    /// On any free port of this machine.
    pub(super) fn start(books: Arc<Books>, dice: Dice) -> Result<Self, Failure> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), books, dice)
    }

    pub(super) fn start_at(address: SocketAddr, books: Arc<Books>, dice: Dice) -> Result<Self, Failure> {
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| Failure::Listen { address, source })?;
        let url = format!("http://{}/v1/events", listener.local_addr()?);
        let dice = Arc::new(Mutex::new(dice));
        let clerk = Arc::new(Clerk { books, dice: Arc::clone(&dice) });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { TcpListener::from_std(listener) })?;
        let thread = std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            runtime.block_on(serve(&clerk, &listener, stopped));
        })?;
        Ok(Self { url, dice, stop, thread })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The faults stop.
    pub(super) fn heal(&self) {
        self.dice.lock().heal();
    }

    /// They begin again.
    pub(super) fn turn_ill(&self) {
        self.dice.lock().turn_ill();
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        drop(self.thread.join());
    }
}

async fn serve(clerk: &Arc<Clerk>, listener: &TcpListener, stopped: oneshot::Receiver<Infallible>) {
    tokio::select! {
        () = accept(clerk, listener) => {}
        _ = stopped => {}
    }
}

async fn accept(clerk: &Arc<Clerk>, listener: &TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // What is closed is reset: the other side closes all connections that end well.
        drop(stream.set_zero_linger());
        let clerk = Arc::clone(clerk);
        connections.spawn(async move {
            let service = service_fn(|request| clerk.answer(request));
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Reads, rolls, answers, and writes down.
struct Clerk {
    books: Arc<Books>,
    dice: Arc<Mutex<Dice>>,
}

impl Clerk {
    async fn answer(&self, request: Request<Incoming>) -> Answered {
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await.map_err(|_| Reset)?;
        let Some(events) = payload::read(&body.to_bytes()) else {
            self.books.note(Fact::Stray { at_ms: now_ms() });
            return Ok(response(400, None));
        };
        let ids: Vec<u64> = events.iter().map(|(id, _)| *id).collect();
        let roll = self.dice.lock().roll(&ids);
        let Roll::Answer { status, retry_after, after } = roll else {
            self.note(&events, Answer::NotNow);
            return Err(Reset);
        };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.note(&events, meaning(status, events.len()));
        Ok(response(status, retry_after))
    }

    fn note(&self, events: &[(u64, Digest)], answer: Answer) {
        for (id, digest) in events {
            self.books.note(Fact::Arrived { id: *id, digest: *digest, answer, at_ms: now_ms() });
        }
    }
}

fn meaning(status: u16, events: usize) -> Answer {
    match (status, events) {
        (200..=299, _) => Answer::Taken,
        (400 | 413, 1) => Answer::Refused,
        (400 | 413, _) => Answer::RefusedInCompany,
        _ => Answer::NotNow,
    }
}

fn response(status: u16, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    let text = if status == 204 { "" } else { "as the dice say" };
    response.body(Full::from(text)).expect("a status and a number make a response")
}

/// Since the start: for the order of things.
fn now_ms() -> u64 {
    u64::try_from(SystemClock.elapsed().as_millis()).unwrap_or(u64::MAX)
}
