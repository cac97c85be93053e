//! The way into a queue in memory. Threads that add at the same time do so in different stripes, and write nothing that
//! others read: a stripe has its own lock, its own places and its own counts, on cache lines of its own.
//!
//! ```text
//! thread ─▶ stripe: a block of places ─┐
//! thread ─▶ stripe: a block of places ─┼─ all at one moment, in the blocks' order ─▶ store
//!              ▲                       ┘
//!              └─ places: the next block, once in 64 items
//! ```
//!
//! There is one stripe until threads really wait for each other; then there are two, four, and so on. So where threads
//! add one after the other, whatever orders them, the queue keeps their order.
//!
//! Invariants: who locks several stripes locks the first one first, then the others in order, then the places. While all
//! stripes that are in use are locked, nobody adds, and their number does not change. A thread's items are in one stripe
//! until that number changes, and all blocks end then: so they come out in the order in which they were added.

use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

use super::{
    places::{Block, Lent, Places, Tally},
    run::{Memory, Run},
};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

/// How often threads wait for each other during one block before there are more stripes.
const WAITS_MAX: u8 = 2;

/// All blocks end once so many have begun for each stripe: so long may an item pass older ones of other threads.
const BLOCKS_APART: u64 = 8;

pub(super) struct Stripes<T> {
    each: Box<[CachePadded<Mutex<Stripe<T>>>]>,
    /// How many of them are in use, less one: a power of two. Changes only while all of these are locked.
    mask: CachePadded<AtomicUsize>,
    places: CachePadded<Places>,
}

struct Stripe<T> {
    run: Run<T>,
    /// How many places of the open block are left.
    left: usize,
    /// How many it had; 0: none is open.
    block: usize,
    /// What has been added here, since ever.
    taken: Tally,
    is_closed: bool,
    /// Who added last, and how often threads have waited for each other since the block began.
    last: usize,
    waits: u8,
}

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    Full,
}

/// What was taken in all, and what is held, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) taken: Tally,
    pub(super) held: Tally,
}

/// What is to be done after an item has been added, with no lock held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    EndBlocks,
    Spread,
}

type Locked<'a, T> = MutexGuard<'a, Stripe<T>>;

impl<T> Stripes<T> {
    /// For at most so many items, in so many stripes at most.
    pub(super) fn new(capacity: usize, stripes_max: usize, memory: Memory) -> Self {
        let count = stripes_max.max(1).next_power_of_two();
        let stripe = || CachePadded::new(Mutex::new(Stripe::new(memory)));
        Self {
            each: (0..count).map(|_| stripe()).collect(),
            mask: CachePadded::new(AtomicUsize::new(0)),
            places: CachePadded::new(Places::new(capacity)),
        }
    }

    /// Adds an item with so many events, for the thread of this number; or hands it back.
    pub(super) fn add(&self, home: usize, item: T, events: u64) -> Result<(), (T, NotTaken)> {
        let (mut stripe, in_use, has_waited) = self.lock(home);
        match stripe.ensure_place(&self.places, in_use) {
            Ok(after) => {
                stripe.push(item, events);
                let is_crowded = stripe.is_crowded(home, has_waited) && in_use < self.each.len();
                drop(stripe);
                self.afterwards(if is_crowded { After::Spread } else { after }, in_use);
                Ok(())
            }
            Err(Missing::Elsewhere) => {
                drop(stripe);
                self.add_alone(home, item, events)
            }
            Err(Missing::No(why)) => Err((item, why)),
        }
    }

    /// This thread's stripe, how many are in use, and whether somebody else had it.
    fn lock(&self, home: usize) -> (Locked<'_, T>, usize, bool) {
        loop {
            let mask = self.mask.load(Ordering::Acquire);
            let stripe = self.stripe(home & mask);
            let (locked, has_waited) = match stripe.try_lock() {
                Some(locked) => (locked, false),
                None => (stripe.lock(), true),
            };
            // With this lock held, the number stays.
            if self.mask.load(Ordering::Acquire) == mask {
                return (locked, mask + 1, has_waited);
            }
        }
    }

    fn stripe(&self, at: usize) -> &Mutex<Stripe<T>> {
        self.each.get(at).expect("no more are in use than there are")
    }

    /// All stripes that are in use.
    fn lock_all(&self) -> SmallVec<[Locked<'_, T>; 4]> {
        let mut all = SmallVec::new();
        all.push(self.stripe(0).lock());
        // With the first lock held, the number stays.
        let in_use = self.mask.load(Ordering::Acquire) + 1;
        all.extend(self.each.iter().take(in_use).skip(1).map(|stripe| stripe.lock()));
        all
    }

