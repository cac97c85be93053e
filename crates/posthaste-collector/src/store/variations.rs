//! Which variation each visitor was given first of each experiment, by numbers that stand for them: what
//! [`posthaste::judge::Visits`] remembers, in memory that is bounded in bytes.

use rustc_hash::FxHashMap;

/// Invariant: no more are followed than there is memory for; of later ones nothing is said.
#[derive(Debug)]
pub(super) struct Variations {
    first: FxHashMap<u64, First>,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct First {
    variation: u64,
    is_mixed: bool,
}

/// A visitor was given another variation than the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mixed {
    ForTheFirstTime,
    Again,
}

/// A place of the table, which may be half empty.
const PLACE_BYTES: usize = size_of::<(u64, First)>() + 1;

impl Variations {
    pub(super) fn within(bytes: usize) -> Self {
        // What the table grows to: a power of two of places, 7/8 of them used.
        let places = (bytes / PLACE_BYTES + 1).next_power_of_two() / 2;
        Self { first: FxHashMap::default(), most: places * 7 / 8 }
    }

    /// A visitor in an experiment, and the variation of it.
    pub(super) fn note(&mut self, place: u64, variation: u64) -> Option<Mixed> {
        let Some(first) = self.first.get_mut(&place) else {
            if self.first.len() < self.most {
                self.first.insert(place, First { variation, is_mixed: false });
            }
            return None;
        };
        let was_mixed = first.is_mixed;
        let is_other = first.variation != variation;
        first.is_mixed |= is_other;
        is_other.then_some(if was_mixed { Mixed::Again } else { Mixed::ForTheFirstTime })
    }

    pub(super) fn memory(&self) -> usize {
        self.first.capacity() * PLACE_BYTES * 8 / 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_variation_than_the_first_is_told_within_its_memory() {
        let mut variations = Variations::within(10_000);
        let notes =
            [(1, 5), (2, 6), (1, 5), (1, 6), (1, 7), (1, 5)].map(|(at, which)| variations.note(at, which));
        assert_eq!(notes, [None, None, None, Some(Mixed::ForTheFirstTime), Some(Mixed::Again), None]);
        for place in 10..10_000 {
            assert_eq!(variations.note(place, 1), None);
        }
        assert!(variations.memory() <= 10_000, "{}", variations.memory());
        assert_eq!(variations.note(9_999, 2), None, "of what did not fit nothing is said");
    }
}
