//! Where dead letters are kept: in memory unless the queue has a better place.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use super::{QueueItem, Receipt};
use crate::{metrics, outcome::DeadLetter};

/// Where a queue keeps its dead letters, oldest first. Delivery calls it, from its own thread and from those of
/// callers; no method may block for long. It bounds itself: a store that is full hands the letter back, and the
/// letter's event waits in the queue.
///
/// ```
/// use std::sync::Mutex;
/// use posthaste::{DeadLetter, Receipt, UserEvent, queue::{DeadLetterStore, NotKept}};
///
/// /// Keeps every letter, under its place in the list.
/// #[derive(Debug, Default)]
/// struct Cabinet(Mutex<Vec<Option<DeadLetter<UserEvent>>>>);
///
/// impl DeadLetterStore<UserEvent> for Cabinet {
///     fn count(&self) -> usize {
///         self.0.lock().unwrap().iter().flatten().count()
///     }
///
///     fn push(
///         &self,
///         letter: DeadLetter<UserEvent>,
///         _of: Option<u64>,
///     ) -> Result<(u64, Receipt), NotKept<UserEvent>> {
///         let mut letters = self.0.lock().unwrap();
///         letters.push(Some(letter));
///         Ok((letters.len() as u64 - 1, Receipt::stored()))
///     }
///
///     fn list(&self) -> Vec<(u64, DeadLetter<UserEvent>)> {
///         let letters = self.0.lock().unwrap();
///         (0..).zip(&*letters).filter_map(|(id, letter)| Some((id, letter.clone()?))).collect()
///     }
///
///     fn remove(&self, ids: &[u64]) {
///         for id in ids {
///             self.0.lock().unwrap()[*id as usize] = None;
///         }
///     }
/// }
/// ```
pub trait DeadLetterStore<T>: fmt::Debug + Send + Sync {
    /// How many are kept.
    fn count(&self) -> usize;

    /// Keeps one more. `of` is the queue's id of the item, where the letter is about the whole of it. Returns the letter's id,
    /// and a receipt that resolves once the letter is kept; until then, and where it is handed back, its item stays in the
    /// queue.
    fn push(&self, letter: DeadLetter<T>, of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>>;

    /// Whether other processes keep letters here, too. Then letters that are found are counted by those who wrote them.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether the letter of this id was there before this process was, or is of another. Such a letter counts as one event,
    /// whatever it holds; in a store that is [shared](Self::is_shared), it is not counted before it is put back.
    fn was_found(&self, _id: u64) -> bool {
        false
    }

    /// The oldest that are kept, as many as may be in memory at once, each with the id that [`remove`](Self::remove)
    /// knows it by.
    fn list(&self) -> Vec<(u64, DeadLetter<T>)>;

    /// Keeps these no longer.
    fn remove(&self, ids: &[u64]);

    /// The oldest of those behind the letter of the id `after`, or of all, as far as they may be in memory at once, and
    /// at most so many; none only where there are no more. Their ids grow.
    fn page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<T>)> {
        let letters = self.list().into_iter();
        letters.filter(|(id, _)| after.is_none_or(|after| *id > after)).take(max).collect()
    }

    /// About how many bytes they take; 0 where that is not known, which is no bound then.
    fn bytes(&self) -> u64 {
        0
    }

    /// How many bytes they may take.
    fn bytes_max(&self) -> u64 {
        u64::MAX
    }

    /// Forgets the oldest, as few as may go by themselves, and says how many these were.
    fn forget_oldest(&self) -> usize {
        let oldest: Vec<u64> = self.page(None, 1).into_iter().map(|(id, _)| id).collect();
        self.remove(&oldest);
        oldest.len()
    }

    /// Whether a letter of so many bytes would find no room at once, whatever the others take: room may come back in
    /// larger pieces than letters go.
    fn is_tight(&self, _bytes: u64) -> bool {
        false
    }

    /// Forgets the oldest, as many as it takes for room to come back, and says how many these were.
    fn forget_for_room(&self) -> usize {
        self.forget_oldest()
    }

    /// Told once, before there are new letters: the oldest are forgotten where there is no room for others, so that there
    /// always is some.
    fn oldest_may_go(&self) {}
}

/// A dead letter that could not be kept, handed back with the reason.
#[derive(Debug, thiserror::Error)]
#[error("a dead letter could not be kept: {reason}")]
#[non_exhaustive]
pub struct NotKept<T> {
    /// The letter.
    pub letter: DeadLetter<T>,
    /// Why not.
    pub reason: String,
    /// What is missing, where that is room.
    pub shortage: Option<Shortage>,
}

