//! A queue on disk: what it has taken ends as delivered or as a dead letter, whatever the disk does.
//!
//! ```text
//! add ─▶ fresh (in memory) ─────────────────────────▶ lease
//!          └─▶ spool: pending ─▶ stored ─ read back ──▶ lease   (memory let go of it, or an earlier process left it)
//! ```
//!
//! An item may be leased, and even settled, before it is on disk. Settling acknowledges an item to the spool, which
//! writes that down with some delay. After a crash the last ones come again, and the Event API drops them as repeats.

mod codec;
mod dead_letters;
mod fresh;
mod intake;
mod work;

use std::{
    fmt,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    task::{Wake, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use posthaste_spool::{Batch, Record, WriteError};

pub use self::{
    codec::{SpoolItem, UnreadableRecord},
    dead_letters::read_dead_letter,
};
use self::{
    dead_letters::DiskDeadLetters,
    intake::Intake,
    work::{LeasedTo, Line, Work},
};
use super::{
    Counts, DeadLetterStore, DeliveryQueue, Displacing, Eventually, Leased, Queue, QueueError, QueueWatcher,
    Receipt, Refused, leasing::Leasing, receipt::stored as stored_or_why,
};
use crate::outcome::Refusal;

pub use posthaste_spool::{Durability, OpenError, Spool, SpoolOptions};

/// Bytes of records read at once, at most.
const READ_BYTES_MAX: usize = 4 << 20;

/// A queue on disk, for one process at a time. [`SpoolOptions`] bounds it in bytes, on disk and in memory. Adding
/// secures the event's room on disk, and does not wait for the disk.
///
/// Cheap to clone: clones are the same queue. Keep one to look at the spool while a processor has the other.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{BatchEventProcessor, SpoolQueue, queue::SpoolOptions, testing::RecordingDispatcher};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let queue = SpoolQueue::open(folder, SpoolOptions::default().size_bytes_max(1 << 30))?;
/// let builder = BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new());
/// let processor = builder.queue(queue.clone()).build()?;
/// // Resolves once the event is on disk.
/// processor.process_event(event)?.wait()?;
/// let report = processor.close(Duration::from_secs(10)).wait();
/// // What is left stays in the folder, for the next process that opens it.
/// assert_eq!(report.left, queue.spool().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpoolQueue<T>(Arc<Inner<T>>);

struct Inner<T> {
    /// For what is told later.
    me: Weak<Self>,
    spool: Spool,
    /// The first sequence number that was not there when the spool was opened.
    new_from: u64,
    /// Never held while the disk is asked for anything: whoever adds, or gives up, waits for nobody.
    intake: Mutex<Intake<T>>,
    /// Held while records are read back: by those who lease, and by nobody who adds.
    work: Mutex<Work>,
    /// A copy of what the work knows.
    leased: Mutex<LeasedTo>,
    /// The oldest item when somebody asked last, and the oldest number then: reading it again would take the reader away
    /// from where leasing goes on.
    oldest: Mutex<Option<(u64, T)>>,
    watcher: OnceLock<Arc<dyn QueueWatcher>>,
    dead_letters: Arc<DiskDeadLetters<T>>,
}

impl<T: SpoolItem> SpoolQueue<T> {
    /// Opens the spool in a folder, and makes the folder if it is not there. What an earlier process left there is
    /// delivered first. It fails where somebody has the folder open already, and where it cannot read what is there.
    ///
    /// ```
    /// use posthaste::{SpoolQueue, UserEvent, queue::{OpenError, SpoolOptions}};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let queue = SpoolQueue::<UserEvent>::open(folder, SpoolOptions::default())?;
    /// // One process, and one queue, at a time.
    /// let second = SpoolQueue::<UserEvent>::open(folder, SpoolOptions::default());
    /// assert!(second.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Self, OpenError> {
        Spool::open(dir, options).map(Self::over)
    }

    /// Over a spool that is open.
    pub fn over(spool: Spool) -> Self {
        let stats = spool.stats();
        let lost = stats.counters.lost_records;
        let queue = Self(Arc::new_cyclic(|me| Inner {
            me: Weak::clone(me),
            new_from: stats.next_sequence,
            dead_letters: Arc::new(DiskDeadLetters::new(spool.dead().clone())),
            spool,
            intake: Mutex::new(Intake::new(stats.records + lost, stats.next_sequence)),
            work: Mutex::new(Work::new(stats.first_sequence, lost)),
            leased: Mutex::new(LeasedTo::all_below(stats.first_sequence)),
            oldest: Mutex::default(),
            watcher: OnceLock::new(),
        }));
        let changes = Changes(Arc::downgrade(&queue.0));
        queue.0.spool.wake_on_change(Waker::from(Arc::new(changes)));
        queue
    }

    /// The spool below.
    pub fn spool(&self) -> &Spool {
        &self.0.spool
    }

    /// How many records the disk has failed to read so far. They stay in the queue, and are tried again.
    pub fn unreadable(&self) -> u64 {
        self.0.work.lock().again.iter().map(|range| range.end - range.start).sum()
    }

    /// Stores these items and the metadata in one commit: after a crash all of it is there, or nothing. The items are
    /// in the queue, and the pipeline's ledger has accepted them, once they are stored: the receipt says so. Where it
    /// fails, they are not in the queue, and still the caller's.
    ///
    /// For a single producer, which waits for each receipt before it goes on: then the metadata never tells of items
    /// that are not there.
    ///
    /// ```
    /// use posthaste::{SpoolQueue, queue::SpoolOptions};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let queue = SpoolQueue::open(folder, SpoolOptions::default())?;
    /// // How far the input has been read goes to disk together with what was made of it.
    /// queue.add_all(vec![event], "line 1")?.wait()?;
    /// assert_eq!(queue.spool().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_all(&self, items: Vec<T>, meta: impl Into<bytes::Bytes>) -> Result<Receipt, Refused<Vec<T>>> {
        let inner = &self.0;
        let batch = Batch {
            records: items.iter().map(|item| item.to_record().into()).collect(),
            meta: Some(meta.into()),
        };
        let events: usize = items.iter().map(T::events).sum();
        let count = items.len() as u64;
        let mut intake = inner.intake.lock();
        if intake.is_closed() {
            return Err(Refused::new(items, Refusal::Closed));
        }
        let (told, stored) = tokio::sync::oneshot::channel();
        let weak = Arc::downgrade(inner);
        let then = move |result: Result<u64, WriteError>| {
            if let Some(inner) = weak.upgrade() {
                inner.intake.lock().known(
                    result.as_ref().ok().map(|first| *first..first + count),
                    count,
                    events,
                );
                inner.tell(|watcher| watcher.changed());
            }
            drop(told.send(stored_or_why(result)));
        };
        match inner.spool.add_then(batch, then) {
            Err(refused) => Err(Refused::new(items, refusal(&refused.reason))),
            Ok(first) => {
                intake.push_hidden(first, items);
                Ok(Receipt::pending(async move { stored.await.unwrap_or(Err(Refusal::Closed)) }))
            }
        }
    }
}

