//! Takes events, and sees to it that they are delivered: the part that programs talk to.

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

/// Takes events, and can be told to bring them to their end. Usable as `dyn Processor`.
#[doc(alias = "event.Processor")]
pub trait Processor: std::fmt::Debug + Send + Sync {
    /// Takes an event, or hands it back with the reason.
    #[doc(alias = "ProcessEvent")]
    fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>>;

    /// Sends everything accepted before this call. The report comes within the time, and says what is left and why.
    fn flush(&self, within: Duration) -> Pending<FlushReport>;

    /// Takes no more events, and sends what there is. The report comes within the time, and says what is left and why.
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
/// It works on a thread of its own with a runtime of its own; programs need neither. Every method may be called from any thread, in or out of an async runtime.
/// Dropping it flushes for a bounded time; [`close`](Self::close) does so for as long as you say, and tells what is
/// left.
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
    /// Everything at its default.
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
    pub fn process_event(&self, event: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.delivery.add(event)
    }

    /// How many events are in the queue, those under way included.
    #[doc(alias = "EventsCount")]
    pub fn events_count(&self) -> usize {
        self.delivery.queue().size()
    }

    /// The oldest events in the queue, at most `count`, those under way included. They stay in the queue.
    #[doc(alias = "GetEvents")]
    pub fn get_events(&self, count: usize) -> Vec<UserEvent> {
        self.delivery.queue().get(count)
    }

    /// Takes the oldest events that are not under way out of the queue, at most `count`. They are the caller's now; the
    /// ledger has them as dead-lettered ([`Withdrawn`](crate::DeadReason::Withdrawn)).
    #[doc(alias = "Remove")]
    pub fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.delivery.remove(count)
    }

    /// Sends everything accepted before this call, however little. The report comes once all of it has come to an end, or
    /// when the time is over, and then says how much has not, and why.
    #[doc(alias = "FlushEvents")]
    pub fn flush(&self, within: Duration) -> Pending<FlushReport> {
        self.delivery.flush(within)
    }

    /// Takes no more events, and sends what there is for as long as this. What is left stays in the queue:
    /// [`get_events`](Self::get_events) has it. A dispatcher with a queue of its own is flushed too.
    ///
    /// May be called more than once, and by several threads: each gets a report.
    #[doc(alias = "TerminateAndWait")]
    pub fn close(&self, within: Duration) -> Pending<CloseReport> {
        self.delivery.close(within)
    }

    /// Whether events get through, and if not, why: what each end point said last, and since when.
    pub fn health(&self) -> Health {
        self.delivery.health()
    }

    /// What has become of events so far.
    pub fn ledger(&self) -> Ledger {
        self.delivery.ledger()
    }

    /// The last events that will not be delivered, oldest first, each with its reason.
    pub fn dead_letters(&self) -> Vec<DeadLetter<UserEvent>> {
        self.delivery.dead_letters()
    }

    /// Puts dead letters back into the queue, oldest first, as far as it takes them. Returns how many.
    pub fn replay_dead_letters(&self) -> usize {
        self.delivery.replay_dead_letters()
    }

    /// Takes the dead letters out of memory; the ledger keeps counting them.
    pub fn purge_dead_letters(&self) -> Vec<DeadLetter<UserEvent>> {
        self.delivery.purge_dead_letters()
    }

    /// Calls `callback` with each request before it goes out, retries included, on a thread of its own: what it does holds up no
    /// delivery. Callbacks belong to the SDK key: processors of one key share them.
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
