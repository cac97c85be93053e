//! Writes down what this process counts, for as long as it lives.

use std::{fmt, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::note::{ProcessCounts, ProcessNote};
use crate::{
    clock::{Clock as _, SystemClock},
    queue::jetstream::{error::JetStreamError, ids, stream::JetStream},
};

/// Between two notes. With the time that writing takes, none is older than a second while the stream is there.
const EVERY: Duration = Duration::from_millis(500);
/// How long a note may take, the last word too.
const WITHIN: Duration = Duration::from_secs(2);

/// Keeps this process's counts in the stream's ledger, at most a second old while the stream can be used. Dropped without
/// [`close`](Self::close), it leaves no last word: to the ledger, the process was killed.
///
/// ```no_run
/// use std::sync::Arc;
/// use posthaste::queue::jetstream::{JetStream, JetStreamOptions, Keeper, ProcessCounts, Role};
/// use posthaste::{HttpEventDispatcher, QueueEventDispatcher};
///
/// let stream = JetStream::open(JetStreamOptions::at("nats://127.0.0.1/events")?.replicas(1))?;
/// let queue = stream.queue("shop", Role::Deliver)?;
/// let dispatcher = Arc::new(QueueEventDispatcher::builder(HttpEventDispatcher::new()?).queue(queue).build()?);
/// let seen = Arc::clone(&dispatcher);
/// let keeper = Keeper::start(&stream, "sender", "deliver", move || {
///     let ledger = seen.ledger();
///     ProcessCounts { delivered: ledger.delivered, buried: ledger.dead_lettered, ..ProcessCounts::default() }
/// })?;
/// dispatcher.close(std::time::Duration::from_secs(10)).wait();
/// keeper.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    stream: JetStream,
    key: String,
    counts: Box<dyn Fn() -> ProcessCounts + Send + Sync>,
    note: Mutex<ProcessNote>,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Keeper {
    /// Starts to write. `name` says what the process is, `role` what it does; `counts` is asked for each note.
    pub fn start(
        stream: &JetStream,
        name: &str,
        role: &str,
        counts: impl Fn() -> ProcessCounts + Send + Sync + 'static,
    ) -> Result<Self, JetStreamError> {
        let shared = Arc::new(Shared {
            stream: stream.clone(),
            key: ProcessNote::key(&ids::random()),
            counts: Box::new(counts),
            note: Mutex::new(ProcessNote::new(name, role, host(), SystemClock.now_ms())),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        });
        let keeping = Arc::clone(&shared);
        let thread = thread::Builder::new().name("posthaste-ledger".to_owned());
        let thread = thread.spawn(move || keeping.keep());
        let thread = thread.map_err(|error| JetStreamError::Thread(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Writes the last word: nothing is counted after this call. False: the stream could not be told in time, and the
    /// ledger takes this process for one that was killed.
    pub fn close(mut self) -> bool {
        self.stop();
        self.shared.note.lock().has_ended = true;
        let written = self.shared.write();
        if let Err(error) = &written {
            tracing::warn!(%error, "the ledger's last word could not be written; it will take this process for killed");
        }
        written.is_ok()
    }

    fn stop(&mut self) {
        *self.shared.is_over.lock() = true;
        self.shared.over.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing left to stop.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn keep(&self) {
        loop {
            if let Err(error) = self.write() {
                tracing::debug!(%error, "counts were not written down; trying again");
            }
            let mut is_over = self.is_over.lock();
            if !*is_over {
                self.over.wait_for(&mut is_over, EVERY);
            }
            if *is_over {
                return;
            }
        }
    }

    /// The counts are taken here, and written before any are taken again.
    fn write(&self) -> Result<(), JetStreamError> {
        let mut note = self.note.lock();
        note.words += 1;
        note.written_ms = SystemClock.now_ms();
        note.counts = (self.counts)();
        note.traffic = self.stream.traffic();
        note.maybe_repeated = self.stream.maybe_repeated();
        self.stream.write_note_within(&self.key, note.bytes(), WITHIN)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("key", &self.shared.key).finish_non_exhaustive()
    }
}

/// What this machine is called.
pub(super) fn host() -> String {
    let said = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let said = said.or_else(|| std::env::var("HOSTNAME").ok()).map(|name| name.trim().to_owned());
    said.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
