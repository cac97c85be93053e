//! What a request is answered, each reason named once: in metrics, logs and documentation.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use posthaste::judge::Problem;

/// Why a request is answered as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// Its events are stored.
    Taken,
    /// Nobody can use it; it is kept as a dead letter.
    Unusable,
    /// Nobody can use it, and the client wants to know.
    Refused,
    NoSuchPath,
    NotPost,
    NoToken,
    ForeignAccount,
    BodyTooLarge,
    BodyTooSlow,
    /// The client went away in the middle of it.
    BodyCutShort,
    UnknownPacking,
    /// The queue holds as much as it may.
    Full,
    /// The disk does not take it.
    Storage,
    /// The disk has not answered in time. The events may still be delivered.
    DiskTooSlow,
    /// The stream has not acknowledged in time. The events may still be delivered.
    StreamTooSlow,
    /// Too much is being read, or waits for the disk.
    Busy,
    /// The relay ends.
    Closed,
}

impl Reason {
    pub(crate) const ALL: [Self; 17] = [
        Self::Taken,
        Self::Unusable,
        Self::Refused,
        Self::NoSuchPath,
        Self::NotPost,
        Self::NoToken,
        Self::ForeignAccount,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyCutShort,
        Self::UnknownPacking,
        Self::Full,
        Self::Storage,
        Self::DiskTooSlow,
        Self::StreamTooSlow,
        Self::Busy,
        Self::Closed,
    ];

    /// Its name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unusable => "unusable",
            Self::Refused => "refused",
            Self::NoSuchPath => "no_such_path",
            Self::NotPost => "not_post",
            Self::NoToken => "no_token",
            Self::ForeignAccount => "foreign_account",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyCutShort => "body_cut_short",
            Self::UnknownPacking => "unknown_packing",
            Self::Full => "full",
            Self::Storage => "storage",
            Self::DiskTooSlow => "disk_too_slow",
            Self::StreamTooSlow => "stream_too_slow",
            Self::Busy => "busy",
            Self::Closed => "closed",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Taken | Self::Unusable => StatusCode::NO_CONTENT,
            Self::Refused | Self::BodyCutShort => StatusCode::BAD_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::ForeignAccount => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownPacking => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Full
            | Self::Storage
            | Self::DiskTooSlow
            | Self::StreamTooSlow
            | Self::Busy
            | Self::Closed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the client is told, in one line; empty where it is no refusal.
    fn text(self) -> &'static str {
        match self {
            Self::Taken | Self::Unusable | Self::Refused => "",
            Self::NoSuchPath => "events are taken at POST /v1/events\n",
            Self::NotPost => "only POST is taken here\n",
            Self::NoToken => "send a known token as Authorization: Bearer TOKEN\n",
            Self::ForeignAccount => "this relay does not take events of this account\n",
            Self::BodyTooLarge => "the body is too large; send fewer events at once\n",
            Self::BodyTooSlow => "the body did not come in time\n",
            Self::BodyCutShort => "the body is cut short\n",
            Self::UnknownPacking => {
                "content-encoding: only gzip is known; compress with gzip or not at all\n"
            }
            Self::Full => "the queue is full; try again later\n",
            Self::Storage => "the events could not be stored; try again later\n",
            Self::DiskTooSlow => "the disk does not answer; try again later\n",
            Self::StreamTooSlow => "the stream does not answer; try again later\n",
            Self::Busy => "too many requests at once; try again later\n",
            Self::Closed => "this relay ends; try another, or again later\n",
        }
    }
}

/// What a client gets.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The answer for this reason. `wait`: what a client whose events may find room later is told to wait.
pub(crate) fn answer(reason: Reason, wait: Duration) -> Answer {
    let text = reason.text();
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = reason.status();
    let headers = answer.headers_mut();
    if !text.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    match reason.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    answer
}

/// The list of what is wrong, for a client that asked for it.
pub(crate) fn problems(problems: &[Problem]) -> Answer {
    let list = serde_json::to_vec(problems).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(list)));
    *answer.status_mut() = Reason::Refused.status();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
