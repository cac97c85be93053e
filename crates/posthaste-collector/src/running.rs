//! A collector in the test's own process: on a free port, with a thread of its own, gone with its last line.
//!
//! Invariant: nothing here needs a runtime of the caller's, and nothing breaks in one: whoever waits, waits for the
//! collector's thread.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    ops::Deref,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, Runtime, RuntimeFlavor},
    sync::oneshot,
};

use crate::{Collector, CollectorOptions, Expectation, Outcome};

/// How long [`Running::expect`] waits, untold.
pub const EXPECT_WAIT: Duration = Duration::from_secs(5);

/// A collector that serves on this machine until it is dropped.
///
/// ```
/// use posthaste_collector::Collector;
///
/// let api = Collector::start()?;
/// // Here the program that is tested posts its events to `api.events_url()`; this test does it itself.
/// api.receive(br#"{"account_id": "1", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [
///     {"entity_id": "3", "key": "purchase", "timestamp": 1795500003394, "uuid": "u-1", "revenue": 1200}]}]}]}"#);
/// api.expect(r#"{"visitor": "ann", "key": "purchase", "revenue": 1200}"#);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "it stops when it is dropped"]
pub struct Running {
    collector: Collector,
    address: SocketAddr,
    wait: Duration,
    /// Where it works on what callers wait for.
    handle: Handle,
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// A collector that listens on a free port of this machine, for a test.
    pub fn start() -> std::io::Result<Running> {
        Self::start_with(CollectorOptions::default())
    }

    /// The same with a datafile, faults or the like.
    pub fn start_with(options: CollectorOptions) -> std::io::Result<Running> {
        Running::of(Self::new(options))
    }
}

impl Running {
    fn of(collector: Collector) -> std::io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let serving = collector.clone();
        let thread = std::thread::Builder::new()
            .name("posthaste-collector".to_owned())
            .spawn(move || serve(&runtime, &serving, listener, stopped))?;
        Ok(Self { collector, address, wait: EXPECT_WAIT, handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Has [`expect`](Self::expect) wait so long; [`WAIT_MAX`](crate::WAIT_MAX) at most.
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where events go: for a client's end point.
    pub fn events_url(&self) -> String {
        format!("{}/v1/events", self.url())
    }

    /// Waits until the events have come, and panics with what is missing where they do not.
    ///
    /// It blocks. In a test that sends its events from the same thread (`#[tokio::test]` without more threads) nothing
    /// could come meanwhile: use [`expected`](Self::expected) there.
    #[track_caller]
    pub fn expect<E>(&self, expectation: E)
    where
        E: TryInto<Expectation, Error: fmt::Display>,
    {
        let outcome = self.outcome(read(expectation));
        assert!(outcome.holds, "{outcome}");
    }

    /// The same for a test that is `async`.
    pub async fn expected<E>(&self, expectation: E)
    where
        E: TryInto<Expectation, Error: fmt::Display>,
    {
        let (tell, told) = oneshot::channel();
        // Whoever asked may have gone.
        self.begin(read(expectation), |outcome| drop(tell.send(outcome)));
        let outcome = told.await.expect(ANSWERS);
        assert!(outcome.holds, "{outcome}");
    }

    fn outcome(&self, expectation: Expectation) -> Outcome {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.begin(expectation, move |outcome| drop(tell.send(outcome)));
        let wait = || told.recv().expect(ANSWERS);
        // Others of the caller's runtime go on meanwhile, where it has threads for them.
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// Has the collector's thread wait, and tell.
    fn begin(&self, expectation: Expectation, tell: impl FnOnce(Outcome) + Send + 'static) {
        let (collector, wait) = (self.collector.clone(), self.wait);
        drop(self.handle.spawn(async move { tell(collector.expect(&expectation, wait).await) }));
    }
}

/// Its thread ends with it, and with nothing else.
const ANSWERS: &str = "a running collector answers";

/// Until it is told to stop. Connections end with the runtime: a test that is over waits for nobody.
fn serve(runtime: &Runtime, collector: &Collector, listener: TcpListener, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        tokio::select! {
            // It serves for as long as it may.
            _ = collector.serve(listener, std::future::pending()) => {}
            _ = stopped => {}
        }
    });
}

#[track_caller]
fn read<E>(expectation: E) -> Expectation
where
    E: TryInto<Expectation, Error: fmt::Display>,
{
    // No closure: the panic is to name the test's own line.
    match expectation.try_into() {
        Ok(expectation) => expectation,
        Err(error) => panic!("{error}"),
    }
}

/// What a collector can be asked for without HTTP: [`ledger`](Collector::ledger), [`good`](Collector::good),
/// [`set_faults`](Collector::set_faults) and the like.
impl Deref for Running {
    type Target = Collector;

    fn deref(&self) -> &Collector {
        &self.collector
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked where it cannot be joined, and has said so.
            drop(thread.join());
        }
    }
}
