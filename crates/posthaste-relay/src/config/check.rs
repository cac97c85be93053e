//! What has to go together: values that are right each by itself, and wrong beside each other.

mod stream;

use std::{collections::BTreeMap, net::SocketAddr};

use posthaste::dispatch::EndPoint;

use super::{
    Config, Store, TenantConfig,
    draft::takes_the_rest,
    fault::{Fault, Origin},
    kinds::Bytes,
    settings::{Settings, lacks},
    url,
};

/// Bytes that the queue on disk keeps of a request beside its body.
const RECORD_ROOM: u64 = 64 << 10;
/// A record has to fit into a segment of the queue, and segments have 16 MiB.
const RECORD_BYTES_MAX: u64 = 15 << 20;
/// The segments that a queue on disk has at least.
const SEGMENTS_MIN: u64 = 4;

/// Everything that is wrong.
pub(super) fn faults(settings: &Settings) -> Vec<Fault> {
    let mut checks = Checks { settings, config: settings.draft.config(), faults: Vec::new() };
    checks.stream();
    checks.who_takes_the_rest();
    checks.names();
    checks.upstreams();
    checks.addresses();
    checks.sizes();
    checks.faults
}

struct Checks<'a> {
    settings: &'a Settings,
    config: Config,
    faults: Vec<Fault>,
}

