//! How much a queue in memory has taken, and how much of that it holds: one word, so that the two are never seen apart.
//!
//! ```text
//! bit 63: closed    bits 32 to 62: taken, counted round and round    bits 0 to 31: held
//! ```

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;

const CLOSED: u64 = 1 << 63;
const ONE_TAKEN: u64 = 1 << 32;
const HELD: u64 = ONE_TAKEN - 1;
/// `taken` starts again from nothing here.
const ROUND: u64 = 1 << 31;

/// The most that a tally can hold.
pub(super) const HELD_MAX: usize = (HELD / 2) as usize;

#[derive(Debug, Default)]
pub(super) struct Tally {
    word: AtomicU64,
    /// What has been taken in all, as far as somebody has looked, and what the word said then.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    taken: u64,
    word_taken: u64,
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    Full,
}

impl Tally {
    /// Takes one more, where fewer than `max` are held.
    pub(super) fn take_one(&self, max: usize) -> Result<(), NotTaken> {
        let one_more = |word: u64| {
            let has_room = word & CLOSED == 0 && (word & HELD) < max as u64;
            has_room.then(|| with_more(word, 1))
        };
        match self.word.fetch_update(SeqCst, SeqCst, one_more) {
            Ok(_) => Ok(()),
            Err(word) if word & CLOSED != 0 => Err(NotTaken::Closed),
            Err(_) => Err(NotTaken::Full),
        }
    }

    /// Takes this many, whatever is held.
    pub(super) fn take(&self, count: usize) {
        self.word
            .fetch_update(SeqCst, SeqCst, |word| Some(with_more(word, count as u64)))
            .expect("always an update");
    }

    /// Lets this many go.
    pub(super) fn give(&self, count: usize) {
        self.word.fetch_sub(count as u64, SeqCst);
    }

    /// Takes nothing from here on.
    pub(super) fn close(&self) {
        self.word.fetch_or(CLOSED, SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word.load(SeqCst) & CLOSED != 0
    }

    pub(super) fn held(&self) -> usize {
        (self.word.load(SeqCst) & HELD) as usize
    }

    /// Taken in all, and held, at one moment. To be asked for at least once in two thousand million that are taken.
    pub(super) fn taken_and_held(&self) -> (u64, u64) {
        let mut seen = self.seen.lock();
        let word = self.word.load(SeqCst);
        let word_taken = (word & !CLOSED) / ONE_TAKEN;
        seen.taken += (word_taken + ROUND - seen.word_taken) % ROUND;
        seen.word_taken = word_taken;
        (seen.taken, word & HELD)
    }
}

/// Each part of the word stays in its place.
fn with_more(word: u64, count: u64) -> u64 {
    let taken = ((word & !CLOSED) / ONE_TAKEN + count) % ROUND;
    (word & CLOSED) | (taken * ONE_TAKEN) | ((word & HELD) + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_goes_round_and_the_sum_does_not() {
        let tally = Tally::default();
        let step = HELD_MAX / 3;
        for round in 1..=50 {
            tally.take(step);
            assert_eq!(tally.taken_and_held(), (round * step as u64, step as u64));
            tally.give(step);
        }
        tally.close();
        assert_eq!((tally.take_one(9), tally.held()), (Err(NotTaken::Closed), 0));
        assert_eq!(tally.taken_and_held(), (50 * step as u64, 0));
    }

    #[test]
    fn a_full_tally_takes_no_more() {
        let tally = Tally::default();
        assert_eq!([(); 3].map(|()| tally.take_one(2)), [Ok(()), Ok(()), Err(NotTaken::Full)]);
        tally.give(1);
        assert_eq!((tally.take_one(2), tally.taken_and_held()), (Ok(()), (3, 2)));
    }
}
