//! The paths that take events and tell what has arrived. Each handler says what it is for in a line.

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{
    Collector, CollectorLedger, Filter,
    intake::{self, bad_session},
    origin::{self, NotAName, Origin, SessionName},
    reading::{Counts, Listing},
    stream::LISTENERS_MAX,
    transfer::ImportError,
};

/// Events that one answer lists at most; ask for the next with `offset`.
pub const PAGE_MAX: usize = 10_000;
/// Bytes after which an answer lists no more events, though more were asked for.
pub const PAGE_BYTES_MAX: usize = 32 << 20;

/// How many events a filter picks, listed or not.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// Events that had to make room: a list may lack these.
const FORGOTTEN: HeaderName = HeaderName::from_static("x-forgotten");
/// The newest event's id.
const NEWEST: HeaderName = HeaderName::from_static("x-newest");
/// Where a stream goes on after its connection was lost.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How the collector is reached where a request does not say.
const HOST: &str = "127.0.0.1:8080";

/// The paths of events.
pub(crate) fn routes() -> Router<Collector> {
    Router::new()
        .route("/v1/events", post(intake::events))
        .route("/v1/events/", post(intake::events))
        .route("/t/{session}/v1/events", post(intake::events_of))
        .route("/t/{session}/v1/events/", post(intake::events_of))
        .route("/ledger", get(ledger))
        .route("/good", get(good))
        .route("/bad", get(bad))
        .route("/all", get(all))
        .route("/event/{id}", get(event))
        .route("/summary", get(summary))
        .route("/stream", get(stream))
        .route("/export", get(export))
        .route("/import", post(import))
        .route("/reset", post(reset))
}

/// All of it, or a session of a test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    session: Option<String>,
}

/// How much has arrived.
async fn ledger(State(collector): State<Collector>, Query(of): Query<Of>) -> Json<CollectorLedger> {
    Json(of.session.map_or_else(|| collector.ledger(), |session| collector.session_ledger(&session)))
}

/// The good events that a filter picks.
async fn good(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Response {
    list(collector, filter, Listing::Good).await
}

/// The bad events that a filter picks.
async fn bad(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Response {
    list(collector, filter, Listing::Bad).await
}

/// All events that a filter picks.
async fn all(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Response {
    list(collector, filter, Listing::All).await
}

async fn list(collector: Collector, filter: Filter, listing: Listing) -> Response {
    let filter = Filter { limit: Some(filter.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)), ..filter };
    aside(move || {
        let (json, Counts { total, forgotten, newest }) = collector.list(&filter, listing, PAGE_BYTES_MAX);
        let counts = [
            (TOTAL_COUNT, total.to_string()),
            (FORGOTTEN, forgotten.to_string()),
            (NEWEST, newest.to_string()),
        ];
        ([(header::CONTENT_TYPE, "application/json")], counts, json).into_response()
    })
    .await
}

/// One event in detail.
async fn event(State(collector): State<Collector>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(HOST);
    let host = format!("{host}{}", collector.options().base);
    match id.parse().ok().and_then(|id| collector.detail(id, &host)) {
        Some(detail) => Json(detail).into_response(),
        None => error(StatusCode::NOT_FOUND, &format!("event {id}: forgotten, or never there")),
    }
}

/// What the kept events come to.
async fn summary(State(collector): State<Collector>, Query(of): Query<Of>) -> Response {
    aside(move || Json(&*collector.summary(of.session.as_deref())).into_response()).await
}

/// What arrives, as it arrives.
async fn stream(
    State(collector): State<Collector>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.parse().ok());
    let filter = Filter { after: last.or(filter.after), ..filter };
    match collector.stream(&filter) {
        Some(body) => {
            let about = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (about, body).into_response()
        }
        None => error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("{LISTENERS_MAX} listen already; close a page or a tail"),
        ),
    }
}

/// The events that a filter picks, as a file.
async fn export(State(collector): State<Collector>, Query(filter): Query<Filter>) -> Response {
    let forgotten = HeaderValue::from(collector.store().forgotten(filter.session.as_deref()));
    let about = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"events.jsonl\"")),
        (FORGOTTEN, forgotten),
    ];
    (about, collector.export(&filter)).into_response()
}

/// Takes the events of a file.
async fn import(State(collector): State<Collector>, request: Request) -> Response {
    let session = match origin::named(request.headers()) {
        Err(NotAName) => return bad_session(),
        Ok(session) => session,
    };
    let origin = Origin::new(request.method(), request.uri().path(), request.headers(), session);
    let body: Body = request.into_body();
    match collector.import(&origin, body).await {
        Ok(imported) => Json(imported).into_response(),
        Err(ImportError::Broken(why)) => {
            error(StatusCode::BAD_REQUEST, &format!("the file ended in the middle ({why}); send it again"))
        }
        Err(ImportError::LineTooLong(line)) => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("line {line} has more bytes than a request may have; put fewer events into it"),
        ),
    }
}

/// Forgets everything, or a session of a test.
async fn reset(State(collector): State<Collector>, headers: HeaderMap, Query(of): Query<Of>) -> Response {
    match of.session.or_else(|| origin::session_text(&headers)).map(|name| SessionName::new(&name)) {
        Some(Some(session)) => collector.reset_session(session.as_str()),
        // Nothing is emptied by mistake.
        Some(None) => return bad_session(),
        None => collector.reset(),
    }
    StatusCode::NO_CONTENT.into_response()
}

fn error(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({ "error": why }))).into_response()
}

/// Work that may take longer than others should wait.
async fn aside(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made; ask again"),
    }
}
