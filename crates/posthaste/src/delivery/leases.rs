//! What the machine has taken from the queue and not ended: numbered in the order in which it was taken.
//!
//! Invariants: `open` is the number of leases that have not ended. An item that was split has one lease and several
//! parts; the lease ends with its last part. A lease that the queue has taken back ends, and nothing is counted.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::outcome::DeadReason;

/// Where an item came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    sequence: u64,
    id: u64,
}

impl Lease {
    /// The machine's own count of leases: 0 is the first that it took.
    pub(super) fn sequence(self) -> u64 {
        self.sequence
    }

    /// The queue's name for it.
    pub(super) fn id(self) -> u64 {
        self.id
    }
}

/// The leases that last.
#[derive(Debug, Default)]
pub(super) struct Leases {
    next_sequence: u64,
    open: usize,
    /// Leases that end in more than one part, and how far they are.
    splits: FxHashMap<u64, Split>,
    /// By the queue's ids, where the queue can take them back.
    by_id: Option<FxHashMap<u64, u64>>,
    /// Taken back by the queue, and still in some request.
    lost: FxHashSet<u64>,
}

/// What became of a part of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Buried(DeadReason),
}

/// An item in several parts.
#[derive(Debug, Default)]
struct Split {
    left: usize,
    /// What became of the parts that have ended.
    ended: Vec<(Fate, usize)>,
}

/// What the end of a part means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartEnd {
    /// The lease has ended with it; other parts may have ended before.
    Last { was_split: bool },
    /// Other parts of its item are left.
    OthersLeft,
    /// The queue has taken the item back: whoever leases it next counts it.
    Lost,
}

impl Leases {
    /// `renewable`: whether the queue may take leases back.
    pub(super) fn new(renewable: bool) -> Self {
        Self { by_id: renewable.then(FxHashMap::default), ..Self::default() }
    }

    /// The sequence that the next lease gets.
    pub(super) fn next(&self) -> u64 {
        self.next_sequence
    }

    /// Leases that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// One more.
    pub(super) fn begin(&mut self, id: u64) -> Lease {
        let lease = Lease { sequence: self.next_sequence, id };
        self.next_sequence += 1;
        self.open += 1;
        if let Some(by_id) = &mut self.by_id {
            by_id.insert(id, lease.sequence);
        }
        lease
    }

    /// Its item is now in one part more.
    pub(super) fn split(&mut self, lease: Lease) {
        let new = || Split { left: 1, ended: Vec::new() };
        self.splits.entry(lease.sequence).or_insert_with(new).left += 1;
    }

    /// Whether its item is in several parts.
    pub(super) fn is_split(&self, lease: Lease) -> bool {
        self.splits.contains_key(&lease.sequence)
    }

    /// A part with this many events has come to its end.
    pub(super) fn end_part(&mut self, lease: Lease, events: usize, fate: Fate) -> PartEnd {
        let is_lost = self.is_lost(lease);
        let was_split = self.is_split(lease);
        if let Some(split) = self.splits.get_mut(&lease.sequence) {
            split.left -= 1;
            split.ended.push((fate, events));
            if split.left > 0 {
                return if is_lost { PartEnd::Lost } else { PartEnd::OthersLeft };
            }
            self.splits.remove(&lease.sequence);
        }
        if is_lost {
            self.lost.remove(&lease.sequence);
            return PartEnd::Lost;
        }
        self.open -= 1;
        if let Some(by_id) = &mut self.by_id {
            by_id.remove(&lease.id);
        }
        PartEnd::Last { was_split }
    }

    /// The queue's ids of the leases that last, to be renewed.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.by_id.iter().flat_map(FxHashMap::keys).copied().collect()
    }

    /// The queue has taken this lease back. Returns its sequence, if it lasted, and what became of parts of its item:
    /// they will come again.
    pub(super) fn lose(&mut self, id: u64) -> Option<(u64, Vec<(Fate, usize)>)> {
        let sequence = self.by_id.as_mut()?.remove(&id)?;
        self.lost.insert(sequence);
        self.open -= 1;
        let ended = self.splits.get_mut(&sequence).map(|split| std::mem::take(&mut split.ended));
        Some((sequence, ended.unwrap_or_default()))
    }

    /// Whether some request may hold what the queue has taken back.
    pub(super) fn some_are_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether the queue has taken it back.
    pub(super) fn is_lost(&self, lease: Lease) -> bool {
        !self.lost.is_empty() && self.lost.contains(&lease.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTED: Fate = Fate::Buried(DeadReason::Rejected);

    #[test]
    fn a_split_item_ends_with_its_last_part() {
        let mut leases = Leases::new(false);
        let (one, two) = (leases.begin(7), leases.begin(9));
        leases.split(two);
        leases.split(two);
        assert_eq!((leases.open(), leases.is_split(one), leases.is_split(two)), (2, false, true));
        assert_eq!(leases.end_part(two, 2, Fate::Delivered), PartEnd::OthersLeft);
        assert_eq!(leases.end_part(one, 1, Fate::Delivered), PartEnd::Last { was_split: false });
        assert_eq!(leases.end_part(two, 1, REJECTED), PartEnd::OthersLeft);
        assert_eq!(leases.end_part(two, 3, Fate::Delivered), PartEnd::Last { was_split: true });
        assert_eq!((leases.open(), leases.next()), (0, 2));
    }

    #[test]
    fn what_the_queue_takes_back_ends_without_counting() {
        let mut leases = Leases::new(true);
        let (one, two) = (leases.begin(7), leases.begin(9));
        leases.split(one);
        leases.split(one);
        assert_eq!(leases.end_part(one, 4, REJECTED), PartEnd::OthersLeft);
        assert_eq!(leases.lose(7), Some((0, vec![(REJECTED, 4)])));
        assert_eq!((leases.lose(7), leases.lose(8)), (None, None));
        assert_eq!((leases.open(), leases.is_lost(one), leases.is_lost(two)), (1, true, false));
        let ends = [(); 2].map(|()| leases.end_part(one, 1, Fate::Delivered));
        assert_eq!(ends, [PartEnd::Lost; 2]);
        assert_eq!(leases.ids(), [9]);
        // Leased again, under the same id.
        let again = leases.begin(7);
        assert!(!leases.is_lost(again));
        assert_eq!(leases.end_part(again, 1, Fate::Delivered), PartEnd::Last { was_split: false });
    }
}
