//! How much room dead letters may take, and for how long; and what goes where there is none left.
//!
//! Invariant: every letter that goes here is counted as forgotten. In the ledger it stays dead-lettered.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{
    outcome::DeadLetter,
    queue::{DeadLetterStore, Forgotten, NotKept, QueueItem, Receipt, Shortage},
};

/// How often letters that are too old are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Letters looked at in one turn.
const LOOK_MAX: usize = 1_000;

/// What to do with a dead letter that finds no room.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{QueueEventDispatcher, WhenDeadLettersFull, testing::RecordingDispatcher};
///
/// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new())
///     .dead_letters_bytes_max(64 << 20)
///     .dead_letters_age_max(Duration::from_hours(24 * 14))
///     .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
///     .build()?;
/// assert_eq!(dispatcher.dead_letters_forgotten(), 0);
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenDeadLettersFull {
    /// Its event waits in the queue until there is room: nothing is forgotten, and what cannot be delivered may fill
    /// the queue in the end.
    #[default]
    Wait,
    /// The oldest letters go. They are counted: [`dead_letters_forgotten`], and the metric
    /// [`DEAD_LETTERS_FORGOTTEN`](crate::metrics::DEAD_LETTERS_FORGOTTEN). On disk a sixteenth of them goes at once,
    /// or a file of them where the disk has no more room.
    ///
    /// [`dead_letters_forgotten`]: crate::QueueEventDispatcher::dead_letters_forgotten
    ForgetOldest,
}

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetterBounds {
    /// Besides what the store may take by itself.
    pub(crate) bytes_max: u64,
    /// `None`: any age.
    pub(crate) age_max: Option<Duration>,
    pub(crate) when_full: WhenDeadLettersFull,
}

impl Default for LetterBounds {
    fn default() -> Self {
        Self { bytes_max: u64::MAX, age_max: None, when_full: WhenDeadLettersFull::Wait }
    }
}

#[derive(Debug)]
pub(super) struct LetterRoom {
    bounds: LetterBounds,
    forgotten: Arc<Forgotten>,
    /// When to look for old ones again; `None`: never.
    next_look: Mutex<Option<Duration>>,
}

impl LetterRoom {
    pub(super) fn new(pipeline: &str, bounds: LetterBounds) -> Self {
        let next_look = Mutex::new(bounds.age_max.map(|_| Duration::ZERO));
        Self { bounds, forgotten: Arc::new(Forgotten::new(pipeline)), next_look }
    }

    /// Without bounds.
    #[cfg(test)]
    pub(super) fn any(pipeline: &str) -> Self {
        Self::new(pipeline, LetterBounds::default())
    }

    pub(super) fn forgotten(&self) -> &Arc<Forgotten> {
        &self.forgotten
    }

    pub(super) fn is_forgetting(&self) -> bool {
        self.bounds.when_full == WhenDeadLettersFull::ForgetOldest
    }

    /// Hands a letter to its store, once there is room for it.
    pub(super) fn push<T: QueueItem>(
        &self,
        store: &dyn DeadLetterStore<T>,
        letter: DeadLetter<T>,
        of: Option<u64>,
    ) -> Result<(u64, Receipt), NotKept<T>> {
        let letter = self.with_room(store, letter)?;
        match store.push(letter, of) {
            Err(not_kept)
                if not_kept.shortage == Some(Shortage::Lasting)
                    && self.is_forgetting()
                    && self.forget(store.forget_for_room()) =>
            {
                // Their room may take a moment to come back.
                let coming = |not_kept: NotKept<T>| not_kept.short_of_room(Some(Shortage::Passing));
                store.push(not_kept.letter, of).map_err(coming)
            }
            other => other,
        }
    }

    /// A letter of any size finds room where there are no others.
    fn with_room<T: QueueItem>(
        &self,
        store: &dyn DeadLetterStore<T>,
        letter: DeadLetter<T>,
    ) -> Result<DeadLetter<T>, NotKept<T>> {
        /// What a letter takes besides its item and its text.
        const HEAD_BYTES: usize = 256;
        let more = (letter.item.bytes() + letter.text.len() + HEAD_BYTES) as u64;
        while self.is_forgetting() && store.is_tight(more) && self.forget(store.forget_for_room()) {}
        let max = self.bounds.bytes_max.min(store.bytes_max());
        if max == u64::MAX {
            return Ok(letter);
        }
        loop {
            let bytes = store.bytes();
            if bytes == 0 || bytes.saturating_add(more) <= max {
                return Ok(letter);
            }
            if !self.is_forgetting() {
                let reason =
                    format!("dead letters take {bytes} bytes, and may take {max}; replay or purge some");
                return Err(NotKept::new(letter, reason).short_of_room(Some(Shortage::Lasting)));
            }
            if !self.forget(store.forget_oldest()) {
                // None can go yet: the store has not got them so far.
                let reason = "others are on their way, and take what room there is";
                return Err(NotKept::new(letter, reason).short_of_room(Some(Shortage::Passing)));
            }
        }
    }

