//! The queue that a pipeline has: one tenant's part of a stream.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::{
    connection::{Core, Engine, now},
    error::JetStreamError,
    ids,
    letters::Letters,
    message, publish, pull,
    state::{Publishing, State},
    stream::JetStream,
    subject,
    tenant::{Role, Tenant},
    traffic::Traffic,
};
use crate::{
    batch::LogEvent,
    clock::{Clock as _, SystemClock},
    outcome::Refusal,
    queue::{
        Counts, DeadLetterStore, DeliveryQueue, Displacing, Eventually, Finish, Leased, Queue, QueueError,
        QueueWatcher, Receipt, Refused, leasing::Leasing,
    },
};

/// A queue of requests in a stream of NATS servers, for any number of processes: some accept, some deliver, some do both.
///
/// An [`add`](Queue::add)'s receipt resolves once the stream has acknowledged the request. What that is worth is what the
/// stream [promises](super::StreamReport). Order is not kept: several deliver.
///
/// Cheap to clone: clones are the same queue. It ends with the last of them, and with it what it has under way: leases run
/// out by themselves, and others get them.
///
/// ```no_run
/// use std::time::Duration;
/// use posthaste::{HttpEventDispatcher, QueueEventDispatcher, queue::jetstream::{JetStreamOptions, JetStream, Role}};
///
/// let options = JetStreamOptions::at("nats://10.0.0.1,10.0.0.2,10.0.0.3/events")?;
/// let stream = JetStream::open(options)?;
/// print!("{}", stream.report().expect("it is open"));
///
/// let queue = stream.queue("shop", Role::Both)?;
/// let dispatcher = QueueEventDispatcher::builder(HttpEventDispatcher::new()?).queue(queue).build()?;
/// # let request = posthaste::LogEvent::new("http://127.0.0.1:8080/v1/events", &posthaste::Batch::default());
/// // Resolves once the stream has it.
/// dispatcher.add(request)?.wait()?;
/// dispatcher.close(Duration::from_secs(10)).wait();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JetStreamQueue(Arc<Inner>);

struct Inner {
    tenant: Arc<Tenant>,
    engine: Arc<Engine>,
    keys: mpsc::Sender<u64>,
    letters: Arc<Letters>,
    tasks: Vec<AbortHandle>,
}

impl JetStreamQueue {
    /// Opens the stream, and the queue of the tenant without a name, which does both.
    pub fn open(options: super::JetStreamOptions) -> Result<Self, JetStreamError> {
        JetStream::open(options)?.queue("", Role::Both)
    }

    pub(super) fn over(engine: Arc<Engine>, tenant: &str, role: Role) -> Result<Self, JetStreamError> {
        let token = subject::token(tenant)?;
        let tenant = Arc::new(Tenant::new(Arc::clone(engine.core()), engine.handle().clone(), token, role));
        // Whoever has a place in the window has one here.
        let (keys, wanted) = mpsc::channel(engine.core().options().publish_window);
        let mut tasks = vec![engine.handle().spawn(publish::run(Arc::clone(&tenant), wanted)).abort_handle()];
        if role.delivers() {
            tasks.push(engine.handle().spawn(pull::run(Arc::clone(&tenant))).abort_handle());
        }
        let letters = Arc::new(Letters::new(Arc::clone(&engine), Arc::clone(&tenant)));
        Ok(Self(Arc::new(Inner { tenant, engine, keys, letters, tasks })))
    }

    /// The stream that it is a part of.
    pub fn stream(&self) -> JetStream {
        JetStream::of(Arc::clone(&self.0.engine))
    }

    /// Whose events it has.
    pub fn tenant(&self) -> String {
        self.0.tenant.name()
    }

    /// What this process does with them.
    pub fn role(&self) -> Role {
        self.0.tenant.role()
    }

    /// How much has gone through here.
    pub fn traffic(&self) -> Traffic {
        self.0.tenant.state().traffic()
    }

    /// Why requests that were taken do not get into the stream, if they do not.
    pub fn publish_trouble(&self) -> Option<String> {
        let said = self.0.tenant.state().publish_trouble().map(str::to_owned);
        let waits = self.0.tenant.state().traffic().publishing > 0;
        said.or_else(|| self.core().why_not().filter(|_| waits).map(|error| error.to_string()))
    }

