//! How many bytes the items take that are leased and have not ended: bounds memory over a queue that is larger than it.
//!
//! Invariant: where there is a bound, every lease that lasts is counted once; where there is none, nothing is counted.

use rustc_hash::FxHashMap;

/// Bytes of what is leased.
#[derive(Debug)]
pub(super) struct Held {
    bytes_max: usize,
    bytes: usize,
    /// By the sequence of the lease.
    by_lease: FxHashMap<u64, usize>,
}

impl Held {
    /// `usize::MAX`: no bound.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, by_lease: FxHashMap::default() }
    }

    /// The lease of this sequence has begun.
    pub(super) fn begin(&mut self, sequence: u64, bytes: usize) {
        if self.bytes_max != usize::MAX {
            self.bytes = self.bytes.saturating_add(bytes);
            self.by_lease.insert(sequence, bytes);
        }
    }

    /// It has ended, or was lost.
    pub(super) fn end(&mut self, sequence: u64) {
        if let Some(bytes) = self.by_lease.remove(&sequence) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// How many bytes more may be leased. Where nothing is leased that is never 0: a large item could never go through.
    pub(super) fn left(&self) -> usize {
        let left = self.bytes_max.saturating_sub(self.bytes);
        if self.by_lease.is_empty() { left.max(1) } else { left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_takes_room_until_it_ends() {
        let mut held = Held::new(100);
        held.begin(0, 60);
        held.begin(1, 30);
        assert_eq!(held.left(), 10);
        held.end(0);
        held.end(0);
        held.end(7);
        assert_eq!(held.left(), 70);
        held.begin(2, 500);
        assert_eq!(held.left(), 0);
        held.end(1);
        assert_eq!(held.left(), 0);
        held.end(2);
        assert_eq!(held.left(), 100);
    }

    #[test]
    fn one_item_fits_whatever_the_bound_and_all_fit_without_one() {
        assert_eq!(Held::new(0).left(), 1);
        let mut unbounded = Held::new(usize::MAX);
        unbounded.begin(0, usize::MAX);
        assert_eq!(unbounded.left(), usize::MAX);
    }
}
