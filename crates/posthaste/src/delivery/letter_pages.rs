//! Dead letters page by page: listed, put back into the queue, purged, however many there are.
//!
//! A walk holds one page in memory. It ends with the letters that were there when it began: an event that is put back and
//! buried again meanwhile is not put back twice.

use super::{
    item::Item,
    letters::{IN_MEMORY_FROM, Letters},
    shared::Shared,
};
use crate::{
    outcome::DeadLetter,
    queue::{DeadLetterStore as _, Refused},
};

/// Letters of a page, at most.
const PAGE: usize = 256;

type Page<T> = Vec<(u64, DeadLetter<T>)>;

/// How far a walk over a store is.
struct Walk {
    after: Option<u64>,
    left: usize,
}

impl Walk {
    fn next<T: Item>(&mut self, letters: &Letters<T>) -> Option<Page<T>> {
        let page = letters.kept_page(self.after, PAGE.min(self.left));
        self.after = page.last().map(|(id, _)| *id);
        self.left -= page.len().min(self.left);
        (!page.is_empty()).then_some(page)
    }
}

impl<T: Item> Letters<T> {
    fn walk(&self) -> Walk {
        Walk { after: None, left: self.count() }
    }

    /// Those of the store, behind this one.
    fn kept_page(&self, after: Option<u64>, max: usize) -> Page<T> {
        if max == 0 {
            return Vec::new();
        }
        self.settle_known();
        let mut after = after;
        loop {
            // Asked for before the letters: what has been put back since then is in neither.
            let put_back = self.put_back_ids();
            let mut page = self.store().page(after, max);
            let Some((last, _)) = page.last() else { return page };
            after = Some(*last);
            self.retain_kept(&put_back, &mut page);
            if !page.is_empty() {
                return page;
            }
        }
    }

    /// The oldest behind this one; those that are in memory since their store would not keep them come last.
    pub(super) fn page(&self, after: Option<u64>, max: usize) -> Page<T> {
        let kept = match after {
            Some(IN_MEMORY_FROM..) => Vec::new(),
            after => self.kept_page(after, max),
        };
        if kept.is_empty() { self.in_memory().page(after, max) } else { kept }
    }

    /// Forgets some letters, and says how many; they stay counted.
    pub(super) fn purge_where(&self, is_to_go: &dyn Fn(&DeadLetter<T>) -> bool) -> usize {
        let _taking = self.taking();
        let ids = |page: Page<T>| -> Vec<u64> {
            page.into_iter().filter(|(_, letter)| is_to_go(letter)).map(|(id, _)| id).collect()
        };
        let (mut walk, mut purged) = (self.walk(), 0);
        while let Some(page) = walk.next(self) {
            let ids = ids(page);
            self.store().remove(&ids);
            purged += ids.len();
        }
        let ids = ids(self.in_memory().list());
        self.in_memory().remove(&ids);
        purged + ids.len()
    }
}

impl<T: Item> Shared<T> {
    /// Puts some dead letters back into the queue, oldest first, as far as it takes them. Returns how many events. A letter
    /// is given up only once the queue has its event safely; in between it is in both.
    pub(super) fn replay_where(&self, is_to_go: &dyn Fn(&DeadLetter<T>) -> bool) -> usize {
        let _taking = self.letters().taking();
        let (mut walk, mut replayed) = (self.letters().walk(), 0);
        'walk: while let Some(page) = walk.next(self.letters()) {
            for (id, letter) in page.into_iter().filter(|(_, letter)| is_to_go(letter)) {
                let Ok(events) = self.put_back(id, letter) else { break 'walk };
                replayed += events;
            }
        }
        self.mailbox().wake();
        replayed
    }

    /// Its age counts anew: one that was too old would be so at once again.
    fn put_back(&self, id: u64, letter: DeadLetter<T>) -> Result<usize, Refused<T>> {
        let events = letter.item.events();
        let item = letter.item.put_back_at(self.clock().now_ms());
        let receipt = self.books().act(|act| {
            let added = self.queue().add(item)?;
            act.revive(events, self.letters().was_found(id));
            Ok::<_, Refused<T>>(added)
        })?;
        self.letters().put_back(id, receipt);
        Ok(events)
    }
}