impl<T: SpoolItem> Inner<T> {
    /// The lock is held while the spool takes the record, so that fresh items stand in the order of their numbers.
    fn add(&self, item: T) -> Result<Receipt, (T, posthaste_spool::Refusal)> {
        let batch = Batch::record(item.to_record());
        let bytes = batch.records.first().map_or(0, bytes::Bytes::len);
        let mut intake = self.intake.lock();
        if intake.is_closed() {
            return Err((item, posthaste_spool::Refusal::Closed));
        }
        match self.spool.add_numbered(batch) {
            Err(refused) => Err((item, refused.reason)),
            Ok((sequence, receipt)) => {
                intake.push(sequence, item, bytes);
                if intake.fresh().is_large() {
                    intake.forget(self.spool.stored(), self.leased.lock().first);
                }
                Ok(Receipt::of_spool(receipt))
            }
        }
    }

    fn tell(&self, what: impl FnOnce(&dyn QueueWatcher)) {
        if let Some(watcher) = self.watcher.get() {
            what(&**watcher);
        }
    }

    /// Hands items on, oldest first, until it has had enough of them or there are no more.
    fn lease(&self, work: &mut Work, line: Line, leasing: &mut Leasing<T>) {
        while leasing.wants_more()
            && let Some(waiting) = work.waiting(line)
        {
            let stored = self.spool.stored();
            let (from, from_disk_until) = {
                let mut intake = self.intake.lock();
                let mut from = waiting.start;
                intake.skip_displaced(&mut from, work.leased_to().first);
                work.passed(line, from);
                intake.forget(stored, work.leased_to().first);
                let bound = intake.bound(from).min(waiting.end);
                (from, intake.fresh().first().unwrap_or(u64::MAX).min(stored).min(bound))
            };
            let is_over = if from >= waiting.end {
                false
            } else if from < from_disk_until {
                self.read_on(work, line, from..from_disk_until, leasing);
                false
            } else {
                !self.take_fresh(work, line, from..waiting.end, leasing)
            };
            *self.leased.lock() = work.leased_to();
            if is_over {
                break;
            }
        }
        if leasing.leases.is_empty() {
            self.try_again(work, line, leasing);
        }
    }

