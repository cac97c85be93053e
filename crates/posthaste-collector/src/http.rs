//! HTTP around the collector: paths, status codes, headers. Judges nothing itself.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{Collector, Faults, FaultsError, FaultsInForce, expect, intake, page, routes::data};

/// Bytes that a script of faults may have as text.
pub const SCRIPT_BYTES_MAX: usize = 1 << 20;

/// What a server answers with.
pub(crate) fn router(collector: Collector) -> Router {
    let body_bytes_max = collector.options().body_bytes_max;
    let set_faults = get(faults).put(set_faults).layer(DefaultBodyLimit::max(SCRIPT_BYTES_MAX));
    Router::new()
        .merge(data::routes())
        .merge(expect::routes())
        .route("/faults", set_faults)
        .route("/healthz", get(healthz))
        .route("/", get(|headers: HeaderMap| async move { page::index(&headers) }))
        .merge(page::routes())
        .fallback(intake::elsewhere)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(collector)
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
