//! `GET /metrics`: counts in Prometheus' text format. Every series is there from the start; docs/metrics.md explains each.

mod ages;
mod free;
mod of_relay;
mod of_stream;
mod of_tenants;
mod text;

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

use self::text::Text;
pub(super) use self::{ages::Ages, free::FreeBytes};
use super::{Admin, Problem};
use crate::relay::Relay;

/// How long a scrape waits for a disk before it tells what was known before.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(250);

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<impl IntoResponse, Problem> {
    let (oldest, free) = tokio::join!(admin.0.ages.look(admin.relay()), admin.0.free_bytes.look());
    let write = move |relay: &Relay| {
        let mut text = Text::default();
        of_relay::write(relay, free, &mut text);
        of_tenants::write(relay, &oldest, &mut text);
        of_stream::write(relay, &mut text);
        text.finish()
    };
    let text = admin.ask(write).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
