//! Items that were added lately, still in memory: they are delivered from here, not read back and decoded again.
//!
//! Bounded in bytes, except for what is not on disk yet, which the spool bounds. What is on disk may always be let go
//! of.

use std::{collections::VecDeque, ops::Range};

use crate::queue::Leased;

/// Bytes of records whose items are kept although they are on disk.
const BYTES_MAX: usize = 16 << 20;

pub(super) struct Fresh<T> {
    /// In the order of their numbers.
    items: VecDeque<Kept<T>>,
    bytes: usize,
}

struct Kept<T> {
    sequence: u64,
    item: T,
    bytes: usize,
    /// Whether it is in the queue yet.
    is_visible: bool,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Fresh<T> {
    pub(super) fn push(&mut self, sequence: u64, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back(Kept { sequence, item, bytes, is_visible: true });
    }

    /// Items that will be in the queue once they are stored.
    pub(super) fn push_hidden(&mut self, first: u64, items: Vec<T>) {
        // They are forgotten as soon as they have been leased; what they take until then, their producer bounds.
        let hidden = |(sequence, item)| Kept { sequence, item, bytes: 0, is_visible: false };
        self.items.extend((first..).zip(items).map(hidden));
    }

    pub(super) fn reveal(&mut self, sequences: Range<u64>) {
        let from = self.at(sequences.start);
        let items = self.items.range_mut(from..).take_while(|item| item.sequence < sequences.end);
        items.for_each(|item| item.is_visible = true);
    }

    /// The number of the oldest.
    pub(super) fn first(&self) -> Option<u64> {
        self.items.front().map(|item| item.sequence)
    }

    /// The number of the oldest that is not in the queue yet.
    pub(super) fn first_hidden(&self) -> Option<u64> {
        self.items.iter().find(|item| !item.is_visible).map(|item| item.sequence)
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// Lets go of what is on disk (below `stored`) and has been leased (below `next`), or is too much.
    pub(super) fn forget(&mut self, stored: u64, next: u64) {
        while let Some(front) = self.items.front()
            && front.sequence < stored
            && (front.sequence < next || self.is_large())
        {
            self.bytes -= front.bytes;
            self.items.pop_front();
        }
        if self.items.is_empty() {
            self.items.shrink_to(1_024);
        }
    }

    /// Items from a number on, up to one that is not in the queue yet.
    pub(super) fn from(&self, sequence: u64) -> impl Iterator<Item = (u64, &T)> {
        let items = self.items.range(self.at(sequence)..).take_while(|item| item.is_visible);
        items.map(|item| (item.sequence, &item.item))
    }

    /// Takes the items of these numbers out, in order.
    pub(super) fn take(&mut self, sequences: &[u64]) -> Vec<Leased<T>> {
        let (mut taken, mut wanted) = (Vec::new(), sequences.iter().peekable());
        for item in std::mem::take(&mut self.items) {
            while wanted.next_if(|sequence| **sequence < item.sequence).is_some() {}
            if wanted.next_if(|sequence| **sequence == item.sequence).is_some() {
                self.bytes -= item.bytes;
                taken.push(Leased::new(item.sequence, item.item));
            } else {
                self.items.push_back(item);
            }
        }
        taken
    }

    fn at(&self, sequence: u64) -> usize {
        self.items.partition_point(|item| item.sequence < sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(bytes: [usize; 4]) -> Fresh<char> {
        let mut fresh = Fresh::default();
        (1..)
            .zip(['a', 'b', 'c', 'd'])
            .zip(bytes)
            .for_each(|((at, item), bytes)| fresh.push(at, item, bytes));
        fresh
    }

    fn items(fresh: &Fresh<char>) -> String {
        fresh.from(0).map(|(_, item)| item).collect()
    }

    #[test]
    fn what_is_on_disk_goes_once_it_is_leased_or_too_much() {
        let mut small = fresh([1; 4]);
        small.forget(4, 3);
        assert_eq!((items(&small).as_str(), small.first()), ("cd", Some(3)));
        let mut large = fresh([BYTES_MAX; 4]);
        assert!(large.is_large() && !small.is_large());
        large.forget(3, 0);
        assert_eq!(items(&large), "cd", "what is not on disk is kept, however much it is");
        large.forget(5, 0);
        assert_eq!((items(&large).as_str(), large.is_large()), ("d", false));
    }

    #[test]
    fn those_that_are_asked_for_are_taken_out_and_no_others() {
        let mut fresh = fresh([5, 6, 7, 8]);
        // The first and the last are no longer there.
        assert_eq!(fresh.take(&[0, 2, 4, 9]), [Leased::new(2, 'b'), Leased::new(4, 'd')]);
        assert_eq!((items(&fresh).as_str(), fresh.bytes), ("ac", 12));
    }

    #[test]
    fn hidden_items_show_once_they_are_revealed() {
        let mut fresh = fresh([1; 4]);
        fresh.push_hidden(5, vec!['e', 'f', 'g']);
        assert_eq!((items(&fresh).as_str(), fresh.first_hidden()), ("abcd", Some(5)));
        fresh.reveal(5..7);
        assert_eq!((items(&fresh).as_str(), fresh.first_hidden()), ("abcdef", Some(7)));
    }
}
