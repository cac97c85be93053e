//! HTTP around the collector: paths, status codes, headers. Judges nothing itself.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;

use crate::{
    BadEvent, Collector, CollectorLedger, Faults, FaultsError, FaultsInForce, Filter, GoodEvent, Record,
    collector::Page, intake,
};

/// Events that one answer lists at most; ask for the next with `offset`.
pub const PAGE_MAX: usize = 10_000;

/// Bytes that a script of faults may have as text.
pub const SCRIPT_BYTES_MAX: usize = 1 << 20;

/// How many events a filter picks, listed or not.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// What a server answers with.
pub(crate) fn router(collector: Collector) -> Router {
    let body_bytes_max = collector.options().body_bytes_max;
    let set_faults = get(faults).put(set_faults).layer(DefaultBodyLimit::max(SCRIPT_BYTES_MAX));
    Router::new()
        .route("/v1/events", post(intake::events))
        .route("/ledger", get(ledger))
        .route("/good", get(good))
        .route("/bad", get(bad))
        .route("/all", get(all))
        .route("/reset", post(reset))
        .route("/faults", set_faults)
        .route("/healthz", get(healthz))
        .fallback(intake::elsewhere)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(collector)
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

async fn faults(State(collector): State<Collector>) -> Json<FaultsInForce> {
    Json(collector.faults())
}

async fn set_faults(State(collector): State<Collector>, script: String) -> Response {
    match Faults::parse(&script) {
        Ok(faults) => {
            collector.set_faults(faults);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json([Wrong::from(&error)])).into_response(),
    }
}

/// What is wrong with a script, in the form of what is wrong with a body.
#[derive(Serialize)]
struct Wrong {
    path: String,
    problem: String,
    fix: String,
}

impl From<&FaultsError> for Wrong {
    fn from(error: &FaultsError) -> Self {
        Self { path: error.path().to_owned(), problem: error.problem(), fix: error.fix() }
    }
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
