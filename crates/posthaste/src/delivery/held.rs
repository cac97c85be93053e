//! How many bytes the items take that are leased and have not ended: bounds memory over a queue that is larger than it.
//!
//! A backlog may take half of the bound, and what is new half at least: neither waits for the other to end.
//!
//! Invariant: where there is a bound, every lease that lasts is counted once; where there is none, nothing is counted.

use rustc_hash::FxHashMap;

use super::{leases::Place, line::Line};

/// Bytes of what is leased.
#[derive(Debug)]
pub(super) struct Held {
    bytes_max: usize,
    new: usize,
    backlog: usize,
    by_lease: FxHashMap<Place, Bytes>,
}

/// Of one lease.
#[derive(Debug, Clone, Copy)]
struct Bytes {
    bytes: usize,
    /// What it counts as.
    line: Line,
}

impl Held {
    /// `usize::MAX`: no bound.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, new: 0, backlog: 0, by_lease: FxHashMap::default() }
    }

    /// The lease of this place has begun.
    pub(super) fn begin(&mut self, place: Place, bytes: impl FnOnce() -> usize) {
        if self.bytes_max != usize::MAX {
            let bytes = bytes();
            *self.of(place.line) += bytes;
            self.by_lease.insert(place, Bytes { bytes, line: place.line });
        }
    }

    /// It has ended, or was lost.
    pub(super) fn end(&mut self, place: Place) {
        if let Some(Bytes { bytes, line }) = self.by_lease.remove(&place) {
            *self.of(line) -= bytes;
        }
    }

    /// Everything that is leased is of a backlog.
    pub(super) fn begin_backlog(&mut self) {
        self.by_lease.values_mut().for_each(|bytes| bytes.line = Line::Backlog);
        self.backlog += std::mem::take(&mut self.new);
    }

    /// How many bytes more may be leased. Where nothing is leased that is never 0: a large item could never go through.
    pub(super) fn left(&self, line: Line) -> usize {
        if self.bytes_max == usize::MAX {
            return usize::MAX;
        }
        let half = self.bytes_max / 2;
        let (left, held) = match line {
            Line::Backlog => (half.saturating_sub(self.backlog), self.backlog),
            Line::New => {
                let of_all = self.bytes_max.saturating_sub(self.new + self.backlog);
                (of_all.max(half.saturating_sub(self.new)), self.new)
            }
        };
        if held == 0 { left.max(1) } else { left }
    }

    fn of(&mut self, line: Line) -> &mut usize {
        match line {
            Line::New => &mut self.new,
            Line::Backlog => &mut self.backlog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(sequence: u64) -> Place {
        Place { line: Line::New, sequence }
    }

    fn old(sequence: u64) -> Place {
        Place { line: Line::Backlog, sequence }
    }

    #[test]
    fn what_is_leased_takes_room_until_it_ends() {
        let mut held = Held::new(100);
        held.begin(new(0), || 60);
        held.begin(new(1), || 30);
        assert_eq!(held.left(Line::New), 10);
        held.end(new(0));
        held.end(new(0));
        held.end(new(7));
        assert_eq!(held.left(Line::New), 70);
        held.begin(new(2), || 500);
        assert_eq!(held.left(Line::New), 0);
        held.end(new(1));
        assert_eq!(held.left(Line::New), 0);
        held.end(new(2));
        assert_eq!(held.left(Line::New), 100);
    }

    #[test]
    fn a_backlog_leaves_half_to_what_is_new() {
        let mut held = Held::new(100);
        held.begin(new(0), || 90);
        held.begin_backlog();
        assert_eq!((held.left(Line::New), held.left(Line::Backlog)), (50, 0));
        held.begin(new(1), || 30);
        assert_eq!(held.left(Line::New), 20);
        held.end(new(0));
        assert_eq!((held.left(Line::New), held.left(Line::Backlog)), (70, 50));
        held.begin(old(0), || 20);
        assert_eq!((held.left(Line::New), held.left(Line::Backlog)), (50, 30));
    }

    #[test]
    fn one_item_fits_whatever_the_bound_and_all_fit_without_one() {
        assert_eq!(Held::new(0).left(Line::New), 1);
        let mut unbounded = Held::new(usize::MAX);
        unbounded.begin(new(0), || usize::MAX);
        assert_eq!(unbounded.left(Line::New), usize::MAX);
    }
}
