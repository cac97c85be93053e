//! Who wants to see each request before it goes out. One center for each SDK key, as in the seed.
//!
//! Handlers run on a thread of the center's own. A slow one misses requests once [`BACKLOG_MAX`] wait for it, which is
//! counted; one that panics hears of the next request all the same. Neither harms delivery. The seed runs them while it
//! holds its flush lock, so a panic there ends the process.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::{batch::LogEvent, metrics};

/// Requests that wait for the handlers of one center, at most.
pub const BACKLOG_MAX: usize = 1_024;

/// The name of a handler; the first of a center is 1, none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandlerId(u64);

/// There is no such handler, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no log-event handler has the id {}; it may have been removed before", .0.0)]
pub struct UnknownHandler(pub HandlerId);

type Handler = Arc<dyn Fn(&LogEvent) + Send + Sync>;

/// The handlers of one SDK key.
///
/// ```
/// use posthaste::notification::{UnknownHandler, center};
///
/// let id = center("larkspur").add_handler(|request| println!("{}", request.end_point()));
/// center("larkspur").remove_handler(id)?;
/// assert_eq!(center("larkspur").remove_handler(id), Err(UnknownHandler(id)));
/// # Ok::<(), UnknownHandler>(())
/// ```
pub struct Center(Arc<Inner>);

#[derive(Default)]
struct Inner {
    handlers: Mutex<Handlers>,
    /// How many handlers there are: a request without any costs one look here.
    count: AtomicUsize,
    backlog: OnceLock<Option<Sender<LogEvent>>>,
}

#[derive(Default)]
struct Handlers {
    last_id: u64,
    handlers: Vec<(HandlerId, Handler)>,
}

/// The center of this SDK key; made at the first call for it. `""` is a key like any other.
///
/// ```
/// use std::sync::Arc;
/// use posthaste::notification::center;
///
/// assert!(Arc::ptr_eq(&center("larkspur"), &center("larkspur")));
/// assert!(!Arc::ptr_eq(&center("larkspur"), &center("")));
/// ```
pub fn center(sdk_key: &str) -> Arc<Center> {
    static CENTERS: LazyLock<Mutex<FxHashMap<String, Arc<Center>>>> = LazyLock::new(Mutex::default);
    let mut centers = CENTERS.lock();
    let new = || Arc::new(Center(Arc::default()));
    Arc::clone(centers.entry(sdk_key.to_owned()).or_insert_with(new))
}

impl Center {
    /// Adds a handler, called with each request before it goes out, retries included.
    pub fn add_handler(&self, handler: impl Fn(&LogEvent) + Send + Sync + 'static) -> HandlerId {
        let mut handlers = self.0.handlers.lock();
        handlers.last_id += 1;
        let id = HandlerId(handlers.last_id);
        handlers.handlers.push((id, Arc::new(handler)));
        self.0.count.store(handlers.handlers.len(), SeqCst);
        id
    }

    /// Ends a handler. A call that is under way goes on.
    pub fn remove_handler(&self, id: HandlerId) -> Result<(), UnknownHandler> {
        let mut handlers = self.0.handlers.lock();
        let before = handlers.handlers.len();
        handlers.handlers.retain(|(other, _)| *other != id);
        self.0.count.store(handlers.handlers.len(), SeqCst);
        if handlers.handlers.len() == before { Err(UnknownHandler(id)) } else { Ok(()) }
    }

    /// Lets the handlers know of a request, without waiting for them.
    pub(crate) fn send(&self, event: &LogEvent) {
        if self.0.count.load(SeqCst) == 0 {
            return;
        }
        let backlog = self.0.backlog.get_or_init(|| start(Arc::clone(&self.0)));
        let sent = backlog.as_ref().is_some_and(|backlog| backlog.try_send(event.clone()).is_ok());
        if !sent {
            ::metrics::counter!(metrics::NOTIFICATIONS_LOST).increment(1);
        }
    }
}

/// The thread that calls the handlers. It lives as long as the process, as its center does.
fn start(inner: Arc<Inner>) -> Option<Sender<LogEvent>> {
    let (sender, receiver) = crossbeam_channel::bounded::<LogEvent>(BACKLOG_MAX);
    let run = move || receiver.iter().for_each(|event| inner.call_handlers(&event));
    thread::Builder::new().name("posthaste-notify".to_owned()).spawn(run).ok().map(|_| sender)
}

impl Inner {
    /// Called without the lock, so that a handler may add and remove handlers.
    fn call_handlers(&self, event: &LogEvent) {
        let handlers: Vec<Handler> =
            self.handlers.lock().handlers.iter().map(|(_, handler)| Arc::clone(handler)).collect();
        for handler in handlers {
            if catch_unwind(AssertUnwindSafe(|| handler(event))).is_err() {
                ::metrics::counter!(metrics::NOTIFICATIONS_LOST).increment(1);
                tracing::error!("a log-event handler panicked; it hears of the next request all the same");
            }
        }
    }
}

impl std::fmt::Debug for Center {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Center").field("handlers", &self.0.count).finish_non_exhaustive()
    }
}
