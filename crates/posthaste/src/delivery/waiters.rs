//! Who waits for a flush or a close, and for which leases.
//!
//! Invariant: `open` of a waiter is the number of leases below its target that have begun and not ended.

use std::time::Duration;

use super::{
    leases::Place,
    line::{Line, Lines},
    pending::Asked,
};

/// Everybody who waits.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    waiting: Vec<Waiter<T>>,
    /// The longest deadline of those who asked to close; `None` while nobody has.
    closing: Option<Duration>,
}

#[derive(Debug)]
struct Waiter<T> {
    deadline: Duration,
    /// Leases of a lower sequence in their line are those that it waits for.
    target: Lines,
    open: u64,
    asked: Asked<T>,
}

/// How far the machine is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) now: Duration,
    /// The sequence that the next lease of each line gets.
    pub(super) next: Lines,
    /// Items in the queue that have not been leased.
    pub(super) unleased: Lines,
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), closing: None }
    }
}

impl<T> Waiters<T> {
    /// One more, who waits for the leases that last (`open`) and for those up to `target`.
    pub(super) fn add(&mut self, asked: Asked<T>, deadline: Duration, target: Lines, open: usize) {
        if asked.is_close() {
            self.closing = self.closing.max(Some(deadline));
        }
        self.waiting.push(Waiter { deadline, target, open: open as u64, asked });
    }

    /// When everything ends at the latest, where somebody has asked to close.
    pub(super) fn closing(&self) -> Option<Duration> {
        self.closing
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.waiting.iter().map(|waiter| waiter.deadline).min()
    }

    fn those_for(&mut self, place: Place) -> impl Iterator<Item = &mut Waiter<T>> {
        self.waiting.iter_mut().filter(move |waiter| place.sequence < waiter.target.of(place.line))
    }

    pub(super) fn lease_begun(&mut self, place: Place) {
        for waiter in self.those_for(place) {
            waiter.open += 1;
        }
    }

    pub(super) fn lease_ended(&mut self, place: Place) {
        for waiter in self.those_for(place) {
            waiter.open = waiter.open.saturating_sub(1);
        }
    }

    /// Everything that waits and has not been leased is the backlog's now: what somebody waits for stands behind what
    /// the backlog had before, of which they wait for all then.
    pub(super) fn backlog_begun(&mut self, next: Lines) {
        for Waiter { target, .. } in &mut self.waiting {
            let moved = target.new.saturating_sub(next.new);
            target.new -= moved;
            target.backlog = target.backlog.max(next.backlog) + moved;
        }
    }

    /// A lease that has ended is in the queue again: whoever waited for it waits for the next one.
    pub(super) fn lease_lost(&mut self, place: Place, next: Lines) {
        for waiter in self.those_for(place) {
            waiter.open = waiter.open.saturating_sub(1);
            waiter.target.new = waiter.target.new.max(next.new) + 1;
        }
    }

    /// Whether the machine is to end: somebody closes, and has what they wait for or has run out of time.
    pub(super) fn is_time_to_end(&self, progress: Progress) -> bool {
        let mut closers = self.waiting.iter().filter(|waiter| waiter.asked.is_close());
        let all_done = closers.any(|waiter| waiter.is_done(progress));
        self.closing.is_some_and(|deadline| all_done || deadline <= progress.now)
    }

    /// Those who need not or cannot wait any longer, with how many items are left for each. To be asked for while it is
    /// not time to end.
    pub(super) fn take_over(&mut self, progress: Progress) -> Vec<(Asked<T>, u64)> {
        let is_over = |waiter: &mut Waiter<T>| waiter.deadline <= progress.now || waiter.is_done(progress);
        let over = self.waiting.extract_if(.., is_over);
        over.map(|waiter| (waiter.left(progress), waiter.asked)).map(|(left, asked)| (asked, left)).collect()
    }

    /// Everybody.
    pub(super) fn take_all(&mut self) -> Vec<Asked<T>> {
        std::mem::take(&mut self.waiting).into_iter().map(|waiter| waiter.asked).collect()
    }
}

impl<T> Waiter<T> {
    fn is_done(&self, progress: Progress) -> bool {
        let is_leased = |line: Line| self.unleased(line, progress) == 0 || progress.unleased.of(line) == 0;
        self.open == 0 && Lines::ALL.into_iter().all(is_leased)
    }

    /// How many of those that it waits for have not been leased.
    fn unleased(&self, line: Line, progress: Progress) -> u64 {
        self.target.of(line).saturating_sub(progress.next.of(line))
    }

