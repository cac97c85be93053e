//! How many bytes dead letters take, and which go together: pieces of a file, so that a file may be much larger than what
//! letters may take in all.
//!
//! A piece has at most a sixteenth of all bytes, or one letter: there are few of them, whatever the bound is. Invariants:
//! pieces are in the order of their letters' numbers, without gaps; one counts whole until all of its letters are gone.

use std::{collections::VecDeque, ops::Range};

use crate::acks::Acks;

/// A piece has no larger share of all bytes than one of so many.
const SHARE: u64 = 16;
/// The least that goes together: two of the smallest letters or so.
const BYTES_MIN: u64 = 4 << 10;

#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pieces: VecDeque<Piece>,
    bytes: u64,
}

/// Letters from a number on.
#[derive(Debug)]
struct Piece {
    first: u64,
    bytes: u64,
}

impl Pieces {
    /// The next letter, or several that go together, from this number on.
    pub(crate) fn add(&mut self, first: u64, bytes: u64) {
        let piece_max = (self.bytes / SHARE).max(BYTES_MIN);
        match self.pieces.back_mut().filter(|last| last.bytes + bytes <= piece_max) {
            Some(last) => last.bytes += bytes,
            None => self.pieces.push_back(Piece { first, bytes }),
        }
        self.bytes += bytes;
    }

    /// Bytes of those pieces of which something is left. `next`: the number that the next letter gets.
    pub(crate) fn bytes(&mut self, acks: &Acks, next: u64) -> u64 {
        self.forget(acks.low());
        let left = |at: &usize| self.range(*at, next).is_some_and(|letters| !acks.covers(letters));
        (0..self.pieces.len())
            .filter(left)
            .filter_map(|at| self.pieces.get(at))
            .map(|piece| piece.bytes)
            .sum()
    }

    /// The oldest piece of which something is left.
    pub(crate) fn oldest(&mut self, acks: &Acks, next: u64) -> Option<Range<u64>> {
        self.forget(acks.low());
        (0..self.pieces.len())
            .filter_map(|at| self.range(at, next))
            .find(|letters| !acks.covers(letters.clone()))
    }

    fn range(&self, at: usize, next: u64) -> Option<Range<u64>> {
        let end = self.pieces.get(at + 1).map_or(next, |next| next.first);
        Some(self.pieces.get(at)?.first..end)
    }

    /// What is below this number is gone.
    fn forget(&mut self, low: u64) {
        while self.pieces.get(1).is_some_and(|next| next.first <= low) {
            self.bytes -= self.pieces.pop_front().map_or(0, |piece| piece.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_pieces_and_none_is_a_large_part_of_all() {
        let (mut pieces, mut acks) = (Pieces::default(), Acks::new(1));
        for number in 1..=10_000 {
            pieces.add(number, 2_000);
        }
        assert_eq!(pieces.bytes(&acks, 10_001), 20_000_000);
        assert!((16..200).contains(&pieces.pieces.len()), "{}", pieces.pieces.len());
        assert!(pieces.pieces.iter().all(|piece| piece.bytes <= 20_000_000 / SHARE));
        let oldest = pieces.oldest(&acks, 10_001).unwrap();
        acks.settle(oldest.clone());
        let left = pieces.bytes(&acks, 10_001);
        assert_eq!((left, oldest.start), (20_000_000 - 2_000 * (oldest.end - 1), 1));
        assert!(pieces.oldest(&acks, 10_001).unwrap().start == oldest.end);
    }

    #[test]
    fn a_piece_counts_until_all_of_it_is_gone_wherever_it_stands() {
        let (mut pieces, mut acks) = (Pieces::default(), Acks::new(1));
        for number in 1..=4 {
            pieces.add(number, 200_000);
        }
        acks.settle(2..3);
        assert_eq!((pieces.bytes(&acks, 5), pieces.oldest(&acks, 5)), (600_000, Some(1..2)));
        acks.settle(1..2);
        assert_eq!((pieces.bytes(&acks, 5), pieces.oldest(&acks, 5)), (400_000, Some(3..4)));
        acks.settle(3..5);
        pieces.add(5, 1_000);
        assert_eq!((pieces.bytes(&acks, 6), pieces.oldest(&acks, 6)), (1_000, Some(5..6)));
    }
}
