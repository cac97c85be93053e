//! Reads a body within bounds: of bytes, of time, and of bytes for all requests together.
//!
//! Room is taken as bytes come, not as they are announced: who announces much and sends nothing holds no room.

use std::{pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::future::poll_fn;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{answer::Reason, config::Limits};

/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;

/// Room for all bodies that are being read, or wait for the disk.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Bytes,
    room: Room,
}

/// Room that is taken until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room {
    taken: Option<OwnedSemaphorePermit>,
    /// Bytes that it is enough for.
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Makes the room large enough for so many bytes.
    fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Reason> {
        let Some(missing) = bytes.checked_sub(room.bytes).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let units = u32::try_from(missing.div_ceil(UNIT)).map_err(|_| Reason::Busy)?;
        let more = Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| Reason::Busy)?;
        room.bytes += missing.div_ceil(UNIT) * UNIT;
        match &mut room.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

impl Held {
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same room, made large enough, for what these bytes were unpacked to.
    pub(crate) fn replaced(mut self, bytes: Vec<u8>, budget: &Budget) -> Result<Self, Reason> {
        budget.grow(&mut self.room, self.bytes.len() + bytes.len())?;
        self.bytes = bytes.into();
        Ok(self)
    }
}

/// Reads a body to its end.
pub(crate) async fn read<B>(body: B, limits: &Limits, budget: &Budget) -> Result<Held, Reason>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limits.body_bytes_max as u64 {
        return Err(Reason::BodyTooLarge);
    }
    let reading = read_to_end(body, limits.body_bytes_max, budget);
    tokio::time::timeout(limits.body_timeout, reading).await.unwrap_or(Err(Reason::BodyTooSlow))
}

async fn read_to_end<B>(mut body: B, bytes_max: usize, budget: &Budget) -> Result<Held, Reason>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut whole, mut first, mut room) = (BytesMut::new(), Bytes::new(), Room::default());
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let piece = match frame {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return Err(Reason::BodyCutShort),
        };
        let length = whole.len() + first.len() + piece.len();
        if length > bytes_max {
            return Err(Reason::BodyTooLarge);
        }
        budget.grow(&mut room, length)?;
        if first.is_empty() && whole.is_empty() {
            // Most bodies come in one piece, which need not be copied.
            first = piece;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
    }
    let bytes = if whole.is_empty() { first } else { whole.freeze() };
    Ok(Held { bytes, room })
}