    /// So many went. False: none could.
    fn forget(&self, letters: usize) -> bool {
        if letters > 0 {
            tracing::warn!(letters, "dead letters were forgotten to make room for others");
        }
        self.forgotten.add(letters);
        letters > 0
    }

    /// When to look for letters that are too old.
    pub(super) fn next_look(&self) -> Option<Duration> {
        *self.next_look.lock()
    }

    /// Forgets letters that are too old, some at a time: where more may be, it is to be asked again at once.
    pub(super) fn forget_old<T>(&self, store: &dyn DeadLetterStore<T>, now: Duration, now_ms: i64) {
        let Some(age_max) = self.bounds.age_max else { return };
        let mut next_look = self.next_look.lock();
        if next_look.is_none_or(|at| now < at) {
            return;
        }
        let age_max_ms = i64::try_from(age_max.as_millis()).unwrap_or(i64::MAX);
        let is_old = |letter: &DeadLetter<T>| now_ms > letter.time_ms.saturating_add(age_max_ms);
        let page = store.page(None, LOOK_MAX);
        let old: Vec<u64> = page.iter().take_while(|(_, letter)| is_old(letter)).map(|(id, _)| *id).collect();
        let are_all_old = !old.is_empty() && old.len() == page.len();
        *next_look = Some(if are_all_old { now } else { now.saturating_add(LOOK_INTERVAL) });
        if !old.is_empty() {
            store.remove(&old);
            self.forgotten.add(old.len());
            tracing::info!(letters = old.len(), "dead letters were forgotten for their age");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batch::LogEvent, outcome::DeadReason, queue::DeadLetters};

    fn letter(at_ms: i64) -> DeadLetter<LogEvent> {
        DeadLetter::new(LogEvent::opaque("http://127.0.0.1/", vec![0; 1_000]), DeadReason::Unusable, at_ms)
    }

    fn room(bounds: LetterBounds) -> (LetterRoom, DeadLetters<LogEvent>) {
        let room = LetterRoom::new("room", bounds);
        let store = DeadLetters::new(100, 1, Arc::clone(room.forgotten()));
        (room, store)
    }

    fn push(room: &LetterRoom, store: &DeadLetters<LogEvent>, at_ms: i64) -> bool {
        room.push(store, letter(at_ms), None).map(|(_, receipt)| receipt.forget()).is_ok()
    }

    fn times(store: &DeadLetters<LogEvent>) -> Vec<i64> {
        store.list().into_iter().map(|(_, letter)| letter.time_ms).collect()
    }

    #[test]
    fn letters_beyond_their_bytes_wait_or_push_out_the_oldest() {
        // A letter is taken for a little more than it is.
        let bytes_max = 2 * letter(0).item.bytes() as u64 + 300;
        let (waits, store) = room(LetterBounds { bytes_max, ..LetterBounds::default() });
        assert_eq!([1, 2, 3].map(|at| push(&waits, &store, at)), [true, true, false]);
        store.remove(&[1]);
        assert!(push(&waits, &store, 4) && times(&store) == [2, 4]);
        let when_full = WhenDeadLettersFull::ForgetOldest;
        let (forgets, store) = room(LetterBounds { bytes_max, when_full, age_max: None });
        assert_eq!([1, 2, 3, 4].map(|at| push(&forgets, &store, at)), [true; 4]);
        assert_eq!((times(&store), forgets.forgotten().count()), (vec![3, 4], 2));
    }

    #[test]
    fn a_letter_of_any_size_finds_room_where_there_are_no_others() {
        for when_full in [WhenDeadLettersFull::Wait, WhenDeadLettersFull::ForgetOldest] {
            let (room, store) = room(LetterBounds { bytes_max: 1, when_full, age_max: None });
            assert!(push(&room, &store, 1), "{when_full:?}");
        }
    }

    #[test]
    fn letters_go_for_their_age_and_are_looked_for_once_a_minute() {
        let second = Duration::from_secs(1);
        let (room, store) = room(LetterBounds { age_max: Some(second), ..LetterBounds::default() });
        for at in [1_000, 2_000, 3_000] {
            assert!(push(&room, &store, at));
        }
        room.forget_old(&store, second * 3, 3_001);
        assert_eq!(
            (times(&store), room.forgotten().count()),
            (vec![3_000].into_iter().chain([]).collect(), 2)
        );
        assert_eq!(room.next_look(), Some(second * 63));
        room.forget_old(&store, second * 62, 900_000);
        assert_eq!(times(&store).len(), 1, "not yet");
        room.forget_old(&store, second * 63, 900_000);
        assert_eq!(
            (times(&store).len(), room.next_look()),
            (0, Some(second * 63)),
            "all of them: at once again"
        );
        room.forget_old(&store, second * 63, 900_000);
        assert_eq!(room.next_look(), Some(second * 123));
    }
}
