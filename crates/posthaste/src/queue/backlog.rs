//! Which items of a queue wait behind newer ones: an outage, or an earlier process, has left them behind.
//!
//! Invariant: the ranges are in order, do not overlap, are not empty, and hold no number that is leased.

use std::{collections::VecDeque, ops::Range};

/// Numbers of items that have not been leased, below those of newer items that may have been.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<Range<u64>>);

impl Backlog {
    /// These join it, at its end.
    pub(super) fn join(&mut self, numbers: Range<u64>) {
        if numbers.is_empty() {
            return;
        }
        match self.0.back_mut().filter(|last| last.end == numbers.start) {
            Some(last) => last.end = numbers.end,
            None => self.0.push_back(numbers),
        }
    }

    /// The oldest of it, up to where newer items may have been leased.
    pub(super) fn front(&self) -> Option<Range<u64>> {
        self.0.front().cloned()
    }

    /// What may have been leased: the numbers between its ranges, and behind them up to `end`.
    #[cfg(any(test, feature = "spool"))]
    pub(super) fn between(&self, end: u64) -> Vec<Range<u64>> {
        let starts = self.0.iter().skip(1).map(|range| range.start).chain([end]);
        self.0.iter().zip(starts).map(|(range, next)| range.end..next).filter(|gap| !gap.is_empty()).collect()
    }

    /// Everything below this number is leased, or gone.
    pub(super) fn passed(&mut self, number: u64) {
        while let Some(front) = self.0.front_mut() {
            front.start = front.start.max(number);
            if !front.is_empty() {
                break;
            }
            self.0.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It is one with what is newer.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_oldest_first_and_over_what_is_leased() {
        let mut backlog = Backlog::default();
        backlog.join(3..3);
        assert!(backlog.is_empty());
        backlog.join(3..6);
        backlog.join(6..8);
        backlog.join(10..12);
        assert_eq!(backlog.front(), Some(3..8), "what touches is one");
        assert_eq!(backlog.between(12), Vec::from_iter(Some(8..10)));
        assert_eq!(backlog.between(15), [8..10, 12..15]);
        backlog.passed(5);
        assert_eq!(backlog.front(), Some(5..8));
        backlog.passed(8);
        assert_eq!(backlog.front(), Some(10..12));
        backlog.passed(20);
        assert!(backlog.is_empty() && backlog.front().is_none());
    }
}
