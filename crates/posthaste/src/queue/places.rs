//! The places of a queue in memory, handed out in numbered blocks: whoever has a block fills it without asking again.
//!
//! Invariants: free places, unused places of open blocks, and items are the queue's capacity together. `lent` is the sum of
//! the open blocks; so where it is nothing and no place is free, the queue is full for certain. Numbers only grow.

use crate::sync::Mutex;

/// The most places of a block: it is asked for once in as many items.
const BLOCK_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Places {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Places of open blocks, those that are used included.
    lent: usize,
    /// The next block's number.
    next: u64,
    /// What has left the queue.
    gone: Tally,
}

/// Items, and the events that they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) items: u64,
    pub(super) events: u64,
}

/// Places that belong together: what is put there comes out in the order of the blocks' numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) places: usize,
}

/// What becomes of the wish for a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lent {
    Block(Block),
    /// No place is free, but others may have some that they have not used.
    Elsewhere,
    /// The queue is full.
    Full,
}

impl Places {
    pub(super) fn new(capacity: usize) -> Self {
        Self { state: Mutex::new(State { free: capacity, lent: 0, next: 0, gone: Tally::default() }) }
    }

    /// The next block, for one of so many who may have one each. It is small where few places are left.
    pub(super) fn lend(&self, among: usize) -> Lent {
        let mut state = self.state.lock();
        if state.free == 0 {
            return if state.lent == 0 { Lent::Full } else { Lent::Elsewhere };
        }
        let places = (state.free / (2 * among.max(1))).clamp(1, BLOCK_MAX);
        let number = state.next;
        state.next += 1;
        state.free -= places;
        state.lent += places;
        Lent::Block(Block { number, places })
    }

    /// A block of this size ends, with places that were not used.
    pub(super) fn end(&self, size: usize, unused: usize) {
        if size > 0 {
            let mut state = self.state.lock();
            state.lent -= size;
            state.free += unused;
        }
    }

    /// These have left the queue: their places are free.
    pub(super) fn give_back(&self, gone: Tally) {
        if gone.items > 0 {
            let mut state = self.state.lock();
            state.free += usize::try_from(gone.items).unwrap_or(usize::MAX);
            state.gone += gone;
        }
    }

    /// What has left the queue in all.
    pub(super) fn gone(&self) -> Tally {
        self.state.lock().gone
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.items += more.items;
        self.events += more.events;
    }
}
