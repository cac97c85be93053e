//! What a relay does, in three lines, or as JSON: where it listens, where events are kept, where they go; and, where
//! relays share a stream, what that promises.

use std::{fmt, net::SocketAddr, path::PathBuf};

use posthaste::queue::jetstream::{Promise, StreamReport};
use posthaste_relay::{Config, Store, TenantConfig, config::upstream_shown};
use serde::Serialize;

use crate::common::output::counted;

/// What it does.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// Where SDKs post to; `None`: it takes no events.
    url: Option<String>,
    /// `None`: nowhere.
    admin_url: Option<String>,
    /// `None`: in memory, or in the stream alone.
    data: Option<PathBuf>,
    /// The stream that relays share.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Shared>,
    /// Events that were there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    upstreams: Vec<Upstream>,
}

#[derive(Debug, Serialize)]
struct Shared {
    address: String,
    role: &'static str,
    /// Under which faults nothing is lost that it has acknowledged; `None`: it has not been seen yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    promises: Option<Vec<Promise>>,
    #[serde(skip)]
    said: Vec<String>,
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
            url: config.accepts().then(|| url(config.listen)),
            admin_url: config.admin.map(base),
            data: match &config.store {
                Store::Disk { folder, .. } if config.keeps() => Some(folder.clone()),
                Store::Memory { .. } | Store::Disk { .. } => None,
            },
            stream: config.queue.as_ref().map(|address| Shared {
                address: address.to_string(),
                role: config.role.name(),
                promises: None,
                said: Vec::new(),
            }),
            found: None,
            upstreams: config.tenants.iter().filter(|_| config.delivers()).map(Upstream::of).collect(),
        }
    }

    /// It has begun: at these addresses, and with so many events.
    pub(super) fn begun(self, listen: Option<SocketAddr>, admin: Option<SocketAddr>, found: u64) -> Self {
        Self { url: listen.map(url), admin_url: admin.map(base), found: Some(found), ..self }
    }

    /// What the stream promises, where there is one; or why that is not known.
    pub(super) fn promising(mut self, report: Option<StreamReport>, trouble: Option<String>) -> Self {
        if let Some(stream) = &mut self.stream {
            stream.said = match (&report, trouble) {
                (Some(report), _) => report.to_string().lines().map(str::to_owned).collect(),
                (None, trouble) => vec![format!(
                    "what the stream promises is not known yet: {}",
                    trouble.unwrap_or_default()
                )],
            };
            stream.promises = report.map(|report| report.promises);
        }
        self
    }

    /// A line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let admin = self
            .admin_url
            .as_deref()
            .map_or("no admin interface".to_owned(), |url| format!("admin at {url}"));
        let listens = match &self.url {
            Some(url) => format!("listens at {url}; {admin}"),
            None => format!("takes no events; {admin}"),
        };
        let mut lines = vec![listens, self.keeps(), self.delivers()];
        lines.extend(self.stream.iter().flat_map(|stream| stream.said.iter().cloned()));
        lines
    }

    fn keeps(&self) -> String {
        let found = self.found.map(|events| format!("; found there: {}", counted(events, "event", "events")));
        let found = found.unwrap_or_default();
        match (&self.data, &self.stream) {
            (Some(data), None) => {
                format!("keeps events in {}, on disk before each 204{found}", data.display())
            }
            (Some(data), Some(Shared { address, .. })) => format!(
                "keeps events in {}, on disk before each 204, until {address} has them{found}",
                data.display()
            ),
            (None, Some(Shared { address, .. })) if self.url.is_some() => {
                format!("keeps no events here: {address} has them before each 204")
            }
            (None, Some(Shared { address, .. })) => format!("keeps no events here: they are in {address}"),
            (None, None) => "keeps events in memory: what is queued is gone with the process".to_owned(),
        }
    }

    fn delivers(&self) -> String {
        if self.upstreams.is_empty() {
            return "delivers to nobody: relays with another role do".to_owned();
        }
        let upstreams: Vec<String> = self.upstreams.iter().map(ToString::to_string).collect();
        format!("delivers to {}", upstreams.join(", "))
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
    use posthaste_relay::{Nats, Role};

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
        let begun = |config: &Config| {
            Plan::of(config)
                .begun(config.accepts().then(|| "[::1]:81".parse().unwrap()), Some(listen), 1)
                .lines()
        };
        let lines = begun(&config.clone().on_disk("data"));
        assert_eq!(lines[0], "listens at http://[::1]:81/v1/events; admin at http://127.0.0.1:80");
        assert_eq!(lines[1], "keeps events in data, on disk before each 204; found there: 1 event");
        let queue = Some("nats://me:secret@a,b/events".parse().unwrap());
        let config = Config { queue, ..config.on_disk("data") };
        let stream = "nats://a:4222,b:4222/events";
        let lines = begun(&config);
        assert_eq!(
            lines[1],
            format!(
                "keeps events in data, on disk before each 204, until {stream} has them; found there: 1 event"
            )
        );
        let accepting =
            Config { role: Role::Accept, nats: Nats { bridge: false, ..Nats::default() }, ..config.clone() };
        let lines = begun(&accepting);
        assert_eq!(lines[1], format!("keeps no events here: {stream} has them before each 204"));
        assert_eq!(lines[2], "delivers to nobody: relays with another role do");
        let lines = begun(&Config { role: Role::Deliver, ..config });
        assert_eq!(lines[0], "takes no events; admin at http://127.0.0.1:80");
        assert_eq!(lines[1], format!("keeps no events here: they are in {stream}"));
    }
}
