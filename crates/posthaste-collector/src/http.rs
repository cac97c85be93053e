//! HTTP around the collector: paths, status codes, headers. Judges nothing itself.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header::CONTENT_ENCODING},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;

use crate::{
    BadEvent, Collector, CollectorLedger, Filter, GoodEvent, Problem, Record,
    collector::{Page, Received},
    gunzip::{GunzipError, gunzip},
};

/// Events that one answer lists at most; ask for the next with `offset`.
pub const PAGE_MAX: usize = 10_000;

/// Asks for a failure status where a body is bad.
const STRICT: HeaderName = HeaderName::from_static("x-optimizely-strict");
/// How many events a filter picks, listed or not.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// What a server answers with.
pub(crate) fn router(collector: Collector) -> Router {
    let body_bytes_max = collector.options().body_bytes_max;
    Router::new()
        .route("/v1/events", post(events).layer(DefaultBodyLimit::max(body_bytes_max)))
        .route("/ledger", get(ledger))
        .route("/good", get(good))
        .route("/bad", get(bad))
        .route("/all", get(all))
        .route("/reset", post(reset))
        .route("/healthz", get(healthz))
        .with_state(collector)
}

async fn events(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> Response {
    let strict = collector.options().strict || asks_for_strictness(&headers);
    match encoding(&headers) {
        Encoding::None => answer(collector.receive_as(&body, strict)),
        Encoding::Gzip => match gunzip(&body, collector.options().body_bytes_max) {
            Ok(plain) => answer(collector.receive_as(&plain, strict)),
            Err(GunzipError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Err(GunzipError::Broken(error)) => {
                answer(collector.receive_unreadable(&body, not_gzip(&error), strict))
            }
        },
        Encoding::Unknown => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-encoding: only gzip is known; compress with gzip or not at all\n",
        )
            .into_response(),
    }
}

fn answer(received: Received) -> Response {
    if received.refused {
        (StatusCode::BAD_REQUEST, Json(received.problems)).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn not_gzip(error: &std::io::Error) -> Problem {
    Problem::of_body(
        format!("not whole gzip: {error}"),
        "compress the whole body, or leave out the content-encoding header",
    )
}

fn asks_for_strictness(headers: &HeaderMap) -> bool {
    let is_yes = |value: &[u8]| value == b"1" || value.eq_ignore_ascii_case(b"true");
    headers.get(STRICT).is_some_and(|value| is_yes(value.as_bytes().trim_ascii()))
}

/// How a body is compressed.
enum Encoding {
    None,
    Gzip,
    Unknown,
}

fn encoding(headers: &HeaderMap) -> Encoding {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase()) {
        None => Encoding::None,
        Some(name) if name.is_empty() || name == b"identity" => Encoding::None,
        Some(name) if name == b"gzip" || name == b"x-gzip" => Encoding::Gzip,
        Some(_) => Encoding::Unknown,
    }
}

async fn ledger(State(collector): State<Collector>) -> Json<CollectorLedger> {
    Json(collector.ledger())
}

async fn good(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Listed<GoodEvent> {
    Listed(collector.good_page(&bounded(filter)))
}

async fn bad(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Listed<BadEvent> {
    Listed(collector.bad_page(&bounded(filter)))
}

async fn all(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Listed<Record> {
    Listed(collector.page(&bounded(filter)))
}

async fn reset(State(collector): State<Collector>) -> StatusCode {
    collector.reset();
    StatusCode::NO_CONTENT
}

async fn healthz() -> &'static str {
    "ok\n"
}

fn bounded(filter: Filter) -> Filter {
    Filter { limit: Some(filter.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)), ..filter }
}

/// A page as a JSON list, with the number of all that there are.
struct Listed<T>(Page<T>);

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        ([(TOTAL_COUNT, self.0.total.to_string())], Json(self.0.items)).into_response()
    }
}
