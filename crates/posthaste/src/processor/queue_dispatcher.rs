//! A dispatcher with a queue: takes requests at once, and sends them with every retry they need.

use std::{sync::Arc, time::Duration};

use crate::{
    batch::LogEvent,
    clock::{Clock, SystemClock},
    delivery::{
        Delivery, Driver, Makings, Options, OptionsError, Pending, WhenDeadLettersFull, delivery_setters,
    },
    dispatch::{DispatchError, DispatchFuture, Dispatcher, FlushFuture, Response},
    outcome::{Breakdown, CloseReport, DeadLetter, DeadReason, FlushReport, Health, Ledger, Pulse},
    queue::{DeliveryQueue, InMemoryQueue, Receipt, Refused},
};

/// Requests that the queue may hold, unless told otherwise: as many as today's Go SDK's. The seed's has no bound.
pub const DEFAULT_REQUEST_QUEUE_SIZE: usize = 1_000;

/// Wraps a dispatcher with a queue of requests, retries and dead letters. It has a delivery thread of its own.
///
/// [`dispatch_event`](Dispatcher::dispatch_event) answers as soon as the queue has the request: 202 where it has it
/// safely, [`NotQueued`](DispatchError::NotQueued) where it has not. The seed's says yes, and its queue may drop the
/// request all the same.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{LogEvent, QueueEventDispatcher, testing::ScriptedDispatcher};
///
/// // Somebody else's body, as a relay gets it: sent byte for byte.
/// let body = r#"{"account_id":"1","visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
/// let request = LogEvent::from_body("https://logx.optimizely.com/v1/events", body)?;
///
/// let api = ScriptedDispatcher::statuses([503]);
/// let dispatcher = QueueEventDispatcher::builder(api.clone()).backoff(Duration::ZERO, Duration::ZERO).build()?;
/// dispatcher.add(request.clone())?.wait()?;
/// let report = dispatcher.close(Duration::from_secs(5)).wait();
/// assert_eq!((report.delivered, report.left), (1, 0), "{report}");
/// assert_eq!(api.requests(), [request.clone(), request]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.QueueEventDispatcher")]
#[derive(Debug)]
pub struct QueueEventDispatcher {
    delivery: Delivery<LogEvent>,
}

impl QueueEventDispatcher {
    /// A builder over this dispatcher, with everything else at its default.
    #[doc(alias = "NewQueueEventDispatcher")]
    pub fn builder(dispatcher: impl Dispatcher + 'static) -> QueueEventDispatcherBuilder {
        let options = Options { batch_size: 1, pipeline: "dispatcher".to_owned(), ..Options::default() };
        QueueEventDispatcherBuilder {
            options,
            queue_size: DEFAULT_REQUEST_QUEUE_SIZE,
            queue: None,
            dispatcher: Arc::new(dispatcher),
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes a request, or hands it back with the reason. Blocks only where
    /// [`WhenFull::Block`](crate::WhenFull::Block) was chosen.
    ///
    /// ```
    /// use posthaste::{LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
    /// let request = LogEvent::of_event("http://127.0.0.1:8080/v1/events", &event);
    /// // Answer 2xx to your own client only now: the queue has it.
    /// dispatcher.add(request)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&self, event: LogEvent) -> Result<Receipt, Refused<LogEvent>> {
        self.delivery.add(event)
    }

    /// Accepts a request that is not to be sent, and dead-letters it in the same act: it never is in the queue. The
    /// receipt resolves once the letter is kept, as the queue keeps its dead letters. Where it cannot be kept, the
    /// request comes back, and counts as refused.
    ///
    /// Where the process ends before a disk has the letter, the receipt fails, and the letter is in
    /// [`not_stored`](CloseReport::not_stored).
    ///
    /// ```
    /// use posthaste::{DeadReason, LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
    /// // A client is told that all is well, and somebody can look at what it sent.
    /// let request = LogEvent::opaque("https://logx.optimizely.com/v1/events", "visitors=none");
    /// dispatcher.bury(request, DeadReason::Unusable, "not JSON: expected value at byte 0".to_owned())?.wait()?;
    /// let ledger = dispatcher.ledger();
    /// assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued), (1, 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bury(
        &self,
        event: LogEvent,
        reason: DeadReason,
        text: String,
    ) -> Result<Receipt, Refused<LogEvent>> {
        self.delivery.bury(event, reason, text)
    }

