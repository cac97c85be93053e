//! Which records are settled: acknowledged, or known to be lost. Pure, no disk.
//!
//! Everything below `low` is settled; above it, settled ranges are kept until the gap below them closes. Ranges
//! neither touch nor overlap, so there are never more of them than unsettled records.

use std::{collections::BTreeMap, ops::Range};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acks {
    low: u64,
    /// Start to end, exclusive.
    above: BTreeMap<u64, u64>,
    above_count: u64,
}

impl Acks {
    pub(crate) fn new(low: u64) -> Self {
        Self { low, above: BTreeMap::new(), above_count: 0 }
    }

    /// The first sequence number that is not settled.
    pub(crate) fn low(&self) -> u64 {
        self.low
    }

    /// How many are settled above the first that is not.
    #[cfg(test)]
    fn above_count(&self) -> u64 {
        self.above_count
    }

    /// The settled ranges above `low`, oldest first.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.above.iter().map(|(start, end)| *start..*end)
    }

    /// How many ranges there are above `low`.
    pub(crate) fn ranges_count(&self) -> usize {
        self.above.len()
    }

    /// How many of these are not settled.
    pub(crate) fn unsettled_in(&self, range: Range<u64>) -> u64 {
        self.clone_around(&range).settle(range)
    }

    /// How many below this number are not settled, as long as nothing is settled from there on.
    pub(crate) fn unsettled_below(&self, end: u64) -> u64 {
        end.saturating_sub(self.low).saturating_sub(self.above_count)
    }

    /// Whether all of these are settled.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        if range.end <= self.low.max(range.start) {
            return true;
        }
        let start = range.start.max(self.low);
        self.above.range(..=start).next_back().is_some_and(|(_, end)| range.end <= *end)
    }

    /// What is settled in and beside a range, and nothing else.
    fn clone_around(&self, range: &Range<u64>) -> Self {
        let above = self.touching(range.start.max(self.low), range.end.max(self.low));
        Self { low: self.low, above: above.into_iter().collect(), above_count: self.above_count }
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        let before = || self.above.range(..=sequence).next_back();
        sequence < self.low || before().is_some_and(|(_, end)| sequence < *end)
    }

    /// Settles a range and says how many of it were not settled before.
    pub(crate) fn settle(&mut self, range: Range<u64>) -> u64 {
        let (mut start, mut end) = (range.start.max(self.low), range.end);
        if start >= end {
            return 0;
        }
        let mut new = end - start;
        let touching: Vec<_> = self.touching(start, end);
        for (from, to) in touching {
            self.above.remove(&from);
            self.above_count -= to - from;
            new -= to.min(end).saturating_sub(from.max(start));
            start = start.min(from);
            end = end.max(to);
        }
        if start == self.low {
            self.low = end;
        } else {
            self.above.insert(start, end);
            self.above_count += end - start;
        }
        new
    }

    fn touching(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let ranges = self.above.range(..=end).rev();
        ranges.take_while(|(_, to)| **to >= start).map(|(from, to)| (*from, *to)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_moves_once_the_gap_closes() {
        let mut acks = Acks::new(1);
        assert_eq!(acks.settle(3..5), 2);
        assert_eq!((acks.low(), acks.above_count()), (1, 2));
        assert_eq!(acks.settle(1..3), 2);
        assert_eq!((acks.low(), acks.above_count()), (5, 0));
    }

    #[test]
    fn settling_twice_counts_once() {
        let mut acks = Acks::new(10);
        assert_eq!(acks.settle(0..5), 0);
        assert_eq!(acks.settle(20..30), 10);
        assert_eq!(acks.settle(15..35), 10);
        assert_eq!(acks.settle(22..23), 0);
        assert!(acks.contains(9) && acks.contains(15) && acks.contains(34));
        assert!(!acks.contains(10) && !acks.contains(14) && !acks.contains(35));
    }

    #[test]
    fn random_ranges_agree_with_a_plain_set() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut acks = Acks::new(0);
        let mut plain = [false; 200];
        for _ in 0..300 {
            let start = rng.usize(..190);
            let end = start + rng.usize(..10);
            let new = plain[start..end].iter().filter(|settled| !**settled).count() as u64;
            plain[start..end].fill(true);
            assert_eq!(acks.settle(start as u64..end as u64), new);
            for (sequence, settled) in plain.iter().enumerate() {
                assert_eq!(acks.contains(sequence as u64), *settled);
            }
            let from = rng.usize(..190);
            let to = from + rng.usize(..10);
            let all = plain[from..to].iter().all(|settled| *settled);
            let range = from as u64..to as u64;
            assert_eq!((acks.covers(range.clone()), acks.unsettled_in(range) == 0), (all, all));
        }
    }
}
