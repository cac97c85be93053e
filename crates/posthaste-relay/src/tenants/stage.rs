//! What a tenant's events pass through: one pipeline, or two where a bridge leads to a stream.
//!
//! ```text
//! here alone          queue on disk or in memory ─▶ upstream                                  Here
//! in a stream         spool ─▶ stream (Bridge)          stream ─▶ upstream                    Shared
//!   without a bridge  stream (nothing is on disk here)                                        Shared
//! ```
//!
//! Each is a [`QueueEventDispatcher`] with books of its own, which balance by themselves: an event that passes two of
//! them here is in the books of both.

use std::{path::Path, sync::Arc, time::Duration};

use posthaste::{
    HttpEventDispatcher, InMemoryQueue, Ledger, LogEvent, QueueEventDispatcher, SpoolQueue, Strict,
    WhenDeadLettersFull, WhenFull as Full,
    dispatch::{DispatchError, from_fn},
    processor::QueueEventDispatcherBuilder,
    queue::{JetStreamQueue, SpoolOptions},
};

use super::{
    OpenSpool, TenantTrouble, folder,
    observed::{Answers, Observed},
    tenant::SharedClock,
};
use crate::{
    config::{Config, Store, TenantConfig, WhenFull},
    intake::Window,
    stream::{Stream, ToStream},
    tail::Tail,
};

/// Bytes that a record may take beyond its body.
const RECORD_ROOM: usize = 64 << 10;
/// How long an upstream's address is used before it is looked up anew.
const ADDRESS_AGE_MAX: Duration = Duration::from_mins(1);
/// Room on disk that each tenant's queue has ahead of need: an idle tenant's folder takes about a file more than that. In
/// a tenth of a second, which is more than the next file needs, no more comes.
const ROOM_AHEAD: u64 = 8 << 20;
/// Requests in memory at most; bytes bound them first.
const REQUESTS_MAX: usize = 10_000_000;

/// What a pipeline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From the queue here to the upstream.
    Here,
    /// From the disk here into the stream.
    Bridge,
    /// Into the stream, out of it to the upstream, or both.
    Shared,
}

impl Kind {
    /// As metrics, pages and JSON name it; none where there is but one.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Here => None,
            Self::Bridge => Some("bridge"),
            Self::Shared => Some("stream"),
        }
    }
}

/// One pipeline of a tenant.
#[derive(Debug)]
pub(crate) struct Stage {
    kind: Kind,
    dispatcher: QueueEventDispatcher,
    /// Its queue on disk, if it has one.
    spool: Option<SpoolQueue<LogEvent>>,
    /// Its way into the stream and out of it, if it has one.
    stream: Option<JetStreamQueue>,
    answers: Arc<Answers>,
    delivers: bool,
}

impl Stage {
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn dispatcher(&self) -> &QueueEventDispatcher {
        &self.dispatcher
    }

    /// What has become of its events, as a reader of the relay's ledger understands it.
    pub(crate) fn ledger(&self) -> Ledger {
        self.as_seen(self.dispatcher.ledger())
    }

    /// To a bridge, an event is delivered once the stream has it: it is handed over then, and has reached no upstream.
    pub(crate) fn as_seen(&self, mut ledger: Ledger) -> Ledger {
        if self.kind == Kind::Bridge {
            ledger.handed_over += std::mem::take(&mut ledger.delivered);
        }
        ledger
    }

    pub(crate) fn spool(&self) -> Option<&SpoolQueue<LogEvent>> {
        self.spool.as_ref()
    }

    /// Its way into the stream and out of it, if it has one.
    pub(crate) fn stream(&self) -> Option<&JetStreamQueue> {
        self.stream.as_ref()
    }

    /// What the upstream that it sends to has answered.
    pub(crate) fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    /// Whether it sends to the tenant's upstream.
    pub(crate) fn delivers(&self) -> bool {
        self.delivers
    }
}

/// What a tenant's pipelines are made of.
pub(super) struct Makings<'a> {
    pub(super) tenant: &'a TenantConfig,
    pub(super) config: &'a Config,
    pub(super) clock: &'a SharedClock,
    pub(super) tail: &'a Arc<Tail>,
    pub(super) open: &'a OpenSpool,
    pub(super) stream: Option<&'a Stream>,
    pub(super) upstream: &'a Arc<str>,
    pub(super) repeats: &'a Arc<Window>,
}

