//! Every route, in one table: what is served, and what `GET /` says of it.

use axum::routing::{MethodRouter, get, post};

use super::{Admin, dead, follow, health, ledger, metrics, ready};

/// One method at one path.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What it takes after `?`, for people.
    query: &'static str,
    what: &'static str,
    pub(super) handler: fn() -> MethodRouter<Admin>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    query: &'static str,
    what: &'static str,
    handler: fn() -> MethodRouter<Admin>,
) -> Route {
    Route { method, path, query, what, handler }
}

pub(super) static ROUTES: [Route; 9] = [
    route("GET", "/", "", "this text", || get(|| async { text() })),
    route("GET", "/healthz", "", "200 while every loop goes round; 503 and which one is stuck", || {
        get(health::healthz)
    }),
    route("GET", "/readyz", "", "200 while events are taken; each tenant's queue and upstream", || {
        get(ready::readyz)
    }),
    route("GET", "/metrics", "", "counts, in Prometheus' format", || get(metrics::metrics)),
    route("GET", "/ledger", "", "what has become of events, tenant by tenant", || get(ledger::ledger)),
    route("GET", "/dead", "?tenant=&reason=&after=&limit=", "dead letters, oldest first", || get(dead::list)),
    route("POST", "/dead/replay", "?tenant=&reason=", "puts dead letters back into the queue", || {
        post(dead::replay)
    }),
    route("POST", "/dead/purge", "?tenant=&reason=", "forgets dead letters", || post(dead::purge)),
    route("GET", "/tail", "?tenant=&account=", "what happens, as server-sent events", || get(follow::follow)),
];

fn text() -> String {
    let line = |Route { method, path, query, what, .. }: &Route| {
        let call = format!("{method} {path}{query}");
        format!("{call:<42} {what}\n")
    };
    let lines: String = ROUTES.iter().map(line).collect();
    format!("posthaste relay {}\n\n{lines}", env!("CARGO_PKG_VERSION"))
}
