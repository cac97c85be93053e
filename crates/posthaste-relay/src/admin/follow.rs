//! `GET /tail`: what happens, as it happens, as server-sent events: `in`, `out`, `answer`, and `missed` with how many a
//! listener was too slow for.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    extract::{Query, State},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

use super::{Admin, Problem};
use crate::tail::{Ear, Filter};

pub(super) const PATH: &str = "/tail";
/// Lines are sent at most this often, those of the time in between together: a packet for each would cost more than the
/// lines.
const PAUSE: Duration = Duration::from_millis(100);
/// So that who has gone is noticed, and proxies see that there is something.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Option<String>,
    account: Option<String>,
}

pub(super) async fn follow(
    State(admin): State<Admin>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    admin.check_tenant(wanted.tenant.as_deref())?;
    let filter = Filter { tenant: wanted.tenant, account: wanted.account };
    let ear = admin.relay().tail().listen(filter).ok_or(Problem::TooManyListeners)?;
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    // The first piece says that somebody listens from here on.
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b": listening\n\n")) });
    let body = Body::from_stream(first.chain(stream::unfold(ear, next)));
    Ok((headers, body).into_response())
}

async fn next(mut ear: Ear) -> Option<(Result<Bytes, Infallible>, Ear)> {
    tokio::time::sleep(PAUSE).await;
    let heard = tokio::time::timeout(KEEP_ALIVE, ear.hear()).await;
    let text = match heard {
        Ok((lines, 0)) => lines.concat(),
        Ok((lines, missed)) => lines.concat() + &format!("event: missed\ndata: {{\"lines\":{missed}}}\n\n"),
        Err(_) => ":\n\n".to_owned(),
    };
    Some((Ok(text.into()), ear))
}
