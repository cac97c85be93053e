//! Takes events, and sees to it that they are delivered: the part that programs talk to. It never does the work itself;
//! that is `delivery`.

mod builder;
mod null;
mod queue_dispatcher;

use std::{sync::Arc, time::Duration};

pub use builder::{BatchEventProcessorBuilder, DEFAULT_EVENT_QUEUE_SIZE};
pub use null::NullProcessor;
pub use queue_dispatcher::{DEFAULT_REQUEST_QUEUE_SIZE, QueueEventDispatcher, QueueEventDispatcherBuilder};

use crate::{
    batch::LogEvent,
    delivery::{Delivery, Pending},
    event::UserEvent,
    notification::{self, HandlerId, UnknownHandler},
    outcome::{CloseReport, DeadLetter, FlushReport, Health, Ledger},
    queue::{Receipt, Refused},
};

/// Takes events, and brings them to their end when told to. Usable as `dyn Processor`. Programs and their tests call
/// it, from any thread; no method may block unless it was told to wait for room.
///
/// ```
/// use posthaste::{Processor, UserEvent};
///
/// /// The part of a program that reports: it works with any processor, and with a double in tests.
/// fn report(processor: &dyn Processor, event: UserEvent) {
///     match processor.process_event(event) {
///         Ok(receipt) => receipt.forget(),
///         Err(refused) => eprintln!("{} is not counted: {}", refused.item.uuid(), refused.reason),
///     }
/// }
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// # report(&posthaste::processor::NullProcessor, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.Processor")]
pub trait Processor: std::fmt::Debug + Send + Sync {
    /// Takes an event, or hands it back with the reason.
    #[doc(alias = "ProcessEvent")]
    fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>>;

    /// Sends everything accepted before this call. The report comes within this time, and says what is left and why.
    fn flush(&self, within: Duration) -> Pending<FlushReport>;

    /// Takes no more events, and sends what there is. The report comes within this time, and says what is left and why.
    fn close(&self, within: Duration) -> Pending<CloseReport>;

    /// Whether events get through, and if not, why.
    fn health(&self) -> Health;
}

impl<P: Processor + ?Sized> Processor for Arc<P> {
    fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        (**self).process_event(event)
    }

    fn flush(&self, within: Duration) -> Pending<FlushReport> {
        (**self).flush(within)
    }

    fn close(&self, within: Duration) -> Pending<CloseReport> {
        (**self).close(within)
    }

    fn health(&self) -> Health {
        (**self).health()
    }
}

/// Takes events into a queue, and delivers them in batches: when a batch is full, at each interval, when told to, and
/// when closed.
///
/// It works on a thread of its own with a runtime of its own; programs need neither. Every method may be called from
/// any thread, in or out of an async runtime. [`close`](Self::close) it before the program ends: it says what is left.
/// Dropping it sends what there is, too, but blocks for it (5 s at most, unless
/// [`drop_deadline`](BatchEventProcessorBuilder::drop_deadline) says otherwise), and says what is left only in the log.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, ProjectConfig, UserContext, create_impression_user_event};
///
/// let config = ProjectConfig::from_datafile(std::fs::read("datafile.json")?)?;
/// let processor = BatchEventProcessor::builder().build()?;
///
/// let experiment = config.experiment_by_key("checkout_button").expect("in the datafile");
/// let user = UserContext::new("visitor-1").attribute("plan", "pro");
/// let event = create_impression_user_event(&config, experiment, experiment.variation_by_key("control"), &user);
/// processor.process_event(event)?.forget();
///
/// let report = processor.close(Duration::from_secs(10)).wait();
/// // Says how many were delivered and how many are left, and why.
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BatchEventProcessor {
    delivery: Delivery<UserEvent>,
    center: Arc<notification::Center>,
}

impl BatchEventProcessor {
    /// A builder with everything at its default.
    #[doc(alias = "NewBatchEventProcessor")]
    pub fn builder() -> BatchEventProcessorBuilder {
        BatchEventProcessorBuilder::default()
    }

    fn new(delivery: Delivery<UserEvent>, sdk_key: &str) -> Self {
        Self { delivery, center: notification::center(sdk_key) }
    }

