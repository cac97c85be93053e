//! The relay: what everything in it shares, how it starts, and how it ends.

use std::{fmt, sync::Arc, time::Duration};

use posthaste::{
    Clock, Ledger, SystemClock,
    queue::{
        Spool,
        jetstream::{JetStreamError, Keeper, ProcessCounts, StreamReport},
    },
};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    access::{Access, AccessError},
    admin,
    config::{Config, EVENTS_PATH},
    counters::Counters,
    intake::Budget,
    refusals::Refusals,
    server,
    stream::Stream,
    tail::Tail,
    tenants::{OpenSpool, Stage, Tenant, TenantError, Tenants},
    vitals::Vitals,
};

/// The share of the time for the end that clients who do not come to theirs leave, so that queues are closed in order.
const FOR_CLOSING: u32 = 8;

/// A relay. Cheap to clone; clones are the same relay.
///
/// ```no_run
/// use posthaste_relay::{Config, Relay, Stop};
/// use tokio::net::TcpListener;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let relay = Relay::open(Config::to("https://logx.optimizely.com/v1/events").on_disk("./posthaste-data"))?;
/// let stop = Stop::new();
/// let report = relay.serve(TcpListener::bind("127.0.0.1:8080").await?, None, &stop).await;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Relay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    access: Access,
    tenants: Tenants,
    counters: Counters,
    refusals: Refusals,
    budget: Budget,
    waiting: Semaphore,
    tail: Arc<Tail>,
    vitals: Vitals,
    /// Where events wait for all relays that share it.
    stream: Option<Stream>,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A tenant's queue cannot be used.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A file of tokens or accounts cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The stream cannot be used, now or later.
    #[error(transparent)]
    Stream(#[from] JetStreamError),
}

/// How far the relay is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It takes events.
    Serving,
    /// It still takes events, and asks clients to go elsewhere.
    LameDuck,
    /// It takes no connection any more.
    Closing,
}

/// Tells a relay to end.
///
/// ```
/// use posthaste_relay::Stop;
///
/// let stop = Stop::new();
/// let of_a_signal_handler = stop.clone();
/// of_a_signal_handler.stop();
/// assert!(stop.is_stopped());
/// ```
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Nobody has been told anything yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// The relay begins to end: it is no longer ready, and takes events until its
    /// [`drain_delay`](Config::drain_delay) has passed.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was told.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once it is told.
    pub(crate) async fn told(&self) {
        // The sender is here, so this cannot fail.
        drop(self.0.subscribe().wait_for(|stopped| *stopped).await);
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// What a relay that has ended did, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Each tenant's, of all its pipelines.
    pub tenants: Vec<TenantReport>,
}

/// What a tenant's delivery did, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TenantReport {
    /// The tenant.
    pub name: String,
    /// Events that were accepted, with what was there at the start.
    pub accepted: u64,
    /// Events that were delivered.
    pub delivered: u64,
    /// Events that are dead letters.
    pub dead_lettered: u64,
    /// Events that are still in the queue.
    pub queued: u64,
    /// Events that are in the stream that relays share, for whoever delivers them.
    pub handed_over: u64,
    /// Events that were in memory only, and that no disk took in time.
    pub not_stored: usize,
    /// Why something is left.
    pub reasons: Vec<String>,
}

