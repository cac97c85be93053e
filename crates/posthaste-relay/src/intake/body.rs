//! Reads a body within bounds: of bytes, of time, and of bytes for all requests together.
//!
//! Room is taken as bytes come, not as they are announced: who announces much and sends nothing holds no room. What is
//! counted is what is allocated. So a body is copied out of the connection's buffer, however small it is: it would keep
//! the whole buffer for as long as it waits, on its way to the upstream too.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::future::poll_fn;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{answer::Reason, config::Limits};

/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;

/// What each body may take of all the room.
const SMALL_BYTES: usize = 64 << 10;

/// Room for all bodies that are being read, or wait for the disk.
///
/// What bodies have beyond their first 64 KiB leaves a quarter of it free: some large ones that come slowly, or never
/// end, do not keep out the small ones that SDKs send.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    all: Arc<Semaphore>,
    of_large: Arc<Semaphore>,
}

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
    /// Of that, what is beyond a small body's.
    taken_as_large: Option<OwnedSemaphorePermit>,
    /// Bytes that it is enough for.
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let all = limits.intake_bytes_max;
        // One of the largest always finds room.
        let largest = limits.body_bytes_max.saturating_add(limits.unpacked_bytes_max);
        let for_small = (all / 4).min(all.saturating_sub(largest));
        Self { all: units_of(all), of_large: units_of(all - for_small) }
    }

    /// Makes the room large enough for so many bytes.
    fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Reason> {
        if bytes <= room.bytes {
            return Ok(());
        }
        let bytes = bytes.next_multiple_of(UNIT);
        let beyond = |bytes: usize| bytes.saturating_sub(SMALL_BYTES);
        let as_large = take(&self.of_large, beyond(bytes) - beyond(room.bytes))?;
        let more = take(&self.all, bytes - room.bytes)?;
        merge(&mut room.taken, more);
        merge(&mut room.taken_as_large, as_large);
        room.bytes = bytes;
        Ok(())
    }
}

fn units_of(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS)))
}

/// Whole units.
fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Reason> {
    let units = u32::try_from(bytes / UNIT).map_err(|_| Reason::Busy)?;
    Arc::clone(room).try_acquire_many_owned(units).map_err(|_| Reason::Busy)
}

fn merge(taken: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match taken {
        Some(taken) => taken.merge(more),
        none => *none = Some(more),
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

    /// Room for what these bytes were repaired to, beside them; none is needed where they are the same.
    pub(crate) fn make_room_for(&mut self, repaired: &Bytes, budget: &Budget) -> Result<(), Reason> {
        if repaired.as_ptr() == self.bytes.as_ptr() {
            return Ok(());
        }
        budget.grow(&mut self.room, self.bytes.len() + repaired.len())
    }
}

/// Reads a body to its end.
pub(crate) async fn read<B>(body: B, limits: &Limits, budget: &Budget) -> Result<Held, Reason>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = body.size_hint();
    if announced.lower() > limits.body_bytes_max as u64 {
        return Err(Reason::BodyTooLarge);
    }
    let bytes_max = announced.upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes_max = bytes_max.unwrap_or(usize::MAX).min(limits.body_bytes_max);
    let reading = read_to_end(body, bytes_max, budget);
    tokio::time::timeout(limits.body_timeout, reading).await.unwrap_or(Err(Reason::BodyTooSlow))
}