    /// About how many bytes the requests in the queue take, on disk or in memory; 0 where a queue of your own does not
    /// say. On disk that is by the file: a file goes once nothing in it is left.
    pub fn queue_bytes(&self) -> u64 {
        self.delivery.queue().bytes()
    }

    /// How many requests are in the queue, those under way included.
    pub fn size(&self) -> usize {
        self.delivery.queue().size()
    }

    /// The oldest requests in the queue, at most `count`, those under way included. They stay in the queue.
    pub fn get(&self, count: usize) -> Vec<LogEvent> {
        self.delivery.queue().get(count)
    }

    /// When the oldest request in the queue was [taken](LogEvent::with_taken_ms), those under way included:
    /// milliseconds since 1970, UTC. `None` where the queue is empty, or nobody has said it of that request.
    ///
    /// ```
    /// use posthaste::{LogEvent, QueueEventDispatcher, testing::ScriptedDispatcher};
    ///
    /// let body = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
    /// let request = LogEvent::from_body("http://127.0.0.1:8080/v1/events", body)?;
    /// let dispatcher = QueueEventDispatcher::builder(ScriptedDispatcher::statuses([503, 503])).build()?;
    /// dispatcher.add(request.with_taken_ms(1_795_500_003_394))?.wait()?;
    /// assert_eq!(dispatcher.oldest_ms(), Some(1_795_500_003_394));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest_ms(&self) -> Option<i64> {
        self.delivery.queue().oldest()?.taken_ms()
    }

    /// Sends every request accepted before this call. The report comes once all of them have come to an end, or when
    /// the time is over. Its `left` counts requests, its ledger events.
    pub fn flush(&self, within: Duration) -> Pending<FlushReport> {
        self.delivery.flush(within)
    }

    /// Takes no more requests, and sends what there is, for this long at most. What is left stays in the queue:
    /// [`get`](Self::get) has it.
    pub fn close(&self, within: Duration) -> Pending<CloseReport<LogEvent>> {
        self.delivery.close(within)
    }

    /// Whether requests get through, and if not, why: what each end point said last, and since when.
    pub fn health(&self) -> Health {
        self.delivery.health()
    }

    /// What has become of the requests' events so far.
    pub fn ledger(&self) -> Ledger {
        self.delivery.ledger()
    }

    /// What has become of the requests' events so far, reason by reason.
    pub fn breakdown(&self) -> Breakdown {
        self.delivery.breakdown()
    }

    /// Asks delivery's loop whether it goes round: for a health check that tells a loop that is stuck from an upstream
    /// that is away. Nothing is sent, flushed or looked at because of it. The answer comes as soon as the loop has one,
    /// and half a second after `within` at the latest.
    pub fn ping(&self, within: Duration) -> Pending<Pulse> {
        self.delivery.ping(within)
    }

    /// The last requests that will not be delivered, oldest first, each with its reason. One that the API refused
    /// carries a single event: requests of several are halved until the bad event stands alone.
    pub fn dead_letters(&self) -> Vec<DeadLetter<LogEvent>> {
        self.delivery.dead_letters()
    }

    /// Puts dead letters back into the queue, oldest first, until the queue takes no more. Returns how many events.
    pub fn replay_dead_letters(&self) -> usize {
        self.delivery.replay_dead_letters()
    }

    /// Dead letters page by page, oldest first: at most `max` of those behind the one of the id `after`, or of all. A
    /// page may be shorter though more follow, so that it fits into memory; an empty one is the end.
    ///
    /// ```
    /// use posthaste::{DeadReason, LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
    /// for body in ["one", "two", "three"] {
    ///     let request = LogEvent::opaque("http://127.0.0.1/", body);
    ///     dispatcher.bury(request, DeadReason::Unusable, "not JSON".to_owned())?.forget();
    /// }
    /// let (mut after, mut bodies) = (None, Vec::new());
    /// loop {
    ///     let page = dispatcher.dead_letters_page(after, 2);
    ///     let Some((last, _)) = page.last() else { break };
    ///     after = Some(*last);
    ///     bodies.extend(page.into_iter().map(|(_, letter)| letter.item.body().clone()));
    /// }
    /// assert_eq!(bodies, ["one", "two", "three"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters_page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<LogEvent>)> {
        self.delivery.dead_letters_page(after, max)
    }

    /// Puts those dead letters back into the queue of which this says true, oldest first, until the queue takes no more.
    /// Returns how many events. It walks through all of them, page by page.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{DeadReason, LogEvent, QueueEventDispatcher, testing::ScriptedDispatcher};
    ///
    /// let body = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
    /// let api = ScriptedDispatcher::statuses([413, 400, 204]);
    /// let dispatcher = QueueEventDispatcher::builder(api).in_flight(1).build()?;
    /// for _ in 0..2 {
    ///     dispatcher.add(LogEvent::from_body("http://127.0.0.1/", body)?)?.forget();
    /// }
    /// assert!(dispatcher.flush(Duration::from_secs(5)).wait().is_complete());
    /// // The API takes longer bodies now.
    /// let replayed = dispatcher.replay_dead_letters_where(&|letter| letter.reason == DeadReason::TooLarge);
    /// assert_eq!((replayed, dispatcher.dead_letters().len()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replay_dead_letters_where(&self, is_to_go: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize {
        self.delivery.replay_dead_letters_where(is_to_go)
    }

    /// Forgets those dead letters of which this says true, and returns how many letters these were. The ledger keeps
    /// counting them. It walks through all of them, page by page.
    ///
    /// ```
    /// use posthaste::{DeadReason, LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
    /// let request = LogEvent::opaque("http://127.0.0.1/", "not JSON");
    /// dispatcher.bury(request, DeadReason::Unusable, String::new())?.forget();
    /// assert_eq!(dispatcher.purge_dead_letters_where(&|letter| letter.reason == DeadReason::Rejected), 0);
    /// assert_eq!(dispatcher.purge_dead_letters_where(&|letter| letter.reason == DeadReason::Unusable), 1);
    /// assert_eq!(dispatcher.ledger().dead_lettered, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_dead_letters_where(&self, is_to_go: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize {
        self.delivery.purge_dead_letters_where(is_to_go)
    }

    /// How many dead letters have been forgotten to make room for others, or for their age. The ledger keeps counting
    /// them.
    pub fn dead_letters_forgotten(&self) -> u64 {
        self.delivery.dead_letters_forgotten()
    }

    /// Forgets the dead letters, and returns them. The ledger keeps counting them.
    pub fn purge_dead_letters(&self) -> Vec<DeadLetter<LogEvent>> {
        self.delivery.purge_dead_letters()
    }
}

