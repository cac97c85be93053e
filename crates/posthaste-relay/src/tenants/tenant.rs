//! One tenant: its queue, its delivery, and what it remembers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste::{
    Clock, DeadReason, LogEvent, OptionsError, Receipt, Refusal,
    dispatch::HttpSetupError,
    queue::{
        JetStreamQueue, OpenError,
        jetstream::{JetStreamError, ProcessCounts},
    },
};

use super::{
    OpenSpool,
    folder::FolderError,
    stage::{Kind, Makings, Stage},
};
use crate::{
    config::{Config, TenantConfig},
    intake::Window,
    stream::Stream,
    tail::Tail,
};

/// For how long a queue that has refused a request counts as one that takes none. Then it is worth another try.
const REFUSAL_COUNTS: Duration = Duration::from_secs(10);

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
    /// The stream does not take its name.
    #[error(transparent)]
    Stream(#[from] JetStreamError),
    /// The options do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
}

/// One tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    name: String,
    upstream: Arc<str>,
    /// In the order in which events pass them. Never empty.
    stages: Vec<Stage>,
    repeats: Arc<Window>,
    /// When its queue last refused a request, and why; none once it has taken another.
    refused: Mutex<Option<(Duration, &'static str)>>,
}

impl Tenant {
    pub(super) fn open(
        tenant: &TenantConfig,
        config: &Config,
        clock: &SharedClock,
        tail: &Arc<Tail>,
        ways: (&OpenSpool, Option<&Stream>),
    ) -> Result<Self, TenantError> {
        Self::try_open(tenant, config, clock, tail, ways)
            .map_err(|why| TenantError::One { name: tenant.name.clone(), why })
    }

    fn try_open(
        tenant: &TenantConfig,
        config: &Config,
        clock: &SharedClock,
        tail: &Arc<Tail>,
        (open, stream): (&OpenSpool, Option<&Stream>),
    ) -> Result<Self, TenantTrouble> {
        let upstream: Arc<str> = match tenant.upstream.as_str() {
            // Who delivers knows where to; should nobody, this says whose it is.
            "" => format!("tenant:{}", tenant.name).into(),
            upstream => upstream.into(),
        };
        let repeats = Arc::new(Window::new(config.repeats));
        let makings =
            Makings { tenant, config, clock, tail, open, stream, upstream: &upstream, repeats: &repeats };
        let stages = makings.stages()?;
        Ok(Self { name: tenant.name.clone(), upstream, stages, repeats, refused: Mutex::default() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its events go.
    pub(crate) fn upstream(&self) -> &Arc<str> {
        &self.upstream
    }

    /// Its pipelines, in the order in which events pass them.
    pub(crate) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The pipeline that takes requests.
    pub(crate) fn intake(&self) -> &Stage {
        self.stages.first().expect("a tenant has at least one pipeline")
    }

    /// The pipeline that sends to the upstream, if that is done here.
    pub(crate) fn delivery(&self) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.delivers())
    }

    /// What its pipelines have counted, for the ledger of the stream that relays share.
    pub(crate) fn stream_counts(&self) -> ProcessCounts {
        let mut counts = ProcessCounts::default();
        for stage in self.stages() {
            let ledger = stage.dispatcher().ledger();
            let traffic = stage.stream().map(JetStreamQueue::traffic).unwrap_or_default();
            match stage.kind() {
                Kind::Here => {}
                Kind::Bridge => {
                    counts.buried += ledger.dead_lettered;
                    counts.accepted += ledger.accepted;
                    counts.waiting += ledger.queued;
                }
                Kind::Shared => {
                    counts.accepted += traffic.accepted;
                    counts.waiting += traffic.publishing;
                    counts.delivered += ledger.delivered;
                    // Not the pipeline's count: what it gave up at the end was never in the stream.
                    counts.buried += traffic.buried;
                }
            }
        }
        counts
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
        self.intake().dispatcher().bury(letter, DeadReason::Unusable, why).map_err(|refused| refused.reason)
    }
}
