//! What lies on disk, to the byte: frames, segments, the cursor, and the one walk over frames. Pure, but for reads.

pub(crate) mod cursor;
pub(crate) mod frame;
pub(crate) mod segment;
pub(crate) mod walk;

/// Copies `bytes` to `target[at..]`; both are of fixed size and fit.
pub(crate) fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    let place = target.get_mut(at..at + bytes.len());
    place.expect("fields lie within their page").copy_from_slice(bytes);
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
