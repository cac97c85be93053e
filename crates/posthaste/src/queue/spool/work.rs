//! How far leasing has come: what waits, in which of two lines, and what is to be read once more.
//!
//! ```text
//! ─ leased ─▶ [ backlog ] ─ leased ─▶ [ backlog ] ─ leased ─▶ [ new, …
//!                                                             next
//! ```

use std::{collections::VecDeque, ops::Range, sync::Arc};

use crate::{project::Context, queue::backlog::Backlog};

/// Who waits for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// What came after the backlog; everything where there is none.
    New,
    /// What an outage, or an earlier process, has left behind.
    Backlog,
}

#[derive(Debug)]
pub(super) struct Work {
    /// The first sequence number that is neither leased nor of the backlog.
    next: u64,
    backlog: Backlog,
    /// What has a lower number is the backlog's, while there is one.
    backlog_end: u64,
    pub(super) context: Option<Arc<Context>>,
    /// Records known to be lost.
    pub(super) lost: u64,
    /// Records that could not be read: tried again when nothing else is left.
    pub(super) again: VecDeque<Range<u64>>,
    /// Unreadable records whose letters the disk would not take: tried again when nothing else is left.
    pub(super) not_aside: Vec<u64>,
}

/// Which numbers may be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeasedTo {
    /// The first that waits.
    pub(super) first: u64,
    /// Of those behind it, these may be.
    pub(super) behind: Vec<Range<u64>>,
}

impl LeasedTo {
    pub(super) fn all_below(first: u64) -> Self {
        Self { first, behind: Vec::new() }
    }
}

impl Work {
    pub(super) fn new(next: u64, lost: u64) -> Self {
        Self {
            next,
            backlog: Backlog::default(),
            backlog_end: 0,
            context: None,
            lost,
            again: VecDeque::new(),
            not_aside: Vec::new(),
        }
    }

    /// What waits in this line, from its oldest on, up to where others have been leased.
    pub(super) fn waiting(&self, line: Line) -> Option<Range<u64>> {
        match line {
            Line::New => Some(self.next..u64::MAX),
            Line::Backlog => self.backlog.front(),
        }
    }

    /// What stands before this number in the line is leased, or gone.
    pub(super) fn passed(&mut self, line: Line, number: u64) {
        match line {
            Line::New => self.next = self.next.max(number),
            Line::Backlog => self.backlog.passed(number),
        }
    }

    pub(super) fn leased_to(&self) -> LeasedTo {
        match self.backlog.front() {
            Some(front) => LeasedTo { first: front.start, behind: self.backlog.between(self.next) },
            None => LeasedTo::all_below(self.next),
        }
    }

    /// Everything that waits and has a lower number is the backlog.
    pub(super) fn begin_backlog(&mut self, end: u64) {
        self.backlog.join(self.next..end);
        self.next = self.next.max(end);
        self.backlog_end = self.next;
    }

    /// Where what is newer begins; `None`: no backlog is left.
    pub(super) fn newer_than_backlog(&self) -> Option<u64> {
        let is_left = !self.backlog.is_empty() || self.again.iter().any(|range| self.is_of_backlog(range));
        is_left.then_some(self.next)
    }

    fn is_of_backlog(&self, range: &Range<u64>) -> bool {
        range.start < self.backlog_end
    }

    /// What is to be read once more for this line.
    pub(super) fn take_again(&mut self, line: Line) -> Vec<Range<u64>> {
        let again = std::mem::take(&mut self.again);
        let (of_backlog, new): (Vec<_>, Vec<_>) =
            again.into_iter().partition(|range| self.is_of_backlog(range));
        let (now, later) = if line == Line::Backlog { (of_backlog, new) } else { (new, of_backlog) };
        self.again = later.into();
        now
    }

    /// All leases have ended: everything from this number on waits, in one line.
    pub(super) fn release(&mut self, first: u64) {
        self.backlog.clear();
        (self.next, self.backlog_end) = (first, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(work: &mut Work, line: Line) -> Vec<(u64, u64)> {
        work.take_again(line).into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_second_backlog_stands_behind_the_first_and_what_was_leased_between_is_not_of_it() {
        let mut work = Work::new(3, 0);
        assert_eq!((work.waiting(Line::Backlog), work.newer_than_backlog()), (None, None));
        work.begin_backlog(8);
        assert_eq!((work.waiting(Line::Backlog), work.waiting(Line::New)), (Some(3..8), Some(8..u64::MAX)));
        work.passed(Line::Backlog, 5);
        work.passed(Line::New, 10);
        assert_eq!(work.leased_to(), LeasedTo { first: 5, behind: Vec::from_iter(Some(8..10)) });
        work.begin_backlog(12);
        work.passed(Line::New, 15);
        assert_eq!(work.leased_to(), LeasedTo { first: 5, behind: vec![8..10, 12..15] });
        assert_eq!((work.waiting(Line::Backlog), work.newer_than_backlog()), (Some(5..8), Some(15)));
        work.passed(Line::Backlog, 8);
        assert_eq!(work.waiting(Line::Backlog), Some(10..12));
        work.passed(Line::Backlog, 12);
        assert_eq!((work.newer_than_backlog(), work.leased_to()), (None, LeasedTo::all_below(15)));
    }

    #[test]
    fn what_could_not_be_read_stays_in_its_line() {
        let mut work = Work::new(0, 0);
        work.begin_backlog(10);
        work.passed(Line::Backlog, 10);
        work.again.extend([12..14, 4..6]);
        assert_eq!(work.newer_than_backlog(), Some(10), "some of the backlog is left");
        assert_eq!(again(&mut work, Line::New), [(12, 14)]);
        assert_eq!(again(&mut work, Line::Backlog), [(4, 6)]);
        assert_eq!(work.newer_than_backlog(), None);
    }

    #[test]
    fn after_a_release_there_is_one_line() {
        let mut work = Work::new(0, 0);
        work.begin_backlog(10);
        work.release(2);
        assert_eq!((work.waiting(Line::Backlog), work.waiting(Line::New)), (None, Some(2..u64::MAX)));
        work.again.push_back(3..4);
        assert_eq!((work.newer_than_backlog(), again(&mut work, Line::New)), (None, vec![(3, 4)]));
    }
}
