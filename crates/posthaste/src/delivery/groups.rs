//! Who may share a request: items gather in one open group for each context until the group is full or must go.

use super::{item::Item, job::Part};

/// Groups that are not full yet, oldest first.
#[derive(Debug)]
pub(super) struct Groups<T> {
    open: Vec<Vec<Part<T>>>,
    size: usize,
}

/// Contexts that gather at the same time, at most: one more, and the oldest group goes as it is.
const OPEN_MAX: usize = 64;

impl<T: Item> Groups<T> {
    /// Groups of at most `size` items.
    pub(super) fn new(size: usize) -> Self {
        Self { open: Vec::new(), size }
    }

    /// Adds an item; returns a group that has to go because of it.
    pub(super) fn add(&mut self, part: Part<T>) -> Option<Vec<Part<T>>> {
        let shares =
            |group: &Vec<Part<T>>| group.first().is_some_and(|first| first.item.can_share(&part.item));
        match self.open.iter().position(shares) {
            Some(at) => self.add_to(at, part),
            None => self.begin(part),
        }
    }

    fn add_to(&mut self, at: usize, part: Part<T>) -> Option<Vec<Part<T>>> {
        let group = self.open.get_mut(at)?;
        group.push(part);
        (group.len() >= self.size).then(|| self.open.remove(at))
    }

    fn begin(&mut self, part: Part<T>) -> Option<Vec<Part<T>>> {
        let shares_with_none = !part.item.can_share(&part.item);
        if self.size == 1 || shares_with_none {
            return Some(vec![part]);
        }
        self.open.push(vec![part]);
        (self.open.len() > OPEN_MAX).then(|| self.open.remove(0))
    }

    /// Every group with an item whose lease came before this sequence: they have to go now.
    pub(super) fn seal_before(&mut self, sequence: u64) -> Vec<Vec<Part<T>>> {
        self.open
            .extract_if(.., |group| group.first().is_some_and(|first| first.lease.sequence() < sequence))
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Everything that has not gone.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part<T>> {
        self.open.iter().flatten()
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Part<T>) -> bool) {
        self.open.iter_mut().for_each(|group| group.retain(&mut keep));
        self.open.retain(|group| !group.is_empty());
    }

    /// How many more items it takes at least until some group is full.
    pub(super) fn missing(&self) -> usize {
        self.size - self.open.iter().map(Vec::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Leases, *};
    use crate::batch::{Batch, LogEvent, Snapshot, SnapshotEvent, Visitor};

    fn part(id: u64) -> Part<LogEvent> {
        let snapshot = Snapshot { events: vec![SnapshotEvent::default()], ..Snapshot::default() };
        let visitor = Visitor { snapshots: vec![snapshot], ..Visitor::default() };
        let batch = Batch { visitors: vec![visitor], ..Batch::default() };
        Part { lease: Leases::new(false).begin(id), item: LogEvent::new("http://127.0.0.1/", &batch) }
    }

    #[test]
    fn a_group_says_what_it_misses_until_it_is_full() {
        let mut groups = Groups::new(3);
        assert_eq!((groups.missing(), groups.is_empty()), (3, true));
        assert!(groups.add(part(1)).is_none());
        assert!(groups.add(part(2)).is_none());
        assert_eq!((groups.missing(), groups.parts().count()), (1, 2));
        let full = groups.add(part(3)).unwrap();
        assert_eq!(full.iter().map(|part| part.lease.id()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((groups.missing(), groups.is_empty()), (3, true));
    }

    #[test]
    fn a_group_of_which_nothing_is_kept_is_gone() {
        let mut groups = Groups::new(3);
        assert!(groups.add(part(1)).is_none());
        assert!(groups.add(part(2)).is_none());
        groups.retain(|part| part.lease.id() == 2);
        assert_eq!(groups.parts().count(), 1);
        groups.retain(|_| false);
        assert!(groups.is_empty());
    }
}
