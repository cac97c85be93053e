//! Dead letters on their way: an item leaves the queue only once its letter is kept.
//!
//! Until then its lease goes on. A letter that its store does not keep is offered again a second later, and `health()`
//! tells of it; where room is being made for it, at once, and those behind it wait as well.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::{item::Item, leases::Lease, letters::Letters};
use crate::{
    outcome::{DeadLetter, Refusal, Trouble},
    queue::{NotKept, Shortage},
};

/// How long to wait before a store that did not keep a letter is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// The same while room is being made: a file, as a rule.
const ROOM_RETRY: Duration = Duration::from_millis(20);

/// A letter, and the lease that ends with it.
#[derive(Debug)]
pub(super) struct Burial<T> {
    /// The letter's id, once its store has it.
    pub(super) id: Option<u64>,
    pub(super) lease: Lease,
    pub(super) letter: DeadLetter<T>,
    /// Whether the letter is about the whole of what was leased: others of its parts may be delivered.
    pub(super) is_whole: bool,
}

/// What a store has answered.
pub(super) enum News<T> {
    /// A letter is kept, or is not.
    Kept(Burial<T>, Result<(), Refusal>),
    /// The event of the letter of this id is in the queue again, or is not.
    Replayed(u64, Result<(), Refusal>),
    /// The letter of this id, which came from outside, is kept, or is not.
    Direct(u64, Result<(), Refusal>),
}

type Coming<R> = FuturesUnordered<Pin<Box<dyn Future<Output = R> + Send>>>;

/// Letters that are being written, and those that could not be; and letters whose events are being written back.
pub(super) struct Burials<T> {
    under_way: Coming<(Burial<T>, Result<(), Refusal>)>,
    again: Vec<Burial<T>>,
    /// Some of these could not be kept because room is being made.
    is_room_being_made: bool,
    /// Since when none has been kept for that reason.
    short_since: Option<Duration>,
    retry_at: Option<Duration>,
    trouble: Option<Trouble>,
    replaying: Coming<(u64, Result<(), Refusal>)>,
    direct: Coming<(u64, Result<(), Refusal>)>,
}

impl<T> Default for Burials<T> {
    fn default() -> Self {
        Self {
            under_way: FuturesUnordered::new(),
            again: Vec::new(),
            is_room_being_made: false,
            short_since: None,
            retry_at: None,
            trouble: None,
            replaying: FuturesUnordered::new(),
            direct: FuturesUnordered::new(),
        }
    }
}

impl<T: Item> Burials<T> {
    /// Hands a letter to its store. Gives the burial back where the letter is kept already: the lease may end.
    pub(super) fn begin(
        &mut self,
        letters: &Letters<T>,
        burial: Burial<T>,
        now: Duration,
    ) -> Option<Burial<T>> {
        let Burial { lease, letter, is_whole, .. } = burial;
        let burial = |id, letter| Burial { id, lease, letter, is_whole };
        let pushed = letters.push(letter.clone(), is_whole.then_some(lease.id()));
        if pushed.is_ok() {
            self.short_since = None;
        }
        match pushed {
            Ok((id, receipt)) if receipt.is_stored() => return Some(burial(Some(id), letter)),
            Ok((id, receipt)) => {
                let burial = burial(Some(id), letter);
                self.under_way.push(Box::pin(receipt.map(move |kept| (burial, kept))));
            }
            Err(NotKept { letter, shortage: Some(Shortage::Passing), .. }) if self.is_room_to_come(now) => {
                self.offer_again(burial(None, letter), now.saturating_add(ROOM_RETRY));
            }
            Err(NotKept { letter, reason, .. }) => self.failed(burial(None, letter), &reason, now),
        }
        None
    }

    /// The next news. Never resolves where none is to come.
    pub(super) async fn next(&mut self) -> News<T> {
        let Self { under_way, replaying, direct, .. } = self;
        tokio::select! {
            biased;
            Some((burial, kept)) = under_way.next(), if !under_way.is_empty() => News::Kept(burial, kept),
            Some((id, stored)) = replaying.next(), if !replaying.is_empty() => News::Replayed(id, stored),
            Some((id, kept)) = direct.next(), if !direct.is_empty() => News::Direct(id, kept),
            else => std::future::pending().await,
        }
    }

    /// Gives the burial back where the letter is kept.
    pub(super) fn kept(
        &mut self,
        burial: Burial<T>,
        kept: Result<(), Refusal>,
        now: Duration,
    ) -> Option<Burial<T>> {
        match kept {
            Ok(()) => {
                self.trouble = None;
                Some(burial)
            }
            Err(refusal) => {
                self.failed(burial, &refusal.to_string(), now);
                None
            }
        }
    }

    fn failed(&mut self, burial: Burial<T>, reason: &str, now: Duration) {
        if self.again.is_empty() {
            tracing::error!(
                reason,
                "failed to keep a dead letter; its event waits in the queue, and the letter is tried again"
            );
        }
        let text = format!("a dead letter cannot be kept: {reason}");
        self.trouble.get_or_insert_with(|| Trouble::new(text, burial.letter.time_ms));
        self.offer_again(burial, now.saturating_add(RETRY));
    }

