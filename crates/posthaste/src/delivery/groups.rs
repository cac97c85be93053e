//! Who may share a request: items gather in one open group for each context until the group is full or must go.

use super::{item::Item, job::Part};

/// Groups that are not full yet, oldest first.
#[derive(Debug)]
pub(super) struct Groups<T> {
    open: Vec<Group<T>>,
    /// Events of a full group.
    size: usize,
}

#[derive(Debug)]
struct Group<T> {
    parts: Vec<Part<T>>,
    events: usize,
}

/// Parts that a group has room for from its beginning, at most: moving them as it grows costs more than the room.
const ROOM: usize = 128;

/// Contexts that gather at the same time, at most: one more, and the oldest group goes as it is.
const OPEN_MAX: usize = 64;

impl<T: Item> Groups<T> {
    /// Groups of at most `size` events; an item that has more by itself is a group of its own.
    pub(super) fn new(size: usize) -> Self {
        Self { open: Vec::new(), size }
    }

    /// Adds an item; returns a group that has to go because of it.
    pub(super) fn add(&mut self, part: Part<T>) -> Option<Vec<Part<T>>> {
        let shares_with_none = || !part.item.can_share(&part.item);
        if part.item.events() >= self.size || shares_with_none() {
            return Some(vec![part]);
        }
        let shares = |group: &Group<T>| group.first().is_some_and(|first| first.item.can_share(&part.item));
        match self.open.iter().position(shares) {
            Some(at) => self.add_to(at, part),
            None => self.begin(part),
        }
    }

    /// Where the group has no room for it, the group goes, and the item begins another in its place.
    fn add_to(&mut self, at: usize, part: Part<T>) -> Option<Vec<Part<T>>> {
        let group = self.open.get_mut(at)?;
        if group.events + part.item.events() > self.size {
            return Some(std::mem::replace(group, Group::of(part, self.size)).parts);
        }
        group.events += part.item.events();
        group.parts.push(part);
        (group.events >= self.size).then(|| self.open.remove(at).parts)
    }

    fn begin(&mut self, part: Part<T>) -> Option<Vec<Part<T>>> {
        self.open.push(Group::of(part, self.size));
        (self.open.len() > OPEN_MAX).then(|| self.open.remove(0).parts)
    }

    /// Every group with an item whose lease came before this sequence: they have to go now.
    pub(super) fn seal_before(&mut self, sequence: u64) -> Vec<Vec<Part<T>>> {
        let must_go =
            |group: &mut Group<T>| group.first().is_some_and(|first| first.lease.sequence() < sequence);
        self.open.extract_if(.., must_go).map(|group| group.parts).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Everything that has not gone.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part<T>> {
        self.open.iter().flat_map(|group| &group.parts)
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Part<T>) -> bool) {
        self.open.iter_mut().for_each(|group| group.retain(&mut keep));
        self.open.retain(|group| !group.parts.is_empty());
    }

    /// How many more events it takes until some group is full.
    pub(super) fn missing(&self) -> usize {
        self.size - self.open.iter().map(|group| group.events).max().unwrap_or(0)
    }
}

impl<T: Item> Group<T> {
    /// A group that may come to have so many.
    fn of(part: Part<T>, size: usize) -> Self {
        let events = part.item.events();
        let mut parts = Vec::with_capacity(size.min(ROOM));
        parts.push(part);
        Self { parts, events }
    }

    fn first(&self) -> Option<&Part<T>> {
        self.parts.first()
    }

    fn retain(&mut self, keep: impl FnMut(&Part<T>) -> bool) {
        self.parts.retain(keep);
        self.events = self.parts.iter().map(|part| part.item.events()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Leases, *};
    use crate::batch::{Batch, LogEvent, Snapshot, SnapshotEvent, Visitor};

    fn part(id: u64) -> Part<LogEvent> {
        part_of(id, 1)
    }

    fn part_of(id: u64, events: usize) -> Part<LogEvent> {
        let snapshot = Snapshot { events: vec![SnapshotEvent::default(); events], ..Snapshot::default() };
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

    fn ids(group: Option<Vec<Part<LogEvent>>>) -> Vec<u64> {
        group.into_iter().flatten().map(|part| part.lease.id()).collect()
    }

    #[test]
    fn events_fill_a_group_and_not_items() {
        let mut groups = Groups::new(10);
        assert!(groups.add(part_of(1, 4)).is_none());
        assert!(groups.add(part_of(2, 4)).is_none());
        assert_eq!(groups.missing(), 2);
        assert_eq!(
            ids(groups.add(part_of(3, 11))),
            [3],
            "too many for any group: alone, and nobody waits for it"
        );
        assert_eq!(ids(groups.add(part_of(4, 3))), [1, 2], "it would overfill the group, which goes");
        assert_eq!(groups.missing(), 7);
        assert_eq!(ids(groups.add(part_of(5, 7))), [4, 5], "exactly full");
        assert_eq!(ids(groups.add(part_of(6, 10))), [6]);
        assert!(groups.is_empty());
    }

    #[test]
    fn a_group_that_keeps_some_of_its_items_has_room_again() {
        let mut groups = Groups::new(10);
        assert!(groups.add(part_of(1, 5)).is_none());
        assert!(groups.add(part_of(2, 4)).is_none());
        groups.retain(|part| part.lease.id() == 2);
        assert_eq!(groups.missing(), 6);
        assert_eq!(ids(groups.add(part_of(3, 6))), [2, 3]);
    }
}