impl Makings<'_> {
    /// Makes them, in the order in which events pass them.
    pub(super) fn stages(&self) -> Result<Vec<Stage>, TenantTrouble> {
        let Some(stream) = self.stream else { return Ok(vec![self.here()?]) };
        let mut stages = Vec::new();
        if self.config.keeps() {
            stages.push(self.bridge(stream)?);
        }
        if self.config.delivers() || stages.is_empty() {
            stages.push(self.shared(stream)?);
        }
        Ok(stages)
    }

    fn here(&self) -> Result<Stage, TenantTrouble> {
        let answers = Arc::new(Answers::default());
        let builder = self.to_upstream(&answers)?.drain_rate(self.config.forward.drain_rate);
        let (builder, spool) = self.queue(builder)?;
        let builder = self.with_letters(builder);
        Ok(Stage {
            kind: Kind::Here,
            dispatcher: builder.build()?,
            spool,
            stream: None,
            answers,
            delivers: true,
        })
    }

    /// Requests go into the stream one by one, as they came: so what goes again after a crash has the id that it had. The
    /// stream needs no pace; who delivers merges them.
    fn bridge(&self, stream: &Stream) -> Result<Stage, TenantTrouble> {
        let way = stream.queue(&self.tenant.name, true, false)?;
        let to_stream = ToStream::new(way.clone());
        let builder = self.builder(QueueEventDispatcher::builder(to_stream), "-bridge");
        let builder = builder.batch_size(1).in_flight(self.config.nats.publish_window);
        let (builder, spool) = self.queue(builder)?;
        let dispatcher = self.with_letters(builder).build()?;
        Ok(Stage {
            kind: Kind::Bridge,
            dispatcher,
            spool,
            stream: Some(way),
            answers: Arc::default(),
            delivers: false,
        })
    }

    /// Its dead letters are bounded by the stream that they are in, and shared: no relay forgets any for their number or
    /// age. Its backlog is in one line with what is new, and has no pace, or new events would have it too.
    fn shared(&self, stream: &Stream) -> Result<Stage, TenantTrouble> {
        let answers = Arc::new(Answers::default());
        let (accepts, delivers) = (self.config.accepts() && !self.config.keeps(), self.config.delivers());
        let builder = if delivers {
            self.to_upstream(&answers)?
        } else {
            self.builder(QueueEventDispatcher::builder(from_fn(|_| Err(to_nobody()))), "")
        };
        let queue = stream.queue(&self.tenant.name, accepts, delivers)?;
        // Nobody can make room in what all share.
        let dispatcher = builder.when_full(Full::Reject).queue(queue.clone()).build()?;
        Ok(Stage { kind: Kind::Shared, dispatcher, spool: None, stream: Some(queue), answers, delivers })
    }

    fn to_upstream(&self, answers: &Arc<Answers>) -> Result<QueueEventDispatcherBuilder, TenantTrouble> {
        let forward = &self.config.forward;
        let strict = if forward.strict { Strict::On } else { Strict::Off };
        let http =
            HttpEventDispatcher::builder().strict(strict).connection_age_max(ADDRESS_AGE_MAX).build()?;
        let observed = Observed::new(
            http,
            &self.tenant.name,
            Arc::clone(answers),
            Arc::clone(self.tail),
            Arc::clone(self.clock),
        );
        let builder = self.builder(QueueEventDispatcher::builder(observed), "");
        Ok(builder
            .event_end_point(Arc::clone(self.upstream))
            .batch_size(forward.batch_events)
            .flush_interval(forward.wait)
            .in_flight(forward.in_flight))
    }

    /// What is the same for all.
    fn builder(&self, builder: QueueEventDispatcherBuilder, name: &str) -> QueueEventDispatcherBuilder {
        let forward = &self.config.forward;
        let known = Arc::clone(self.repeats);
        builder
            .on_dead_letter(move |letter| known.forget(letter.item.body()))
            .name(format!("{}{name}", self.tenant.name))
            .max_batch_bytes(forward.batch_bytes)
            .window_bytes(forward.window_bytes)
            .retry_after_max(forward.retry_after_max)
            .age_max(self.config.outage.age_max)
            .when_full(match self.config.outage.when_full {
                WhenFull::RefuseNew => Full::Reject,
                WhenFull::DropOldest => Full::DropOldest,
            })
            .clock(Arc::clone(self.clock))
    }

    fn with_letters(&self, builder: QueueEventDispatcherBuilder) -> QueueEventDispatcherBuilder {
        builder
            .dead_letters_age_max(self.config.dead_letters.age_max)
            .dead_letters_bytes_max(self.config.dead_letters.bytes_max)
            .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
    }

    /// The queue that is here: on disk, or in memory.
    fn queue(
        &self,
        builder: QueueEventDispatcherBuilder,
    ) -> Result<(QueueEventDispatcherBuilder, Option<SpoolQueue<LogEvent>>), TenantTrouble> {
        match &self.config.store {
            Store::Memory { bytes_max } => {
                Ok((builder.queue(InMemoryQueue::new(REQUESTS_MAX).bytes_max(*bytes_max)), None))
            }
            Store::Disk { folder, bytes_max } => {
                let spool = self.open_spool(folder, *bytes_max)?;
                Ok((builder.queue(spool.clone()), Some(spool)))
            }
        }
    }

    fn open_spool(&self, folder: &Path, bytes_max: u64) -> Result<SpoolQueue<LogEvent>, TenantTrouble> {
        let spool = folder::prepare(folder, self.tenant)?;
        let options = SpoolOptions::default()
            .size_bytes_max(bytes_max)
            .record_bytes_max(self.config.limits.unpacked_bytes_max + RECORD_ROOM)
            .room_ahead_max(ROOM_AHEAD)
            .dead_bytes_max(self.config.dead_letters.bytes_max);
        Ok(SpoolQueue::over((self.open)(&spool, options)?))
    }
}

/// Nobody leases from a queue that only takes.
fn to_nobody() -> DispatchError {
    DispatchError::Connect("this relay delivers nothing".to_owned())
}
