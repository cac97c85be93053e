//! `GET` and `POST /expect`, also below a session's path.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header::ACCEPT},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    EXPECTATION_BYTES_MAX, Expectation, ExpectationError, Outcome,
    query::{self, Beside},
};
use crate::{Collector, http::Wrong, origin::SessionName};

type Pairs = Query<Vec<(String, String)>>;

/// The paths of expectations.
pub(crate) fn routes() -> Router<Collector> {
    let here = get(by_query).post(by_body).layer(DefaultBodyLimit::max(EXPECTATION_BYTES_MAX));
    let in_session =
        get(by_query_in_session).post(by_body_in_session).layer(DefaultBodyLimit::max(EXPECTATION_BYTES_MAX));
    Router::new().route("/expect", here).route("/t/{session}/expect", in_session)
}

async fn by_query(State(collector): State<Collector>, headers: HeaderMap, Query(pairs): Pairs) -> Response {
    answer(&collector, &headers, None, query::whole(pairs)).await
}

async fn by_body(
    State(collector): State<Collector>,
    headers: HeaderMap,
    Query(pairs): Pairs,
    body: Bytes,
) -> Response {
    answer(&collector, &headers, None, query::with_body(pairs, &body)).await
}

async fn by_query_in_session(
    State(collector): State<Collector>,
    Path(session): Path<String>,
    headers: HeaderMap,
    Query(pairs): Pairs,
) -> Response {
    answer(&collector, &headers, Some(session), query::whole(pairs)).await
}

async fn by_body_in_session(
    State(collector): State<Collector>,
    Path(session): Path<String>,
    headers: HeaderMap,
    Query(pairs): Pairs,
    body: Bytes,
) -> Response {
    answer(&collector, &headers, Some(session), query::with_body(pairs, &body)).await
}

async fn answer(
    collector: &Collector,
    headers: &HeaderMap,
    path: Option<String>,
    asked: Result<(Expectation, Beside), ExpectationError>,
) -> Response {
    let wants_json = accepts_json(headers);
    let asked = asked.and_then(|(expectation, beside)| {
        Ok((expectation, beside.wait, query::session(path, headers, beside.session)?))
    });
    match asked {
        Ok((expectation, wait, session)) => {
            let outcome =
                super::wait::expect(collector, &expectation, session.as_ref().map(SessionName::as_str), wait)
                    .await;
            told(&outcome, wants_json)
        }
        Err(error) if wants_json => (StatusCode::BAD_REQUEST, Json([Wrong::from(&error)])).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Neither status is one after which a client asks again.
fn told(outcome: &Outcome, wants_json: bool) -> Response {
    let status = if outcome.holds { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    if wants_json {
        (status, Json(outcome)).into_response()
    } else {
        (status, format!("{outcome}\n")).into_response()
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json")
}
