//! Dispatchers that send nothing.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::Mutex;

use crate::{
    batch::{LogEvent, SnapshotEvent},
    dispatch::{Answer, DispatchFuture, Dispatcher, Response},
};

/// Takes every request, answers 204, and remembers it. Clones share their memory.
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
/// processor.process_event(event.clone())?.forget();
/// processor.flush(Duration::from_secs(5)).wait();
/// assert_eq!(api.requests().len(), 1);
/// assert_eq!(api.events()[0].uuid, event.uuid().to_string());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecordingDispatcher(Arc<Mutex<Vec<LogEvent>>>);

impl RecordingDispatcher {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<LogEvent> {
        self.0.lock().clone()
    }

    /// The events of all requests so far.
    pub fn events(&self) -> Vec<SnapshotEvent> {
        self.requests().iter().flat_map(events_of).collect()
    }
}

impl Dispatcher for RecordingDispatcher {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        self.0.lock().push(event);
        Box::pin(std::future::ready(Ok(Response::status(204))))
    }
}

/// Answers by script, and remembers what was delivered: requests that it answered with a 2xx. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, testing::ScriptedDispatcher};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// let api = ScriptedDispatcher::statuses([503, 429]);
/// let builder = BatchEventProcessor::builder().event_dispatcher(api.clone());
/// let processor = builder.backoff(Duration::ZERO, Duration::ZERO).build()?;
/// processor.process_event(event)?.forget();
/// assert!(processor.flush(Duration::from_secs(5)).wait().is_complete());
/// assert_eq!((api.requests().len(), api.delivered().len()), (3, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedDispatcher {
    script: Arc<Mutex<VecDeque<Answer>>>,
    then: Arc<dyn Fn(&LogEvent) -> Answer + Send + Sync>,
    requests: RecordingDispatcher,
    delivered: RecordingDispatcher,
}

impl ScriptedDispatcher {
    /// Gives these answers, one a request, and 204 from then on.
    pub fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::by(|_| Ok(Response::status(204))).after(script)
    }

    /// Gives these statuses, one a request, and 204 from then on.
    pub fn statuses(script: impl IntoIterator<Item = u16>) -> Self {
        Self::new(script.into_iter().map(|status| Ok(Response::status(status))))
    }

    /// Decides each answer by its request.
    ///
    /// ```
    /// use posthaste::{dispatch::Response, testing::ScriptedDispatcher};
    ///
    /// // Refuses what comes from one account, after an outage of two requests.
    /// let refuses = |account: &str| Ok(Response::status(if account == "1" { 400 } else { 204 }));
    /// let api = ScriptedDispatcher::by(move |request| refuses(&request.event().unwrap_or_default().account_id))
    ///     .after([Ok(Response::status(503)), Ok(Response::status(503))]);
    /// ```
    pub fn by(answer: impl Fn(&LogEvent) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::default(),
            then: Arc::new(answer),
            requests: RecordingDispatcher::new(),
            delivered: RecordingDispatcher::new(),
        }
    }

    /// The same, after these answers.
    #[must_use]
    pub fn after(self, script: impl IntoIterator<Item = Answer>) -> Self {
        self.script.lock().extend(script);
        self
    }

    /// The requests so far, whatever the answer was.
    pub fn requests(&self) -> Vec<LogEvent> {
        self.requests.requests()
    }

    /// The events of all requests that were answered with a 2xx.
    pub fn delivered(&self) -> Vec<SnapshotEvent> {
        self.delivered.events()
    }
}

impl Dispatcher for ScriptedDispatcher {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let scripted = self.script.lock().pop_front();
        let answer = scripted.unwrap_or_else(|| (self.then)(&event));
        self.requests.0.lock().push(event.clone());
        if matches!(&answer, Ok(response) if (200..300).contains(&response.status)) {
            self.delivered.0.lock().push(event);
        }
        Box::pin(std::future::ready(answer))
    }
}

impl fmt::Debug for ScriptedDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedDispatcher").field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// Requests that posthaste made are always readable.
fn events_of(request: &LogEvent) -> Vec<SnapshotEvent> {
    let batch = request.event().unwrap_or_default();
    batch.visitors.into_iter().flat_map(|visitor| visitor.snapshots).flat_map(|s| s.events).collect()
}