    /// False: there is nothing more.
    fn take_fresh(&self, work: &mut Work, line: Line, waiting: Range<u64>, leasing: &mut Leasing<T>) -> bool {
        let intake = self.intake.lock();
        let bound = intake.bound(waiting.start).min(waiting.end);
        let (before, mut passed) = (leasing.leases.len(), waiting.start);
        for (sequence, item) in intake.fresh().from(waiting.start).take_while(|(at, _)| *at < bound) {
            if !leasing.wants_more() {
                break;
            }
            passed = sequence + 1;
            if !self.spool.is_settled(sequence) {
                leasing.take(sequence, item.clone());
            }
        }
        if line == Line::Backlog && passed == waiting.start {
            // What else it had has come to an end meanwhile: it holds nothing that is still to come.
            passed = bound;
        }
        work.passed(line, passed);
        leasing.leases.len() > before || line == Line::Backlog
    }

    /// Reads on from where the last lease ended. What cannot be decoded is set aside among the dead letters;
    /// what cannot be read now is tried again later. Whatever is read is handed on, so that nothing is read twice.
    fn read_on(&self, work: &mut Work, line: Line, waiting: Range<u64>, leasing: &mut Leasing<T>) {
        let there = usize::try_from(waiting.end - waiting.start).unwrap_or(usize::MAX);
        let count = leasing.items_left().min(there);
        let bytes = leasing.bytes_left().min(READ_BYTES_MAX);
        let read = match self.spool.read(waiting.start, count, bytes) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "failed to read the spool; events that are only there wait");
                // What is in memory need not wait with them.
                work.passed(line, waiting.end);
                work.again.push_back(waiting);
                return;
            }
        };
        self.count_lost(work);
        let unreadable = read.unreadable.into_iter();
        let unreadable = unreadable.map(|piece| piece.start..piece.end.min(waiting.end));
        work.again.extend(unreadable.filter(|piece| !piece.is_empty()));
        let is_at_end = read.records.is_empty() && read.next <= waiting.start;
        for record in read.records.into_iter().filter(|record| record.sequence < waiting.end) {
            work.passed(line, record.sequence + 1);
            self.decode(work, &record, leasing);
        }
        // Where nothing is left to read, everything before what is in memory has come to an end.
        work.passed(line, if is_at_end { waiting.end } else { read.next.min(waiting.end) });
    }

    fn decode(&self, work: &mut Work, record: &Record, leasing: &mut Leasing<T>) {
        match T::from_record(&record.bytes, &mut work.context) {
            Ok(item) => leasing.take(record.sequence, item),
            Err(reason) => {
                if !self.set_aside(record, &reason) {
                    work.not_aside.push(record.sequence);
                }
            }
        }
    }

    /// Tries once more what could not be read, and what the disk would not take among the dead letters.
    fn try_again(&self, work: &mut Work, line: Line, leasing: &mut Leasing<T>) {
        for range in work.take_again(line) {
            if !leasing.wants_more() {
                work.again.push_back(range);
                continue;
            }
            let bytes = leasing.bytes_left().min(READ_BYTES_MAX);
            let Ok(read) = self.spool.read(range.start, leasing.items_left(), bytes) else {
                work.again.push_back(range);
                continue;
            };
            let next = read.next.clamp(range.start, range.end);
            for record in read.records.iter().filter(|record| range.contains(&record.sequence)) {
                self.decode(work, record, leasing);
            }
            let still = read
                .unreadable
                .into_iter()
                .map(|piece| piece.start.max(range.start)..piece.end.min(range.end));
            work.again.extend(still.filter(|piece| !piece.is_empty()));
            if next < range.end {
                work.again.push_back(next..range.end);
            }
        }
        self.count_lost(work);
        for sequence in std::mem::take(&mut work.not_aside) {
            let read = self.spool.read(sequence, 1, READ_BYTES_MAX).unwrap_or_default();
            let record = read.records.first().filter(|record| record.sequence == sequence);
            let reason = UnreadableRecord::new("not readable by this version");
            if record.is_none_or(|record| !self.set_aside(record, &reason)) {
                work.not_aside.push(sequence);
            }
        }
    }

    /// The spool counts what is lost; whoever delivers has to look.
    fn count_lost(&self, work: &mut Work) {
        let lost = self.spool.stats().counters.lost_records;
        let new = lost.saturating_sub(work.lost);
        work.lost = lost;
        if new > 0 {
            // Whoever flushes need not wait for these any more.
            self.tell(|watcher| watcher.gone());
        }
    }

    /// It leaves the queue once its letter is stored. False: the disk would not take it.
    fn set_aside(&self, record: &Record, reason: &UnreadableRecord) -> bool {
        let sequence = record.sequence;
        tracing::error!(sequence, %reason, "this version cannot read a record of the spool; it becomes a dead letter");
        let me = Weak::clone(&self.me);
        self.dead_letters.keep_unreadable(sequence, &record.bytes, reason, move || {
            let Some(inner) = me.upgrade() else { return };
            inner.intake.lock().set_aside(|| inner.spool.ack(&[sequence]));
            inner.tell(|watcher| watcher.gone());
        })
    }
}

