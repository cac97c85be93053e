//! A queue on disk: what its receipts have confirmed survives the process, and by default a power cut.
//!
//! An item is leased only once it is stored. Settled items are acknowledged to the spool, which writes that down with some delay:
//! after a crash the last ones come again, and the Event API drops them as repeats.

mod codec;
mod dead_letters;

use std::{
    collections::VecDeque,
    fmt,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use posthaste_spool::{OpenError, Record, Spool, SpoolOptions, SpoolReceipt, WriteError};

use self::dead_letters::DiskDeadLetters;
pub use self::{
    codec::{SpoolItem, UnreadableRecord},
    dead_letters::read_dead_letter,
};
use super::{Leased, Queue, QueueWatcher, Receipt, Refused};
use crate::{
    outcome::{DeadLetterStore, Refusal},
    project::Context,
};

/// Bytes of records read at once, at most.
const READ_BYTES_MAX: usize = 4 << 20;

/// A queue on disk, for one process at a time. Bounded in bytes, by the spool's options.
///
/// Cheap to clone: clones are the same queue, so that one may be kept while a processor has the other.
pub struct SpoolQueue<T>(Arc<Inner<T>>);

struct Inner<T> {
    spool: Arc<Spool>,
    /// The first sequence number that was not there when the spool was opened.
    new_from: u64,
    adding: Mutex<Adding>,
    /// Items that were added or recovered, and have neither been settled nor turned out not to be stored.
    live: AtomicUsize,
    leasing: Mutex<Leasing>,
    watcher: OnceLock<Arc<dyn QueueWatcher>>,
    dead_letters: Arc<DiskDeadLetters<T>>,
}

#[derive(Default)]
struct Adding {
    closed: bool,
    /// In the order in which they were added.
    receipts: VecDeque<Outstanding>,
}

/// Items of one commit, of which nobody knows yet whether they are stored.
struct Outstanding {
    receipt: SpoolReceipt,
    items: usize,
    events: usize,
}

#[derive(Default)]
struct Leasing {
    /// The first sequence number that has not been leased.
    next: u64,
    context: Option<Arc<Context>>,
    /// Records known to be lost to damage.
    damaged: u64,
    /// Unreadable records that the disk would not take among the dead letters: tried again when nothing else is left.
    not_aside: Vec<u64>,
}

impl<T: SpoolItem> SpoolQueue<T> {
    /// Opens the spool in a folder, made if it is not there. What an earlier process left there is delivered first.
    pub fn open(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Self, OpenError> {
        Spool::open(dir, options).map(Self::over)
    }

    /// Over a spool that is open.
    pub fn over(spool: Spool) -> Self {
        let spool = Arc::new(spool);
        let stats = spool.stats();
        let queue = Self(Arc::new(Inner {
            new_from: stats.next_sequence,
            dead_letters: Arc::new(DiskDeadLetters::new(Arc::clone(&spool))),
            spool,
            adding: Mutex::default(),
            live: AtomicUsize::new(usize::try_from(stats.records).unwrap_or(usize::MAX)),
            leasing: Mutex::new(Leasing { damaged: stats.counters.damaged_records, ..Leasing::default() }),
            watcher: OnceLock::new(),
        }));
        let inner = Arc::downgrade(&queue.0);
        queue.0.spool.on_commit(move || {
            if let Some(inner) = inner.upgrade() {
                inner.committed();
            }
        });
        queue
    }

    /// The spool below.
    pub fn spool(&self) -> &Spool {
        &self.0.spool
    }

    /// Stores these items and the metadata in one commit: all of it is there after a crash, or nothing. The ledger of the
    /// pipeline that the queue serves counts them as accepted. For a single producer, which waits for each receipt before
    /// it goes on: then the metadata never tells of items that are not there.
    pub fn add_all(&self, items: Vec<T>, meta: impl Into<bytes::Bytes>) -> Result<Receipt, Refused<Vec<T>>> {
        let records = items.iter().map(|item| item.to_record().into()).collect();
        let events = items.iter().map(SpoolItem::events).sum();
        match self.0.add(records, Some(meta.into()), events) {
            Ok(receipt) => {
                self.0.watcher.get().inspect(|watcher| watcher.added(events));
                Ok(receipt)
            }
            Err(reason) => Err(Refused { item: items, reason }),
        }
    }
}

impl<T: SpoolItem> Inner<T> {
    /// The lock is held while the spool takes the records, so that receipts stand in their order.
    fn add(
        &self,
        records: Vec<bytes::Bytes>,
        meta: Option<bytes::Bytes>,
        events: usize,
    ) -> Result<Receipt, Refusal> {
        let mut adding = self.adding.lock();
        if adding.closed {
            return Err(Refusal::Closed);
        }
        let items = records.len();
        // Counted first: they may be stored, delivered and settled before this returns.
        self.live.fetch_add(items, SeqCst);
        let receipt = self.spool.add_batch(records, meta).map_err(|refused| {
            self.live.fetch_sub(items, SeqCst);
            refusal(&refused.reason)
        })?;
        adding.receipts.push_back(Outstanding { receipt: receipt.clone(), items, events });
        drop(adding);
        Ok(Receipt::pending(async move { receipt.await.map(drop).map_err(|error| not_stored(&error)) }))
    }

    /// Called by the spool after each commit, whether it worked or not.
    fn committed(&self) {
        let (mut items_not_stored, mut not_stored) = (0, 0);
        let mut adding = self.adding.lock();
        while let Some(Outstanding { receipt, items, events }) = adding.receipts.front() {
            match receipt.try_get() {
                None => break,
                Some(Ok(_)) => {}
                Some(Err(_)) => {
                    items_not_stored += items;
                    not_stored += events;
                }
            }
            adding.receipts.pop_front();
        }
        drop(adding);
        self.live.fetch_sub(items_not_stored, SeqCst);
        let Some(watcher) = self.watcher.get() else { return };
        if not_stored > 0 {
            watcher.not_stored(not_stored);
        }
        watcher.changed();
    }

    fn ack(&self, sequences: &[u64]) {
        let settled = self.spool.ack(sequences);
        self.live.fetch_sub(usize::try_from(settled).unwrap_or(usize::MAX), SeqCst);
    }

    /// Reads on from where the last lease ended. What cannot be read is set aside among the dead letters.
    fn read_on(&self, leasing: &mut Leasing, count: usize, mut take: impl FnMut(u64, T)) {
        let records = match self.spool.read(leasing.next, count, READ_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "cannot read the spool; its events wait");
                return;
            }
        };
        self.count_damaged(leasing);
        if records.is_empty() {
            self.set_aside_again(leasing);
        }
        for record in records {
            leasing.next = record.sequence + 1;
            match T::from_record(&record.bytes, &mut leasing.context) {
                Ok(item) => take(record.sequence, item),
                Err(reason) if self.set_aside(&record, &reason) => {}
                Err(_) => leasing.not_aside.push(record.sequence),
            }
        }
    }

    /// Tries once more what the disk would not take.
    fn set_aside_again(&self, leasing: &mut Leasing) {
        while let Some(&sequence) = leasing.not_aside.last() {
            let records = self.spool.read(sequence, 1, READ_BYTES_MAX).unwrap_or_default();
            let record = records.first().filter(|record| record.sequence == sequence);
            let reason = UnreadableRecord::new("not readable by this version");
            if record.is_some_and(|record| !self.set_aside(record, &reason)) {
                return;
            }
            leasing.not_aside.pop();
        }
    }

    /// The spool has skipped what was damaged, and keeps what is left of it.
    fn count_damaged(&self, leasing: &mut Leasing) {
        let damaged = self.spool.stats().counters.damaged_records;
        let new = damaged.saturating_sub(leasing.damaged);
        leasing.damaged = damaged;
        if new > 0 {
            self.live.fetch_sub(usize::try_from(new).unwrap_or(usize::MAX), SeqCst);
            tracing::error!(new, "records of the spool were damaged and cannot be delivered");
            if let Some(watcher) = self.watcher.get() {
                watcher.unreadable(usize::try_from(new).unwrap_or(usize::MAX));
            }
        }
    }

    /// False: the disk would not take it.
    fn set_aside(&self, record: &Record, reason: &UnreadableRecord) -> bool {
        let sequence = record.sequence;
        if !self.dead_letters.keep_unreadable(&record.bytes, reason) {
            return false;
        }
        tracing::error!(sequence, %reason, "a record of the spool cannot be read by this version; it is kept among the dead letters");
        self.ack(&[sequence]);
        if let Some(watcher) = self.watcher.get() {
            watcher.unreadable(1);
        }
        true
    }
}

