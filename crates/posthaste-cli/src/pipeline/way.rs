//! What the reader hands lines to: queues in memory, or one on disk; or a stream that nobody reads for.

use std::{sync::Arc, time::Duration};

use posthaste::{
    UserEvent,
    outcome::{Health, Trouble},
};

use super::{
    books::{Books, NotTaken},
    keep::Keep,
    memory::InMemory,
    spooled::Spooled,
    streamed::Streamed,
};
use crate::input::Position;

#[derive(Debug)]
pub(crate) enum Pipeline {
    Memory(InMemory),
    Spool(Box<Spooled>),
    /// Nothing is read.
    Stream(Box<Streamed>),
}

impl Pipeline {
    /// Hands an event over, waiting for room.
    pub(crate) fn add_event(&self, event: UserEvent) -> Result<(), NotTaken> {
        match self {
            Self::Memory(memory) => memory.add_event(event),
            Self::Spool(spooled) => spooled.add_event(&event),
            Self::Stream(_) => Err(NotTaken::Closed),
        }
    }

    /// Hands a request body over as it is, waiting for room.
    pub(crate) fn add_batch(&self, body: &str) -> Result<(), NotTaken> {
        match self {
            Self::Memory(memory) => memory.add_batch(body),
            Self::Spool(spooled) => spooled.add_batch(body),
            Self::Stream(_) => Err(NotTaken::Closed),
        }
    }

    /// Tells that a line has been dealt with, and where reading is now.
    pub(crate) fn line_done(&self, position: impl FnOnce() -> Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) | Self::Stream(_) => Ok(()),
            Self::Spool(spooled) => spooled.line_done(position),
        }
    }

    /// Tells that no line follows for now: what there is is stored, and sent without waiting for more.
    pub(crate) fn pause(&self, position: Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) | Self::Stream(_) => Ok(()),
            Self::Spool(spooled) => spooled.pause(position),
        }
    }

    /// Tells that no line follows, and waits until every one is as safe as it will be.
    pub(crate) fn reading_done(&self, position: Position) -> Result<(), NotTaken> {
        match self {
            Self::Memory(_) | Self::Stream(_) => Ok(()),
            Self::Spool(spooled) => spooled.reading_done(position),
        }
    }

    pub(crate) fn books(&self) -> Books {
        match self {
            Self::Memory(memory) => memory.books(),
            Self::Spool(spooled) => spooled.books(),
            Self::Stream(streamed) => streamed.books(),
        }
    }

    /// How each of its ways stands.
    pub(crate) fn health(&self) -> Vec<Health> {
        match self {
            Self::Memory(memory) => memory.health(),
            Self::Spool(spooled) => vec![spooled.health()],
            Self::Stream(streamed) => streamed.health(),
        }
    }

    /// Why the reader waits, where that takes longer than delivery does.
    pub(crate) fn room_wanted(&self) -> Option<String> {
        match self {
            Self::Memory(_) | Self::Stream(_) => None,
            Self::Spool(spooled) => spooled.room_wanted(),
        }
    }

    /// Events of all that has been read of the input, by earlier runs too.
    pub(crate) fn events_of_input(&self) -> u64 {
        match self {
            Self::Memory(memory) => memory.books().total.accepted,
            Self::Spool(spooled) => spooled.events_of_input(),
            Self::Stream(streamed) => streamed.books().total.accepted,
        }
    }

    /// Delivers everything that has been taken, within this time.
    pub(crate) async fn flush(&self, within: Duration) {
        match self {
            Self::Memory(memory) => memory.flush(within).await,
            Self::Spool(spooled) => spooled.flush(within).await,
            Self::Stream(streamed) => streamed.flush(within).await,
        }
    }

    /// Takes nothing more from now on; the future delivers what there is, within this time, and says why something is
    /// left.
    pub(crate) fn close(&self, within: Duration) -> std::pin::Pin<Box<dyn Future<Output = Vec<Trouble>>>> {
        match self {
            Self::Memory(memory) => Box::pin(memory.close(within)),
            Self::Spool(spooled) => Box::pin(spooled.close(within)),
            Self::Stream(streamed) => Box::pin(streamed.close(within)),
        }
    }

    /// Writes what is left in the queues, in the form that `send` reads.
    pub(crate) fn keep_leftover(&self, keep: &Keep) {
        match self {
            Self::Memory(memory) => memory.keep_leftover(keep),
            Self::Spool(_) | Self::Stream(_) => {}
        }
    }

    /// Called once what is left has been reported: dropping it would deliver and warn once more.
    pub(crate) fn forget(self: &Arc<Self>) {
        std::mem::forget(Arc::clone(self));
    }
}
