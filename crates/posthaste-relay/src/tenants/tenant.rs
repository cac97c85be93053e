//! One tenant: its queue, its delivery, and what it remembers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste::{
    Clock, DeadReason, HttpEventDispatcher, InMemoryQueue, LogEvent, OptionsError, QueueEventDispatcher,
    Receipt, Refusal, SpoolQueue, Strict, WhenDeadLettersFull, WhenFull as Full,
    dispatch::HttpSetupError,
    queue::{OpenError, SpoolOptions},
};

use super::{
    OpenSpool,
    folder::{self, FolderError},
    observed::{Answers, Observed},
};
use crate::{
    config::{Config, Store, TenantConfig, WhenFull},
    intake::Window,
    tail::Tail,
};

/// Bytes that a record may take beyond its body.
const RECORD_ROOM: usize = 64 << 10;
/// How long an upstream's address is used before it is looked up anew.
const ADDRESS_AGE_MAX: Duration = Duration::from_mins(1);
/// For how long a queue that has refused a request counts as one that takes none. Then it is worth another try.
const REFUSAL_COUNTS: Duration = Duration::from_secs(10);
/// Room on disk that each tenant's queue has ahead of need: an idle tenant's folder takes about a file more than that. In
/// a tenth of a second, which is more than the next file needs, no more comes.
const ROOM_AHEAD: u64 = 8 << 20;
/// Requests in memory at most; bytes bound them first.
const REQUESTS_MAX: usize = 10_000_000;

/// The time, for everybody.
pub(crate) type SharedClock = Arc<dyn Clock>;

/// Why tenants could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// One of them.
    #[error("tenant {name}: {why}")]
    One {
        /// The tenant.
        name: String,
        /// Why not.
        #[source]
        why: TenantTrouble,
    },
    /// The folder that all are in.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Why not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantTrouble {
    /// Its queue did not open.
    #[error(transparent)]
    Queue(#[from] OpenError),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Requests cannot be sent at all.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// The options do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
}

/// One tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    name: String,
    upstream: Arc<str>,
    dispatcher: QueueEventDispatcher,
    /// `None`: in memory.
    queue: Option<SpoolQueue<LogEvent>>,
    repeats: Arc<Window>,
    answers: Arc<Answers>,
    /// When its queue last refused a request, and why; none once it has taken another.
    refused: Mutex<Option<(Duration, &'static str)>>,
}

impl Tenant {
    pub(super) fn open(
        tenant: &TenantConfig,
        config: &Config,
        clock: &SharedClock,
        tail: &Arc<Tail>,
        open: &OpenSpool,
    ) -> Result<Self, TenantError> {
        Self::try_open(tenant, config, clock, tail, open)
            .map_err(|why| TenantError::One { name: tenant.name.clone(), why })
    }

    fn try_open(
        tenant: &TenantConfig,
        config: &Config,
        clock: &SharedClock,
        tail: &Arc<Tail>,
        open: &OpenSpool,
    ) -> Result<Self, TenantTrouble> {
        let forward = &config.forward;
        let upstream: Arc<str> = tenant.upstream.as_str().into();
        let strict = if forward.strict { Strict::On } else { Strict::Off };
        let http =
            HttpEventDispatcher::builder().strict(strict).connection_age_max(ADDRESS_AGE_MAX).build()?;
        let answers = Arc::new(Answers::default());
        let observed =
            Observed::new(http, &tenant.name, Arc::clone(&answers), Arc::clone(tail), Arc::clone(clock));
        let repeats = Arc::new(Window::new(config.repeats));
        let known = Arc::clone(&repeats);
        let mut builder = QueueEventDispatcher::builder(observed)
            .on_dead_letter(move |letter| known.forget(letter.item.body()))
            .event_end_point(Arc::clone(&upstream))
            .name(&tenant.name)
            .batch_size(forward.batch_events)
            .max_batch_bytes(forward.batch_bytes)
            .flush_interval(forward.wait)
            .in_flight(forward.in_flight)
            .window_bytes(forward.window_bytes)
            .retry_after_max(forward.retry_after_max)
            .drain_rate(forward.drain_rate)
            .age_max(config.outage.age_max)
            .dead_letters_age_max(config.dead_letters.age_max)
            .dead_letters_bytes_max(config.dead_letters.bytes_max)
            .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
            .when_full(match config.outage.when_full {
                WhenFull::RefuseNew => Full::Reject,
                WhenFull::DropOldest => Full::DropOldest,
            })
            .clock(Arc::clone(clock));
        let queue = match &config.store {
            Store::Memory { .. } => None,
            Store::Disk { folder, bytes_max } => {
                let spool = folder::prepare(folder, tenant)?;
                let options = SpoolOptions::default()
                    .size_bytes_max(*bytes_max)
                    .record_bytes_max(config.limits.unpacked_bytes_max + RECORD_ROOM)
                    .room_ahead_max(ROOM_AHEAD)
                    .dead_bytes_max(config.dead_letters.bytes_max);
                Some(SpoolQueue::over(open(&spool, options)?))
            }
        };
        builder = match (&queue, &config.store) {
            (Some(queue), _) => builder.queue(queue.clone()),
            (None, Store::Memory { bytes_max }) => {
                builder.queue(InMemoryQueue::new(REQUESTS_MAX).bytes_max(*bytes_max))
            }
            (None, Store::Disk { .. }) => builder,
        };
        Ok(Self {
            name: tenant.name.clone(),
            upstream,
            dispatcher: builder.build()?,
            queue,
            repeats,
            answers,
            refused: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its events go.
    pub(crate) fn upstream(&self) -> &Arc<str> {
        &self.upstream
    }

    pub(crate) fn dispatcher(&self) -> &QueueEventDispatcher {
        &self.dispatcher
    }

    /// Its queue on disk, if it is there.
    pub(crate) fn queue(&self) -> Option<&SpoolQueue<LogEvent>> {
        self.queue.as_ref()
    }

    /// What its upstream has answered.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Its queue has refused a request, for a reason of this name.
    pub(crate) fn has_refused(&self, why: &'static str, now: Duration) {
        *self.refused.lock() = Some((now, why));
    }

    /// Its queue has taken a request.
    pub(crate) fn has_taken(&self) {
        *self.refused.lock() = None;
    }

    /// Why its queue refused the last request that came, where that was lately.
    pub(crate) fn refuses(&self, now: Duration) -> Option<&'static str> {
        let refused = *self.refused.lock();
        refused.filter(|(at, _)| now < at.saturating_add(REFUSAL_COUNTS)).map(|(_, why)| why)
    }

    pub(crate) fn repeats(&self) -> &Window {
        &self.repeats
    }

    /// Keeps what nobody can use.
    pub(crate) fn bury(&self, body: Bytes, why: String, now_ms: i64) -> Result<Receipt, Refusal> {
        let letter = LogEvent::opaque(Arc::clone(&self.upstream), body).with_taken_ms(now_ms);
        self.dispatcher.bury(letter, DeadReason::Unusable, why).map_err(|refused| refused.reason)
    }
}
