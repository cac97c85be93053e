//! A request with events on its way in: its compression, the script's word on it, the events, and then the answer.
//!
//! ```text
//! body, whole ─▶ unpack ─▶ the script decides ─▶ take the events, or not ─▶ pass them on, where that is asked for
//!                                                                                ─▶ wait ─▶ answer, or what is done instead
//! ```

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_ENCODING},
    response::{IntoResponse, Response},
};
use posthaste::judge::{self, Packing};

use crate::{
    Collector,
    carry_out::{Asked, carry_out},
    collector::Received,
    connection::Line,
    faults::{Answer, Decided},
    forward,
    gunzip::{GunzipError, gunzip},
    origin::{self, Dealt, NotAName, Origin, SessionName},
};

/// Asks for a failure status where a body is bad.
const STRICT: HeaderName = HeaderName::from_static("x-optimizely-strict");

/// `POST /v1/events`.
pub(crate) async fn events(State(collector): State<Collector>, request: Request) -> Response {
    match origin::named(request.headers()) {
        Err(NotAName) => refuse_session(&collector),
        Ok(session) => receive(&collector, request, Place::EndPoint, session).await,
    }
}

/// `POST /t/NAME/v1/events`: the path says the session, so that any SDK can.
pub(crate) async fn events_of(
    State(collector): State<Collector>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match SessionName::new(&name) {
        None => refuse_session(&collector),
        session => receive(&collector, request, Place::EndPoint, session).await,
    }
}

fn refuse_session(collector: &Collector) -> Response {
    collector.count_refused(None);
    bad_session()
}

pub(crate) fn bad_session() -> Response {
    let why = format!("session: not a name; use {}\n", SessionName::EXPECTED);
    (StatusCode::BAD_REQUEST, why).into_response()
}

/// A path that is not there. A script may say otherwise.
pub(crate) async fn elsewhere(State(collector): State<Collector>, request: Request) -> Response {
    if request.method() == Method::POST && collector.has_faults() {
        receive(&collector, request, Place::Elsewhere, None).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// Where a request has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    EndPoint,
    Elsewhere,
}

async fn receive(
    collector: &Collector,
    mut request: Request,
    place: Place,
    session: Option<SessionName>,
) -> Response {
    let asked = Asked { version: request.version(), line: line(&request) };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let headers = std::mem::take(request.headers_mut());
    if collector.options().forward.is_some() && forward::was_forwarded(&headers) {
        return forward::circle();
    }
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(refused) => {
            let answer = refused.into_response();
            if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
                collector.count_refused(session.as_ref().map(SessionName::as_str));
            }
            return answer;
        }
    };
    let origin = Origin::new(&method, uri.path(), &headers, session);
    let Answered { own, decided, pass_on } = take_in(collector, origin, &headers, body, place);
    let own = match (&collector.options().forward, pass_on) {
        (Some(forward), Some(PassOn { request, body, strict })) => {
            let answer = forward.send(body, strict).await;
            if decided.is_none() {
                collector.answered(request, answer.status().as_u16());
            }
            answer
        }
        _ => own,
    };
    match decided {
        None => own,
        Some(decided) => {
            carry_out(decided, asked, own, collector.clock(), collector.options().hang_max).await
        }
    }
}

/// What is answered to a request, and what is done with it beyond.
struct Answered {
    own: Response,
    /// What a script does instead.
    decided: Option<Decided>,
    pass_on: Option<PassOn>,
}

/// What another end point is to hear of, if there is one.
struct PassOn {
    /// The request's number.
    request: u64,
    body: Bytes,
    strict: bool,
}

fn line(request: &Request) -> Option<Line> {
    request.extensions().get::<ConnectInfo<Line>>().map(|ConnectInfo(line)| line.clone())
}