    /// Why nothing is fetched from the stream, though there may be something: somebody else's consumer has the tenant's
    /// subject, for instance. While the servers are away, [`JetStream`] says so.
    pub fn fetch_trouble(&self) -> Option<String> {
        self.0.tenant.state().fetch_trouble().map(str::to_owned)
    }

    fn core(&self) -> &Core {
        self.0.tenant.core()
    }

    /// Adds a request under an id of the caller's: within the stream's duplicate window, it is there once however often it
    /// is added. For whoever keeps it elsewhere until the receipt resolves, over restarts: [`message_id`](super::message_id)
    /// gives the id that follows from a request.
    ///
    /// ```no_run
    /// # fn publish(queue: &posthaste::JetStreamQueue, request: posthaste::LogEvent) -> Result<(), Box<dyn std::error::Error>> {
    /// use posthaste::queue::jetstream::message_id;
    ///
    /// let id = message_id(&request);
    /// queue.publish(request.clone(), &id)?.wait()?;
    /// queue.publish(request, &id)?.wait()?; // The stream has it once.
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, request: LogEvent, id: &str) -> Result<Receipt, Refused<LogEvent>> {
        self.publish_as(request, id, true)
    }

    fn publish_as(
        &self,
        request: LogEvent,
        id: &str,
        has_known_id: bool,
    ) -> Result<Receipt, Refused<LogEvent>> {
        let request = match request.taken_ms() {
            Some(_) => request,
            None => request.with_taken_ms(SystemClock.now_ms()),
        };
        let bytes = message::bytes(&request, id);
        let bytes_max = self.core().client().max_payload();
        if bytes > bytes_max {
            return Err(Refused::new(request, Refusal::TooLarge { bytes, bytes_max }));
        }
        if request.end_point().contains(['\r', '\n']) || id.is_empty() || id.contains(['\r', '\n']) {
            return Err(Refused::new(
                request,
                Refusal::Invalid("an end point or id that no header can hold"),
            ));
        }
        let mut state = self.0.tenant.state();
        if let Some(reason) = state.refusal(bytes, self.0.tenant.bounds()) {
            return Err(Refused::new(request, reason));
        }
        let (told, stored) = oneshot::channel();
        let key = state.publish(Publishing { request, id: id.to_owned(), bytes, has_known_id, told });
        drop(state);
        let sent = self.0.keys.try_send(key);
        debug_assert!(sent.is_ok(), "whoever has a place in the window has one here");
        Ok(Receipt::pending(async move { stored.await.unwrap_or(Err(Refusal::Closed)) }))
    }

    fn take_leases(&self, count: usize, bytes: usize) -> Vec<Leased<LogEvent>> {
        let mut leasing = Leasing::new(count, bytes);
        self.0.tenant.state().lease(&mut leasing);
        self.0.tenant.wanted.notify_one();
        leasing.leases
    }

    fn settle_soon(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        // From this call on they are no longer held.
        self.0.tenant.state().settle(ids);
        let (tenant, ids) = (Arc::clone(&self.0.tenant), ids.to_vec());
        self.later(async move { tenant.settle(&ids).await })
    }

    /// The answer of something that is done on the connection's thread.
    fn later<R: Send + 'static>(
        &self,
        what: impl Future<Output = Result<R, QueueError>> + Send + 'static,
    ) -> Eventually<Result<R, QueueError>> {
        let (told, answer) = oneshot::channel();
        self.0.engine.handle().spawn(async move {
            // Delivery may have stopped waiting.
            let _ = told.send(what.await);
        });
        Eventually::later(async move {
            answer
                .await
                .unwrap_or_else(|_| Err(QueueError::new("the connection to the stream has been closed")))
        })
    }
}

impl Queue<LogEvent> for JetStreamQueue {
    fn add(&self, item: LogEvent) -> Result<Receipt, Refused<LogEvent>> {
        self.publish_as(item, &ids::random(), false)
    }

    fn get(&self, count: usize) -> Vec<LogEvent> {
        self.0.tenant.state().get(count)
    }

    /// Of what has been fetched: other processes have the rest.
    fn remove(&self, count: usize) -> Vec<LogEvent> {
        let (ids, items): (Vec<u64>, Vec<LogEvent>) =
            self.take_leases(count, usize::MAX).into_iter().map(|lease| (lease.id, lease.item)).unzip();
        // Where the stream is not told, they come again.
        drop(self.settle_soon(&ids));
        items
    }

