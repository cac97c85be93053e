//! Every option in the shape in which a file, the environment and flags give it, from the defaults on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    AccessConfig, Config, DISK_BYTES_MAX, DeadLetterLimits, Forward, Limits, MEMORY_BYTES_MAX, Nats, Outage,
    Repeats, Role, Store, TenantConfig, upstream_url,
};

/// Where the relay listens, unless told otherwise: this machine alone.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);
/// And where its admin interface does.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8091);
/// And where events are kept.
const DATA: &str = "./posthaste-data";

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) listen: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) paths: Vec<String>,
    pub(super) strict: bool,
    pub(super) upstream: Option<String>,
    pub(super) data: PathBuf,
    pub(super) memory: bool,
    /// As it was given.
    pub(super) queue: Option<String>,
    pub(super) role: Role,
    pub(super) nats: Nats,
    pub(super) disk_bytes_max: u64,
    pub(super) memory_bytes_max: usize,
    pub(super) drain_delay: Duration,
    pub(super) shutdown_timeout: Duration,
    pub(super) forward: Forward,
    pub(super) outage: Outage,
    pub(super) dead_letters: DeadLetterLimits,
    pub(super) repeats: Repeats,
    pub(super) access: AccessConfig,
    pub(super) limits: Limits,
    /// As they were given, each with the line of the file that it begins in.
    pub(super) tenants: Vec<(usize, TenantConfig)>,
}

impl Default for Draft {
    fn default() -> Self {
        let of_programs = Config::to("");
        Self {
            listen: LISTEN,
            admin: Some(ADMIN),
            paths: of_programs.paths,
            strict: of_programs.strict,
            upstream: None,
            data: DATA.into(),
            memory: false,
            queue: None,
            role: of_programs.role,
            nats: of_programs.nats,
            disk_bytes_max: DISK_BYTES_MAX,
            memory_bytes_max: MEMORY_BYTES_MAX,
            drain_delay: of_programs.drain_delay,
            shutdown_timeout: of_programs.shutdown_timeout,
            forward: of_programs.forward,
            outage: of_programs.outage,
            dead_letters: of_programs.dead_letters,
            repeats: of_programs.repeats,
            access: of_programs.access,
            limits: of_programs.limits,
            tenants: Vec::new(),
        }
    }
}

impl Draft {
    /// What it comes to. The tenant that takes what no other does comes first.
    pub(super) fn config(&self) -> Config {
        let store = if self.memory {
            Store::Memory { bytes_max: self.memory_bytes_max }
        } else {
            Store::Disk { folder: self.data.clone(), bytes_max: self.disk_bytes_max }
        };
        Config {
            listen: self.listen,
            admin: self.admin,
            paths: self.paths.clone(),
            strict: self.strict,
            store,
            // One that is none is a fault, and no config comes out.
            queue: self.queue.as_deref().and_then(|queue| queue.parse().ok()),
            role: self.role,
            nats: self.nats.clone(),
            tenants: self.tenants(),
            forward: self.forward.clone(),
            outage: self.outage,
            dead_letters: self.dead_letters,
            repeats: self.repeats,
            access: self.access.clone(),
            limits: self.limits.clone(),
            drain_delay: self.drain_delay,
            shutdown_timeout: self.shutdown_timeout,
        }
    }

    /// Whether it sends events to upstreams.
    pub(super) fn delivers(&self) -> bool {
        self.queue.is_none() || self.role.delivers()
    }

    fn tenants(&self) -> Vec<TenantConfig> {
        let of_upstream = self.upstream.as_deref().map(TenantConfig::default_to);
        let named = self.tenants.iter().map(|(_, tenant)| tenant.clone());
        let mut all: Vec<TenantConfig> = of_upstream.into_iter().chain(named).collect();
        // Somebody else knows where it delivers.
        if !self.delivers() && !all.iter().any(takes_the_rest) {
            all.push(TenantConfig::default_to(""));
        }
        all.sort_by_key(|tenant| !takes_the_rest(tenant));
        for tenant in &mut all {
            tenant.upstream = upstream_url(&tenant.upstream);
        }
        all
    }
}

/// Whether it takes what no other tenant does.
pub(super) fn takes_the_rest(tenant: &TenantConfig) -> bool {
    tenant.accounts.is_empty() && tenant.projects.is_empty()
}
