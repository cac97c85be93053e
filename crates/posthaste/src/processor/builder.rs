//! A processor's options, under the seed's names.

use std::{sync::Arc, time::Duration};

use super::BatchEventProcessor;
use crate::{
    clock::{Clock, SystemClock},
    delivery::{Delivery, Driver, Makings, Options, OptionsError, delivery_setters},
    dispatch::Dispatcher,
    event::UserEvent,
    queue::{DeliveryQueue, InMemoryQueue},
};

/// Events that the queue may hold, unless told otherwise. The seed documents 100 and uses 1,000; today's Go SDK says
/// 2,000.
#[doc(alias = "DefaultEventQueueSize")]
pub const DEFAULT_EVENT_QUEUE_SIZE: usize = 2_000;

/// What a [`BatchEventProcessor`] is made of. [`build`](Self::build) checks every option.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, WhenFull};
///
/// let processor = BatchEventProcessor::builder()
///     .batch_size(100)
///     .flush_interval(Duration::from_secs(5))
///     .queue_size(50_000)
///     .queue_bytes(64 << 20)
///     .when_full(WhenFull::Block(Duration::from_millis(50)))
///     .event_end_point("http://127.0.0.1:8080/v1/events")
///     .name("checkout")
///     .build()?;
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[doc(alias = "BPOptionConfig")]
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug)]
pub struct BatchEventProcessorBuilder {
    options: Options<UserEvent>,
    queue_size: usize,
    queue: Option<Arc<dyn DeliveryQueue<UserEvent>>>,
    event_dispatcher: Option<Arc<dyn Dispatcher>>,
    clock: Arc<dyn Clock>,
}