    fn offer_again(&mut self, burial: Burial<T>, at: Duration) {
        self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
        self.again.push(burial);
    }

    /// Room is being made. False: for longer than that should take.
    fn is_room_to_come(&mut self, now: Duration) -> bool {
        self.is_room_being_made = true;
        now < self.short_since.get_or_insert(now).saturating_add(RETRY)
    }

    /// Whether the next letter would find no room, because that is being made.
    pub(super) fn is_room_being_made(&self) -> bool {
        self.is_room_being_made
    }

    /// These wait behind others that are to be tried again.
    pub(super) fn put_off(&mut self, burials: impl Iterator<Item = Burial<T>>) {
        self.again.extend(burials);
    }

    /// Letters that are to be tried again now.
    pub(super) fn take_again(&mut self, now: Duration) -> Vec<Burial<T>> {
        if self.retry_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        (self.retry_at, self.is_room_being_made) = (None, false);
        std::mem::take(&mut self.again)
    }

    /// Whether some letter could not be kept so far.
    pub(super) fn is_stuck(&self) -> bool {
        !self.again.is_empty()
    }

    pub(super) fn are_under_way(&self) -> bool {
        !self.under_way.is_empty() || !self.direct.is_empty()
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.retry_at
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Waits for letters that came from outside, and for those whose events are on their way into the queue.
    pub(super) fn follow(&mut self, letters: &Letters<T>) {
        for (id, kept) in letters.take_direct() {
            self.direct.push(Box::pin(kept.map(move |kept| (id, kept))));
        }
        for (id, receipt) in letters.take_receipts() {
            self.replaying.push(Box::pin(receipt.map(move |stored| (id, stored))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    };

    use super::{
        super::{leases::Leases, letter_room::LetterRoom},
        *,
    };
    use crate::{
        batch::{Batch, LogEvent},
        outcome::DeadReason,
        queue::{DeadLetterStore, Receipt},
    };

    /// A store that takes letters, or does not.
    #[derive(Debug)]
    struct Store(AtomicBool);

    impl DeadLetterStore<LogEvent> for Store {
        fn count(&self) -> usize {
            0
        }

        fn push(
            &self,
            letter: DeadLetter<LogEvent>,
            of: Option<u64>,
        ) -> Result<(u64, Receipt), NotKept<LogEvent>> {
            assert_eq!(of, Some(7));
            let takes = self.0.load(SeqCst);
            if takes { Ok((1, Receipt::stored())) } else { Err(NotKept::new(letter, "full")) }
        }

        fn list(&self) -> Vec<(u64, DeadLetter<LogEvent>)> {
            Vec::new()
        }

        fn remove(&self, _ids: &[u64]) {}
    }

    fn burial() -> Burial<LogEvent> {
        let item = LogEvent::new("http://127.0.0.1/", &Batch::default());
        let letter = DeadLetter::new(item, DeadReason::Rejected, 0);
        Burial { id: None, lease: Leases::new(false).begin(7), letter, is_whole: true }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_letter_that_its_store_does_not_take_is_offered_again_a_second_later() {
        let store = Arc::new(Store(AtomicBool::new(false)));
        let letters = Letters::new(Some(Arc::clone(&store) as _), 9, LetterRoom::any("burials"), None);
        let mut burials = Burials::default();
        assert!(!burials.is_stuck());
        assert!(burials.begin(&letters, burial(), SECOND).is_none());
        assert!(burials.is_stuck() && burials.trouble().unwrap().what.ends_with("cannot be kept: full"));
        assert_eq!((burials.take_again(SECOND).len(), burials.due()), (0, Some(SECOND * 2)));
        let again = burials.take_again(SECOND * 2);
        assert_eq!((again.len(), burials.is_stuck(), burials.due()), (1, false, None));
        store.0.store(true, SeqCst);
        for burial in again {
            assert_eq!(burials.begin(&letters, burial, SECOND * 2).and_then(|kept| kept.id), Some(1));
        }
    }

    #[test]
    fn a_letter_that_is_stored_later_ends_its_lease_then_or_is_offered_again() {
        let mut burials = Burials::default();
        assert!(burials.kept(burial(), Err(Refusal::Storage("broken".to_owned())), SECOND).is_none());
        assert!(burials.is_stuck() && burials.trouble().is_some());
        assert!(burials.kept(burial(), Ok(()), SECOND).is_some() && burials.trouble().is_none());
    }

    #[test]
    fn letters_whose_events_are_on_their_way_back_are_followed() {
        let letters = Letters::<LogEvent>::new(None, 9, LetterRoom::any("burials"), None);
        letters.put_back(5, Receipt::pending(std::future::ready(Ok(()))));
        let mut burials = Burials::default();
        burials.follow(&letters);
        let news = burials.next().now_or_never();
        assert!(matches!(news, Some(News::Replayed(5, Ok(())))));
        assert!(letters.take_receipts().is_empty(), "they are taken once");
    }
}
