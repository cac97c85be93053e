//! The collector itself: what it was told, what it has kept, and the server around it.

use std::{
    future::{Future, IntoFuture},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use posthaste::{Clock, ProjectConfig, SystemClock, judge::Judgement};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};

use crate::{
    CollectorOptions, Faults, FaultsInForce, Problem, Verdict,
    connection::{Line, Lines},
    expect::Waiters,
    faults::{Decided, Script},
    http,
    origin::{Dealt, Origin},
    store::{Arrival, Bounds, Kept, Request, Shape, Store},
    stream::Listeners,
    summary::Summaries,
    taken::{Hashes, Taken},
};

/// How long [`Collector::serve`] waits for requests under way once it is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A stand-in for the Event API. Cheap to clone; clones are the same collector.
#[derive(Debug, Clone)]
pub struct Collector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: CollectorOptions,
    clock: Arc<dyn Clock>,
    hashes: Hashes,
    store: Mutex<Store>,
    script: Mutex<Script>,
    /// Counts what changes what is kept or counted.
    news: watch::Sender<u64>,
    /// Whether whoever listens is to leave.
    stopping: watch::Sender<bool>,
    listeners: Listeners,
    summaries: Summaries,
    waiters: Waiters,
}

/// What became of one body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Its number among all requests since the process started.
    pub request: u64,
    /// Events without a fault that are now kept.
    pub good: usize,
    /// Events with a fault.
    pub bad: usize,
    /// Events without a fault that had come before.
    pub duplicates: usize,
    /// Whether the body was refused: it is bad, and strict mode is on. Its good events do not count.
    pub refused: bool,
    /// What is wrong with the body; at most [`PROBLEMS_PER_BODY_MAX`](posthaste::judge::PROBLEMS_PER_BODY_MAX).
    pub problems: Vec<Problem>,
    /// What is odd about it and does no harm by itself, likewise.
    pub warnings: Vec<Problem>,
}

impl Collector {
    /// An empty collector.
    pub fn new(options: CollectorOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// An empty collector that stamps what it receives with this clock's time.
    pub fn with_clock(options: CollectorOptions, clock: Arc<dyn Clock>) -> Self {
        let bounds = Bounds {
            events_max: options.events_max,
            bytes_max: options.memory_bytes_max,
            age_max: options.age_max,
        };
        let hashes = Hashes::default();
        Self(Arc::new(Inner {
            store: Mutex::new(Store::new(bounds, hashes.clone())),
            script: Mutex::new(Script::new(options.faults.clone())),
            hashes,
            options,
            clock,
            news: watch::Sender::default(),
            stopping: watch::Sender::default(),
            listeners: Listeners::default(),
            summaries: Summaries::default(),
            waiters: Waiters::default(),
        }))
    }

    /// The HTTP interface, for a server of your own. Resets and the like need [`serve`](Self::serve): from here they are
    /// answered with 500.
    pub fn router(&self) -> axum::Router {
        http::router(self.clone())
    }

    /// Serves HTTP until `shutdown` resolves, then finishes the requests under way, for five seconds at most.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let stopping = Arc::new(Notify::new());
        let stopped = {
            let stopping = Arc::clone(&stopping);
            let collector = self.clone();
            async move {
                shutdown.await;
                // Nobody is to wait for a request that is never answered.
                collector.0.script.lock().release();
                collector.0.stopping.send_replace(true);
                stopping.notify_one();
            }
        };
        // A client that never finishes its request must not keep the collector from stopping.
        let patience = async {
            stopping.notified().await;
            self.0.clock.sleep(SHUTDOWN_GRACE).await;
        };
        let service = self.router().into_make_service_with_connect_info::<Line>();
        let serving = axum::serve(Lines(listener), service).with_graceful_shutdown(stopped);
        tokio::select! {
            done = serving.into_future() => done,
            () = patience => Ok(()),
        }
    }

    /// Judges a body and keeps what is in it: what `POST /v1/events` does, without HTTP, and without faults.
    pub fn receive(&self, body: &[u8]) -> Received {
        let dealt = Dealt { strict: self.0.options.strict, ..Dealt::default() };
        self.receive_from(Origin::default(), body.len(), body, dealt)
    }

    /// Forgets everything; every count is zero again, and a script of faults begins anew. Ids go on.
    pub fn reset(&self) {
        self.0.store.lock().clear();
        self.0.script.lock().restart();
        self.tell();
    }

