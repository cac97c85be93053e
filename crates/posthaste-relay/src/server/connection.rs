//! One connection: requests one after the other, until it ends, is too old, or the relay ends.
//!
//! Whatever ends it, the client gets the answers to what it has sent. A connection that is to end says so in its next
//! answer (`Connection: close`), and only one that nothing comes over for a while is closed without: a client that is
//! just sending would not know whether its request was read. Then the relay closes its side, and reads on for a moment,
//! since a stream that is closed with something unread resets the answer too.

use std::{convert::Infallible, future::poll_fn, time::Duration};

use http::{
    HeaderValue, Request, StatusCode,
    header::{CONNECTION, EXPECT, TRANSFER_ENCODING},
};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::Instant,
};

use super::{
    crowd::Place,
    patience::{Begun, Heard},
    rest,
};
use crate::{
    answer::Answer,
    config::Limits,
    intake,
    relay::{Phase, Relay},
};

/// How long a connection that is to end waits for a request which may be on its way, or for its first one.
const LAST_CHANCE: Duration = Duration::from_millis(500);
/// How long a client whose connection is closed may take to stop sending.
const LINGER: Duration = Duration::from_secs(1);
/// What it may send meanwhile.
const LINGER_BYTES_MAX: u64 = 8 << 20;

/// A head that did not come in time.
const HEAD_TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves it.
pub(super) async fn serve(relay: Relay, stream: TcpStream, place: Place, mut phase: watch::Receiver<Phase>) {
    let limits = &relay.config().limits;
    // Answers are short: waiting for more to send with them only makes clients wait.
    drop(stream.set_nodelay(true));
    let (heard, patience) = Heard::new(stream, limits);
    let begun = heard.begun();
    let old_at = Instant::now() + limits.connection_age_max.mul_f64(0.9 + 0.2 * fastrand::f64());
    let answering = {
        let (relay, phase) = (relay.clone(), phase.clone());
        service_fn(move |request: Request<Incoming>| {
            let (relay, phase) = (relay.clone(), phase.clone());
            let is_last = move || *phase.borrow() > Phase::Serving || Instant::now() >= old_at;
            Box::pin(async move { Ok::<_, Infallible>(answer(&relay, request, is_last).await) })
        })
    };
    let mut serving = http1::Builder::new()
        .timer(patience)
        // How long that is, patience says.
        .header_read_timeout(limits.head_timeout)
        // A client that has said everything may say so, and waits for its answer.
        .half_close(true)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max)
        .serve_connection(TokioIo::new(heard), answering);
    let mut serve = poll_fn(|context| serving.poll_without_shutdown(context));
    let is_over = tokio::select! {
        ended = &mut serve => Some(ended),
        () = tokio::time::sleep_until(old_at) => None,
        // The sender outlives every connection.
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => None,
    };
    let ended = if let Some(ended) = is_over {
        ended
    } else {
        // As long as a request may take. Whoever does not read its answer is not waited for any longer.
        let within =
            limits.head_timeout + limits.body_timeout + limits.rest_timeout + limits.store_timeout + LINGER;
        tokio::time::timeout(within, last(serve, &begun)).await.unwrap_or(Ok(()))
    };
    let heard = serving.into_parts().io.into_inner();
    let is_too_slow = begun.is_so() && ended.as_ref().is_err_and(hyper::Error::is_timeout);
    if let Err(error) = ended {
        if error.is_parse() || is_too_slow {
            relay.counters().broken_head();
        }
        tracing::debug!(%error, "a connection has ended");
    }
    let last_words = if is_too_slow { HEAD_TOO_SLOW } else { &[] };
    end(heard.into_stream(), last_words).await;
    drop(place);
}

/// Serves one more request, if it comes soon. Its answer is the last.
async fn last(
    mut serve: impl Future<Output = hyper::Result<()>> + Unpin,
    begun: &Begun,
) -> hyper::Result<()> {
    match tokio::time::timeout(LAST_CHANCE, &mut serve).await {
        Ok(ended) => ended,
        Err(_) if begun.is_so() => serve.await,
        Err(_) => Ok(()),
    }
}

/// The answer to one request, and whether another may follow.
async fn answer(relay: &Relay, request: Request<Incoming>, is_last: impl Fn() -> bool) -> Answer {
    let (head, mut body) = request.into_parts();
    // Whoever says the length twice, in two ways, must not get another request in (RFC 9112 6.1). hyper hides which
    // requests these are.
    let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
    // Who waits to be asked for the body is not asked for one that nobody wants.
    let waits = head.headers.contains_key(EXPECT);
    let mut answer = intake::answer(relay, Request::from_parts(head, &mut body)).await;
    let is_too_slow = answer.status() == StatusCode::REQUEST_TIMEOUT;
    let goes_on = !is_chunked && is_over(&mut body, waits || is_too_slow, &relay.config().limits).await;
    if !goes_on || is_last() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Whether nothing of the body is to come, so that what comes next is a request. Its rest is read, unless that is vain.
async fn is_over(body: &mut Incoming, is_vain: bool, limits: &Limits) -> bool {
    body.is_end_stream() || !is_vain && rest::is_read(body, limits).await
}

async fn end(mut stream: TcpStream, last_words: &[u8]) {
    let ending = async {
        stream.write_all(last_words).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Whether or not it gets there, this was the end.
    drop(tokio::time::timeout(LINGER, ending).await);
}
