//! Every limit of delivery, in one table.

use std::{
    any::Any,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{guard::panic_text, letter_room::LetterBounds, upstream::Rules};
use crate::{
    dispatch::EndPoint,
    outcome::DeadLetter,
    queue::{DEFAULT_DEAD_LETTERS_MAX, DeliveryQueue},
};

/// What to do with an event that finds the queue full.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, WhenFull, testing::RecordingDispatcher};
///
/// let builder = || BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new());
/// let hands_back = builder().build()?;
/// let keeps_the_newest = builder().when_full(WhenFull::DropOldest).build()?;
/// let waits_for_room = builder().when_full(WhenFull::Block(Duration::from_millis(50))).build()?;
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Hand it back.
    #[default]
    Reject,
    /// Let it take the place of the oldest event that is not under way. That one becomes a dead letter
    /// ([`Displaced`](crate::DeadReason::Displaced)). With several end points, events for a dead one may then hold back
    /// events for the others until they are displaced: delivery does not look past them, since what it has leased could
    /// not make room.
    DropOldest,
    /// Block the calling thread until there is room, at most for this time (real time); then hand it back. Do not use
    /// it on a thread that runs async code.
    Block(Duration),
}

/// Told of every dead letter.
pub(crate) type OnDeadLetter<T> = Arc<dyn Fn(&DeadLetter<T>) + Send + Sync>;

/// The machine's limits. The defaults stand here, each with its reason.
#[derive(Clone)]
pub(crate) struct Options<T> {
    /// Events that share a request, at most; an item that has more by itself goes alone.
    pub(crate) batch_size: usize,
    /// How often everything is sent, however little it is.
    pub(crate) flush_interval: Duration,
    /// What holds for each end point.
    pub(crate) rules: Rules,
    /// Bytes of a request, at most.
    pub(crate) max_batch_bytes: usize,
    /// Bytes of items that are leased and have not ended, about, at most; `usize::MAX`: no bound.
    pub(crate) window_bytes: usize,
    /// How long ago an item may have been taken when it is sent; `None`: any time.
    pub(crate) age_max: Option<Duration>,
    /// Events of a backlog that go to an end point in a second, at most; `None`: as many as it takes.
    pub(crate) drain_rate: Option<NonZeroU32>,
    /// What a full queue does to the next event.
    pub(crate) when_full: WhenFull,
    /// Where requests go; `None`: the region's Event API, or where a request already says.
    pub(crate) end_point: Option<Arc<str>>,
    /// Dead letters kept in memory.
    pub(crate) dead_letters_max: usize,
    /// What bounds dead letters besides.
    pub(crate) letters: LetterBounds,
    /// Told of every dead letter, on the delivery thread.
    pub(crate) on_dead_letter: Option<OnDeadLetter<T>>,
    /// How long dropping the handle may flush.
    pub(crate) drop_deadline: Duration,
    /// Whose log-event handlers hear of requests; `None`: nobody's.
    pub(crate) sdk_key: Option<String>,
    /// Makes jitter repeatable.
    pub(crate) seed: Option<u64>,
    /// The pipeline's name in metrics.
    pub(crate) pipeline: String,
    /// Bytes of memory that the library's own queue may hold; `None`: any number.
    pub(crate) queue_bytes: Option<usize>,
}

/// Events that share a request, unless told otherwise: as in the seed.
#[doc(alias = "DefaultBatchSize")]
pub const DEFAULT_BATCH_SIZE: usize = 10;
/// How often everything is sent, unless told otherwise: as in the seed.
#[doc(alias = "DefaultEventFlushInterval")]
pub const DEFAULT_EVENT_FLUSH_INTERVAL: Duration = Duration::from_secs(30);
/// The Event API's limit for one request (PROTOCOL 1.3).
const MAX_BATCH_BYTES: usize = 3_500_000;
/// Long enough for a healthy upstream, short enough for a process manager's patience.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

impl<T> Default for Options<T> {
    fn default() -> Self {
        Self {
            batch_size: DEFAULT_BATCH_SIZE,
            flush_interval: DEFAULT_EVENT_FLUSH_INTERVAL,
            rules: Rules::default(),
            max_batch_bytes: MAX_BATCH_BYTES,
            // A queue in memory holds its items all the same.
            window_bytes: usize::MAX,
            age_max: None,
            drain_rate: None,
            when_full: WhenFull::Reject,
            end_point: None,
            dead_letters_max: DEFAULT_DEAD_LETTERS_MAX,
            letters: LetterBounds::default(),
            on_dead_letter: None,
            drop_deadline: DROP_DEADLINE,
            sdk_key: None,
            seed: None,
            pipeline: String::new(),
            queue_bytes: None,
        }
    }
}