    fn left(&self, progress: Progress) -> u64 {
        if self.is_done(progress) {
            return 0;
        }
        self.open + Lines::ALL.into_iter().map(|line| self.unleased(line, progress)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::event::UserEvent;

    const AT: Duration = Duration::from_secs(10);

    fn progress(seconds: u64, next: u64, unleased: u64) -> Progress {
        Progress { now: Duration::from_secs(seconds), next: new(next), unleased: new(unleased) }
    }

    fn new(new: u64) -> Lines {
        Lines { new, backlog: 0 }
    }

    fn place(sequence: u64) -> Place {
        Place { line: Line::New, sequence }
    }

    fn flush() -> Asked<UserEvent> {
        Asked::Flush(oneshot::channel().0)
    }

    fn over(waiters: &mut Waiters<UserEvent>, progress: Progress) -> Vec<u64> {
        waiters.take_over(progress).into_iter().map(|(_, left)| left).collect()
    }

    #[test]
    fn a_flush_waits_for_what_was_there_and_for_nothing_newer() {
        let mut waiters = Waiters::default();
        // Two are under way (0 and 1), two more are in the queue.
        waiters.add(flush(), AT, new(4), 2);
        for sequence in [2, 3, 4] {
            waiters.lease_begun(place(sequence));
        }
        assert!(over(&mut waiters, progress(1, 5, 0)).is_empty());
        for sequence in [0, 3, 1] {
            waiters.lease_ended(place(sequence));
        }
        assert!(over(&mut waiters, progress(1, 5, 0)).is_empty(), "2 is still open");
        waiters.lease_ended(place(2));
        assert_eq!(over(&mut waiters, progress(1, 5, 0)), [0], "4 came later");
    }

    #[test]
    fn a_flush_that_runs_out_of_time_says_what_is_left() {
        let mut waiters = Waiters::default();
        waiters.add(flush(), AT, new(10), 3);
        waiters.lease_ended(place(1));
        assert!(over(&mut waiters, progress(9, 3, 7)).is_empty());
        assert_eq!(over(&mut waiters, progress(10, 3, 7)), [9], "2 under way, 7 not leased");
    }

    /// What is new is leased before the backlog is, and somebody who waits for the backlog does not wait for it.
    #[test]
    fn a_flush_waits_for_its_part_of_the_backlog_whatever_goes_before_it() {
        let mut waiters = Waiters::default();
        let at = |line, sequence| Place { line, sequence };
        let progress = |next, unleased| Progress { now: Duration::ZERO, next, unleased };
        // Two of the backlog and one new one wait; nothing is leased.
        waiters.add(flush(), AT, Lines { new: 1, backlog: 2 }, 0);
        // All of them, and two that have come since, are the backlog after another outage.
        waiters.backlog_begun(Lines::default());
        for sequence in 0..5 {
            waiters.lease_begun(at(Line::New, sequence));
            waiters.lease_ended(at(Line::New, sequence));
        }
        assert!(
            over(&mut waiters, progress(Lines { new: 5, backlog: 0 }, Lines { new: 0, backlog: 5 }))
                .is_empty()
        );
        for sequence in 0..3 {
            waiters.lease_begun(at(Line::Backlog, sequence));
        }
        waiters.lease_begun(at(Line::Backlog, 3));
        let progress = progress(Lines { new: 5, backlog: 4 }, Lines { new: 0, backlog: 1 });
        for sequence in 0..3 {
            assert!(over(&mut waiters, progress).is_empty());
            waiters.lease_ended(at(Line::Backlog, sequence));
        }
        assert_eq!(over(&mut waiters, progress), [0], "the fourth came later");
    }

    #[test]
    fn a_lease_that_is_lost_is_waited_for_again() {
        let mut waiters = Waiters::default();
        waiters.add(flush(), AT, new(1), 1);
        waiters.lease_lost(place(0), new(1));
        assert!(over(&mut waiters, progress(1, 1, 1)).is_empty());
        waiters.lease_begun(place(1));
        waiters.lease_ended(place(1));
        assert_eq!(over(&mut waiters, progress(1, 2, 0)), [0]);
    }

    #[test]
    fn who_closes_ends_the_machine_when_done_or_at_the_longest_deadline() {
        let mut waiters = Waiters::default();
        waiters.add(flush(), AT, new(1), 1);
        assert!(!waiters.is_time_to_end(progress(11, 0, 1)), "nobody closes");
        waiters.add(Asked::Close(oneshot::channel().0), AT, new(1), 1);
        waiters.add(Asked::Close(oneshot::channel().0), AT * 2, new(1), 1);
        assert!(!waiters.is_time_to_end(progress(11, 0, 1)));
        assert_eq!(over(&mut waiters, progress(11, 0, 1)), [2, 2], "the flush and the first to close");
        assert!(waiters.is_time_to_end(progress(20, 1, 0)));
        waiters.lease_ended(place(0));
        assert!(waiters.is_time_to_end(progress(1, 1, 0)));
        assert_eq!(waiters.take_all().len(), 1);
    }
}