    /// Takes an event, or hands it back with the reason. Never touches the network, and never blocks unless
    /// [`WhenFull::Block`](crate::WhenFull::Block) was chosen.
    ///
    /// The receipt resolves once the event is as safe as the queue makes it: at once in memory.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// match processor.process_event(event) {
    ///     // Blocks; in async code, `receipt.await?`. `receipt.forget()` where nobody needs to know.
    ///     Ok(receipt) => receipt.wait()?,
    ///     // `refused.item` is the event: offer it again later where there may be room by then.
    ///     Err(refused) => assert!(refused.reason.is_full()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.delivery.add(event)
    }

    /// How many events are in the queue, those under way included.
    #[doc(alias = "EventsCount")]
    pub fn events_count(&self) -> usize {
        self.delivery.queue().size()
    }

    /// The oldest events in the queue, at most `count`, those under way included. They stay in the queue.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// processor.process_event(event.clone())?.forget();
    /// // One event fills no batch, so it waits for the flush interval.
    /// assert_eq!((processor.events_count(), processor.get_events(10)), (1, vec![event]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "GetEvents")]
    pub fn get_events(&self, count: usize) -> Vec<UserEvent> {
        self.delivery.queue().get(count)
    }

    /// Takes the oldest events that are not under way out of the queue, at most `count`. They are the caller's now; the
    /// ledger has them as dead-lettered ([`Withdrawn`](crate::DeadReason::Withdrawn)).
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// processor.process_event(event)?.forget();
    /// let taken_back = processor.remove(10);
    /// // None where it was under way already.
    /// assert_eq!(processor.ledger().dead_lettered, taken_back.len() as u64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "Remove")]
    pub fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.delivery.remove(count)
    }

    /// Sends everything accepted before this call, however little. The report comes once all of it has come to an end.
    /// When the time is over first, it says how much has not, and why. What is left is still tried.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let api = RecordingDispatcher::new();
    /// let processor = BatchEventProcessor::builder().event_dispatcher(api.clone()).build()?;
    /// processor.process_event(event)?.forget();
    /// let report = processor.flush(Duration::from_secs(5)).wait(); // or `.await`
    /// assert!(report.is_complete(), "{report}");
    /// assert_eq!(api.requests().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "FlushEvents")]
    pub fn flush(&self, within: Duration) -> Pending<FlushReport> {
        self.delivery.flush(within)
    }

    /// Takes no more events, and sends what there is, for this long at most. What is left stays in the queue:
    /// [`get_events`](Self::get_events) has it. A dispatcher with a queue of its own gets the rest of the time to send
    /// what it has.
    ///
    /// You may call it more than once, and from several threads: each call gets a report.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{BatchEventProcessor, dispatch::Response, testing::ScriptedDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let down = ScriptedDispatcher::by(|_| Ok(Response::status(503)));
    /// let processor = BatchEventProcessor::builder().event_dispatcher(down).build()?;
    /// processor.process_event(event.clone())?.forget();
    ///
    /// let report = processor.close(Duration::from_millis(10)).wait();
    /// assert!(!report.is_complete());
    /// assert_eq!((report.left, processor.get_events(1)), (1, vec![event]), "it is still there");
    /// for trouble in &report.reasons {
    ///     eprintln!("{trouble}"); // 1 event: https://logx.optimizely.com/v1/events: status 503 (1 time since …)
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TerminateAndWait")]
    pub fn close(&self, within: Duration) -> Pending<CloseReport> {
        self.delivery.close(within)
    }

    /// Whether events get through, and if not, why: what each end point said last, and since when.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// // For a readiness probe: `working`, or everything that is wrong.
    /// let health = processor.health();
    /// assert_eq!((health.is_working(), health.to_string().as_str()), (true, "working"));
    /// # Ok::<(), posthaste::OptionsError>(())
    /// ```
    pub fn health(&self) -> Health {
        self.delivery.health()
    }

    /// What has become of events so far.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// processor.process_event(event)?.forget();
    /// let ledger = processor.ledger();
    /// assert_eq!((ledger.accepted, ledger.balances()), (1, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ledger(&self) -> Ledger {
        self.delivery.ledger()
    }

    /// The last events that will not be delivered, oldest first, each with its reason: as many as
    /// [`dead_letters_max`](BatchEventProcessorBuilder::dead_letters_max), or those on disk where the queue is there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{BatchEventProcessor, DeadReason, testing::ScriptedDispatcher};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let api = ScriptedDispatcher::statuses([400]);
    /// let processor = BatchEventProcessor::builder().event_dispatcher(api).build()?;
    /// processor.process_event(event.clone())?.forget();
    /// processor.flush(Duration::from_secs(5)).wait();
    ///
    /// let letters = processor.dead_letters();
    /// assert_eq!((&letters[0].item, letters[0].reason, letters[0].status), (&event, DeadReason::Rejected, Some(400)));
    /// // What was wrong has been put right: this script says 204 from now on.
    /// assert_eq!(processor.replay_dead_letters(), 1);
    /// assert_eq!(processor.close(Duration::from_secs(5)).wait().delivered, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> Vec<DeadLetter<UserEvent>> {
        self.delivery.dead_letters()
    }

    /// Puts dead letters back into the queue, oldest first, until the queue takes no more. Returns how many events.
    /// Call it once what was wrong has been put right.
    pub fn replay_dead_letters(&self) -> usize {
        self.delivery.replay_dead_letters()
    }

    /// Forgets the dead letters, and returns them. The ledger keeps counting them.
    pub fn purge_dead_letters(&self) -> Vec<DeadLetter<UserEvent>> {
        self.delivery.purge_dead_letters()
    }

    /// Calls `callback` with each request before it goes out, retries included. It runs on a thread of its own: a slow
    /// callback misses requests, and holds up no delivery. Callbacks belong to the SDK key: processors of one key share
    /// them.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// let processor = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).build()?;
    /// let id = processor.on_event_dispatch(|request| println!("{} events go out", request.events()));
    /// processor.remove_on_event_dispatch(id)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "OnEventDispatch")]
    pub fn on_event_dispatch(&self, callback: impl Fn(&LogEvent) + Send + Sync + 'static) -> HandlerId {
        self.center.add_handler(callback)
    }

    /// Ends a callback.
    #[doc(alias = "RemoveOnEventDispatch")]
    pub fn remove_on_event_dispatch(&self, id: HandlerId) -> Result<(), UnknownHandler> {
        self.center.remove_handler(id)
    }
}

impl Processor for BatchEventProcessor {
    fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        Self::process_event(self, event)
    }

    fn flush(&self, within: Duration) -> Pending<FlushReport> {
        Self::flush(self, within)
    }

    fn close(&self, within: Duration) -> Pending<CloseReport> {
        Self::close(self, within)
    }

    fn health(&self) -> Health {
        Self::health(self)
    }
}
