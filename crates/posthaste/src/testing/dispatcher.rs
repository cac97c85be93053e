//! Dispatchers that send nothing.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::Mutex;

use crate::{
    batch::{LogEvent, SnapshotEvent},
    dispatch::{Answer, DispatchFuture, Dispatcher, Response},
};

/// Takes every request, answers 204, and remembers it. Clones share their memory.
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
