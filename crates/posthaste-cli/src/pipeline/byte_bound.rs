//! A queue in memory with two bounds: items and bytes. A queue of 2,000 may hold 2,000 small events; 2,000 events of
//! megabytes would be all of memory.
//!
//! An item's bytes are those of the line that it came from, which only the reader knows: it announces them before it
//! adds. There is one reader, so an announcement cannot meet another's item.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use posthaste::{InMemoryQueue, Queue, Receipt, Refusal, Refused, queue::Leased};

/// Cheap to clone; clones are the same queue.
pub(crate) struct ByteBoundQueue<T>(Arc<Inner<T>>);

struct Inner<T> {
    items: InMemoryQueue<T>,
    bytes_max: usize,
    announced: AtomicUsize,
    books: Mutex<Books>,
}

/// How many bytes the items have.
#[derive(Debug, Default)]
struct Books {
    bytes: usize,
    /// Of items that nobody has leased, in their order.
    waiting: VecDeque<usize>,
    /// Of leased items, by the ids of their leases.
    leased: BTreeMap<u64, usize>,
    /// Whether an item was refused for its bytes, and nothing has left since.
    is_full: bool,
    is_closed: bool,
}

impl<T: Clone + Send> ByteBoundQueue<T> {
    pub(crate) fn new(items_max: usize, bytes_max: usize) -> Self {
        Self(Arc::new(Inner {
            items: InMemoryQueue::new(items_max),
            bytes_max,
            announced: AtomicUsize::new(0),
            books: Mutex::default(),
        }))
    }

    /// Says how many bytes the next item has.
    pub(crate) fn announce(&self, bytes: usize) {
        self.0.announced.store(bytes, SeqCst);
    }
}

impl<T: Clone + Send> Queue<T> for ByteBoundQueue<T> {
    /// One item is taken however large it is, or it never could be. A closed queue says so before it says that it is
    /// full: nobody is to wait for room in it.
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let bytes = self.0.announced.load(SeqCst);
        let mut books = self.0.books.lock();
        let is_open = !books.is_closed;
        if is_open && books.bytes > 0 && books.bytes.saturating_add(bytes) > self.0.bytes_max {
            books.is_full = true;
            return Err(Refused { item, reason: Refusal::QueueFull { capacity: self.0.items.size() } });
        }
        let receipt = self.0.items.add(item)?;
        books.bytes += bytes;
        books.waiting.push_back(bytes);
        Ok(receipt)
    }

    fn get(&self, count: usize) -> Vec<T> {
        self.0.items.get(count)
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let mut books = self.0.books.lock();
        let removed = self.0.items.remove(count);
        for _ in &removed {
            let bytes = books.waiting.pop_front().unwrap_or_default();
            books.gone(bytes);
        }
        removed
    }

    fn size(&self) -> usize {
        self.0.items.size()
    }

    /// A queue that is full of bytes holds no more items than it does: delivery is not to wait for more of them.
    fn capacity(&self) -> usize {
        if self.0.books.lock().is_full { self.0.items.size().max(1) } else { self.0.items.capacity() }
    }

    fn lease(&self, count: usize) -> Vec<Leased<T>> {
        let mut books = self.0.books.lock();
        let leases = self.0.items.lease(count);
        for lease in &leases {
            let bytes = books.waiting.pop_front().unwrap_or_default();
            books.leased.insert(lease.id, bytes);
        }
        leases
    }

    fn settle(&self, ids: &[u64]) {
        let mut books = self.0.books.lock();
        self.0.items.settle(ids);
        for id in ids {
            let bytes = books.leased.remove(id).unwrap_or_default();
            books.gone(bytes);
        }
    }

    fn release(&self) {
        let mut books = self.0.books.lock();
        self.0.items.release();
        let leased = std::mem::take(&mut books.leased);
        leased.into_values().rev().for_each(|bytes| books.waiting.push_front(bytes));
    }

    fn close(&self) {
        self.0.books.lock().is_closed = true;
        self.0.items.close();
    }
}

impl Books {
    fn gone(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.is_full = false;
    }
}

impl<T> Clone for ByteBoundQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for ByteBoundQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteBoundQueue").field("books", &self.0.books).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(queue: &ByteBoundQueue<u8>, item: u8, bytes: usize) -> bool {
        queue.announce(bytes);
        queue.add(item).is_ok()
    }

    #[test]
    fn bytes_are_bounded_like_items() {
        let queue = ByteBoundQueue::new(3, 100);
        assert!(add(&queue, 1, 60) && add(&queue, 2, 40));
        assert!(!add(&queue, 3, 1), "full of bytes");
        assert_eq!((queue.size(), queue.capacity()), (2, 2));
        let leases = queue.lease(1);
        queue.settle(&[leases[0].id]);
        assert!(add(&queue, 3, 60) && !add(&queue, 4, 1));
        assert_eq!(queue.remove(9), [2, 3]);
        assert!(add(&queue, 5, 1_000), "an item alone may be larger");
        assert!(!add(&queue, 6, 1));
    }

    #[test]
    fn a_closed_queue_says_so_even_where_it_is_full() {
        let queue = ByteBoundQueue::new(3, 100);
        assert!(add(&queue, 1, 100) && !add(&queue, 2, 1));
        queue.close();
        assert_eq!(queue.add(3).unwrap_err().reason, Refusal::Closed);
    }

    #[test]
    fn released_items_keep_their_bytes() {
        let queue = ByteBoundQueue::new(9, 100);
        for (item, bytes) in [(1, 10), (2, 20), (3, 30)] {
            assert!(add(&queue, item, bytes));
        }
        assert_eq!(queue.lease(2).len(), 2);
        queue.release();
        assert_eq!(queue.remove(1), [1]);
        assert_eq!(queue.0.books.lock().bytes, 50);
        let rest = queue.lease(9);
        queue.settle(&rest.iter().map(|lease| lease.id).collect::<Vec<_>>());
        assert_eq!(queue.0.books.lock().bytes, 0);
    }
}