impl<T: SpoolItem> Queue<T> for SpoolQueue<T> {
    fn add(&self, item: T) -> Result<Receipt, Refused<T>> {
        self.0.add(item).map_err(|(item, reason)| Refused::new(item, refusal(&reason)))
    }

    fn get(&self, count: usize) -> Vec<T> {
        let until = self.0.intake.lock().fresh().first().unwrap_or(u64::MAX);
        let (mut items, mut from, mut context) = (Vec::new(), 0, None);
        while items.len() < count && from < until {
            let read = self.0.spool.read(from, count - items.len(), READ_BYTES_MAX).unwrap_or_default();
            if read.next == from {
                break;
            }
            from = read.next;
            let records = read.records.iter().filter(|record| record.sequence < until);
            items.extend(records.filter_map(|record| T::from_record(&record.bytes, &mut context).ok()));
        }
        let missing = count - items.len();
        let intake = self.0.intake.lock();
        let fresh = intake.fresh().from(0).filter(|(sequence, _)| !self.0.spool.is_settled(*sequence));
        items.extend(fresh.take(missing).map(|(_, item)| item.clone()));
        items
    }

    fn remove(&self, count: usize) -> Vec<T> {
        let mut leases = self.0.take_leases(Line::Backlog, count, usize::MAX);
        let missing = count - leases.len();
        leases.extend(self.0.take_leases(Line::New, missing, usize::MAX));
        let ids: Vec<u64> = leases.iter().map(|lease| lease.id).collect();
        self.0.settle(&ids);
        leases.into_iter().map(|lease| lease.item).collect()
    }