impl Relay {
    /// Opens every queue; delivery of what they hold begins.
    pub fn open(config: Config) -> Result<Self, StartError> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// The same, by this clock.
    pub fn with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::open_with(config, clock, &|folder, options| Spool::open(folder, options))
    }

    /// The same, over spools that are opened like this: for tests, whose disks fail and stall.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub fn over(config: Config, clock: Arc<dyn Clock>, open: &OpenSpool) -> Result<Self, StartError> {
        Self::open_with(config, clock, open)
    }

    fn open_with(config: Config, clock: Arc<dyn Clock>, open: &OpenSpool) -> Result<Self, StartError> {
        let access = Access::open(config.access.clone())?;
        let tail = Arc::new(Tail::default());
        let stream = Stream::open(&config)?;
        let tenants = Tenants::open(&config, &clock, &tail, (open, stream.as_ref()))?;
        Ok(Self(Arc::new(Inner {
            stream,
            access,
            tenants,
            counters: Counters::default(),
            refusals: Refusals::default(),
            budget: Budget::new(&config.limits),
            waiting: Semaphore::new(config.limits.waiting_max.min(Semaphore::MAX_PERMITS)),
            tail,
            vitals: Vitals::new(clock.elapsed(), clock.now_ms()),
            clock,
            config,
        })))
    }

    /// Serves until it is told to [`stop`](Stop::stop), in the order that loses nothing: no longer ready, then no new
    /// connections, then the requests under way, then what can be delivered and synced in time. The admin interface
    /// answers until all of that is over. Without a public listener it only delivers what is in its
    /// [stream](Config::queue).
    pub async fn serve(
        &self,
        public: impl Into<Option<TcpListener>>,
        admin: Option<TcpListener>,
        stop: &Stop,
    ) -> Report {
        let public = public.into();
        let within = self.config().shutdown_timeout;
        let for_requests = within.saturating_sub(within / FOR_CLOSING);
        let keeper = self.keep_ledger();
        let serving = async {
            let closing = tokio::select! {
                closing = server::serve(self, public, stop, for_requests) => closing,
                never = self.refusals().tell_the_rest(self.clock()) => match never {},
            };
            self.refusals().tell_all();
            let report = self.close(within.saturating_sub(closing.elapsed())).await;
            // It waits for the stream, for a while.
            drop(tokio::task::spawn_blocking(move || keeper.map(Keeper::close)).await);
            report
        };
        let Some(admin) = admin else { return serving.await };
        tokio::select! {
            report = serving => report,
            never = admin::serve(self, admin) => match never {},
        }
    }

    /// Reads tokens and accounts anew, as a whole: a request meets those of before or those of after. Where a file cannot
    /// be used, all of those of before stay. Either is told in the log.
    pub fn reload(&self) -> Result<(), AccessError> {
        self.0.access.reload()
    }

    /// What has become of the events of all tenants so far.
    /// An event that passes two pipelines here, from a bridge through a stream to an upstream, is in the books of both.
    pub fn ledgers(&self) -> Vec<(String, Ledger)> {
        let of = |tenant: &Tenant| {
            let ledgers = tenant.stages().iter().map(Stage::ledger);
            (tenant.name().to_owned(), ledgers.fold(Ledger::default(), |sum, ledger| sum + ledger))
        };
        self.tenants().iter().map(of).collect()
    }

    /// What the stream promises, as it was seen last. `None`: there is none, or nobody has seen it yet.
    pub fn stream_report(&self) -> Option<StreamReport> {
        self.stream()?.report()
    }

    /// Why the stream cannot be used now. `None`: it can, or there is none.
    pub fn stream_trouble(&self) -> Option<JetStreamError> {
        self.stream()?.trouble()
    }

    /// Why nothing of a tenant's can be taken out of the stream or put into it, though its servers are there.
    pub fn tenant_trouble(&self) -> Option<String> {
        let of = |tenant: &Tenant| {
            let mut queues = tenant.stages().iter().filter_map(Stage::stream);
            let why = queues.find_map(|queue| queue.fetch_trouble().or_else(|| queue.publish_trouble()))?;
            Some(format!("tenant {:?}: {why}", tenant.name()))
        };
        self.tenants().iter().find_map(of)
    }

    /// Keeps this relay's counts in the ledger of the stream that relays share, if they share one.
    fn keep_ledger(&self) -> Option<Keeper> {
        let relay = self.clone();
        let counts = move || {
            let tenants = relay.tenants().iter().map(Tenant::stream_counts);
            tenants.fold(ProcessCounts::default(), |sum, of| ProcessCounts {
                accepted: sum.accepted + of.accepted,
                waiting: sum.waiting + of.waiting,
                delivered: sum.delivered + of.delivered,
                buried: sum.buried + of.buried,
            })
        };
        self.stream()?.keep_ledger(self.config().role.name(), counts)
    }

    /// Delivers and syncs what it can within this time, each tenant at the same time.
    async fn close(&self, within: Duration) -> Report {
        let closing = self.tenants().iter().map(|tenant| async move {
            let stages = tenant.stages().iter().map(|stage| async move {
                let report = stage.dispatcher().close(within).await;
                (stage.as_seen(report.ledger), report)
            });
            let mut of = TenantReport { name: tenant.name().to_owned(), ..TenantReport::default() };
            for (ledger, report) in futures_util::future::join_all(stages).await {
                of.accepted += ledger.accepted;
                of.delivered += ledger.delivered;
                of.dead_lettered += ledger.dead_lettered;
                of.queued += ledger.queued;
                of.handed_over += ledger.handed_over;
                of.not_stored += report.not_stored.len();
                of.reasons.extend(report.reasons.iter().map(ToString::to_string));
            }
            of
        });
        Report { tenants: futures_util::future::join_all(closing).await }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(crate) fn waiting(&self) -> &Semaphore {
        &self.0.waiting
    }

    /// The stream that events wait in, if relays share one.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.0.stream.as_ref()
    }

    pub(crate) fn tail(&self) -> &Arc<Tail> {
        &self.0.tail
    }

    pub(crate) fn vitals(&self) -> &Vitals {
        &self.0.vitals
    }

    /// Whether events are taken at this path; a slash at its end makes no difference.
    pub(crate) fn takes_at(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        path == EVENTS_PATH || self.config().paths.iter().any(|extra| extra == path)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, tenant) in self.tenants.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{tenant}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TenantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, accepted, delivered, dead_lettered, queued, handed_over, .. } = self;
        write!(
            f,
            "{name}: {accepted} accepted, {delivered} delivered, {dead_lettered} dead-lettered, {queued} queued"
        )?;
        if *handed_over > 0 {
            write!(f, ", {handed_over} in the stream")?;
        }
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}
