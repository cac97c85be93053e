//! Dead letters: listed by pages, put back, forgotten, each by tenant and by reason.

mod letter;
mod page;
mod replay;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use posthaste::{DeadLetter, DeadReason, LogEvent};
use serde::{Deserialize, Serialize};

use self::page::{Page, Place};
use super::{Admin, Problem};
use crate::{
    relay::Relay,
    tenants::{Stage, Tenant},
};

/// Letters on a page, unless asked for more or fewer; and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Which letters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    tenant: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    tenant: Option<String>,
    reason: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// The same, checked.
#[derive(Debug, Clone, Default)]
struct Chosen {
    tenant: Option<String>,
    reason: Option<DeadReason>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Replayed {
    /// Events that are in a queue again.
    replayed: usize,
    /// Events of letters that nobody can use, even now.
    still_unusable: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Purged {
    /// Letters that are gone.
    purged: usize,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page>, Problem> {
    let Listing { tenant, reason, after, limit } = listing;
    let chosen = Chosen::check(&admin, Which { tenant, reason })?;
    let after = after.map(Place::parse).transpose()?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::NoLimit(limit, LIMIT_MAX));
    }
    Ok(Json(admin.ask(move |relay| page::read(relay, &chosen, after.as_ref(), limit)).await?))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Query(which): Query<Which>,
) -> Result<Json<Replayed>, Problem> {
    let chosen = Chosen::check(&admin, which)?;
    let changing = Arc::clone(&admin.0.changing);
    let replay = move |relay: &Relay| {
        let _one = changing.lock();
        replay::replay(relay, &chosen)
    };
    Ok(Json(admin.ask(replay).await?))
}

pub(super) async fn purge(
    State(admin): State<Admin>,
    Query(which): Query<Which>,
) -> Result<Json<Purged>, Problem> {
    let chosen = Chosen::check(&admin, which)?;
    let changing = Arc::clone(&admin.0.changing);
    let purge = move |relay: &Relay| {
        let _one = changing.lock();
        let of = |stage: &Stage| stage.dispatcher().purge_dead_letters_where(&|letter| chosen.wants(letter));
        Purged { purged: chosen.stages(relay).map(|(_, stage)| of(stage)).sum() }
    };
    Ok(Json(admin.ask(purge).await?))
}

impl Chosen {
    fn check(admin: &Admin, Which { tenant, reason }: Which) -> Result<Self, Problem> {
        admin.check_tenant(tenant.as_deref())?;
        let known = |name: String| DeadReason::from_name(&name).ok_or(Problem::NoSuchReason(name));
        Ok(Self { tenant, reason: reason.map(known).transpose()? })
    }

    fn wants(&self, letter: &DeadLetter<LogEvent>) -> bool {
        self.reason.is_none_or(|reason| reason == letter.reason)
    }

    /// The pipelines that may have such letters.
    fn stages<'a>(&'a self, relay: &'a Relay) -> impl Iterator<Item = (&'a Tenant, &'a Stage)> {
        let is_wanted = |tenant: &Tenant| self.tenant.as_deref().is_none_or(|name| name == tenant.name());
        relay.tenants().stages().filter(move |(tenant, _)| is_wanted(tenant))
    }
}