impl Dispatcher for QueueEventDispatcher {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let added = self.delivery.add(event).map_err(|refused| refused.reason);
        Box::pin(async move {
            match added {
                Ok(receipt) => receipt.await.map(|()| Response::status(202)),
                Err(reason) => Err(reason),
            }
            .map_err(DispatchError::NotQueued)
        })
    }

    fn flush(&self, within: Duration) -> FlushFuture {
        let flush = self.delivery.flush(within);
        Box::pin(async move { Some(flush.await) })
    }
}

/// What a [`QueueEventDispatcher`] is made of.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{HttpEventDispatcher, QueueEventDispatcher};
///
/// // Requests of a few events come in, and leave in requests of a hundred, or after a second.
/// let dispatcher = QueueEventDispatcher::builder(HttpEventDispatcher::new()?)
///     .batch_size(100)
///     .flush_interval(Duration::from_secs(1))
///     .queue_bytes(64 << 20)
///     .name("relay")
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug)]
pub struct QueueEventDispatcherBuilder {
    options: Options<LogEvent>,
    queue_size: usize,
    queue: Option<Arc<dyn DeliveryQueue<LogEvent>>>,
    dispatcher: Arc<dyn Dispatcher>,
    clock: Arc<dyn Clock>,
}

impl QueueEventDispatcherBuilder {
    /// Requests that the queue may hold, unless [`queue`](Self::queue) brings its own bound. Default: 1,000.
    pub fn queue_size(mut self, requests: usize) -> Self {
        self.queue_size = requests;
        self
    }

