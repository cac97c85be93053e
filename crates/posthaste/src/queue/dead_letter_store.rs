//! Where dead letters are kept: in memory unless the queue has a better place.

use std::{collections::VecDeque, fmt};

use parking_lot::Mutex;

use super::Receipt;
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

    /// Whether the letter of this id was there before this process was. Such a letter counts as one event, whatever it holds.
    fn was_found(&self, _id: u64) -> bool {
        false
    }

    /// The oldest that are kept, as many as may be in memory at once, each with the id that [`remove`](Self::remove)
    /// knows it by.
    fn list(&self) -> Vec<(u64, DeadLetter<T>)>;

    /// Keeps these no longer.
    fn remove(&self, ids: &[u64]);
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
}

impl<T> NotKept<T> {
    /// This letter, for this reason.
    pub fn new(letter: DeadLetter<T>, reason: impl Into<String>) -> Self {
        Self { letter, reason: reason.into() }
    }
}

/// How many dead letters are kept in memory, unless told otherwise.
pub const DEFAULT_DEAD_LETTERS_MAX: usize = 1_000;

/// The last dead letters, in memory, oldest first. One more than the bound pushes out the oldest, which stays counted.
#[derive(Debug)]
pub(crate) struct DeadLetters<T> {
    kept: Mutex<Kept<T>>,
    max: usize,
    /// Whose they are, in metrics.
    pipeline: String,
}

#[derive(Debug)]
struct Kept<T> {
    letters: VecDeque<(u64, DeadLetter<T>)>,
    last_id: u64,
}

impl<T> DeadLetters<T> {
    pub(crate) fn new(max: usize, pipeline: &str) -> Self {
        let kept = Kept { letters: VecDeque::new(), last_id: 0 };
        let letters = Self { kept: Mutex::new(kept), max, pipeline: pipeline.to_owned() };
        letters.count_forgotten(0);
        letters
    }

    fn count_forgotten(&self, letters: u64) {
        let pipeline = self.pipeline.clone();
        ::metrics::counter!(metrics::DEAD_LETTERS_FORGOTTEN, "pipeline" => pipeline).increment(letters);
    }
}

impl<T: Clone + fmt::Debug + Send + Sync> DeadLetterStore<T> for DeadLetters<T> {
    fn count(&self) -> usize {
        self.kept.lock().letters.len()
    }

    fn list(&self) -> Vec<(u64, DeadLetter<T>)> {
        self.kept.lock().letters.iter().cloned().collect()
    }

    fn remove(&self, ids: &[u64]) {
        self.kept.lock().letters.retain(|(id, _)| !ids.contains(id));
    }

    fn push(&self, letter: DeadLetter<T>, _of: Option<u64>) -> Result<(u64, Receipt), NotKept<T>> {
        let mut kept = self.kept.lock();
        kept.last_id += 1;
        let id = kept.last_id;
        if self.max == 0 {
            return Ok((id, Receipt::stored()));
        }
        if kept.letters.len() >= self.max {
            kept.letters.pop_front();
            self.count_forgotten(1);
        }
        kept.letters.push_back((id, letter));
        Ok((id, Receipt::stored()))
    }
}
