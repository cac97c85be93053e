//! `GET /ledger`: what has become of events, tenant by tenant and in sum.

use axum::{Json, extract::State};
use posthaste::Ledger;
use serde::Serialize;

use super::{Admin, Problem};
use crate::relay::Relay;

#[derive(Debug, Serialize)]
pub(super) struct Ledgers {
    tenants: Vec<OfTenant>,
    sum: Shown,
}

#[derive(Debug, Serialize)]
struct OfTenant {
    tenant: String,
    #[serde(flatten)]
    ledger: Shown,
}

/// In events. `accepted = delivered + dead_lettered + queued`, unless it does not balance.
#[derive(Debug, Serialize)]
struct Shown {
    accepted: u64,
    delivered: u64,
    dead_lettered: u64,
    queued: u64,
    refused: u64,
    balances: bool,
}

pub(super) async fn ledger(State(admin): State<Admin>) -> Result<Json<Ledgers>, Problem> {
    let ledgers = admin.ask(Relay::ledgers).await?;
    let sum = ledgers.iter().fold(Ledger::default(), |sum, (_, ledger)| sum + *ledger);
    let tenants = ledgers.into_iter().map(|(tenant, ledger)| OfTenant { tenant, ledger: ledger.into() });
    Ok(Json(Ledgers { tenants: tenants.collect(), sum: sum.into() }))
}

impl From<Ledger> for Shown {
    fn from(ledger: Ledger) -> Self {
        Self {
            accepted: ledger.accepted,
            delivered: ledger.delivered,
            dead_lettered: ledger.dead_lettered,
            queued: ledger.queued,
            refused: ledger.refused,
            balances: ledger.balances(),
        }
    }
}
