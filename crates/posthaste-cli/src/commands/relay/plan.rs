//! What a relay does, in three lines, or as JSON: where it listens, where events are kept, where they go.

use std::{fmt, net::SocketAddr, path::PathBuf};

use posthaste_relay::{Config, Store, TenantConfig, config::upstream_shown};
use serde::Serialize;

use crate::common::output::counted;

/// What it does.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// Where SDKs post to.
    url: String,
    /// `None`: nowhere.
    admin_url: Option<String>,
    /// `None`: in memory.
    data: Option<PathBuf>,
    /// Events that were there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    upstreams: Vec<Upstream>,
}

#[derive(Debug, Serialize)]
struct Upstream {
    tenant: String,
    url: String,
    accounts: Vec<String>,
    projects: Vec<String>,
}

impl Plan {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            url: url(config.listen),
            admin_url: config.admin.map(base),
            data: match &config.store {
                Store::Memory { .. } => None,
                Store::Disk { folder, .. } => Some(folder.clone()),
            },
            found: None,
            upstreams: config.tenants.iter().map(Upstream::of).collect(),
        }
    }

    /// It has begun: at these addresses, and with so many events.
    pub(super) fn begun(self, listen: SocketAddr, admin: Option<SocketAddr>, found: u64) -> Self {
        Self { url: url(listen), admin_url: admin.map(base), found: Some(found), ..self }
    }

    /// A line each.
    pub(super) fn lines(&self) -> [String; 3] {
        let admin = self
            .admin_url
            .as_deref()
            .map_or("no admin interface".to_owned(), |url| format!("admin at {url}"));
        let found = self.found.map(|events| format!("; found there: {}", counted(events, "event", "events")));
        let keeps = match &self.data {
            Some(data) => format!(
                "keeps events in {}, on disk before each 204{}",
                data.display(),
                found.unwrap_or_default()
            ),
            None => "keeps events in memory: what is queued is gone with the process".to_owned(),
        };
        let upstreams: Vec<String> = self.upstreams.iter().map(ToString::to_string).collect();
        [format!("listens at {}; {admin}", self.url), keeps, format!("delivers to {}", upstreams.join(", "))]
    }
}

impl Upstream {
    fn of(tenant: &TenantConfig) -> Self {
        Self {
            tenant: tenant.name.clone(),
            url: upstream_shown(&tenant.upstream),
            accounts: tenant.accounts.clone(),
            projects: tenant.projects.clone(),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, url, .. } = self;
        write!(f, "{url} ({tenant})")
    }
}

fn base(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn url(address: SocketAddr) -> String {
    base(address) + posthaste_relay::config::EVENTS_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_three_lines() {
        let listen = "127.0.0.1:80".parse().unwrap();
        let config = Config { listen, admin: None, ..Config::to("https://me.example/?key=secret") };
        assert_eq!(
            Plan::of(&config).lines(),
            [
                "listens at http://127.0.0.1:80/v1/events; no admin interface",
                "keeps events in memory: what is queued is gone with the process",
                "delivers to https://me.example/?*** (default)",
            ]
        );
        let plan = Plan::of(&config.on_disk("data")).begun("[::1]:81".parse().unwrap(), Some(listen), 1);
        let [listens, keeps, _] = plan.lines();
        assert_eq!(listens, "listens at http://[::1]:81/v1/events; admin at http://127.0.0.1:80");
        assert_eq!(keeps, "keeps events in data, on disk before each 204; found there: 1 event");
    }
}