impl Checks<'_> {
    fn fault(&mut self, origin: Origin, text: impl Into<String>) {
        self.faults.push(Fault::new(origin, text));
    }

    /// Each tenant, and where it stands.
    fn tenants(&self) -> Vec<(Origin, TenantConfig)> {
        let draft = &self.settings.draft;
        let first = draft
            .upstream
            .as_ref()
            .map(|upstream| (self.settings.origin("upstream"), TenantConfig::default_to(upstream.clone())));
        let named = draft.tenants.iter().map(|(line, tenant)| (self.settings.line(*line), tenant.clone()));
        first.into_iter().chain(named).collect()
    }

    fn who_takes_the_rest(&mut self) {
        if !self.settings.is_sure_of_tenants() {
            return;
        }
        let tenants = self.tenants();
        if !self.settings.draft.delivers() {
            return self.no_two_of_the_rest(&tenants);
        }
        // Of one that has no upstream that is told, and no more.
        if tenants.iter().any(|(_, tenant)| tenant.upstream.is_empty()) {
            return;
        }
        if !tenants.iter().any(|(_, tenant)| takes_the_rest(tenant)) {
            let which = if tenants.is_empty() { "" } else { " that no tenant takes" };
            self.fault(
                self.settings.line(0),
                format!(
                    "nothing says where events go{which}; give us, eu, or a URL: --upstream, or upstream in a file \
                     (--config)"
                ),
            );
        }
        self.no_two_of_the_rest(&tenants);
    }

    fn no_two_of_the_rest(&mut self, tenants: &[(Origin, TenantConfig)]) {
        let mut of_the_rest = tenants.iter().filter(|(_, tenant)| takes_the_rest(tenant));
        if let (Some((one, first)), Some((other, second))) = (of_the_rest.next(), of_the_rest.next()) {
            self.fault(
                other.clone(),
                format!(
                    "tenants {:?} ({one}) and {:?} both take what no other does; give one of them accounts or projects",
                    first.name, second.name
                ),
            );
        }
    }

    fn names(&mut self) {
        let tenants = self.tenants();
        self.said_twice(&tenants, "tenant", |tenant| std::slice::from_ref(&tenant.name), "rename one");
        self.said_twice(
            &tenants,
            "account",
            |tenant| &tenant.accounts,
            "its events can go to one tenant alone",
        );
        self.said_twice(
            &tenants,
            "project",
            |tenant| &tenant.projects,
            "its events can go to one tenant alone",
        );
    }

    fn said_twice(
        &mut self,
        tenants: &[(Origin, TenantConfig)],
        what: &str,
        of: fn(&TenantConfig) -> &[String],
        hint: &str,
    ) {
        let mut known: BTreeMap<&str, &Origin> = BTreeMap::new();
        for (origin, tenant) in tenants {
            // One that has no name has been told of.
            for id in of(tenant).iter().filter(|id| !id.is_empty()) {
                if let Some(before) = known.insert(id, origin) {
                    self.fault(
                        origin.clone(),
                        format!("{what} {id:?} is there twice (before: {before}); {hint}"),
                    );
                }
            }
        }
    }

    fn upstreams(&mut self) {
        if self.settings.draft.delivers() {
            for line in self.settings.without_upstream() {
                self.fault(self.settings.line(*line), lacks("upstream"));
            }
        }
        for (origin, tenant) in self.tenants() {
            if tenant.upstream.is_empty() {
                continue;
            }
            let whose =
                if tenant.name == "default" { String::new() } else { format!("tenant {:?}: ", tenant.name) };
            let problem = url::problem(&tenant.upstream).or_else(|| self.comes_back(&tenant.upstream));
            if let Some(problem) = problem {
                self.fault(origin, format!("{whose}{problem}"));
            }
        }
    }

    /// What is wrong with an upstream that is this relay.
    fn comes_back(&self, upstream: &str) -> Option<String> {
        let Config { listen, admin, .. } = self.config;
        let is_it = |key, at| self.settings.is_sure(&[key]) && comes_back(upstream, at);
        let shown = url::shown(upstream);
        if self.config.accepts() && is_it("listen", listen) {
            return Some(format!(
                "upstream {shown} is this relay itself, which listens at {listen}: events would go round for ever; give \
                 another upstream, or listen elsewhere"
            ));
        }
        let admin = admin.filter(|admin| is_it("admin", *admin))?;
        Some(format!(
            "upstream {shown} is this relay itself, whose admin interface is at {admin}: nobody takes events there; give \
             another upstream, or another port for the one or the other"
        ))
    }

    fn addresses(&mut self) {
        let Config { listen, admin, .. } = self.config;
        if admin == Some(listen)
            && self.config.accepts()
            && listen.port() != 0
            && self.settings.is_sure(&["admin", "listen"])
        {
            let origin = self.settings.origin_of(&["admin", "listen"]);
            self.fault(origin, format!("admin and listen are both {listen}; give one of them another port"));
        }
    }

    fn sizes(&mut self) {
        let Config { limits, forward, store, .. } = self.config.clone();
        let batch = ("forward.batch_bytes", forward.batch_bytes as u64);
        let unpacked = ("limits.unpacked_bytes_max", limits.unpacked_bytes_max as u64);
        self.fits(batch, ("forward.window_bytes", forward.window_bytes as u64));
        // The default goes with whatever limit there is: single requests may be smaller than batches.
        if self.settings.origin(batch.0) != Origin::Default {
            self.fits(batch, unpacked);
        }
        let intake = ("limits.intake_bytes_max", limits.intake_bytes_max as u64);
        self.fits(("limits.body_bytes_max", limits.body_bytes_max as u64), intake);
        self.fits(unpacked, intake);
        match store {
            _ if !self.config.keeps() => {}
            Store::Memory { bytes_max } => self.fits(unpacked, ("memory_bytes_max", bytes_max as u64)),
            Store::Disk { bytes_max, .. } => self.fits_a_segment(unpacked, ("disk_bytes_max", bytes_max)),
        }
    }

    /// The first is at most as large as the second.
    fn fits(&mut self, (small, bytes): (&'static str, u64), (large, most): (&'static str, u64)) {
        if bytes > most && self.settings.is_sure(&[small, large]) {
            let text = format!(
                "{small} ({}) is more than {large} ({}); lower the one or raise the other",
                Bytes(bytes),
                Bytes(most)
            );
            self.fault(self.settings.origin_of(&[small, large]), text);
        }
    }

    fn fits_a_segment(&mut self, (small, bytes): (&'static str, u64), (large, most): (&'static str, u64)) {
        if !self.settings.is_sure(&[small, large, "memory"]) {
            return;
        }
        if bytes > RECORD_BYTES_MAX {
            let text = format!(
                "{small} is {}; a queue on disk takes {} at most",
                Bytes(bytes),
                Bytes(RECORD_BYTES_MAX)
            );
            self.fault(self.settings.origin_of(&[small]), text);
            return;
        }
        let least = SEGMENTS_MIN * (bytes + 2 * RECORD_ROOM);
        if most < least {
            let text = format!(
                "{large} is {}; give {} at least, so that requests of {small} ({}) fit",
                Bytes(most),
                Bytes(least),
                Bytes(bytes)
            );
            self.fault(self.settings.origin_of(&[large, small]), text);
        }
    }
}

/// Whether the upstream is the relay itself. `us` and `eu` are not.
fn comes_back(upstream: &str, listen: SocketAddr) -> bool {
    EndPoint::check(upstream).is_ok_and(|end_point| end_point.leads_to(listen))
}