async fn read_to_end<B>(mut body: B, bytes_max: usize, budget: &Budget) -> Result<Held, Reason>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut whole, mut room) = (Vec::new(), Room::default());
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else { return Err(Reason::BodyCutShort) };
        let piece = frame.into_data().unwrap_or_default();
        let length = whole.len() + piece.len();
        if length > bytes_max {
            return Err(Reason::BodyTooLarge);
        }
        if length > whole.capacity() {
            // By half as much again, so that not every piece moves those before it.
            let capacity = (whole.capacity() + whole.capacity() / 2).clamp(length, bytes_max);
            budget.grow(&mut room, capacity)?;
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&piece);
    }
    whole.shrink_to_fit();
    Ok(Held { bytes: whole.into(), room })
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn pieces(
        count: usize,
        bytes: usize,
    ) -> impl Body<Data = Bytes, Error = std::convert::Infallible> + Unpin {
        let piece = move |_| Ok(Frame::data(Bytes::from(vec![b'x'; bytes])));
        StreamBody::new(futures_util::stream::iter((0..count).map(piece)))
    }

    fn budget(intake_bytes_max: usize) -> Budget {
        Budget::new(&Limits { intake_bytes_max, ..Limits::default() })
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let limits = Limits {
            intake_bytes_max: 1 << 20,
            body_bytes_max: 9 << 10,
            unpacked_bytes_max: 9 << 10,
            ..Limits::default()
        };
        let budget = Budget::new(&limits);
        let mut large = Room::default();
        let mut bytes = 0;
        while budget.grow(&mut large, bytes + UNIT).is_ok() {
            bytes += UNIT;
        }
        assert_eq!(bytes, (768 << 10) + SMALL_BYTES);
        let mut small: Vec<Room> = Vec::new();
        loop {
            let mut room = Room::default();
            if budget.grow(&mut room, SMALL_BYTES).is_err() {
                break;
            }
            small.push(room);
        }
        assert_eq!(small.len(), 3);
        drop((large, small));
        assert_eq!((budget.all.available_permits(), budget.of_large.available_permits()), (1 << 10, 768));
    }

    #[test]
    fn one_of_the_largest_always_finds_room() {
        let limits = Limits::default();
        let largest = limits.body_bytes_max + limits.unpacked_bytes_max;
        for all in [largest, largest + 1, 2 * largest, limits.intake_bytes_max] {
            budget(all).grow(&mut Room::default(), largest).unwrap();
        }
    }

    #[tokio::test]
    async fn room_is_taken_for_what_is_allocated_and_given_back() {
        let (limits, budget) = (Limits::default(), budget(1 << 20));
        for (count, bytes) in [(0, 0), (1, 1), (1, 100_000), (700, 1_000), (9, 70_000)] {
            let held = read(pieces(count, bytes), &limits, &budget).await.unwrap();
            assert_eq!(held.bytes().len(), count * bytes);
            assert!(held.room.bytes >= count * bytes);
            let taken = (1 << 10) - budget.all.available_permits();
            assert_eq!(taken * UNIT, held.room.bytes);
            drop(held);
            assert_eq!(budget.all.available_permits(), 1 << 10);
        }
        assert_eq!(read(pieces(2_000, 1_000), &limits, &budget).await.unwrap_err(), Reason::Busy);
        let small = Limits { body_bytes_max: 5_000, ..limits };
        assert_eq!(read(pieces(6, 1_000), &small, &budget).await.unwrap_err(), Reason::BodyTooLarge);
        assert_eq!(budget.all.available_permits(), 1 << 10);
    }

    #[tokio::test]
    async fn a_small_body_does_not_keep_the_buffer_that_it_came_in() {
        let buffer = Bytes::from(vec![b'x'; 16 << 10]);
        let (limits, budget) = (Limits::default(), budget(1 << 20));
        let held = read(Full::new(buffer.slice(..100)), &limits, &budget).await.unwrap();
        assert!(buffer.is_unique(), "nobody else has a part of it");
        assert_eq!(held.bytes(), &buffer[..100]);
    }

    #[test]
    fn what_was_repaired_has_room_of_its_own() {
        let budget = budget(10 << 10);
        let mut held = Held { bytes: Bytes::from(vec![b'x'; 2_048]), room: Room::default() };
        budget.grow(&mut held.room, 2_048).unwrap();
        held.make_room_for(&held.bytes().clone(), &budget).unwrap();
        assert_eq!(held.room.bytes, 2_048);
        held.make_room_for(&Bytes::from(vec![b'y'; 4_096]), &budget).unwrap();
        assert_eq!(held.room.bytes, 6_144);
        assert_eq!(held.make_room_for(&Bytes::from(vec![b'y'; 9_000]), &budget), Err(Reason::Busy));
    }
}