impl<T: SpoolItem> Queue<T> for SpoolQueue<T> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        let record = bytes::Bytes::from(item.to_record());
        let events = item.events();
        self.0.add(vec![record], None, events).map_err(|reason| Refused { item, reason })
    }

    fn get(&self, count: usize) -> Vec<T> {
        let (mut items, mut from, mut context) = (Vec::new(), 0, None);
        while items.len() < count {
            let records = self.0.spool.read(from, count - items.len(), READ_BYTES_MAX).unwrap_or_default();
            let Some(last) = records.last() else { break };
            from = last.sequence + 1;
            items
                .extend(records.iter().filter_map(|record| T::from_record(&record.bytes, &mut context).ok()));
        }
        items
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let mut leasing = self.0.leasing.lock();
        let (mut sequences, mut items) = (Vec::new(), Vec::new());
        self.0.read_on(&mut leasing, count, |sequence, item| {
            sequences.push(sequence);
            items.push(item);
        });
        self.0.ack(&sequences);
        items
    }

    fn size(&self) -> usize {
        self.0.live.load(SeqCst)
    }

    /// Bounded in bytes, not in items.
    fn capacity(&self) -> usize {
        usize::MAX
    }

    fn lease(&self, count: usize) -> Vec<Leased<T>> {
        let mut leases = Vec::new();
        let new_from = self.0.new_from;
        self.0.read_on(&mut self.0.leasing.lock(), count, |id, item| {
            leases.push(Leased { id, item, recovered: id < new_from });
        });
        leases
    }

    fn settle(&self, ids: &[u64]) {
        self.0.ack(ids);
    }

    /// Also writes down what has been settled.
    fn release(&self) {
        self.0.leasing.lock().next = 0;
        if let Err(error) = self.0.spool.sync() {
            tracing::warn!(%error, "cannot write down what was delivered last; it will be sent again");
        }
    }

    /// Waits until everything that was taken is stored, or is known not to be.
    fn close(&self) {
        self.0.adding.lock().closed = true;
        if let Err(error) = self.0.spool.sync() {
            tracing::error!(%error, "cannot write the spool; the receipts say which events are not stored");
        }
        self.0.committed();
    }

    fn available(&self) -> usize {
        usize::try_from(self.0.spool.len()).unwrap_or(usize::MAX)
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        // A queue serves one pipeline; a second one is told nothing.
        drop(self.0.watcher.set(watcher));
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        Some(Arc::clone(&self.0.dead_letters) as Arc<dyn DeadLetterStore<T>>)
    }
}

fn refusal(reason: &posthaste_spool::Refusal) -> Refusal {
    use posthaste_spool::Refusal as Spool;
    match *reason {
        Spool::RecordTooLarge { bytes, bytes_max } | Spool::BatchTooLarge { bytes, bytes_max } => {
            Refusal::TooLarge { bytes, bytes_max }
        }
        Spool::Closed => Refusal::Closed,
        ref other if other.is_full() => Refusal::StorageFull(other.to_string()),
        ref other => Refusal::Storage(other.to_string()),
    }
}

fn not_stored(error: &WriteError) -> Refusal {
    if error.is_full() {
        Refusal::StorageFull(error.to_string())
    } else {
        Refusal::Storage(error.to_string())
    }
}

impl<T> Clone for SpoolQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for SpoolQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolQueue").field("spool", &self.0.spool).finish_non_exhaustive()
    }
}
