//! What was added lately, what makes room for it, and how many events that is.
//!
//! Never held while the disk is asked for anything. Invariant: what is taken, and what the spool holds, change together
//! under this lock, so that whoever counts under it counts both at one moment.

use std::{collections::VecDeque, ops::Range};

use posthaste_spool::Stats;
use rustc_hash::FxHashMap;

use super::fresh::Fresh;
use crate::queue::{Counts, Leased, QueueItem};

pub(super) struct Intake<T> {
    closed: bool,
    fresh: Fresh<T>,
    /// The number after the last that the spool has given.
    end: u64,
    /// Records that make room for newer ones: they are buried, not leased for delivery. Kept until leasing has passed
    /// them, with the number of the first that has not been handed out to be buried.
    displaced: VecDeque<(Range<u64>, u64)>,
    numbers: Numbers,
}

/// Events, where the spool counts records.
#[derive(Debug, Default)]
struct Numbers {
    /// Events taken; a record that an earlier process left is one, until it has been looked at.
    taken: u64,
    /// Records that are not in the queue yet: their producer does not know that they are stored.
    hidden: u64,
    /// Events of records in the queue, beyond one a record.
    extra: u64,
    /// The same for each record that is leased.
    leased: FxHashMap<u64, u64>,
    unreadable: u64,
    /// Events beyond one a record that went with lost records.
    lost_extra: u64,
    given_up: u64,
}

impl<T: QueueItem> Intake<T> {
    /// `found`: records that an earlier process left, and those it lost; `end`: the number after them.
    pub(super) fn new(found: u64, end: u64) -> Self {
        let numbers = Numbers { taken: found, ..Numbers::default() };
        Self { closed: false, fresh: Fresh::default(), end, displaced: VecDeque::new(), numbers }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn fresh(&self) -> &Fresh<T> {
        &self.fresh
    }

    /// Lets go of what is on disk (below `stored`) and has been leased (below `next`), or is too much.
    pub(super) fn forget(&mut self, stored: u64, next: u64) {
        self.fresh.forget(stored, next);
    }

    /// One that the spool has taken.
    pub(super) fn push(&mut self, sequence: u64, item: T, bytes: usize) {
        self.numbers.add(1, item.events());
        self.end = sequence + 1;
        self.fresh.push(sequence, item, bytes);
    }

    /// Items that will be in the queue once they are stored.
    pub(super) fn push_hidden(&mut self, first: u64, items: Vec<T>) {
        self.numbers.hidden += items.len() as u64;
        self.end = first + items.len() as u64;
        self.fresh.push_hidden(first, items);
    }

    /// What has become of hidden records: they are stored, or never will be.
    pub(super) fn known(&mut self, stored: Option<Range<u64>>, records: u64, events: usize) {
        self.numbers.hidden -= records;
        if let Some(sequences) = stored {
            self.numbers.add(records, events);
            self.fresh.reveal(sequences);
        }
    }

    /// Takes out what the disk never confirmed.
    pub(super) fn give_up(&mut self, sequences: &[u64]) -> Vec<Leased<T>> {
        let given_up = self.fresh.take(sequences);
        self.numbers.given_up += given_up.iter().map(|given_up| given_up.item.events() as u64).sum::<u64>();
        given_up
    }

    /// A record with this many events has been leased; `was_found`: nobody knew how many it has.
    pub(super) fn leased(&mut self, id: u64, events: usize, was_found: bool) {
        let extra = (events as u64).saturating_sub(1);
        if self.numbers.leased.insert(id, extra).is_none() && was_found {
            self.numbers.taken += extra;
            self.numbers.extra += extra;
        }
    }

    pub(super) fn settled(&mut self, ids: &[u64]) {
        let Numbers { leased, extra, .. } = &mut self.numbers;
        if !leased.is_empty() {
            let gone = ids.iter().filter_map(|id| leased.remove(id)).sum();
            *extra = extra.saturating_sub(gone);
        }
    }

    /// A record that is no item leaves; `ack` lets it.
    pub(super) fn set_aside(&mut self, ack: impl FnOnce() -> u64) {
        self.numbers.unreadable += ack();
    }

    pub(super) fn counts(&mut self, spool: &Stats) -> Counts {
        self.numbers.counts(spool)
    }

    /// The number after everything that is in the queue.
    pub(super) fn end(&self) -> u64 {
        self.fresh.first_hidden().unwrap_or(self.end)
    }

    /// How many of the records from this number on are in the queue, where none of them has been leased.
    pub(super) fn waiting_from(&self, next: u64) -> u64 {
        self.end.saturating_sub(next).saturating_sub(self.numbers.hidden)
    }

    /// What makes room for newer ones is not for those who deliver. `unleased_from`: the first record that waits.
    pub(super) fn skip_displaced(&mut self, next: &mut u64, unleased_from: u64) {
        for (range, _) in &self.displaced {
            if range.contains(next) {
                *next = range.end;
            }
        }
        let is_over =
            |(range, handed): &(Range<u64>, u64)| *handed >= range.end && range.end <= unleased_from;
        while self.displaced.front().is_some_and(is_over) {
            self.displaced.pop_front();
        }
    }

    /// These make room for newer ones.
    pub(super) fn displace(&mut self, records: Range<u64>) {
        let first = records.start;
        self.displaced.push_back((records, first));
    }

    /// Nothing makes room any longer.
    pub(super) fn keep_displaced(&mut self) {
        self.displaced.clear();
    }

    /// The first record that may be asked to make room.
    pub(super) fn displaceable_from(&self, leased_to: u64) -> u64 {
        self.displaced.back().map_or(leased_to, |(range, _)| range.end.max(leased_to))
    }

    /// Records that are to be buried and have not been handed out, with the number of the first of them.
    pub(super) fn next_displaced(&self) -> Option<(Range<u64>, u64)> {
        self.displaced.iter().find(|(range, handed)| *handed < range.end).cloned()
    }

    pub(super) fn handed(&mut self, of: &Range<u64>, next: u64) {
        if let Some((_, handed)) = self.displaced.iter_mut().find(|(range, _)| range == of) {
            *handed = next;
        }
    }

    /// Where leasing has to stop for now: before what makes room for newer ones.
    pub(super) fn bound(&self, next: u64) -> u64 {
        let starts = self.displaced.iter().map(|(range, _)| range.start).filter(|start| *start > next);
        starts.min().unwrap_or(u64::MAX)
    }
}

impl Numbers {
    fn add(&mut self, records: u64, events: usize) {
        self.taken += events as u64;
        self.extra += (events as u64).saturating_sub(records);
    }

