//! `GET /metrics`: counts in Prometheus' text format. Every series is there from the start; docs/metrics.md explains each.

mod ages;
mod of_relay;
mod of_tenants;
mod text;

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

pub(super) use self::ages::Ages;
use self::text::Text;
use super::{Admin, Problem};
use crate::relay::Relay;

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<impl IntoResponse, Problem> {
    let oldest = admin.0.ages.look(admin.relay()).await;
    let write = move |relay: &Relay| {
        let mut text = Text::default();
        of_relay::write(relay, &mut text);
        of_tenants::write(relay, &oldest, &mut text);
        text.finish()
    };
    let text = admin.ask(write).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
