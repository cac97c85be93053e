//! The connection to the servers, on a thread of its own: whoever adds, leases or settles needs no runtime and waits for
//! no network.
//!
//! Invariants: the thread ends with the last that holds an [`Engine`]; its tasks hold none. Nothing is sent while there is
//! no connection: what waits, waits here, within its bounds, and not in the client.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, HeaderMap, Message, Request, jetstream};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Handle},
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    books::Books, error::JetStreamError, options::JetStreamOptions, report::StreamReport, setup,
    state::State, subject, traffic::Traffic,
};
use crate::{
    clock::{Clock as _, SystemClock},
    queue::block_on_within,
};

/// How long a question to the servers may take, unless it says otherwise.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two pings; two that are not answered end a connection.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Between two attempts to connect, at most.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// Requests that the client takes before whoever sends waits.
const CLIENT_CAPACITY: usize = 4_096;

/// How the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Link {
    pub(super) is_connected: bool,
    /// The streams are there.
    pub(super) is_ready: bool,
    /// How often there has been a connection.
    pub(super) times: u64,
}

/// Waits until the link is another than this.
pub(super) async fn differs(link: &mut watch::Receiver<Link>, at: Link) {
    // Whoever sends is there for as long as anybody listens.
    drop(link.wait_for(|link| *link != at).await);
}

/// What all tasks of a connection share.
#[derive(Debug)]
pub(super) struct Core {
    options: JetStreamOptions,
    dead_stream: String,
    client: OnceLock<Client>,
    context: OnceLock<jetstream::Context>,
    link: watch::Sender<Link>,
    trouble: Mutex<Option<JetStreamError>>,
    report: Mutex<Option<StreamReport>>,
    /// A publish was tried again after the stream had forgotten its id.
    maybe_repeated: AtomicU64,
    books: Books,
}

impl Core {
    fn new(options: JetStreamOptions) -> Self {
        Self {
            dead_stream: subject::dead(options.address.stream()),
            options,
            client: OnceLock::new(),
            context: OnceLock::new(),
            link: watch::Sender::new(Link::default()),
            trouble: Mutex::default(),
            report: Mutex::default(),
            maybe_repeated: AtomicU64::default(),
            books: Books::default(),
        }
    }

    /// What this state counts belongs to what goes through this connection.
    pub(super) fn count_too(&self, state: &Arc<Mutex<State>>) {
        self.books.open(state);
    }

    /// It counts no more.
    pub(super) fn count_at_last(&self, state: &Arc<Mutex<State>>) {
        self.books.close(state);
    }

    /// Everything that has gone through this connection, whichever queue it was.
    pub(super) fn traffic(&self) -> Traffic {
        self.books.sum()
    }

    pub(super) fn options(&self) -> &JetStreamOptions {
        &self.options
    }

    pub(super) fn stream(&self) -> &str {
        self.options.address.stream()
    }

    pub(super) fn dead_stream(&self) -> &str {
        &self.dead_stream
    }

    pub(super) fn client(&self) -> &Client {
        self.client.get().expect("the engine has set it before anybody has it")
    }

    pub(super) fn context(&self) -> &jetstream::Context {
        self.context.get().expect("the engine has set it before anybody has it")
    }

    pub(super) fn link(&self) -> Link {
        *self.link.borrow()
    }

