//! What the machine has taken from the queue and not ended: numbered in the order in which it was taken.
//!
//! Invariants: `open` is the number of leases that have not ended. An item that was split has one lease and several
//! parts; the lease ends with its last part. A lease that the queue has taken back ends, and nothing is counted.

use rustc_hash::{FxHashMap, FxHashSet};

use super::line::{Line, Lines};
use crate::outcome::DeadReason;

/// Where an item came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    place: Place,
    id: u64,
}

/// A line, and the machine's own count of leases in it: 0 is the first that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) line: Line,
    pub(super) sequence: u64,
}

impl Lease {
    pub(super) fn place(self) -> Place {
        self.place
    }

    /// The machine's own count of leases in its line: 0 is the first that it took.
    pub(super) fn sequence(self) -> u64 {
        self.place.sequence
    }

    /// Whether it is of a backlog that has begun when this was the next new lease.
    pub(super) fn is_before(self, next: u64) -> bool {
        self.place.line == Line::Backlog || self.place.sequence < next
    }

    /// The queue's name for it.
    pub(super) fn id(self) -> u64 {
        self.id
    }
}

/// The leases that last.
#[derive(Debug, Default)]
pub(super) struct Leases {
    next: Lines,
    open: usize,
    /// Those of them that are of the backlog.
    open_paced: usize,
    /// New leases below this are of the backlog too.
    paced_before: u64,
    /// Leases that end in more than one part, and how far they are.
    splits: FxHashMap<Place, Split>,
    /// By the queue's ids, where the queue can take them back.
    by_id: Option<FxHashMap<u64, Lease>>,
    /// Taken back by the queue, and still in some request.
    lost: FxHashSet<Place>,
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

    /// The sequence that the next lease of each line gets.
    pub(super) fn next(&self) -> Lines {
        self.next
    }

    /// Leases that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Those of them that are of the backlog.
    pub(super) fn open_paced(&self) -> usize {
        self.open_paced
    }

    /// Whether a lease is of the backlog.
    pub(super) fn is_paced(&self, lease: Lease) -> bool {
        lease.is_before(self.paced_before)
    }

    /// New leases below this are of the backlog; all that have begun are.
    pub(super) fn pace_before(&mut self, sequence: u64) {
        self.paced_before = sequence;
        self.open_paced = self.open;
    }

    /// New leases are from here on new.
    pub(super) fn pace_no_more(&mut self) {
        self.paced_before = self.next.new;
    }

    #[cfg(test)]
    pub(super) fn begin(&mut self, id: u64) -> Lease {
        self.begin_in(Line::New, id)
    }

    /// One more.
    pub(super) fn begin_in(&mut self, line: Line, id: u64) -> Lease {
        let next = self.next.of_mut(line);
        let lease = Lease { place: Place { line, sequence: *next }, id };
        *next += 1;
        self.open += 1;
        self.open_paced += usize::from(self.is_paced(lease));
        if let Some(by_id) = &mut self.by_id {
            by_id.insert(id, lease);
        }
        lease
    }

    fn ended(&mut self, lease: Lease) {
        self.open -= 1;
        self.open_paced -= usize::from(self.is_paced(lease));
    }

    /// Its item is now in one part more.
    pub(super) fn split(&mut self, lease: Lease) {
        let new = || Split { left: 1, ended: Vec::new() };
        self.splits.entry(lease.place).or_insert_with(new).left += 1;
    }

    /// Whether its item is in several parts.
    pub(super) fn is_split(&self, lease: Lease) -> bool {
        self.splits.contains_key(&lease.place)
    }

    /// A part with this many events has come to its end.
    pub(super) fn end_part(&mut self, lease: Lease, events: usize, fate: Fate) -> PartEnd {
        let is_lost = self.is_lost(lease);
        let was_split = self.is_split(lease);
        if let Some(split) = self.splits.get_mut(&lease.place) {
            split.left -= 1;
            split.ended.push((fate, events));
            if split.left > 0 {
                return if is_lost { PartEnd::Lost } else { PartEnd::OthersLeft };
            }
            self.splits.remove(&lease.place);
        }
        if is_lost {
            self.lost.remove(&lease.place);
            return PartEnd::Lost;
        }
        self.ended(lease);
        if let Some(by_id) = &mut self.by_id {
            by_id.remove(&lease.id);
        }
        PartEnd::Last { was_split }
    }

    /// The queue's ids of the leases that last, to be renewed.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.by_id.iter().flat_map(FxHashMap::keys).copied().collect()
    }

    /// The queue has taken this lease back. Returns its place, if it lasted, and what became of parts of its item:
    /// they will come again.
    pub(super) fn lose(&mut self, id: u64) -> Option<(Place, Vec<(Fate, usize)>)> {
        let lease = self.by_id.as_mut()?.remove(&id)?;
        self.lost.insert(lease.place);
        self.ended(lease);
        let ended = self.splits.get_mut(&lease.place).map(|split| std::mem::take(&mut split.ended));
        Some((lease.place, ended.unwrap_or_default()))
    }

    /// Whether some request may hold what the queue has taken back.
    pub(super) fn some_are_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether the queue has taken it back.
    pub(super) fn is_lost(&self, lease: Lease) -> bool {
        !self.lost.is_empty() && self.lost.contains(&lease.place)
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
        assert_eq!((leases.open(), leases.next()), (0, Lines { new: 2, backlog: 0 }));
    }

    #[test]
    fn what_has_begun_before_a_backlog_is_of_it_and_what_comes_later_is_not() {
        let mut leases = Leases::new(false);
        let old = leases.begin(1);
        assert!(!leases.is_paced(old));
        leases.pace_before(leases.next().new);
        let (of_backlog, new) = (leases.begin_in(Line::Backlog, 2), leases.begin(3));
        assert_eq!([old, of_backlog, new].map(|lease| leases.is_paced(lease)), [true, true, false]);
        assert_eq!((leases.open(), leases.open_paced()), (3, 2));
        for lease in [old, of_backlog, new] {
            leases.end_part(lease, 1, Fate::Delivered);
        }
        assert_eq!((leases.open(), leases.open_paced()), (0, 0));
    }

    #[test]
    fn where_the_queue_has_one_line_everything_is_of_the_backlog_until_that_is_over() {
        let mut leases = Leases::new(true);
        leases.pace_before(u64::MAX);
        let old = leases.begin(1);
        leases.pace_no_more();
        let new = leases.begin(2);
        assert_eq!((leases.is_paced(old), leases.is_paced(new), leases.open_paced()), (true, false, 1));
        leases.lose(1);
        assert_eq!((leases.open(), leases.open_paced()), (1, 0));
    }

    #[test]
    fn what_the_queue_takes_back_ends_without_counting() {
        let mut leases = Leases::new(true);
        let (one, two) = (leases.begin(7), leases.begin(9));
        leases.split(one);
        leases.split(one);
        assert_eq!(leases.end_part(one, 4, REJECTED), PartEnd::OthersLeft);
        assert_eq!(leases.lose(7), Some((one.place(), vec![(REJECTED, 4)])));
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
