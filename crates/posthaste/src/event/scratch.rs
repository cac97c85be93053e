//! A buffer that stays with its thread: an event is put together in it, and then copied into exactly as much memory as
//! it takes.

use std::cell::Cell;

/// How much of it stays allocated between events.
const BYTES_KEPT: usize = 16 << 10;

thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });

/// The thread's buffer, empty. Taken out of its place: whoever makes another event meanwhile gets one of its own. A
/// thread that is ending has none left, and gets a new one each time.
#[inline]
pub(super) fn take() -> Vec<u8> {
    BUFFER.try_with(Cell::take).unwrap_or_default()
}

/// Puts a buffer back in its place.
#[inline]
pub(super) fn put_back(mut buffer: Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(BYTES_KEPT);
    // Where there is no place any more, it is freed.
    BUFFER.try_with(|place| place.set(buffer)).unwrap_or_default();
}