    /// What this process has, and what the stream probably has for it.
    fn size(&self) -> usize {
        self.0.tenant.state().size(self.role().delivers())
    }
}

impl DeliveryQueue<LogEvent> for JetStreamQueue {
    /// The stream is bounded in bytes, if at all.
    fn capacity(&self) -> usize {
        usize::MAX
    }

    fn counts(&self) -> Counts {
        self.0.tenant.state().counts()
    }

    /// Of what this process has.
    fn bytes(&self) -> u64 {
        self.0.tenant.state().bytes()
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<LogEvent>>, QueueError>> {
        self.lease_within(count, usize::MAX)
    }

    fn lease_within(
        &self,
        count: usize,
        bytes: usize,
    ) -> Eventually<Result<Vec<Leased<LogEvent>>, QueueError>> {
        let is_idle = {
            let mut state = self.0.tenant.state();
            let has_stopped = state.wanted();
            drop(state);
            has_stopped
        };
        if is_idle {
            self.0.tenant.wanted.notify_one();
        }
        let leases = self.take_leases(count, bytes);
        if !leases.is_empty() || !self.role().delivers() || self.0.tenant.state().is_closed() {
            return Eventually::Now(Ok(leases));
        }
        let tenant = Arc::clone(&self.0.tenant);
        let filled = self.later(async move {
            pull::until_filled(&tenant).await;
            match tenant.core().why_not() {
                Some(error) if !tenant.state().has_buffered() => Err(QueueError::new(error.to_string())),
                _ => Ok(()),
            }
        });
        let queue = self.clone();
        Eventually::later(async move {
            match filled {
                Eventually::Now(filled) => filled?,
                Eventually::Later(filled) => filled.await?,
            }
            // Taken here, where the answer is given: what nobody waits for is not leased.
            Ok(queue.take_leases(count, bytes))
        })
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        if ids.is_empty() {
            return Eventually::Now(Ok(()));
        }
        self.settle_soon(ids)
    }

    fn release(&self) {
        let replies = self.0.tenant.state().release(now());
        self.0.tenant.wanted.notify_one();
        self.0.tenant.give_back(replies);
    }

    fn close(&self) {
        self.0.tenant.state().close();
        self.0.tenant.wanted.notify_one();
    }

    fn is_own(&self) -> bool {
        true
    }

    fn lease_time(&self) -> Option<Duration> {
        Some(self.0.tenant.ack_wait())
    }

    fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        if ids.is_empty() {
            return Eventually::Now(Ok(Vec::new()));
        }
        let (tenant, ids) = (Arc::clone(&self.0.tenant), ids.to_vec());
        self.later(async move { Ok(tenant.renew(&ids).await) })
    }

    /// What is in the stream makes no room in the window: nothing goes.
    fn add_displacing(&self, item: LogEvent) -> Displacing<LogEvent> {
        Displacing::new(Vec::new(), self.add(item))
    }

    /// Resolves once what was added is in the stream, and the stream knows what has ended.
    fn finish(&self, within: Duration) -> Finish {
        let (told, finished) = oneshot::channel();
        let tenant = Arc::clone(&self.0.tenant);
        self.0.engine.handle().spawn(async move {
            let is_quiet = tokio::time::timeout(within, tenant.quiet()).await.is_ok();
            if !is_quiet {
                tracing::warn!("the stream did not confirm in time that it has everything");
            }
            // The pipeline may have ended.
            let _ = told.send(());
        });
        Box::pin(async move { drop(finished.await) })
    }

    fn give_up(&self) -> Vec<Leased<LogEvent>> {
        let given_up = self.0.tenant.state().give_up();
        given_up.into_iter().map(|(key, publishing)| State::leased_as(key, publishing)).collect()
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.0.tenant.watch(watcher);
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<LogEvent>>> {
        Some(Arc::clone(&self.0.letters) as Arc<dyn DeadLetterStore<LogEvent>>)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for JetStreamQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamQueue")
            .field("address", &self.core().options().address().to_string())
            .field("tenant", &self.tenant())
            .field("size", &Queue::size(self))
            .finish_non_exhaustive()
    }
}
