//! Which variation each visitor was given first of each experiment, by numbers that stand for them: what
//! [`posthaste::judge::Visits`] remembers, in memory that is bounded in bytes.

use rustc_hash::FxHashMap;

use super::table;

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

impl Variations {
    pub(super) fn within(bytes: usize) -> Self {
        Self { first: FxHashMap::default(), most: table::most_within::<u64, First>(bytes) }
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
        table::memory(&self.first)
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
