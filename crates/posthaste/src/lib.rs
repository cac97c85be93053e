//! Experiment events, from the code that makes them to the Optimizely Event API that counts them: none is lost without
//! saying so, and one that is sent again has the uuid and the time that it had, by which the API counts it once.
//!
//! # The journey of one event
//!
//! A program has a [`ProjectConfig`], read from a datafile, and a [`UserContext`]. [`ProjectConfig::impression`] or
//! [`ProjectConfig::conversion`] makes a [`UserEvent`] of them, which has its uuid and its timestamp from then on.
//! [`BatchEventProcessor::process_event`] puts it into a [`Queue`], or hands it back with a [`Refusal`]. The delivery
//! thread gathers events of equal [`Context`] into a [`Batch`], encodes it into a [`LogEvent`], and gives that to a
//! [`Dispatcher`]. [`verdict`](dispatch::verdict()) reads the answer:
//!
//! | answer | what happens |
//! |---|---|
//! | 2xx | delivered |
//! | none; 408, 425, 429, 5xx | sent again after a wait, for as long as it takes |
//! | 413 | sent again in halves; a single event becomes a [`DeadLetter`] |
//! | 400, 422 | halved until the bad event stands alone: it becomes a [`DeadLetter`], the others are delivered |
//! | 3xx, 401, 403, 404, 405, 410, other 4xx | the address or a credential is wrong: everything waits, loudly |
//!
//! At every moment [`Ledger::accepted`] is the sum of what was delivered, what was dead-lettered and what is queued.
//!
//! # Features
//!
//! - `http` (default): [`HttpEventDispatcher`].
//! - `spool`: [`SpoolQueue`], a queue on disk. It needs Linux, macOS or another Unix.
//! - `jetstream`: [`JetStreamQueue`], a queue in a stream of NATS servers, for several processes.
//! - `test-util`: [`testing`], doubles for tests of programs that use posthaste.
//!
//! Without `spool` it compiles for Windows too. The oldest compiler that takes it is Rust 1.91.

// In the order in which an event meets them.
pub mod project;

pub mod event;

pub mod batch;

pub mod queue;

pub mod processor;

mod delivery;

pub mod dispatch;

pub mod outcome;

pub mod judge;
pub mod notification;

pub mod clock;
pub mod metrics;
mod sync;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod text;
mod threads;
mod words;

pub use batch::{
    Batch, Decision, DecisionMetadata, DecodeError, LogEvent, RawBatch, Snapshot, SnapshotEvent, Visitor,
    VisitorAttribute,
};
pub use clock::{Clock, SystemClock};
pub use delivery::{
    DEFAULT_BATCH_SIZE, DEFAULT_EVENT_FLUSH_INTERVAL, Driver, OptionsError, Pending, WhenDeadLettersFull,
    WhenFull,
};
pub use dispatch::Dispatcher;
#[cfg(feature = "http")]
pub use dispatch::{HttpEventDispatcher, Strict};
pub use event::{
    ConversionError, ConversionEvent, EventKind, EventUuid, ImpressionError, ImpressionEvent, NO_TAGS,
    UserEvent, create_conversion_user_event, create_event_context, create_impression_user_event,
};
pub use outcome::{CloseReport, DeadLetter, DeadReason, FlushReport, Health, Ledger, Refusal};
pub use processor::{
    BatchEventProcessor, BatchEventProcessorBuilder, DEFAULT_EVENT_QUEUE_SIZE, Processor,
    QueueEventDispatcher,
};
pub use project::{
    Attribute, Context, DatafileError, Event, Experiment, ExperimentKeyError, ProjectConfig, Region,
    UserContext, Variation,
};
#[cfg(feature = "jetstream")]
pub use queue::JetStreamQueue;
#[cfg(feature = "spool")]
pub use queue::SpoolQueue;
pub use queue::{ChanQueue, InMemoryQueue, Queue, Receipt, Refused};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