/// Room that a dead letter has not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// It is being made: this passes.
    Passing,
    /// There would be some if older letters were forgotten.
    Lasting,
}

impl<T> NotKept<T> {
    /// This letter, for this reason.
    pub fn new(letter: DeadLetter<T>, reason: impl Into<String>) -> Self {
        Self { letter, reason: reason.into(), shortage: None }
    }

    /// The same, for want of room.
    ///
    /// ```
    /// use posthaste::{DeadLetter, DeadReason, queue::{NotKept, Shortage}};
    ///
    /// let letter = DeadLetter::new("the event", DeadReason::Rejected, 1_795_500_003_394);
    /// let not_kept = NotKept::new(letter, "the cabinet is full").short_of_room(Some(Shortage::Lasting));
    /// assert_eq!(not_kept.to_string(), "a dead letter could not be kept: the cabinet is full");
    /// ```
    #[must_use]
    pub fn short_of_room(self, shortage: Option<Shortage>) -> Self {
        Self { shortage, ..self }
    }
}

/// How many dead letters are kept in memory, unless told otherwise.
pub const DEFAULT_DEAD_LETTERS_MAX: usize = 1_000;

/// How many letters of a pipeline have been forgotten to make room for others, or for their age.
#[derive(Debug)]
pub(crate) struct Forgotten {
    letters: AtomicU64,
    /// Whose they were, in metrics.
    pipeline: String,
}

impl Forgotten {
    pub(crate) fn new(pipeline: &str) -> Self {
        let forgotten = Self { letters: AtomicU64::new(0), pipeline: pipeline.to_owned() };
        forgotten.add(0);
        forgotten
    }

    pub(crate) fn add(&self, letters: usize) {
        self.letters.fetch_add(letters as u64, SeqCst);
        let pipeline = self.pipeline.clone();
        ::metrics::counter!(metrics::DEAD_LETTERS_FORGOTTEN, "pipeline" => pipeline)
            .increment(letters as u64);
    }

    pub(crate) fn count(&self) -> u64 {
        self.letters.load(SeqCst)
    }
}

/// The last dead letters, in memory, oldest first. One more than the bound pushes out the oldest, which stays counted.
#[derive(Debug)]
pub(crate) struct DeadLetters<T> {
    kept: Mutex<Kept<T>>,
    max: usize,
    forgotten: Arc<Forgotten>,
}

#[derive(Debug)]
struct Kept<T> {
    letters: VecDeque<(u64, DeadLetter<T>)>,
    next_id: u64,
    bytes: u64,
}

impl<T> DeadLetters<T> {
    /// At most `max` of them, the first with this id.
    pub(crate) fn new(max: usize, first_id: u64, forgotten: Arc<Forgotten>) -> Self {
        let kept = Kept { letters: VecDeque::new(), next_id: first_id, bytes: 0 };
        Self { kept: Mutex::new(kept), max, forgotten }
    }
}

impl<T: QueueItem> Kept<T> {
    fn pop(&mut self) -> bool {
        let oldest = self.letters.pop_front();
        self.bytes -= oldest.as_ref().map_or(0, |(_, letter)| letter.item.bytes() as u64);
        oldest.is_some()
    }
}

impl<T: QueueItem> DeadLetterStore<T> for DeadLetters<T> {
    fn count(&self) -> usize {
        self.kept.lock().letters.len()
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        self.kept.lock().letters.iter().cloned().collect()
    }

    fn remove(&self, ids: &[u64]) {
        let ids: FxHashSet<u64> = ids.iter().copied().collect();
        let mut kept = self.kept.lock();
        kept.letters.retain(|(id, _)| !ids.contains(id));
        kept.bytes = kept.letters.iter().map(|(_, letter)| letter.item.bytes() as u64).sum();
    }

    fn push(&self, letter: DeadLetter<T>, _of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let mut kept = self.kept.lock();
        let id = kept.next_id;
        kept.next_id += 1;
        if self.max == 0 {
            return Ok((id, Receipt::stored()));
        }
        if kept.letters.len() >= self.max && kept.pop() {
            self.forgotten.add(1);
        }
        kept.bytes += letter.item.bytes() as u64;
        kept.letters.push_back((id, letter));
        Ok((id, Receipt::stored()))
    }

    fn page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<T>)> {
        let kept = self.kept.lock();
        let from = after.map_or(0, |after| kept.letters.partition_point(|(id, _)| *id <= after));
        kept.letters.iter().skip(from).take(max).cloned().collect()
    }

    fn bytes(&self) -> u64 {
        self.kept.lock().bytes
    }

    fn forget_oldest(&self) -> usize {
        usize::from(self.kept.lock().pop())
    }
}
