//! Bodies that have been answered lend their memory to those that are written next.
//!
//! A body is the largest piece of memory that a request takes, and is written and let go by one thread. Taken from the
//! allocator and given back for each request, it costs as much as several of its events. Invariant: a thread keeps no more
//! than [`SPARE_MAX`] of them, and none above [`BYTES_MAX`].

use std::cell::RefCell;

use bytes::Bytes;

/// What is written next mostly fits into what was let go last.
const SPARE_MAX: usize = 8;
/// Larger ones are rare, and would be kept for nothing.
const BYTES_MAX: usize = 512 * 1_024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Memory for a body of about so many bytes.
pub(crate) fn take(bytes: usize) -> Vec<u8> {
    // A thread that is ending has none left.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop_if(|spare| spare.capacity() >= bytes));
    spare.ok().flatten().unwrap_or_else(|| Vec::with_capacity(bytes))
}

/// Keeps the memory of a body that nobody else has.
pub(crate) fn give(body: Bytes) {
    let Ok(body) = body.try_into_mut() else { return };
    let mut body = Vec::from(body);
    if body.capacity() <= BYTES_MAX {
        body.clear();
        // Where there is no place any more, it is freed.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() >= SPARE_MAX {
                spare.remove(0);
            }
            spare.push(body);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_lent_once_nobody_else_has_it() {
        let body = Bytes::from(take(1_000));
        let other = body.clone();
        let at = Bytes::from(vec![1; 2_000]);
        let place = at.as_ptr();
        give(at);
        give(body);
        drop(other);
        let again = take(1_500);
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (place, 0, 2_000));
        let another = take(1_500);
        assert_ne!(another.as_ptr(), place);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        give(Bytes::from(vec![1; BYTES_MAX + 1]));
        for _ in 0..2 * SPARE_MAX {
            give(Bytes::from(vec![1; 10]));
        }
        assert_eq!(
            SPARE.with_borrow(|spare| (spare.len(), spare.iter().all(Vec::is_empty))),
            (SPARE_MAX, true)
        );
    }
}