    fn counts(&mut self, spool: &Stats) -> Counts {
        let records = (spool.records + spool.hidden_records).saturating_sub(self.hidden);
        if records == 0 {
            // Whatever these were of is lost.
            self.lost_extra += std::mem::take(&mut self.extra);
        }
        let held = (records + self.extra).saturating_sub(self.given_up);
        let lost = spool.counters.lost_records + self.lost_extra;
        Counts::new(self.taken, held).with_lost(lost, self.unreadable)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_spool::{MemoryFilesystem, Spool, SpoolOptions};

    use super::*;
    use crate::batch::{Batch, LogEvent};

    /// As a spool counts that has `records` in it and `hidden` besides, and has lost some.
    fn stats(records: u64, hidden: u64, lost: u64) -> Stats {
        let disk = Arc::new(MemoryFilesystem::new());
        let mut stats = Spool::open_with(disk, "/spool", SpoolOptions::default()).unwrap().stats();
        (stats.records, stats.hidden_records, stats.counters.lost_records) = (records, hidden, lost);
        stats
    }

    fn counts(counts: Counts) -> (u64, u64, u64, u64) {
        (counts.taken, counts.held, counts.lost, counts.unreadable)
    }

    #[test]
    fn records_that_are_not_in_the_queue_yet_do_not_count() {
        let mut intake = Intake::<LogEvent>::new(3, 3);
        intake.push_hidden(3, vec![LogEvent::new("http://127.0.0.1/", &Batch::default()); 2]);
        assert_eq!(counts(intake.counts(&stats(3, 2, 0))), (3, 3, 0, 0));
        // Stored: the spool counts them no longer as hidden; the intake has not heard of it.
        assert_eq!(counts(intake.counts(&stats(5, 0, 0))), (3, 3, 0, 0));
        intake.known(Some(3..5), 2, 4);
        assert_eq!(counts(intake.counts(&stats(5, 0, 0))), (7, 7, 0, 0), "two records of two events each");
        intake.set_aside(|| 1);
        assert_eq!(counts(intake.counts(&stats(4, 0, 0))), (7, 6, 0, 1));
        // Everything else is lost, two events more than records.
        assert_eq!(counts(intake.counts(&stats(0, 0, 4))), (7, 0, 6, 1));
    }

    #[test]
    fn what_makes_room_is_passed_over_until_nothing_does() {
        let mut intake = Intake::<LogEvent>::new(20, 20);
        intake.displace(5..10);
        let mut next = 5;
        intake.skip_displaced(&mut next, 5);
        assert_eq!((next, intake.bound(2), intake.bound(5)), (10, 5, u64::MAX));
        assert_eq!((intake.displaceable_from(2), intake.displaceable_from(12)), (10, 12));
        intake.handed(&(5..10), 7);
        assert_eq!(intake.next_displaced(), Some((5..10, 7)));
        intake.keep_displaced();
        let mut next = 5;
        intake.skip_displaced(&mut next, 5);
        assert_eq!((next, intake.next_displaced()), (5, None));
    }

    /// While a backlog waits, leasing goes past what is to be buried before the backlog does.
    #[test]
    fn what_makes_room_is_passed_over_by_what_comes_later_too() {
        let mut intake = Intake::<LogEvent>::new(20, 20);
        intake.displace(5..10);
        intake.handed(&(5..10), 10);
        let (mut newer, mut older) = (20, 5);
        intake.skip_displaced(&mut newer, 3);
        intake.skip_displaced(&mut older, 3);
        assert_eq!((newer, older), (20, 10));
        intake.skip_displaced(&mut older, 10);
        let mut again = 5;
        intake.skip_displaced(&mut again, 10);
        assert_eq!(again, 5, "leasing has passed it");
    }

    #[test]
    fn what_is_not_in_the_queue_yet_does_not_wait() {
        let request = || LogEvent::new("http://127.0.0.1/", &Batch::default());
        let mut intake = Intake::<LogEvent>::new(3, 3);
        intake.push(3, request(), 1);
        intake.push_hidden(4, vec![request(); 2]);
        intake.push(6, request(), 1);
        assert_eq!((intake.end(), intake.waiting_from(3), intake.waiting_from(4)), (4, 2, 1));
        intake.known(Some(4..6), 2, 2);
        assert_eq!((intake.end(), intake.waiting_from(4)), (7, 3));
    }
}