/// The options of delivery that every builder over it has, as its methods.
macro_rules! delivery_setters {
    ($item:ty) => {
        /// How many requests to one end point may be under way at once. Fewer are while the API is overloaded. Default:
        /// 64.
        pub fn in_flight(mut self, requests: usize) -> Self {
            self.options.rules.in_flight = requests;
            self
        }

        /// How many bytes the body of a request may have, uncompressed. An event that alone needs more is refused.
        /// Default: 3,500,000, the API's limit.
        pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
            self.options.max_batch_bytes = bytes;
            self
        }

        /// Paces what an outage leaves behind: each end point gets at most this many events of it in a second, and those of
        /// one request; new events pass it, unpaced. What counts as left behind, the backlog: everything that the queue
        /// holds at the start, and everything that has not come to an end when an end point works again that had
        /// failed five times in a row ([`breaker_threshold`](Self::breaker_threshold)) or had refused everything.
        /// [`Health::backlog`](crate::Health::backlog) says how much of it is left.
        ///
        /// The backlog goes about oldest first, what has to be sent again counts again, and at most half of the requests that
        /// may be under way are its. Flush, close and drop do not hurry it, so that a restart is no rush either: give
        /// them the time, or keep the queue on disk. Of a queue of your own that does not keep a backlog apart
        /// ([`begin_backlog`](crate::queue::DeliveryQueue::begin_backlog)), everything is paced until all that was in
        /// it is under way. `None`, the default: no pace.
        pub fn drain_rate(mut self, events_per_second: impl Into<Option<std::num::NonZeroU32>>) -> Self {
            self.options.drain_rate = events_per_second.into();
            self
        }

        /// What happens to an item that finds the queue full. Default: it goes back to the caller.
        pub fn when_full(mut self, when_full: $crate::WhenFull) -> Self {
            self.options.when_full = when_full;
            self
        }

        /// How many dead letters are kept in memory, at most; one more pushes out the oldest, which stays counted. 0
        /// keeps none. A queue on disk keeps its dead letters there instead, within its own bound. Default: 1,000.
        pub fn dead_letters_max(mut self, letters: usize) -> Self {
            self.options.dead_letters_max = letters;
            self
        }

        /// Calls `callback` with every dead letter: on the delivery thread with what the API refuses, on the thread
        /// that adds an event with what makes room for that. It must not block for long, and may panic without harm.
        pub fn on_dead_letter(
            mut self,
            callback: impl Fn(&$crate::DeadLetter<$item>) + Send + Sync + 'static,
        ) -> Self {
            self.options.on_dead_letter = Some(Arc::new(callback));
            self
        }

        /// How long the first wait after a failure is at most (default: 200 ms), and how long any wait is at most (30
        /// s). Waits double from failure to failure, with full jitter. A server may ask for longer ones
        /// (`Retry-After`).
        pub fn backoff(mut self, first: Duration, cap: Duration) -> Self {
            self.options.rules.backoff.first = first;
            self.options.rules.backoff.cap = cap;
            self
        }

        /// The same while an end point refuses every request, since its address or a credential is wrong. Defaults: 5 s
        /// and 60 s.
        pub fn hold_backoff(mut self, first: Duration, cap: Duration) -> Self {
            self.options.rules.hold_backoff.first = first;
            self.options.rules.hold_backoff.cap = cap;
            self
        }

        /// How many failures in a row open the circuit breaker of an end point: from then on, one request at a time
        /// tries whether it works again. Default: 5.
        pub fn breaker_threshold(mut self, failures: u32) -> Self {
            self.options.rules.breaker_threshold = failures;
            self
        }

        /// The longest wait that a server may ask for (`Retry-After`); a longer one is cut to this. Default: 1 h.
        pub fn retry_after_max(mut self, wait: Duration) -> Self {
            self.options.rules.retry_after_max = wait;
            self
        }

        /// How long dropping it may flush, where nobody has closed it. Default: 5 s.
        pub fn drop_deadline(mut self, deadline: Duration) -> Self {
            self.options.drop_deadline = deadline;
            self
        }

        /// The name of this pipeline in metrics (label `pipeline`). Default: `processor`, or `dispatcher`. Give each
        /// pipeline of a process its own: two of one name overwrite each other's gauges.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.options.pipeline = name.into();
            self
        }

        /// About how many bytes of memory the queue may take, unless [`queue`](Self::queue) brings its own bound. An
        /// item that finds no room for its bytes finds the queue full
        /// ([`QueueBytesFull`](crate::Refusal::QueueBytesFull)). Default: no bound in bytes.
        pub fn queue_bytes(mut self, bytes: usize) -> Self {
            self.options.queue_bytes = Some(bytes);
            self
        }

        /// The time by which delivery waits: intervals, retries, deadlines. Default: the system's. Events are stamped
        /// by their project's clock ([`ProjectConfig::with_clock`](crate::ProjectConfig::with_clock)).
        pub fn clock(mut self, clock: impl $crate::Clock + 'static) -> Self {
            self.clock = Arc::new(clock);
            self
        }

        /// Makes the jitter of waits repeatable, for tests.
        pub fn seed(mut self, seed: u64) -> Self {
            self.options.seed = Some(seed);
            self
        }
    };
}
pub(crate) use delivery_setters;

