//! `GET /ledger`: what has become of events, tenant by tenant and in sum.

use axum::{Json, extract::State};
use posthaste::{Ledger, queue::JetStreamQueue};
use serde::Serialize;

use super::{Admin, Problem};
use crate::{
    relay::Relay,
    tenants::{Kind, Stage, Tenant},
};

#[derive(Debug, Serialize)]
pub(super) struct Ledgers {
    tenants: Vec<OfTenant>,
    sum: Shown,
}

#[derive(Debug, Serialize)]
struct OfTenant {
    tenant: String,
    /// Of all its pipelines: an event that passes two of them here counts in each.
    #[serde(flatten)]
    ledger: Shown,
    /// What it has had of the stream that relays share.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<OfStream>,
}

/// In events, since this process started: what it took from clients, what of that the stream has, what it took out of the
/// stream, and what became of that.
#[derive(Debug, Serialize)]
struct OfStream {
    accepted: u64,
    published: u64,
    leased: u64,
    /// Leased, and given back or lost to others.
    returned: u64,
    delivered: u64,
    buried: u64,
}

/// In events. `accepted = delivered + dead_lettered + queued + handed_over`, unless it does not balance.
#[derive(Debug, Serialize)]
struct Shown {
    accepted: u64,
    delivered: u64,
    dead_lettered: u64,
    queued: u64,
    /// Others have them now: they are in the stream that relays share.
    handed_over: u64,
    refused: u64,
    balances: bool,
}

pub(super) async fn ledger(State(admin): State<Admin>) -> Result<Json<Ledgers>, Problem> {
    let look = |relay: &Relay| {
        let ledgers = relay.ledgers();
        let sum = ledgers.iter().fold(Ledger::default(), |sum, (_, ledger)| sum + *ledger);
        let streams = relay.tenants().iter().map(OfStream::of);
        let tenants = ledgers.into_iter().zip(streams);
        let tenants =
            tenants.map(|((tenant, ledger), stream)| OfTenant { tenant, ledger: ledger.into(), stream });
        Ledgers { tenants: tenants.collect(), sum: sum.into() }
    };
    Ok(Json(admin.ask(look).await?))
}

impl OfStream {
    fn of(tenant: &Tenant) -> Option<Self> {
        let of = |kind| tenant.stages().iter().find(|stage| stage.kind() == kind);
        let (bridge, shared) = (of(Kind::Bridge), of(Kind::Shared));
        let traffic = |stage: Option<&Stage>| stage.and_then(Stage::stream).map(JetStreamQueue::traffic);
        let (into, out) = (traffic(bridge).or_else(|| traffic(shared))?, traffic(shared).unwrap_or_default());
        let ledger =
            |stage: Option<&Stage>| stage.map(|stage| stage.dispatcher().ledger()).unwrap_or_default();
        Some(Self {
            accepted: if bridge.is_some() { ledger(bridge).accepted } else { into.accepted },
            published: into.published,
            leased: out.leased,
            returned: out.returned,
            delivered: ledger(shared).delivered,
            buried: ledger(bridge).dead_lettered + ledger(shared).dead_lettered,
        })
    }
}

impl From<Ledger> for Shown {
    fn from(ledger: Ledger) -> Self {
        Self {
            accepted: ledger.accepted,
            delivered: ledger.delivered,
            dead_lettered: ledger.dead_lettered,
            queued: ledger.queued,
            handed_over: ledger.handed_over,
            refused: ledger.refused,
            balances: ledger.balances(),
        }
    }
}