/// The collector's own answer, and what follows. The body ends here, unless it is passed on: whoever waits holds none.
fn take_in(
    collector: &Collector,
    origin: Origin,
    headers: &HeaderMap,
    body: Bytes,
    place: Place,
) -> Answered {
    let asks = |value: &HeaderValue| judge::asks_for_strictness(value.as_bytes());
    let strict = collector.options().strict || headers.get(STRICT).is_some_and(asks);
    let came_bytes = body.len();
    let content = Content::of(headers, body, collector.options().body_bytes_max);
    let is_end_point = place == Place::EndPoint;
    let session = origin.session();
    let decided = collector.decide(&origin.path, content.bytes(), is_end_point, session);
    let fault = decided.as_ref().map(|decided| &decided.fault);
    let takes = decided.as_ref().map_or(is_end_point, |decided| decided.takes);
    let (own, taken) = match (takes, place) {
        (true, _) => {
            let (status, is_left) = decided.as_ref().map_or((None, false), answered);
            content.take(collector, origin, came_bytes, Dealt { strict, fault, status, is_left })
        }
        // As a server answers that loses them.
        (false, Place::EndPoint) => (StatusCode::NO_CONTENT.into_response(), None),
        (false, Place::Elsewhere) => (StatusCode::NOT_FOUND.into_response(), None),
    };
    let pass_on = taken.zip(content.into_plain());
    Answered { own, decided, pass_on: pass_on.map(|(request, body)| PassOn { request, body, strict }) }
}

/// The status that a script answers with, and whether it leaves the client without an answer.
fn answered(decided: &Decided) -> (Option<u16>, bool) {
    match &decided.answer {
        Answer::Own => (None, false),
        Answer::Given(given) => (Some(given.status.as_u16()), false),
        Answer::Interim(_) | Answer::Reset | Answer::Hang => (None, true),
    }
}

/// A body, its compression taken off.
enum Content {
    Plain(Bytes),
    /// Not whole gzip: as it came.
    Broken(Bytes, std::io::Error),
    TooLarge,
    UnknownEncoding,
}

impl Content {
    fn of(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Self {
        match Packing::of(headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes)) {
            Packing::None => Self::Plain(body),
            Packing::Gzip => match gunzip(&body, bytes_max) {
                Ok(plain) => Self::Plain(plain.into()),
                Err(GunzipError::TooLarge) => Self::TooLarge,
                Err(GunzipError::Broken(error)) => Self::Broken(body, error),
            },
            Packing::Unknown => Self::UnknownEncoding,
        }
    }

    /// What a script may look into.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(body) | Self::Broken(body, _) => body,
            Self::TooLarge | Self::UnknownEncoding => &[],
        }
    }

    /// What another end point can read.
    fn into_plain(self) -> Option<Bytes> {
        match self {
            Self::Plain(body) => Some(body),
            Self::Broken(..) | Self::TooLarge | Self::UnknownEncoding => None,
        }
    }

    /// Keeps what is in it, and says what the API says to that; and the request's number, unless it was refused: what
    /// is refused here goes no further.
    fn take(
        &self,
        collector: &Collector,
        origin: Origin,
        came_bytes: usize,
        dealt: Dealt<'_>,
    ) -> (Response, Option<u64>) {
        match self {
            Self::Plain(body) => answer(collector.receive_from(origin, came_bytes, body, dealt)),
            Self::Broken(body, error) => {
                answer(collector.receive_unreadable(origin, body, judge::not_gzip(error), dealt))
            }
            Self::TooLarge => {
                collector.count_refused(origin.session());
                (StatusCode::PAYLOAD_TOO_LARGE.into_response(), None)
            }
            Self::UnknownEncoding => {
                collector.count_refused(origin.session());
                let why = "content-encoding: only gzip is known; compress with gzip or not at all\n";
                ((StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response(), None)
            }
        }
    }
}

fn answer(received: Received) -> (Response, Option<u64>) {
    if received.refused {
        ((StatusCode::BAD_REQUEST, Json(received.problems)).into_response(), None)
    } else {
        (StatusCode::NO_CONTENT.into_response(), Some(received.request))
    }
}