/// Why a processor or dispatcher cannot be built.
///
/// ```
/// use posthaste::{BatchEventProcessor, OptionsError};
///
/// let error = BatchEventProcessor::builder().batch_size(0).build().unwrap_err();
/// assert!(matches!(error, OptionsError::Zero("batch_size")));
/// assert_eq!(error.to_string(), "batch_size must be at least 1");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A number that must be at least 1 is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// The queue cannot hold as many events as fill a batch.
    #[error(
        "batch_size is {batch_size} and queue_size only {queue_size}: a batch could never fill; raise queue_size"
    )]
    BatchLargerThanQueue {
        /// Events that share a request.
        batch_size: usize,
        /// Events that the queue may hold.
        queue_size: usize,
    },
    /// The operating system gives no thread, or no runtime, for delivery.
    #[error("failed to start the delivery thread: {0}")]
    Thread(#[from] std::io::Error),
    /// No dispatcher was chosen, and posthaste was built without the feature `http`.
    #[error("no event_dispatcher: choose one, or build posthaste with its feature `http`")]
    NoDispatcher,
    /// The default dispatcher cannot be made.
    #[error(transparent)]
    Http(#[from] crate::dispatch::HttpSetupError),
    /// The address is not one that events can be sent to.
    #[error("event_end_point: {0}")]
    EndPoint(#[from] crate::dispatch::EndPointError),
    /// A queue, clock or dispatcher of your own panicked while it was being started. The text is what it said.
    #[error("failed to build: {0}")]
    Panicked(String),
}

impl<T> Options<T> {
    /// Checks everything that is to work over this queue.
    pub(crate) fn check(&self, queue: &dyn DeliveryQueue<T>) -> Result<(), OptionsError> {
        let queue_size = catch_unwind(AssertUnwindSafe(|| queue.capacity()))
            .map_err(|panic| OptionsError::Panicked(in_capacity(&*panic)))?;
        self.check_over(queue_size)
    }

    fn check_over(&self, queue_size: usize) -> Result<(), OptionsError> {
        for (name, value) in [
            ("batch_size", self.batch_size),
            ("queue_size", queue_size),
            ("in_flight", self.rules.in_flight),
            ("max_batch_bytes", self.max_batch_bytes),
            ("window_bytes", self.window_bytes),
            ("age_max", usize::from(self.age_max != Some(Duration::ZERO))),
            ("flush_interval", usize::from(!self.flush_interval.is_zero())),
        ] {
            if value == 0 {
                return Err(OptionsError::Zero(name));
            }
        }
        if let Some(end_point) = &self.end_point {
            EndPoint::check(end_point)?;
        }
        if self.batch_size > queue_size {
            return Err(OptionsError::BatchLargerThanQueue { batch_size: self.batch_size, queue_size });
        }
        Ok(())
    }

    /// This end point, shared where it is the one that everything goes to.
    pub(crate) fn end_point_of(&self, end_point: &str) -> Arc<str> {
        match &self.end_point {
            Some(fixed) if **fixed == *end_point => Arc::clone(fixed),
            _ => end_point.into(),
        }
    }

    /// Items taken from the queue and not ended, at most: bounds memory over a queue that is larger than memory.
    /// Several rounds' worth, so that a few slow requests hold back none of the others.
    pub(crate) fn window_max(&self) -> usize {
        self.rules.in_flight.saturating_mul(self.batch_size).saturating_mul(4).max(10_000)
    }
}

fn in_capacity(panic: &(dyn Any + Send)) -> String {
    format!("the queue panicked in capacity: {}", panic_text(panic))
}

impl<T> std::fmt::Debug for Options<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("batch_size", &self.batch_size)
            .field("flush_interval", &self.flush_interval)
            .field("rules", &self.rules)
            .field("max_batch_bytes", &self.max_batch_bytes)
            .field("drain_rate", &self.drain_rate)
            .field("when_full", &self.when_full)
            .field("end_point", &self.end_point)
            .finish_non_exhaustive()
    }
}
