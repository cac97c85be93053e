//! What the reader hands lines to: queues in memory, or with `--spool` one on disk.
//!
//! ```text
//! memory   event ─▶ BatchEventProcessor, batch ─▶ QueueEventDispatcher: what is left at the end is in --leftover
//! --spool  both ─▶ one QueueEventDispatcher over a spool: what is left at the end stays there
//! ```

mod memory;
mod spooled;

use std::{sync::Arc, time::Duration};

use posthaste::{HttpEventDispatcher, Ledger, LogEvent, OptionsError, RawBatch, Refusal, Region, UserEvent};

pub(crate) use self::{
    memory::InMemory,
    spooled::{Limits, Spooled},
};
use super::{DeliveryArgs, keep::Keep};
use crate::{input::Position, lines::Fault};

/// Why a line could not be handed over.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// There is something wrong with it.
    Fault(Fault),
    /// Nothing is taken any more.
    Closed,
    /// The spool could not store it, nor lines before it that it was to be stored with.
    NotStored(Refusal),
}

#[derive(Debug)]
pub(crate) enum Pipeline {
    Memory(InMemory),
    Spool(Box<Spooled>),
}

/// What has become of events.
#[derive(Debug)]
pub(crate) struct Books {
    /// Of those of event lines, and of those of batches; a spool does not tell them apart.
    pub(crate) by_kind: Option<(Ledger, Ledger)>,
    /// Of all events that this run took or recovered.
    pub(crate) total: Ledger,
    /// Where the queue outlives a run: what only that brings.
    pub(crate) spooled: Option<SpooledBooks>,
}

/// What is counted of a spool besides.
#[derive(Debug)]
pub(crate) struct SpooledBooks {
    /// Events that an earlier run had left.
    pub(crate) recovered: u64,
    /// Records that were stored and are lost, and that nobody had counted before. They are among the dead-lettered.
    pub(crate) lost: u64,
    /// Records that this version cannot read, which are among the dead-lettered; and those that the disk would not hand
    /// out, which are left.
    pub(crate) unreadable: u64,
}

impl Pipeline {
    /// Hands an event over, waiting for room. `bytes` are those of its line.
    pub(crate) fn add_event(&self, event: UserEvent, bytes: usize) -> Result<(), NotTaken> {
        match self {
            Self::Memory(memory) => memory.add_event(event, bytes),
            Self::Spool(spooled) => spooled.add_event(&event),
        }
    }

    /// Hands a request body over as it is, waiting for room.
    pub(crate) fn add_batch(&self, body: &str) -> Result<(), NotTaken> {
        match self {
            Self::Memory(memory) => memory.add_batch(body),
            Self::Spool(spooled) => spooled.add_batch(body),
        }
    }

    /// Tells that a line has been dealt with, and where reading is now.
    pub(crate) fn line_done(&self, position: impl FnOnce() -> Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Spool(spooled) => spooled.line_done(position),
        }
    }

    /// Tells that no line follows for now: what there is is stored, and sent without waiting for more.
    pub(crate) fn pause(&self, position: Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Spool(spooled) => spooled.pause(position),
        }
    }

    /// Tells that no line follows, and waits until every one is as safe as it will be.
    pub(crate) fn reading_done(&self, position: Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Spool(spooled) => spooled.reading_done(position),
        }
    }

    pub(crate) fn books(&self) -> Books {
        match self {
            Self::Memory(memory) => memory.books(),
            Self::Spool(spooled) => spooled.books(),
        }
    }

    /// Delivers everything that has been taken, within this time.
    pub(crate) async fn flush(&self, within: Duration) {
        match self {
            Self::Memory(memory) => memory.flush(within).await,
            Self::Spool(spooled) => spooled.flush(within).await,
        }
    }

    /// Takes nothing more from now on; the future delivers what there is, within this time.
    pub(crate) fn close(&self, within: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        match self {
            Self::Memory(memory) => Box::pin(memory.close(within)),
            Self::Spool(spooled) => Box::pin(spooled.close(within)),
        }
    }

    /// Writes what is left in the queues, in the form that `send` reads.
    pub(crate) fn keep_leftover(&self, keep: &Keep) {
        match self {
            Self::Memory(memory) => memory.keep_leftover(keep),
            Self::Spool(_) => {}
        }
    }

    /// Called once what is left has been reported: dropping it has nothing to warn of then. Queues in memory are emptied;
    /// a spool, which has written everything down when it was closed, is left as it is.
    pub(crate) fn forget(self: &Arc<Self>) {
        match &**self {
            Self::Memory(memory) => memory.forget(),
            Self::Spool(_) => std::mem::forget(Arc::clone(self)),
        }
    }
}

fn http(args: &DeliveryArgs) -> Result<HttpEventDispatcher, OptionsError> {
    Ok(HttpEventDispatcher::builder()
        .strict(args.strict)
        .gzip(args.gzip)
        .request_timeout(args.request_timeout)
        .build()?)
}

/// As the batch says, or else this one.
fn region_of(batch: &RawBatch<'_>, default: Region) -> Region {
    let named = batch.field("region").and_then(|region| serde_json::from_str::<String>(region.get()).ok());
    named.and_then(|name| Region::parse(&name)).unwrap_or(default)
}

/// A batch line's body as a request, as it is. One without events is refused: no ledger would have it.
fn request(endpoint: Arc<str>, body: &str) -> Result<LogEvent, NotTaken> {
    let request = LogEvent::from_body(endpoint, bytes::Bytes::copy_from_slice(body.as_bytes()))
        .map_err(|error| NotTaken::Fault(Fault::NotABatch(error)))?;
    if request.events() == 0 { Err(NotTaken::Fault(Fault::NoEvents)) } else { Ok(request) }
}
