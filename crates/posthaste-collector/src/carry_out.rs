//! Does to a request what a script has decided: waits, answers, or ends its connection.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, StatusCode, Version, header::CONTENT_LENGTH},
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use posthaste::Clock;
use tokio::sync::watch;

use crate::{
    connection::{Ending, Line},
    faults::{Answer, Decided, Given, Then},
};

/// A request as far as it has to do with this.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    /// None where somebody else's server serves the router.
    pub(crate) line: Option<Line>,
}

/// The answer to a request to which this is to be done; `own` is the answer without it.
pub(crate) async fn carry_out(
    decided: Decided,
    asked: Asked,
    own: Response,
    clock: &dyn Clock,
    hang_max: Duration,
) -> Response {
    let Decided { answer, delay, mut released, .. } = decided;
    wait(clock, delay, &mut released).await;
    let Asked { version, line } = asked;
    match (answer, line) {
        (Answer::Own, _) => own,
        (Answer::Given(given @ Given { then: Then::Stay, .. }), _) => whole(given, None),
        (_, None) => no_line(),
        (Answer::Given(given @ Given { then: Then::CutOff, .. }), Some(line)) => half(given, line),
        (Answer::Given(given), Some(line)) => whole(given, Some(line)),
        (Answer::Interim(head), Some(line)) => interim(head, version, &line),
        (Answer::Reset, Some(line)) => reset(&line),
        (Answer::Hang, Some(line)) => {
            wait(clock, hang_max, &mut released).await;
            reset(&line)
        }
    }
}

/// Until the time has passed, the collector stops, or another script is in force. A client that leaves ends it too:
/// the server then drops what waits for it.
async fn wait(clock: &dyn Clock, time: Duration, released: &mut watch::Receiver<()>) {
    if !time.is_zero() {
        tokio::select! {
            () = clock.sleep(time) => {}
            // Either way the wait is over.
            _ = released.changed() => {}
        }
    }
}

fn no_line() -> Response {
    let why = "this fault needs the collector's own server: Collector::serve, or posthaste collect\n";
    (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
}

/// What is returned never goes out.
fn reset(line: &Line) -> Response {
    line.reset();
    StatusCode::NO_CONTENT.into_response()
}

/// The server's library sends no 1xx. Over HTTP/2, where a head is no text, the connection closes in its place.
fn interim(head: Bytes, version: Version, line: &Line) -> Response {
    line.last_words(if version == Version::HTTP_2 { Bytes::new() } else { head });
    StatusCode::NO_CONTENT.into_response()
}

fn whole(given: Given, then_reset: Option<Line>) -> Response {
    let Given { status, headers, body, .. } = given;
    let body = match then_reset {
        None => Body::from(body),
        Some(line) => Body::new(LastBody { data: Some(body).filter(|body| !body.is_empty()), line }),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn half(given: Given, line: Line) -> Response {
    let Given { status, headers, body, .. } = given;
    let (length, half) = (body.len(), body.slice(..body.len() / 2));
    let mut response = Response::new(Body::new(HalfBody { data: Some(half), line }));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// The body of the last answer on its connection: the server drops it once it has all of it.
struct LastBody {
    data: Option<Bytes>,
    line: Line,
}

impl HttpBody for LastBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64)
    }
}

impl Drop for LastBody {
    fn drop(&mut self) {
        self.line.end_after_answer(Ending::Reset);
    }
}

/// A body that stops in its middle: the second half is asked for, and never comes.
struct HalfBody {
    data: Option<Bytes>,
    line: Line,
}

impl HttpBody for HalfBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        // The line wakes the server, which then finds its connection ended.
        self.line.end_after_answer(Ending::Close);
        Poll::Pending
    }
}
