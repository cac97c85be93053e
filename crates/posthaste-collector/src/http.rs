//! HTTP around the collector: paths, status codes, headers. Judges nothing itself.
//!
//! ```text
//! request ─▶ base taken off ─▶ for events? ─▶ any origin may
//!                                   └ no ──▶ guard: whose host, whose page ─▶ headers that protect the page
//! ```

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ACCEPT, LOCATION, VARY},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    API, Collector, ExpectationError, Faults, FaultsError, FaultsInForce, api, base::Within, cors, expect,
    guard, intake, openapi, page, routes::data,
};

/// Bytes that a script of faults may have as text.
pub const SCRIPT_BYTES_MAX: usize = 1 << 20;

/// What a server answers with.
pub(crate) fn router(collector: Collector) -> Router {
    // A router chooses before its layers come to act, and what is taken off the path has to be off before that.
    Router::new().fallback_service(routes(&collector)).layer(middleware::from_fn_with_state(collector, enter))
}

fn routes(collector: &Collector) -> Router {
    let body_bytes_max = collector.options().body_bytes_max;
    let set_faults = get(faults).put(set_faults).layer(DefaultBodyLimit::max(SCRIPT_BYTES_MAX));
    Router::new()
        .merge(data::routes())
        .merge(expect::routes())
        .merge(page::routes())
        .route("/", get(root))
        .route("/openapi.json", get(openapi))
        .route("/faults", set_faults)
        .route("/healthz", get(healthz))
        .fallback(intake::elsewhere)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(collector.clone())
}

/// The way in of every request, and the way out of its answer.
async fn enter(State(collector): State<Collector>, mut request: Request, next: Next) -> Response {
    let options = collector.options();
    match options.base.strip(request.uri()) {
        Within::Edge => return to_base(request.uri()),
        Within::Here(Some(uri)) => *request.uri_mut() = uri,
        Within::Here(None) => {}
    }
    if cors::is_for_events(request.uri().path()) {
        let origin = cors::origin(request.headers());
        let mut answer = if request.method() == Method::OPTIONS {
            cors::preflight(request.headers())
        } else {
            next.run(request).await
        };
        cors::let_in(origin, &mut answer);
        return answer;
    }
    let mut answer = match guard::check(&options.hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    guard::protect(&mut answer);
    answer
}

/// With the slash that makes the page's links right.
fn to_base(uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    // Relative: a proxy may have changed the host.
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("{last}/{query}"))]).into_response()
}

/// The page for browsers, the list of requests for others, in the form that is asked for.
async fn root(headers: HeaderMap) -> Response {
    let asked = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut answer = if asked.contains("text/html") {
        page::index(&headers)
    } else if asked.contains("application/json") {
        Json(API).into_response()
    } else {
        let version = env!("CARGO_PKG_VERSION");
        format!("posthaste collect {version}\n\n{}", api::list("")).into_response()
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    answer
}

async fn openapi() -> Json<Value> {
    Json(openapi::document())
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

/// What is wrong with a script or an expectation, in the form of what is wrong with a body.
#[derive(Serialize)]
pub(crate) struct Wrong {
    path: String,
    problem: String,
    fix: String,
}

impl From<&FaultsError> for Wrong {
    fn from(error: &FaultsError) -> Self {
        Self { path: error.path().to_owned(), problem: error.problem(), fix: error.fix() }
    }
}

impl From<&ExpectationError> for Wrong {
    fn from(error: &ExpectationError) -> Self {
        Self { path: error.path().to_owned(), problem: error.problem(), fix: error.fix() }
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}