    /// Places may be left in other stripes: nobody else adds meanwhile, and all of them go back.
    #[cold]
    fn add_alone(&self, home: usize, item: T, events: u64) -> Result<(), (T, NotTaken)> {
        let mut all = self.lock_all();
        all.iter_mut().for_each(|stripe| stripe.end_block(&self.places));
        let (in_use, at) = (all.len(), home & (all.len() - 1));
        let stripe = all.get_mut(at).expect("it is one of those in use");
        match stripe.ensure_place(&self.places, in_use) {
            // All blocks have just ended.
            Ok(_) => {
                stripe.push(item, events);
                Ok(())
            }
            Err(Missing::No(why)) => Err((item, why)),
            Err(Missing::Elsewhere) => Err((item, NotTaken::Full)),
        }
    }

    fn afterwards(&self, after: After, in_use: usize) {
        match after {
            After::Nothing => {}
            After::EndBlocks => self.end_blocks(),
            After::Spread => self.spread(in_use),
        }
    }

    /// What is added from here on comes out after what is there, whoever adds it; about, since one stripe is asked after
    /// the other.
    #[cold]
    fn end_blocks(&self) {
        let in_use = self.mask.load(Ordering::Acquire) + 1;
        self.each.iter().take(in_use).for_each(|stripe| stripe.lock().end_block(&self.places));
    }

    /// Twice as many stripes, where no more than so many are in use.
    #[cold]
    pub(super) fn spread(&self, in_use: usize) {
        let mut all = self.lock_all();
        if all.len() > in_use || all.len() >= self.each.len() {
            return;
        }
        all.iter_mut().for_each(|stripe| stripe.end_block(&self.places));
        self.mask.store(2 * all.len() - 1, Ordering::Release);
    }

    /// Takes everything out, all at one moment. The runs are empty, and what this has made of them before.
    pub(super) fn take(&self, runs: &mut Vec<Run<T>>, memory: Memory) {
        let mut all = self.lock_all();
        runs.resize_with(all.len(), || Run::new(memory));
        for (stripe, run) in all.iter_mut().zip(runs) {
            std::mem::swap(&mut stripe.run, run);
            stripe.run.continue_from(run);
        }
    }

    pub(super) fn count(&self) -> Count {
        let all = self.lock_all();
        let mut taken = Tally::default();
        all.iter().for_each(|stripe| taken += stripe.taken);
        let gone = self.places.gone();
        drop(all);
        let held = Tally { items: taken.items - gone.items, events: taken.events - gone.events };
        Count { taken, held }
    }

    /// These have left the queue: others may have their places.
    pub(super) fn give_back(&self, gone: Tally) {
        self.places.give_back(gone);
    }

    /// Takes nothing once this has returned. What was taken is there by then.
    pub(super) fn close(&self) {
        self.each.iter().for_each(|stripe| stripe.lock().is_closed = true);
    }

    pub(super) fn is_closed(&self, home: usize) -> bool {
        self.lock(home).0.is_closed
    }
}

/// Why a stripe has no place.
enum Missing {
    Elsewhere,
    No(NotTaken),
}

impl<T> Stripe<T> {
    fn new(memory: Memory) -> Self {
        Self {
            run: Run::new(memory),
            left: 0,
            block: 0,
            taken: Tally::default(),
            is_closed: false,
            last: 0,
            waits: 0,
        }
    }

    fn ensure_place(&mut self, places: &Places, in_use: usize) -> Result<After, Missing> {
        if self.is_closed {
            return Err(Missing::No(NotTaken::Closed));
        }
        if self.left > 0 { Ok(After::Nothing) } else { self.begin_block(places, in_use) }
    }

    #[cold]
    fn begin_block(&mut self, places: &Places, in_use: usize) -> Result<After, Missing> {
        self.end_block(places);
        match places.lend(in_use) {
            Lent::Block(Block { number, places }) => {
                self.run.begin(number);
                (self.left, self.block) = (places, places);
                let is_time = in_use > 1 && number.is_multiple_of(BLOCKS_APART * in_use as u64);
                Ok(if is_time { After::EndBlocks } else { After::Nothing })
            }
            Lent::Elsewhere => Err(Missing::Elsewhere),
            Lent::Full => Err(Missing::No(NotTaken::Full)),
        }
    }

    fn push(&mut self, item: T, events: u64) {
        self.run.push(item);
        self.left -= 1;
        self.taken += Tally { items: 1, events };
    }

    fn end_block(&mut self, places: &Places) {
        places.end(self.block, self.left);
        (self.left, self.block, self.waits) = (0, 0, 0);
    }

    /// Whether threads that add have waited for each other too often. One that waits for whoever takes items out does not
    /// count: nobody else has added here since it did.
    fn is_crowded(&mut self, home: usize, has_waited: bool) -> bool {
        self.waits += u8::from(has_waited && self.last != home);
        self.last = home;
        self.waits >= WAITS_MAX
    }
}
