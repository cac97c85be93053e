//! A lease being gathered, within its bounds.

use super::{Leased, QueueItem};

/// What has been gathered, and how much more is wanted.
#[derive(Debug)]
pub(super) struct Leasing<T> {
    pub(super) leases: Vec<Leased<T>>,
    items_left: usize,
    bytes_left: usize,
}

impl<T: QueueItem> Leasing<T> {
    /// As many items, and no more once they hold so many bytes; `usize::MAX`: any number.
    pub(super) fn new(items: usize, bytes: usize) -> Self {
        Self { leases: Vec::new(), items_left: items, bytes_left: bytes }
    }

    /// One item is wanted however few bytes are.
    pub(super) fn wants_more(&self) -> bool {
        self.items_left > 0 && (self.bytes_left > 0 || self.leases.is_empty())
    }

    /// How many items more, at most.
    #[cfg(feature = "spool")]
    pub(super) fn items_left(&self) -> usize {
        self.items_left
    }

    /// How many bytes more; the item that goes beyond them is the last.
    #[cfg(feature = "spool")]
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    pub(super) fn take(&mut self, id: u64, item: T) {
        self.items_left = self.items_left.saturating_sub(1);
        if self.bytes_left != usize::MAX {
            self.bytes_left = self.bytes_left.saturating_sub(item.bytes());
        }
        self.leases.push(Leased::new(id, item));
    }
}