    fn size(&self) -> usize {
        usize::try_from(self.0.spool.len()).unwrap_or(usize::MAX)
    }
}

impl<T: SpoolItem> Inner<T> {
    fn take_leases(&self, line: Line, count: usize, bytes: usize) -> Vec<Leased<T>> {
        let mut leasing = Leasing::new(count, bytes);
        self.lease(&mut self.work.lock(), line, &mut leasing);
        self.note_leases(&leasing.leases);
        leasing.leases
    }

    /// A record that an earlier process left counts as one event until it has been looked at.
    fn note_leases(&self, leases: &[Leased<T>]) {
        let many = |lease: &&Leased<T>| lease.item.events() != 1;
        if leases.iter().any(|lease| many(&lease)) {
            let mut intake = self.intake.lock();
            for lease in leases.iter().filter(many) {
                intake.leased(lease.id, lease.item.events(), lease.id < self.new_from);
            }
        }
    }

    fn settle(&self, ids: &[u64]) {
        let mut intake = self.intake.lock();
        self.spool.ack(ids);
        intake.settled(ids);
    }
}

impl<T: SpoolItem> DeliveryQueue<T> for SpoolQueue<T> {
    /// Bounded in bytes, not in items.
    fn capacity(&self) -> usize {
        usize::MAX
    }

    fn capacity_bytes(&self) -> u64 {
        self.0.spool.size_bytes_max()
    }

    fn is_own(&self) -> bool {
        true
    }

    /// By the file: a file goes once nothing in it is left.
    fn bytes(&self) -> u64 {
        self.0.spool.unsettled_bytes()
    }

    fn counts(&self) -> Counts {
        let mut intake = self.0.intake.lock();
        intake.counts(&self.0.spool.stats())
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        self.lease_within(count, usize::MAX)
    }

    fn lease_within(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        Eventually::Now(Ok(self.0.take_leases(Line::New, count, bytes)))
    }

    fn begin_backlog(&self) -> bool {
        let mut work = self.0.work.lock();
        let end = self.0.intake.lock().end();
        work.begin_backlog(end);
        *self.0.leased.lock() = work.leased_to();
        true
    }

    fn lease_backlog(&self, count: usize, bytes: usize) -> Eventually<Result<Vec<Leased<T>>, QueueError>> {
        Eventually::Now(Ok(self.0.take_leases(Line::Backlog, count, bytes)))
    }

    fn newer_than_backlog(&self) -> Option<usize> {
        let work = self.0.work.lock();
        let next = work.newer_than_backlog()?;
        Some(usize::try_from(self.0.intake.lock().waiting_from(next)).unwrap_or(usize::MAX))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.0.settle(ids);
        Eventually::Now(Ok(()))
    }

    fn oldest(&self) -> Option<T> {
        let first = self.0.spool.stats().first_sequence;
        let mut oldest = self.0.oldest.lock();
        if oldest.as_ref().is_none_or(|(of, _)| *of != first) {
            *oldest = self.get(1).pop().map(|item| (first, item));
        }
        oldest.as_ref().map(|(_, item)| item.clone())
    }

    fn release(&self) {
        // Nobody leases any longer; whoever still reads finds out by itself.
        self.0.intake.lock().keep_displaced();
        self.0.spool.break_promises();
        let first = self.0.spool.stats().first_sequence;
        if let Some(mut work) = self.0.work.try_lock() {
            work.release(first);
            *self.0.leased.lock() = work.leased_to();
        }
    }

    fn close(&self) {
        self.0.intake.lock().close();
        self.0.spool.refuse();
    }