    /// Forgets a session of a test: its events and its counts, in all too.
    pub fn reset_session(&self, session: &str) {
        self.0.store.lock().clear_session(session);
        self.tell();
    }

    /// Bad events, each time they came, and requests that were refused unread: all since it started, resets or not.
    pub fn bad_ever(&self) -> u64 {
        self.0.store.lock().bad_ever()
    }

    /// Puts a script of faults in the place of the one before, from its first request on. What waits because of the one
    /// before waits no longer.
    pub fn set_faults(&self, faults: Faults) {
        *self.0.script.lock() = Script::new(faults);
    }

    /// The script of faults that is in force, and how often each rule was applied.
    pub fn faults(&self) -> FaultsInForce {
        self.0.script.lock().in_force()
    }

    pub(crate) fn options(&self) -> &CollectorOptions {
        &self.0.options
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Whether a script has anything to say.
    pub(crate) fn has_faults(&self) -> bool {
        !self.0.script.lock().is_empty()
    }

    /// A request that nobody looked into.
    pub(crate) fn count_refused(&self, session: Option<&str>) {
        self.0.store.lock().count_refused(session);
        self.tell();
    }

    /// What the script does to this request, which is counted.
    pub(crate) fn decide(
        &self,
        path: &str,
        body: &[u8],
        is_end_point: bool,
        session: Option<&str>,
    ) -> Option<Decided> {
        let decided = self.0.script.lock().decide(path, session, body, is_end_point)?;
        self.0.store.lock().count_fault(decided.fault.rule(), decided.takes, session);
        self.tell();
        Some(decided)
    }

    /// Keeps a body that came so, with so many bytes. All that costs time happens before the store is locked.
    pub(crate) fn receive_from(
        &self,
        origin: Origin,
        came_bytes: usize,
        body: &[u8],
        dealt: Dealt<'_>,
    ) -> Received {
        let taken = Taken::of(body, self.config(), origin.session(), &self.0.hashes, self.0.clock.now_ms());
        self.take(origin, came_bytes, taken, dealt)
    }

    /// Keeps a body that could not even be decompressed.
    pub(crate) fn receive_unreadable(
        &self,
        origin: Origin,
        body: &[u8],
        problem: Problem,
        dealt: Dealt<'_>,
    ) -> Received {
        self.take(origin, body.len(), Taken::of_bad_body(body, problem), dealt)
    }

    /// What a request was answered with after all.
    pub(crate) fn answered(&self, request: u64, status: u16) {
        self.0.store.lock().set_status(request, status);
    }

    /// The events of a body become visible all at once.
    fn take(&self, origin: Origin, came_bytes: usize, taken: Taken, dealt: Dealt<'_>) -> Received {
        let Taken { envelope, bytes, mut drafts, judgement } = taken;
        let refused = dealt.strict && !judgement.problems.is_empty();
        let status =
            if dealt.is_left { None } else { dealt.status.or(Some(if refused { 400 } else { 204 })) };
        let request = Request::new(self.0.clock.now_ms(), came_bytes, drafts.len(), status, dealt.fault);
        if refused {
            drafts.retain(|draft| draft.verdict == Verdict::Bad);
        }
        let Judgement { problems, warnings, repaired, .. } = judgement;
        let arrival = Arrival { shape: Shape { origin, envelope }, bytes: &bytes, drafts, request, repaired };
        let Kept { request, good, bad, duplicates } = self.0.store.lock().add(arrival);
        self.tell();
        Received { request, good, bad, duplicates, refused, problems, warnings }
    }

    /// Whoever waits for news is told.
    fn tell(&self) {
        self.0.news.send_modify(|changes| *changes += 1);
    }

    /// Tells of each change of what is kept or counted. Who has it before looking misses none that comes later.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// True once whoever listens is to leave.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    pub(crate) fn config(&self) -> Option<&ProjectConfig> {
        self.0.options.config.as_ref()
    }

    pub(crate) fn hashes(&self) -> &Hashes {
        &self.0.hashes
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.0.listeners
    }

    pub(crate) fn summaries(&self) -> &Summaries {
        &self.0.summaries
    }

    /// The store, once it has forgotten what is too old.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        let mut store = self.0.store.lock();
        store.forget_old(self.0.clock.now_ms());
        store
    }
}