    pub(super) fn follow(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Waits until the streams can be used. Whoever follows the link sees the next change.
    pub(super) async fn usable(&self) -> watch::Receiver<Link> {
        let mut link = self.follow();
        let is_usable = link.wait_for(|link| link.is_connected && link.is_ready).await.is_ok();
        debug_assert!(is_usable, "the sender lives as long as this");
        link
    }

    /// Why the stream cannot be used now, if it cannot.
    pub(super) fn why_not(&self) -> Option<JetStreamError> {
        let link = self.link();
        if link.is_connected && link.is_ready {
            return None;
        }
        let known = self.trouble.lock().clone();
        Some(known.unwrap_or_else(|| self.not_connected("they have not answered yet")))
    }

    pub(super) fn not_connected(&self, why: &str) -> JetStreamError {
        JetStreamError::NotConnected { address: self.options.address.to_string(), why: why.to_owned() }
    }

    pub(super) fn report(&self) -> Option<StreamReport> {
        self.report.lock().clone()
    }

    pub(super) fn set_report(&self, report: StreamReport) {
        *self.report.lock() = Some(report);
        *self.trouble.lock() = None;
        self.link.send_if_modified(|link| !std::mem::replace(&mut link.is_ready, true));
    }

    pub(super) fn set_trouble(&self, error: JetStreamError) {
        *self.trouble.lock() = Some(error);
        // Whoever waits for the streams is to see it.
        self.link.send_modify(|_| {});
    }

    pub(super) fn count_maybe_repeated(&self) -> u64 {
        self.maybe_repeated.fetch_add(1, SeqCst) + 1
    }

    pub(super) fn maybe_repeated(&self) -> u64 {
        self.maybe_repeated.load(SeqCst)
    }

    /// Asks something of the servers, and waits for the answer. Fails at once where there is no connection.
    pub(super) async fn ask(
        &self,
        to: impl Into<String>,
        headers: Option<HeaderMap>,
        body: impl Into<Bytes>,
        within: Duration,
    ) -> Result<Message, String> {
        if !self.link().is_connected {
            return Err("there is no connection".to_owned());
        }
        let mut request = Request::new().payload(body.into()).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        match timeout(within, self.client().send_request(to.into(), request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// What the client has to tell.
    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => self.link.send_modify(|link| {
                link.is_connected = true;
                link.times += 1;
            }),
            Event::Disconnected | Event::Closed => {
                tracing::warn!(address = %self.options.address, "the connection to NATS is lost; trying again");
                *self.trouble.lock() = Some(self.not_connected("the connection was lost"));
                self.link.send_modify(|link| link.is_connected = false);
            }
            Event::ServerError(error) => self.heard_error(&error.to_string()),
            Event::ClientError(error) => self.heard_error(&error.to_string()),
            Event::SlowConsumer(_) | Event::LameDuckMode | Event::Draining => {}
        }
    }

    fn heard_error(&self, error: &str) {
        tracing::debug!(error, "NATS says");
        if !self.link().is_connected {
            self.set_trouble(self.not_connected(error));
        }
    }
}

/// The thread that talks to the servers. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Engine {
    core: Arc<Core>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
}

impl Engine {
    /// Starts the thread, and connects in the background. `makes`: makes streams that are not there.
    pub(super) fn start(options: JetStreamOptions, makes: setup::Make) -> Result<Self, JetStreamError> {
        options.check()?;
        let core = Arc::new(Core::new(options));
        let connecting = Self::connect_options(&core)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| JetStreamError::Thread(error.to_string()))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, mut started) = oneshot::channel();
        let inner = Arc::clone(&core);
        let body = move || {
            runtime.block_on(async move {
                let started = inner.connect(connecting).await;
                let is_started = started.is_ok();
                if told.send(started).is_err() || !is_started {
                    return;
                }
                tokio::select! {
                    _ = stopped => {}
                    () = setup::keep(&inner, makes) => {}
                }
            });
            // Tasks end where they are: what they had under way is the stream's, or will be leased again.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("posthaste-nats".to_owned()).spawn(body);
        thread.map_err(|error| JetStreamError::Thread(error.to_string()))?;
        let started = block_on_within(&mut started, Duration::MAX).and_then(Result::ok);
        started.unwrap_or(Err(JetStreamError::Closed))?;
        Ok(Self { core, handle, stop: Some(stop) })
    }

    fn connect_options(core: &Arc<Core>) -> Result<ConnectOptions, JetStreamError> {
        let told = Arc::downgrade(core);
        let options = ConnectOptions::new()
            .name("posthaste")
            .retry_on_initial_connect()
            .connection_timeout(ANSWER_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .ping_interval(PING_EVERY)
            .client_capacity(CLIENT_CAPACITY)
            .require_tls(core.options.address.has_tls())
            .reconnect_delay_callback(|attempts| {
                let attempts = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
                Duration::from_millis(50).saturating_mul(attempts).min(RECONNECT_MAX)
            })
            .event_callback(move |event| {
                if let Some(core) = told.upgrade() {
                    core.hear(&event);
                }
                std::future::ready(())
            });
        core.options.credentials.or_of(&core.options.address).apply(options)
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs something on the thread, and waits for it on this one.
    pub(super) fn wait_for<R: Send + 'static>(
        &self,
        within: Duration,
        what: impl Future<Output = R> + Send + 'static,
    ) -> Result<R, JetStreamError> {
        let (told, mut answer) = oneshot::channel();
        let task = self.handle.spawn(async move {
            // Whoever asked may have stopped waiting.
            let _ = told.send(what.await);
        });
        match block_on_within(&mut answer, within) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(_)) => Err(JetStreamError::Closed),
            None => {
                task.abort();
                Err(self.core.why_not().unwrap_or_else(|| self.core.not_connected("no answer in time")))
            }
        }
    }

    /// Waits until the streams can be used, for as long as the options say. What does not pass by itself is told at once.
    pub(super) fn wait_until_usable(&self) -> Result<(), JetStreamError> {
        let core = Arc::clone(&self.core);
        let within = self.core.options.connect_timeout;
        let usable = async move {
            let mut link = core.follow();
            loop {
                match core.why_not() {
                    None => return Ok(()),
                    Some(error) if !error.may_pass() => return Err(error),
                    Some(_) => {}
                }
                if link.changed().await.is_err() {
                    return Err(JetStreamError::Closed);
                }
            }
        };
        self.wait_for(within, usable)?
    }
}

impl Core {
    /// Returns at once: the client connects in the background.
    async fn connect(&self, options: ConnectOptions) -> Result<(), JetStreamError> {
        let connecting = options.connect(self.options.address.urls()).await;
        let client = connecting.map_err(|error| self.not_connected(&error.to_string()))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_WITHIN);
        let is_first = self.client.set(client).is_ok() && self.context.set(context).is_ok();
        debug_assert!(is_first, "an engine connects once");
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It has ended by itself then.
            let _ = stop.send(());
        }
    }
}

/// The time that leases and retries go by.
pub(super) fn now() -> Duration {
    SystemClock.elapsed()
}
