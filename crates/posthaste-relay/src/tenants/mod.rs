//! Whose queue events go to: each tenant has a queue, a breaker and a delivery of its own, so that one whose upstream is
//! dead holds back nobody else.

mod folder;
mod observed;
mod stage;
mod tenant;
mod unanswered;

use std::{path::Path, sync::Arc};

use posthaste::queue::{OpenError, Spool, SpoolOptions};
use rustc_hash::FxHashMap;

pub(crate) use self::{
    folder::check_writable,
    stage::{Kind, Stage},
    tenant::Tenant,
};
pub use self::{
    folder::{About, FolderError, TenantFolder, tenants_in},
    tenant::{TenantError, TenantTrouble},
};
use crate::{
    config::{Config, Store, upstream_shown},
    stream::Stream,
    tail::Tail,
};

/// How a queue on disk is opened.
pub(crate) type OpenSpool = dyn Fn(&Path, SpoolOptions) -> Result<Spool, OpenError>;

/// All of them.
#[derive(Debug)]
pub(crate) struct Tenants {
    /// The first takes what no other does. Those that the config no longer names come last, and take nothing.
    all: Vec<Tenant>,
    by_account: FxHashMap<String, usize>,
    by_project: FxHashMap<String, usize>,
}

impl Tenants {
    /// Opens every queue, those that tenants of earlier configs have left included.
    pub(crate) fn open(
        config: &Config,
        clock: &tenant::SharedClock,
        tail: &Arc<Tail>,
        ways: (&OpenSpool, Option<&Stream>),
    ) -> Result<Self, TenantError> {
        let left = if config.keeps() { folder::left_behind(config)? } else { Vec::new() };
        if let (Store::Disk { folder, .. }, true) = (&config.store, config.keeps()) {
            let names = config.tenants.iter().chain(&left).map(|tenant| tenant.name.clone());
            folder::check_writable(folder, &names.collect::<Vec<_>>())?;
        }
        let mut all = Vec::new();
        for tenant in &config.tenants {
            all.push(Tenant::open(tenant, config, clock, tail, ways)?);
        }
        for left in left {
            tracing::warn!(
                tenant = left.name,
                upstream = upstream_shown(&left.upstream),
                "no longer in the config, and not empty: it is delivered"
            );
            all.push(Tenant::open(&left, config, clock, tail, ways)?);
        }
        let routes = |ids: fn(&crate::config::TenantConfig) -> &[String]| {
            let of = |(at, tenant)| ids(tenant).iter().map(move |id| (id.clone(), at));
            config.tenants.iter().enumerate().flat_map(of).collect()
        };
        Ok(Self {
            by_account: routes(|tenant| &tenant.accounts),
            by_project: routes(|tenant| &tenant.projects),
            all,
        })
    }

    /// The tenant that takes events of this account and project.
    pub(crate) fn of(&self, account: &str, project: Option<&str>) -> &Tenant {
        let by_project = project.and_then(|project| self.by_project.get(project));
        let at = by_project.or_else(|| self.by_account.get(account)).copied().unwrap_or(0);
        self.all.get(at).unwrap_or_else(|| self.first())
    }

    /// The tenant that takes what no other does.
    pub(crate) fn first(&self) -> &Tenant {
        self.all.first().expect("a config has at least one tenant")
    }

    /// The one of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Tenant> {
        self.all.iter().find(|tenant| tenant.name() == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.all.iter()
    }

    /// Every pipeline, with its tenant.
    pub(crate) fn stages(&self) -> impl Iterator<Item = (&Tenant, &Stage)> {
        self.iter().flat_map(|tenant| tenant.stages().iter().map(move |stage| (tenant, stage)))
    }
}
