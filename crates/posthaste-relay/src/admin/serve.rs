//! The admin listener: few connections, each bounded in time.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower_service::Service as _;

use super::{app, follow};
use crate::{relay::Relay, server::ACCEPT_PAUSE};

/// Connections at the same time; those beyond it wait for one to end.
const CONNECTIONS_MAX: usize = 64;
/// How long a head may take, and a connection be without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How old a connection may become before it takes no more requests.
const AGE_MAX: Duration = Duration::from_secs(60);
/// How long the last answer may take to be read then. A tail may take for ever.
const LAST_ANSWER: Duration = Duration::from_secs(60);
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Serves for ever: whoever drops this ends every connection.
pub(crate) async fn serve(relay: &Relay, listener: TcpListener) -> Infallible {
    let bound = listener.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let app = app(relay, bound);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("this semaphore is never closed");
        // So that what has ended is not kept.
        while tasks.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                tasks.spawn(connection(app.clone(), stream, place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection of the admin interface; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(app: Router, stream: TcpStream, _place: OwnedSemaphorePermit) {
    let is_tail = Arc::new(AtomicBool::new(false));
    let answering = service_fn(|request: Request<Incoming>| {
        is_tail.store(request.uri().path() == follow::PATH, Relaxed);
        app.clone().call(request.map(Body::new))
    });
    drop(stream.set_nodelay(true));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut serving = pin!(serving);
    if tokio::time::timeout(AGE_MAX, &mut serving).await.is_ok() {
        return;
    }
    serving.as_mut().graceful_shutdown();
    while tokio::time::timeout(LAST_ANSWER, &mut serving).await.is_err() && is_tail.load(Relaxed) {}
}