    /// Lets the oldest segment go whose items nobody works on, where its room is what is missing.
    fn add_displacing(&self, item: T) -> Displacing<T> {
        /// Others may take the room first.
        const TRIES: usize = 4;
        let inner = &self.0;
        let mut added = inner.add(item);
        for _ in 0..TRIES {
            added = match added {
                Err(refused) if inner.make_room_for(&refused) => inner.add(refused.0),
                added => {
                    let added = added.map_err(|(item, reason)| Refused::new(item, refusal(&reason)));
                    return Displacing::new(Vec::new(), added);
                }
            };
        }
        let added = added.map_err(|(item, reason)| Refused::new(item, refusal(&reason)));
        Displacing::new(Vec::new(), added)
    }

    fn displaced(&self, count: usize) -> Vec<Leased<T>> {
        let mut leasing = Leasing::new(count, READ_BYTES_MAX);
        while leasing.wants_more() {
            let next = self.0.intake.lock().next_displaced();
            let Some((range, handed)) = next else { break };
            let mut work = self.0.work.lock();
            let Ok(read) = self.0.spool.read(handed, leasing.items_left(), leasing.bytes_left()) else {
                break;
            };
            for record in read.records.iter().filter(|record| record.sequence < range.end) {
                self.0.decode(&mut work, record, &mut leasing);
            }
            let next = if read.next > handed { read.next.min(range.end) } else { range.end };
            self.0.intake.lock().handed(&range, next);
        }
        self.0.note_leases(&leasing.leases);
        leasing.leases
    }

    fn finish(&self, within: Duration) -> super::Finish {
        let synced = self.0.spool.sync();
        if !self.0.spool.has_thread() {
            // It has done what it can by now.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async move {
            tokio::select! {
                biased;
                synced = synced => {
                    if let Err(error) = synced {
                        tracing::debug!(%error, "the spool ended before it had confirmed everything");
                    }
                }
                () = futures_timer::Delay::new(within) => {
                    tracing::warn!("the disk did not confirm in time that it has everything");
                }
            }
        })
    }

    fn give_up(&self) -> Vec<Leased<T>> {
        let given_up = self.0.spool.give_up();
        self.0.intake.lock().give_up(&given_up)
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        // A queue serves one pipeline; a second one is told nothing.
        drop(self.0.watcher.set(watcher));
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<T>>> {
        Some(Arc::clone(&self.0.dead_letters) as Arc<dyn DeadLetterStore<T>>)
    }
}

impl<T: SpoolItem> Inner<T> {
    /// Promises the room of the oldest segment that may go. False: nothing would make room.
    fn make_room_for(&self, (item, reason): &(T, posthaste_spool::Refusal)) -> bool {
        let posthaste_spool::Refusal::Blocked(error) = reason else { return false };
        let mut intake = self.intake.lock();
        let leased = self.leased.lock().clone();
        let from = intake.displaceable_from(leased.first);
        let bytes = item.to_record().len() + RECORD_ROOM;
        let oldest = self.spool.oldest_to_displace(from, &leased.behind, bytes).filter(|_| error.is_full());
        let Some(oldest) = oldest.filter(|oldest| self.dead_letters.has_room_for(&self.spool, oldest)) else {
            return false;
        };
        self.spool.promise(&oldest);
        intake.displace(oldest);
        true
    }
}

/// About what a record takes on disk besides itself.
const RECORD_ROOM: usize = 64;

/// Tells the pipeline of whatever the spool's thread has done.
struct Changes<T>(Weak<Inner<T>>);

impl<T: SpoolItem> Wake for Changes<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(inner) = self.0.upgrade()
            && let Some(watcher) = inner.watcher.get()
        {
            watcher.changed();
        }
    }
}

fn refusal(reason: &posthaste_spool::Refusal) -> Refusal {
    use posthaste_spool::Refusal as Spool;
    match *reason {
        Spool::TooLarge { bytes, bytes_max, .. } => Refusal::TooLarge { bytes, bytes_max },
        Spool::Closed => Refusal::Closed,
        ref other if other.is_full() => Refusal::StorageFull(other.to_string()),
        ref other => Refusal::Storage(other.to_string()),
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