impl Default for BatchEventProcessorBuilder {
    fn default() -> Self {
        Self {
            options: Options {
                sdk_key: Some(String::new()),
                pipeline: "processor".to_owned(),
                ..Options::default()
            },
            queue_size: DEFAULT_EVENT_QUEUE_SIZE,
            queue: None,
            event_dispatcher: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl BatchEventProcessorBuilder {
    /// Events that share a request, at most. Default: 10.
    #[doc(alias = "WithBatchSize")]
    pub fn batch_size(mut self, events: usize) -> Self {
        self.options.batch_size = events;
        self
    }

    /// Events that the queue may hold, unless [`queue`](Self::queue) brings its own bound. Default: 2,000.
    #[doc(alias = "WithQueueSize")]
    pub fn queue_size(mut self, events: usize) -> Self {
        self.queue_size = events;
        self
    }

    /// How often everything is sent, however little it is. So an event waits at most this long for others. Default: 30
    /// s.
    #[doc(alias = "WithFlushInterval")]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// Where events wait. Default: an [`InMemoryQueue`]. A queue serves one processor. A queue that has the seed's four
    /// methods alone becomes one through [`Sequential`](crate::queue::Sequential).
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, ChanQueue};
    ///
    /// let processor = BatchEventProcessor::builder().queue(ChanQueue::new(500)).build()?;
    /// # Ok::<(), posthaste::OptionsError>(())
    /// ```
    #[doc(alias = "WithQueue")]
    pub fn queue(mut self, queue: impl DeliveryQueue<UserEvent> + 'static) -> Self {
        self.queue = Some(Arc::new(queue));
        self
    }

    /// What sends requests. Default: an `HttpEventDispatcher` of its own, which the feature `http` brings.
    #[doc(alias = "WithEventDispatcher")]
    pub fn event_dispatcher(mut self, dispatcher: impl Dispatcher + 'static) -> Self {
        self.event_dispatcher = Some(Arc::new(dispatcher));
        self
    }

    /// Whose log-event callbacks hear of this processor's requests. Default: `""`, which is a key too.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, notification};
    ///
    /// let processor = BatchEventProcessor::builder().sdk_key("larkspur").build()?;
    /// // The same as `processor.on_event_dispatch`, for whoever has the key and not the processor.
    /// notification::center("larkspur").add_handler(|request| println!("{} bytes", request.body().len()));
    /// # Ok::<(), posthaste::OptionsError>(())
    /// ```
    #[doc(alias = "WithSDKKey")]
    pub fn sdk_key(mut self, sdk_key: impl Into<String>) -> Self {
        self.options.sdk_key = Some(sdk_key.into());
        self
    }

    /// Where events go, as a URL. Default: the Event API of the events' region.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, OptionsError};
    ///
    /// // A collector on this machine. A mistake in the URL is found by `build`.
    /// let here = BatchEventProcessor::builder().event_end_point("http://127.0.0.1:8080/v1/events").build()?;
    /// let typo = BatchEventProcessor::builder().event_end_point("htp://127.0.0.1:8080/v1/events").build();
    /// assert!(matches!(typo, Err(OptionsError::EndPoint(_))));
    /// # Ok::<(), OptionsError>(())
    /// ```
    #[doc(alias = "WithEventEndPoint")]
    pub fn event_end_point(mut self, url: impl Into<Arc<str>>) -> Self {
        self.options.end_point = Some(url.into());
        self
    }

    delivery_setters!(UserEvent);

    /// Checks every option, and starts the delivery thread.
    ///
    /// ```
    /// use posthaste::{BatchEventProcessor, OptionsError};
    ///
    /// let error = BatchEventProcessor::builder().batch_size(100).queue_size(10).build().unwrap_err();
    /// assert!(matches!(error, OptionsError::BatchLargerThanQueue { .. }), "{error}");
    /// ```
    #[doc(alias = "Start")]
    pub fn build(self) -> Result<BatchEventProcessor, OptionsError> {
        let makings = self.makings()?;
        let sdk_key = makings.options.sdk_key.clone().unwrap_or_default();
        Ok(BatchEventProcessor::new(Delivery::start(makings)?, &sdk_key))
    }

    /// Checks every option, and leaves it to the caller to run delivery: it goes on while the returned [`Driver`] is
    /// polled, on a tokio runtime with time enabled. For programs that want no further thread, and for tests in paused
    /// time. Do not block such a runtime's only thread on the processor: await its reports.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::{BatchEventProcessor, testing::RecordingDispatcher};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// let builder = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new());
    /// let (processor, driver) = builder.build_with_driver()?;
    /// let mut tasks = tokio::task::JoinSet::new();
    /// tasks.spawn(driver);
    ///
    /// processor.process_event(event)?.await?;
    /// assert_eq!(processor.close(Duration::from_secs(5)).await.delivered, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_with_driver(self) -> Result<(BatchEventProcessor, Driver), OptionsError> {
        let makings = self.makings()?;
        let sdk_key = makings.options.sdk_key.clone().unwrap_or_default();
        let (delivery, driver) = Delivery::with_driver(makings)?;
        Ok((BatchEventProcessor::new(delivery, &sdk_key), driver))
    }

    fn makings(self) -> Result<Makings<UserEvent>, OptionsError> {
        let bytes = self.options.queue_bytes.unwrap_or(usize::MAX);
        let own =
            || Arc::new(InMemoryQueue::new(self.queue_size).bytes_max(bytes)) as Arc<dyn DeliveryQueue<_>>;
        let queue = self.queue.unwrap_or_else(own);
        self.options.check(&*queue)?;
        let dispatcher = match self.event_dispatcher {
            Some(dispatcher) => dispatcher,
            None => default_dispatcher()?,
        };
        Ok(Makings { queue, dispatcher, options: self.options, clock: self.clock })
    }
}

/// What a processor sends with unless told otherwise.
fn default_dispatcher() -> Result<Arc<dyn Dispatcher>, OptionsError> {
    #[cfg(feature = "http")]
    return Ok(Arc::new(crate::dispatch::HttpEventDispatcher::new()?));
    #[cfg(not(feature = "http"))]
    Err(OptionsError::NoDispatcher)
}