    /// Where requests wait. Default: an [`InMemoryQueue`]. A queue serves one dispatcher.
    ///
    /// ```
    /// use posthaste::{InMemoryQueue, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let queue = InMemoryQueue::new(100_000).bytes_max(256 << 20);
    /// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).queue(queue).build()?;
    /// # Ok::<(), posthaste::OptionsError>(())
    /// ```
    pub fn queue(mut self, queue: impl DeliveryQueue<LogEvent> + 'static) -> Self {
        self.queue = Some(Arc::new(queue));
        self
    }

    /// How many events a request may gather from requests that are sent as one. That is done where every field outside
    /// their visitors is there in all of them with the same text, whatever the order of the fields; the visitors stay
    /// as they came. A request that has so many events by itself goes alone, and as it came. The others wait for more
    /// for the [flush interval](Self::flush_interval) at most. Default: 1, which sends each as it came.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let api = RecordingDispatcher::new();
    /// let dispatcher = QueueEventDispatcher::builder(api.clone()).batch_size(500).build()?;
    /// for body in [
    ///     r#"{"account_id":"1","revision":"7","visitors":[{"visitor_id":"a"},{"visitor_id":"b"}]}"#,
    ///     r#"{"revision":"7","account_id":"1","visitors":[{"visitor_id":"c"}]}"#,
    ///     r#"{"revision":"8","account_id":"1","visitors":[{"visitor_id":"d"}]}"#,
    /// ] {
    ///     dispatcher.add(LogEvent::from_body("http://127.0.0.1:8080/v1/events", body)?)?.forget();
    /// }
    /// assert!(dispatcher.close(Duration::from_secs(5)).wait().is_complete());
    /// let mut sent: Vec<usize> = api.requests().iter().map(LogEvent::events).collect();
    /// sent.sort_unstable();
    /// assert_eq!(sent, [1, 3], "another revision is another request");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch_size(mut self, events: usize) -> Self {
        self.options.batch_size = events;
        self
    }

    /// About how many bytes of requests may be on their way at once: taken from the queue and not delivered, whether
    /// they gather, are being sent, or wait to be sent again. So little memory is needed for a queue on disk that is
    /// much larger, also while nobody takes what it holds; of each request that is under way the body comes on top.
    /// One request is taken whatever its size. Where requests go to several addresses, those for a dead one may take
    /// all of this, and then hold back the others. Default: no bound in bytes, only one in requests.
    ///
    /// A queue of your own keeps to it as well as its [`lease_within`](crate::queue::DeliveryQueue::lease_within) does.
    ///
    /// ```
    /// use posthaste::{QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let builder = QueueEventDispatcher::builder(RecordingDispatcher::new());
    /// let dispatcher = builder.window_bytes(16 << 20).build()?;
    /// # Ok::<(), posthaste::OptionsError>(())
    /// ```
    pub fn window_bytes(mut self, bytes: usize) -> Self {
        self.options.window_bytes = bytes;
        self
    }

    /// How old a request may be when it is sent: one that was [taken](LogEvent::with_taken_ms) longer ago becomes a dead
    /// letter ([`Expired`](crate::DeadReason::Expired)), a second later at most where the upstream takes nothing. One
    /// that is put back from the dead letters has all of this time before it once more. One of which nobody has said
    /// when it was taken never is too old. `None`, the default: any age.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{DeadReason, LogEvent, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let body = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
    /// let request = LogEvent::from_body("http://127.0.0.1:8080/v1/events", body)?;
    /// let builder = QueueEventDispatcher::builder(RecordingDispatcher::new());
    /// let dispatcher = builder.age_max(Duration::from_hours(36)).build()?;
    /// dispatcher.add(request.with_taken_ms(1_000_000_000_000))?.wait()?;
    /// assert!(dispatcher.flush(Duration::from_secs(5)).wait().is_complete());
    /// assert_eq!(dispatcher.dead_letters()[0].reason, DeadReason::Expired, "it is of 2001");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn age_max(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.options.age_max = age.into();
        self
    }

    /// About how many bytes dead letters may take, besides what their place bounds by itself
    /// ([`dead_letters_max`](Self::dead_letters_max) in memory, `SpoolOptions::dead_bytes_max` on disk). What happens
    /// beyond it, [`when_dead_letters_full`](Self::when_dead_letters_full) says. Default: any number.
    pub fn dead_letters_bytes_max(mut self, bytes: u64) -> Self {
        self.options.letters.bytes_max = bytes;
        self
    }

    /// How long dead letters are kept. Older ones are forgotten, and [counted](QueueEventDispatcher::dead_letters_forgotten);
    /// while delivery runs, they are looked for once a minute. Letters without a readable item stay. `None`, the default: for ever.
    pub fn dead_letters_age_max(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.options.letters.age_max = age.into();
        self
    }

    /// What happens to a dead letter that finds no room for its bytes. Default: its event waits in the queue.
    pub fn when_dead_letters_full(mut self, when_full: WhenDeadLettersFull) -> Self {
        self.options.letters.when_full = when_full;
        self
    }

    /// How long a request may wait for others to be sent with it. Default: 30 s.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// Sends every request here, whatever address it came with.
    pub fn event_end_point(mut self, url: impl Into<Arc<str>>) -> Self {
        self.options.end_point = Some(url.into());
        self
    }

    /// Whose log-event callbacks hear of this dispatcher's requests. Default: nobody's, since a processor in front of
    /// it tells those of its own key.
    pub fn sdk_key(mut self, sdk_key: impl Into<String>) -> Self {
        self.options.sdk_key = Some(sdk_key.into());
        self
    }

    delivery_setters!(LogEvent);

    /// Checks every option, and starts the delivery thread.
    ///
    /// ```
    /// use posthaste::{OptionsError, QueueEventDispatcher, testing::RecordingDispatcher};
    ///
    /// let error = QueueEventDispatcher::builder(RecordingDispatcher::new()).queue_size(0).build().unwrap_err();
    /// assert!(matches!(error, OptionsError::Zero("queue_size")));
    /// ```
    pub fn build(self) -> Result<QueueEventDispatcher, OptionsError> {
        Ok(QueueEventDispatcher { delivery: Delivery::start(self.makings()?)? })
    }

    /// Checks every option, and leaves it to the caller to run delivery, as
    /// [`BatchEventProcessorBuilder::build_with_driver`](crate::BatchEventProcessorBuilder::build_with_driver) does.
    pub fn build_with_driver(self) -> Result<(QueueEventDispatcher, Driver), OptionsError> {
        let (delivery, driver) = Delivery::with_driver(self.makings()?)?;
        Ok((QueueEventDispatcher { delivery }, driver))
    }

    fn makings(self) -> Result<Makings<LogEvent>, OptionsError> {
        let bytes = self.options.queue_bytes.unwrap_or(usize::MAX);
        let own =
            || Arc::new(InMemoryQueue::new(self.queue_size).bytes_max(bytes)) as Arc<dyn DeliveryQueue<_>>;
        let queue = self.queue.unwrap_or_else(own);
        self.options.check(&*queue)?;
        Ok(Makings { queue, dispatcher: self.dispatcher, options: self.options, clock: self.clock })
    }
}
