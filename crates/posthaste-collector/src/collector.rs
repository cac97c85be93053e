//! The collector itself: what it was told, what it has kept, and the server around it.

use std::{
    future::{Future, IntoFuture},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use posthaste::{Clock, SystemClock, judge::Judgement};
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    BadEvent, CollectorLedger, CollectorOptions, Fault, Faults, FaultsInForce, Filter, GoodEvent, Problem,
    Record,
    connection::{Line, Lines},
    faults::{Decided, Script},
    http,
    store::{Kept, STORE_BYTES_MAX, Store},
    taken::Taken,
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
    store: Mutex<Store>,
    script: Mutex<Script>,
}

/// What became of one body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
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
        let store = Mutex::new(Store::new(options.events_max, STORE_BYTES_MAX));
        let script = Mutex::new(Script::new(options.faults.clone()));
        Self(Arc::new(Inner { options, clock, store, script }))
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
        self.receive_as(body, self.0.options.strict, None)
    }

    /// How much has arrived.
    pub fn ledger(&self) -> CollectorLedger {
        self.0.store.lock().ledger()
    }

    /// The good events that the filter picks, oldest first.
    pub fn good(&self, filter: &Filter) -> Vec<GoodEvent> {
        self.good_page(filter).items
    }

    /// The bad events that the filter picks, oldest first.
    pub fn bad(&self, filter: &Filter) -> Vec<BadEvent> {
        self.bad_page(filter).items
    }

    /// Good and bad events that the filter picks, oldest first.
    pub fn all(&self, filter: &Filter) -> Vec<Record> {
        self.page(filter).items
    }

    /// Forgets everything; every count is zero again, and a script of faults begins anew.
    pub fn reset(&self) {
        self.0.store.lock().clear();
        self.0.script.lock().restart();
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

    /// What the script does to this request, which is counted.
    pub(crate) fn decide(&self, path: &str, body: &[u8], is_end_point: bool) -> Option<Decided> {
        let decided = self.0.script.lock().decide(path, body, is_end_point)?;
        self.0.store.lock().count_fault(decided.fault.rule(), decided.takes);
        Some(decided)
    }

    pub(crate) fn receive_as(&self, body: &[u8], strict: bool, fault: Option<&Fault>) -> Received {
        self.take(Taken::of(body, self.0.options.config.as_ref(), self.0.clock.now_ms()), strict, fault)
    }

    /// Keeps a body that could not even be decompressed.
    pub(crate) fn receive_unreadable(
        &self,
        body: &[u8],
        problem: Problem,
        strict: bool,
        fault: Option<&Fault>,
    ) -> Received {
        self.take(Taken::of_bad_body(body, problem, self.0.clock.now_ms()), strict, fault)
    }

    /// The events of a body become visible all at once.
    fn take(&self, taken: Taken, strict: bool, fault: Option<&Fault>) -> Received {
        let Taken { records, judgement } = taken;
        let refused = strict && !judgement.problems.is_empty();
        let Judgement { problems, warnings, repaired, .. } = judgement;
        let mut received = Received { refused, problems, warnings, ..Received::default() };
        let mut store = self.0.store.lock();
        store.count_request(repaired);
        for mut record in records {
            if let Some(fault) = fault {
                record.set_fault(fault.clone());
            }
            if refused && matches!(record, Record::Good(_)) {
                continue;
            }
            match store.add(record) {
                Kept::Good => received.good += 1,
                Kept::Bad => received.bad += 1,
                Kept::Duplicate => received.duplicates += 1,
            }
        }
        received
    }

    pub(crate) fn good_page(&self, filter: &Filter) -> Page<GoodEvent> {
        self.pick(filter, |record| match record {
            Record::Good(event) if filter.picks_good(event) => Some(&**event),
            _ => None,
        })
    }

    pub(crate) fn bad_page(&self, filter: &Filter) -> Page<BadEvent> {
        self.pick(filter, |record| match record {
            Record::Bad(event) if filter.picks_bad(event) => Some(&**event),
            _ => None,
        })
    }

    pub(crate) fn page(&self, filter: &Filter) -> Page<Record> {
        self.pick(filter, |record| match record {
            Record::Good(event) => filter.picks_good(event).then_some(record),
            Record::Bad(event) => filter.picks_bad(event).then_some(record),
        })
    }

    fn pick<T: Clone>(&self, filter: &Filter, pick: impl Fn(&Record) -> Option<&T>) -> Page<T> {
        let (limit, offset) = (filter.limit.unwrap_or(usize::MAX), filter.offset.unwrap_or_default());
        let mut page = Page { items: Vec::new(), total: 0 };
        let store = self.0.store.lock();
        for found in store.records().filter_map(pick) {
            if page.total >= offset && page.items.len() < limit {
                page.items.push(found.clone());
            }
            page.total += 1;
        }
        page
    }
}

/// Some of the records that a filter picks, and how many it picks.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: usize,
}
