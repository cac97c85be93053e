//! Passing on what was taken, to a real end point, and answering what that answers. The verdict stays here.
//!
//! - A body goes on as it came, its compression taken off. Of its headers only strictness goes with it.
//! - At most [`AT_ONCE_MAX`] are on their way; a further one is told to come again. How long one may take, its
//!   dispatcher says.
//! - What a collector has forwarded, no collector forwards: a circle would never end.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use posthaste::{
    Dispatcher, LogEvent,
    dispatch::{Answer, DispatchError, EndPoint, RetryAfter},
};
use tokio::sync::Semaphore;

/// Requests that may be on their way to the end point at the same time.
pub const AT_ONCE_MAX: usize = 64;

/// How long a forwarded request may take until its answer's head has come. Shorter than most SDKs wait.
pub const FORWARD_TIMEOUT: Duration = Duration::from_secs(8);

/// Marks what a collector has forwarded.
const FORWARDED: HeaderName = HeaderName::from_static("x-posthaste-forwarded");

/// An end point to which a collector passes on what it takes. Clones share their bound.
#[derive(Clone)]
pub struct Forward {
    end_point: EndPoint,
    plain: Arc<dyn Dispatcher>,
    /// For requests that ask for strictness.
    strict: Arc<dyn Dispatcher>,
    seats: Arc<Semaphore>,
}

impl Forward {
    /// Over HTTP, within [`FORWARD_TIMEOUT`], through the proxy that the environment names.
    #[cfg(feature = "forward")]
    pub fn new(end_point: EndPoint) -> Result<Self, posthaste::dispatch::HttpSetupError> {
        use posthaste::{HttpEventDispatcher, Strict};

        let builder = || {
            HttpEventDispatcher::builder()
                .request_timeout(FORWARD_TIMEOUT)
                .header(FORWARDED.as_str(), "collector")
        };
        let strict = Arc::new(builder().strict(Strict::On).build()?);
        Ok(Self { strict, ..Self::through(end_point, builder().build()?) })
    }

    /// Through a dispatcher of your own, which bounds how long a request takes. It does not hear of strictness.
    pub fn through(end_point: EndPoint, dispatcher: impl Dispatcher + 'static) -> Self {
        let plain: Arc<dyn Dispatcher> = Arc::new(dispatcher);
        let strict = Arc::clone(&plain);
        Self { end_point, plain, strict, seats: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Where requests go.
    pub fn end_point(&self) -> &EndPoint {
        &self.end_point
    }

    /// Passes a body on, and answers what came back.
    pub(crate) async fn send(&self, body: Bytes, strict: bool) -> Response {
        let Ok(_seat) = self.seats.try_acquire() else { return busy() };
        let request = LogEvent::opaque(self.end_point.as_str(), body);
        let dispatcher = if strict { &self.strict } else { &self.plain };
        let answer = dispatcher.dispatch_event(request).await;
        self.answer(answer)
    }

    fn answer(&self, answer: Answer) -> Response {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.failed(&error),
        };
        let Ok(status) = StatusCode::from_u16(answer.status) else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let is_json = answer.text.trim_start().starts_with(['{', '[']);
        let mut response = (status, answer.text).into_response();
        let headers = response.headers_mut();
        if is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(RetryAfter::Delay(delay)) = answer.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        }
        response
    }

    fn failed(&self, error: &DispatchError) -> Response {
        let status = match error {
            DispatchError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        let line = format!("kept here, and not forwarded to {}: {error}\n", self.end_point.address());
        (status, line).into_response()
    }
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("end_point", &self.end_point).finish_non_exhaustive()
    }
}

/// Whether a collector has forwarded this request.
pub(crate) fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
}

/// The answer to such a request where it would be forwarded again. Not one that clients send again.
pub(crate) fn circle() -> Response {
    let line = "a collector has forwarded this request, and this one forwards as well: --forward leads back here, or \
                through a second collector; forward straight to the end point\n";
    (StatusCode::MISDIRECTED_REQUEST, line).into_response()
}

fn busy() -> Response {
    let line =
        "kept here, and not forwarded: too many requests are on their way to the end point; send it again\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], line).into_response()
}
