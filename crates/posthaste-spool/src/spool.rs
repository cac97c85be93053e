//! The spool as its callers see it: shared by reference among threads, never blocking on the disk to add.

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::{
    batch::Batch,
    dead::DeadLetters,
    error::{AddError, DiskError, OpenError, ReadError, Refusal, WriteError},
    filesystem::{Filesystem, RealFilesystem},
    log::{Log, State, Stats},
    options::SpoolOptions,
    read::{Read, Reader},
    receipt::{Completion, Lead, SpoolReceipt},
    recover,
    write::{
        house::{COMMITS_AT_ONCE, House},
        pending::{Completed, Entry, Visibility},
        plan,
    },
};

/// How long a dropped spool waits for its last write, unless it has been closed before.
const DROP_WAIT: Duration = Duration::from_secs(5);
/// The same, where nobody waits for the disk any longer: the thread may be about to end all the same.
const GIVEN_UP_WAIT: Duration = Duration::from_millis(250);
/// How long the thread sleeps at most while others write for it.
const LED_SLEEP: Duration = Duration::from_millis(1);

/// A durable queue on disk for one process.
#[derive(Debug)]
pub struct Spool {
    core: Arc<Core>,
    dead: DeadLetters,
}

/// One log with somebody who writes it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) log: Arc<Log>,
    reader: Mutex<Reader>,
    house: Mutex<House>,
    /// Something to do; over the lock of the log's state.
    wake: Condvar,
    /// The thread has ended; over the same.
    ended: Condvar,
    started: Instant,
    has_thread: bool,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// Who does the writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// A thread of its own.
    Thread,
    /// Whoever calls [`Turns::turn`].
    #[cfg(feature = "test-util")]
    ByHand,
}

impl Spool {
    /// Opens the spool in a folder, made if it is not there, and starts the thread that writes.
    pub fn open(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Self, OpenError> {
        Self::open_with(Arc::new(RealFilesystem), dir, options)
    }

    /// Opens a spool on the given filesystem.
    #[expect(clippy::needless_pass_by_value, reason = "a spool is given its filesystem")]
    pub fn open_with(
        filesystem: Arc<dyn Filesystem>,
        dir: impl AsRef<Path>,
        options: SpoolOptions,
    ) -> Result<Self, OpenError> {
        Self::open_as(&filesystem, dir.as_ref(), options, Writing::Thread)
    }

    /// Opens a spool that writes only when it is told to: for tests that own the time.
    #[cfg(feature = "test-util")]
    #[expect(clippy::needless_pass_by_value, reason = "a spool is given its filesystem")]
    pub fn open_by_hand(
        filesystem: Arc<dyn Filesystem>,
        dir: impl AsRef<Path>,
        options: SpoolOptions,
    ) -> Result<(Self, Turns), OpenError> {
        let spool = Self::open_as(&filesystem, dir.as_ref(), options, Writing::ByHand)?;
        let turns = Turns { core: Arc::clone(&spool.core), dead: spool.dead.clone() };
        Ok((spool, turns))
    }

    fn open_as(
        filesystem: &Arc<dyn Filesystem>,
        dir: &Path,
        options: SpoolOptions,
        writing: Writing,
    ) -> Result<Self, OpenError> {
        let opened = recover::open(&**filesystem, dir, options)?;
        let hungry = Arc::<AtomicBool>::default();
        let dead = DeadLetters::new(&opened.log, writing, Arc::clone(&hungry));
        dead.settle_known(&opened);
        let house = opened.into_house(dead.log(), hungry);
        let core =
            Core::start(house, writing).map_err(|error| DiskError::new("start the writer of", dir, error))?;
        Ok(Self { core, dead })
    }

    /// Hands a record to the thread that writes, without waiting for the disk. A refusal gives it back.
    pub fn add(&self, record: impl Into<Bytes>) -> Result<SpoolReceipt, AddError> {
        self.add_batch(vec![record.into()], None)
    }

    /// Hands over records that are stored all or nothing, together with the caller's metadata if it changes with
    /// them. The receipt resolves to the number of the first; the others follow without gaps.
    pub fn add_batch(&self, records: Vec<Bytes>, meta: Option<Bytes>) -> Result<SpoolReceipt, AddError> {
        let (sender, answer) = oneshot::channel();
        let visibility = if meta.is_some() { Visibility::Stored } else { Visibility::AtOnce };
        self.core.add(Batch { records, meta }, visibility, Completion::Receipt(sender))?;
        let lead = Arc::clone(&self.core) as Arc<dyn Lead>;
        Ok(SpoolReceipt::new(answer, Some(lead)))
    }

    /// The same, with the number that the first record has already. Whoever waits for this receipt leaves the writing to the
    /// spool's thread: the record may be acknowledged while the disk stalls, and then the wait is over.
    pub fn add_numbered(&self, batch: Batch) -> Result<(u64, SpoolReceipt), AddError> {
        let (sender, answer) = oneshot::channel();
        let first = self.core.add(batch, Visibility::AtOnce, Completion::Receipt(sender))?;
        Ok((first, SpoolReceipt::new(answer, None)))
    }

    /// The same, with something to be called on the writing thread once it is known what has become of it. Returns the
    /// number of the first record. What it calls must not wait for the spool.
    pub fn add_then(
        &self,
        batch: Batch,
        then: impl FnOnce(Result<u64, WriteError>) + Send + 'static,
    ) -> Result<u64, AddError> {
        let visibility = if batch.meta.is_some() { Visibility::Stored } else { Visibility::AtOnce };
        self.core.add(batch, visibility, Completion::Call(Box::new(then)))
    }

    /// Wakes `waker` on the writing thread when something has been stored, or room has been made. The last one counts.
    pub fn wake_on_change(&self, waker: Waker) {
        self.core.log.state.lock().waker = Some(waker);
    }

    /// Unacknowledged records from `from` on that are on disk, oldest first, as many as both limits allow, but one at
    /// least if there is one. They stay. Reads that go on where the last one ended are cheap.
    pub fn read(&self, from: u64, records_max: usize, bytes_max: usize) -> Result<Read, ReadError> {
        let read = self.core.reader.lock().read(&self.core.log, from, records_max, bytes_max);
        self.core.wake_if_due();
        read
    }

    /// Acknowledges records, in any order, and says how many of them were not before. A record that is not on disk yet
    /// may be acknowledged too; its receipt resolves.
    ///
    /// The cursor on disk follows after `cursor_acks_max` or `cursor_interval`, whichever is first, at
    /// [`sync`](Self::sync) and at the end: after a crash, the last ones come again. Consumers drop repeats.
    pub fn ack(&self, sequences: &[u64]) -> u64 {
        let new = self.core.log.ack(sequences.iter().map(|sequence| *sequence..sequence.saturating_add(1)));
        self.core.wake_if_due();
        new
    }

    /// Acknowledges everything up to and including this record.
    pub fn ack_up_to(&self, sequence: u64) -> u64 {
        let new = self.core.log.ack(std::iter::once(0..sequence.saturating_add(1)));
        self.core.wake_if_due();
        new
    }

    /// Bytes of a whole segment.
    pub fn segment_bytes(&self) -> u64 {
        self.core.log.options.segment_length()
    }

    /// Most bytes of all segments.
    pub fn size_bytes_max(&self) -> u64 {
        self.core.log.options.size_bytes_max
    }

    /// Makes everything added and acknowledged so far survive a power cut, whatever the durability. The receipt
    /// resolves once it does, which is not before the disk works.
    pub fn sync(&self) -> SpoolReceipt {
        self.core.sync()
    }

    /// Every record below this number is on disk, or is settled. What is above is in memory.
    pub fn stored(&self) -> u64 {
        self.core.log.state.lock().stored
    }

    /// Unacknowledged records.
    pub fn len(&self) -> u64 {
        self.core.log.state.lock().unsettled()
    }

    /// Whether every record is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this record is acknowledged, or known to be lost.
    pub fn is_settled(&self, sequence: u64) -> bool {
        self.core.log.state.lock().acks.contains(sequence)
    }

    /// Bytes on disk, spare segments included.
    pub fn bytes(&self) -> u64 {
        self.core.log.state.lock().disk_bytes()
    }

    /// About how many bytes the records take that are not acknowledged: those of the files that hold some, since space
    /// comes back by the file, and what is in memory.
    pub fn unsettled_bytes(&self) -> u64 {
        self.core.log.state.lock().unsettled_bytes()
    }

    /// The metadata of the last stored batch that had some.
    pub fn meta(&self) -> Option<Bytes> {
        self.core.log.state.lock().meta.clone()
    }

    /// How the spool stands.
    pub fn stats(&self) -> Stats {
        self.core.log.stats()
    }

    /// The store for records that are given up.
    pub fn dead(&self) -> &DeadLetters {
        &self.dead
    }

    /// The oldest records that would have to go for `bytes` more to find room: those of the oldest segment that holds
    /// none before `unleased_from`, nothing unacknowledged of `leased`, and is not being written. `None`: nothing would
    /// make room.
    pub fn oldest_to_displace(
        &self,
        unleased_from: u64,
        leased: &[Range<u64>],
        bytes: usize,
    ) -> Option<Range<u64>> {
        self.core.log.state.lock().oldest_to_displace(unleased_from, leased, bytes as u64)
    }

    /// Counts on the room of the segment with these records, which the caller is about to acknowledge.
    pub fn promise(&self, records: &Range<u64>) {
        let mut state = self.core.log.state.lock();
        let index = state.segment_of(records.start);
        let segment = index.and_then(|index| state.segments.get_mut(index));
        if let Some(segment) = segment.filter(|segment| !segment.is_promised) {
            segment.is_promised = true;
            let bytes = segment.bytes;
            state.plan.add_empty(bytes);
        }
    }

    /// Counts no longer on room that was promised and has not come.
    pub fn break_promises(&self) {
        let mut state = self.core.log.state.lock();
        state.segments.iter_mut().for_each(|segment| segment.is_promised = false);
    }

    /// Checks a record as `add` would, without adding it.
    pub fn check(&self, record: &Bytes) -> Result<(), Refusal> {
        Batch::record(record.clone()).check(&self.core.log.options)
    }

    /// Refuses adds from here on; returns at once.
    pub fn refuse(&self) {
        self.core.refuse();
    }

    /// Writes what was added, and the cursor, and ends the thread, within this time. Adds are refused from here on, reads
    /// go on.
    ///
    /// An error says that not everything was written by then: [`give_up`](Self::give_up) says what was not.
    pub fn close(&self, within: Duration) -> Result<(), WriteError> {
        let until = self.core.now().saturating_add(within);
        self.core.end();
        // Letters first: their records are settled once they are stored.
        let letters = self.dead.close(within);
        self.core.wait_ended(until.saturating_sub(self.core.now()))?;
        letters
    }

    /// Stops waiting for the disk. Returns the numbers of the records that were taken, are not acknowledged, and are not
    /// known to be stored; the disk may still store them.
    pub fn give_up(&self) -> Vec<u64> {
        self.dead.give_up();
        self.core.give_up()
    }

    /// Whether a thread of its own does the writing; or somebody by hand.
    pub fn has_thread(&self) -> bool {
        self.core.has_thread
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.core.log.state.lock().closed
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let is_given_up = {
            let state = self.core.log.state.lock();
            state.given_up && !state.ended
        };
        let within = if is_given_up { GIVEN_UP_WAIT } else { DROP_WAIT };
        match self.close(within) {
            Ok(()) => {}
            // Whoever gave up has been told of every record; the rest is acknowledgements, which come again.
            Err(error) if is_given_up => {
                tracing::debug!(dir = %self.core.log.dir.display(), %error, "the disk takes longer than anybody waits");
            }
            Err(error) => {
                tracing::warn!(dir = %self.core.log.dir.display(), %error, "could not write everything at the end");
            }
        }
    }
}

/// Does a spool's writing, when a test says so.
#[cfg(feature = "test-util")]
#[derive(Debug)]
pub struct Turns {
    core: Arc<Core>,
    dead: DeadLetters,
}

#[cfg(feature = "test-util")]
impl Turns {
    /// Does what there is to do at this time, and says after how long there will be more at the latest.
    pub fn turn(&self, now: Duration) -> Duration {
        self.core.turn(now).min(self.dead.turn(now))
    }
}

impl Core {
    pub(crate) fn start(house: House, writing: Writing) -> std::io::Result<Arc<Self>> {
        let log = Arc::clone(&house.log);
        let core = Arc::new(Self {
            log,
            reader: Mutex::default(),
            house: Mutex::new(house),
            wake: Condvar::new(),
            ended: Condvar::new(),
            started: now(),
            has_thread: writing == Writing::Thread,
            thread: Mutex::new(None),
        });
        // There is room for the first records before anybody adds one.
        core.turn(Duration::ZERO);
        if core.has_thread {
            let own = Arc::clone(&core);
            let thread = thread::Builder::new().name("posthaste-spool".into()).spawn(move || own.run())?;
            *core.thread.lock() = Some(thread);
        }
        Ok(core)
    }

    fn now(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }

    /// The thread's work, until the spool is closed and everything written or given up.
    fn run(&self) {
        // However the thread ends, nobody waits for it any longer.
        struct Ends<'a>(&'a Core);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                let mut state = self.0.log.state.lock();
                (state.closed, state.ended) = (true, true);
                state.syncs.clear();
                drop(state);
                self.0.ended.notify_all();
            }
        }
        let _ends = Ends(self);
        loop {
            let wait = self.turn(self.now());
            if self.is_finished() {
                self.finish();
                return;
            }
            self.sleep(wait);
        }
    }

    pub(crate) fn turn(&self, now: Duration) -> Duration {
        self.house.lock().turn(now, COMMITS_AT_ONCE)
    }

    fn is_finished(&self) -> bool {
        self.log.state.lock().is_finished()
    }

    fn finish(&self) {
        if let Err(error) = self.house.lock().end() {
            tracing::warn!(dir = %self.log.dir.display(), %error, "could not write the cursor at the end; some records will come again");
        }
    }

    fn sleep(&self, wait: Duration) {
        let mut state = self.log.state.lock();
        let has_work = state.work_since_turn;
        if has_work || wait.is_zero() || state.is_finished() {
            return;
        }
        state.idle = true;
        if state.led {
            let leads = state.leads;
            self.wake.wait_for(&mut state, wait.min(LED_SLEEP));
            // Whoever wrote has stopped: from now on the thread is woken again.
            state.led = leads != state.leads;
        } else {
            self.wake.wait_for(&mut state, wait);
        }
        state.idle = false;
    }

    pub(crate) fn add(
        &self,
        batch: Batch,
        visibility: Visibility,
        completion: Completion,
    ) -> Result<u64, AddError> {
        if let Err(reason) = batch.check(&self.log.options) {
            return Err(AddError { batch, reason });
        }
        let mut state = self.log.state.lock();
        let bytes = batch.disk_bytes();
        if let Err(reason) = state.admit(bytes, &self.log) {
            if reason.is_full() {
                self.wake(&mut state);
            }
            return Err(AddError { batch, reason });
        }
        let first = state.next;
        state.next += batch.records.len() as u64;
        state.pending.push(Entry::new(first, batch, visibility, completion));
        if !state.led {
            self.wake(&mut state);
        }
        Ok(first)
    }

    /// To be called for everything that the thread is to look at: it looks once more before it sleeps.
    fn wake(&self, state: &mut State) {
        state.work_since_turn = true;
        if state.idle {
            self.wake.notify_one();
        }
    }

    pub(crate) fn wake_if_due(&self) {
        let mut state = self.log.state.lock();
        let many = state.acks_unwritten >= self.log.options.cursor_acks_max;
        // The first one starts the time in which it has to be written down.
        let is_first = state.acks_unwritten > 0 && !state.acks_timed;
        if many || is_first || state.reclaimable().is_some() {
            self.wake(&mut state);
        }
    }

    pub(crate) fn sync(&self) -> SpoolReceipt {
        let (sender, answer) = oneshot::channel();
        let mut state = self.log.state.lock();
        // Behind the end, its drop says that the spool is closed.
        if !state.ended {
            state.syncs.push(sender);
            self.wake(&mut state);
        }
        drop(state);
        if !self.has_thread {
            self.turn(self.now());
        }
        SpoolReceipt::new(answer, None)
    }

    pub(crate) fn refuse(&self) {
        self.log.state.lock().closed = true;
    }

    /// Refuses, and ends the thread once everything is written.
    pub(crate) fn end(&self) {
        let mut state = self.log.state.lock();
        (state.closed, state.ending) = (true, true);
        self.wake(&mut state);
    }

    pub(crate) fn wait_ended(&self, within: Duration) -> Result<(), WriteError> {
        if !self.has_thread {
            self.turn(self.now());
            let is_finished = self.is_finished();
            let mut state = self.log.state.lock();
            state.ended = is_finished;
            drop(state);
            if is_finished {
                self.finish();
            }
            return if is_finished { Ok(()) } else { Err(WriteError::GivenUp) };
        }
        let until = now().checked_add(within);
        let mut state = self.log.state.lock();
        while !state.ended {
            let timed_out = if let Some(until) = until {
                self.ended.wait_until(&mut state, until).timed_out()
            } else {
                self.ended.wait(&mut state);
                false
            };
            if timed_out && !state.ended {
                return Err(state.blocked.clone().unwrap_or(WriteError::GivenUp));
            }
        }
        drop(state);
        self.join();
        Ok(())
    }

    /// Lets the thread, which has nothing left to do, let go of the folder's lock.
    fn join(&self) {
        let thread =
            self.thread.lock().take().filter(|thread| thread.thread().id() != thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(dir = %self.log.dir.display(), "the spool's thread panicked");
        }
    }

    pub(crate) fn give_up(&self) -> Vec<u64> {
        let mut completed = Completed::default();
        let (given_up, syncs) = {
            let mut state = self.log.state.lock();
            let state = &mut *state;
            (state.closed, state.ending, state.given_up) = (true, true, true);
            let syncs = std::mem::take(&mut state.syncs);
            (state.pending.give_up(&state.acks, &WriteError::GivenUp, &mut completed), syncs)
        };
        for sync in syncs {
            drop(sync.send(Err(WriteError::GivenUp)));
        }
        completed.call();
        self.wake(&mut self.log.state.lock());
        given_up
    }

    pub(crate) fn read(&self, from: u64, records_max: usize, bytes_max: usize) -> Result<Read, ReadError> {
        self.reader.lock().read(&self.log, from, records_max, bytes_max)
    }
}

impl Lead for Core {
    fn lead(&self) {
        if let Some(mut house) = self.house.try_lock() {
            house.lead(self.now());
            drop(house);
            let mut state = self.log.state.lock();
            state.led = true;
            state.leads += 1;
            if !state.pending.is_empty() {
                self.wake(&mut state);
            }
        }
    }
}

impl State {
    /// Whether the thread has nothing left to do.
    fn is_finished(&self) -> bool {
        self.ending && self.pending.is_empty()
    }

    /// Whether a batch of this size can be taken for good, now.
    fn admit(&mut self, bytes: usize, log: &Log) -> Result<(), Refusal> {
        let pending_bytes_max = log.options.pending_length();
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.moved {
            return Err(Refusal::Blocked(WriteError::Moved { path: log.dir.clone() }));
        }
        if let Some(error) = self.blocked.as_ref().filter(|error| !self.waits_for_promise(error)) {
            return Err(Refusal::Blocked(error.clone()));
        }
        if self.pending.bytes() > 0 && self.pending.bytes() + bytes > pending_bytes_max {
            return Err(Refusal::PendingFull { bytes_max: pending_bytes_max });
        }
        if !self.plan.take(bytes as u64) {
            self.wanted = self.wanted.max(bytes as u64);
            let no_room = self.no_room().cloned().or_else(|| self.is_at_limit(bytes as u64, log));
            return Err(no_room.map_or(Refusal::NoRoomYet, Refusal::Blocked));
        }
        Ok(())
    }

    /// Why there is no more room. That the limit leaves none is no reason once a segment is about to be given back.
    fn no_room(&self) -> Option<&WriteError> {
        let is_passing =
            |error: &WriteError| matches!(error, WriteError::SizeLimit { .. }) && self.is_room_coming();
        self.no_room.as_ref().filter(|error| !is_passing(error))
    }

    /// Why no room is being made for a batch of this size: nothing is about to be given back, and the limit leaves none,
    /// empty segments that are too small included.
    fn is_at_limit(&self, bytes: u64, log: &Log) -> Option<WriteError> {
        let bytes_max = log.options.size_bytes_max;
        let left = bytes_max.saturating_sub(self.disk_bytes()).saturating_add(self.spare_bytes);
        let is_at_limit = left < plan::length_for(bytes) && !self.is_room_coming();
        is_at_limit.then_some(WriteError::SizeLimit { bytes_max })
    }

    fn oldest_to_displace(
        &self,
        unleased_from: u64,
        leased: &[Range<u64>],
        bytes: u64,
    ) -> Option<Range<u64>> {
        let last = self.segments.len().checked_sub(1)?;
        let is_leased = |records: Range<u64>| {
            let both = |leased: &Range<u64>| leased.start.max(records.start)..leased.end.min(records.end);
            leased.iter().map(both).any(|both| !both.is_empty() && !self.acks.covers(both))
        };
        let is_fit = |index: &usize| {
            self.segments.get(*index).is_some_and(|segment| {
                segment.first >= unleased_from
                    && !segment.is_promised
                    && plan::capacity(segment.bytes) >= bytes
                    && !is_leased(segment.first..self.bound(*index))
            })
        };
        let index = (0..last).find(is_fit)?;
        Some(self.segments.get(index)?.first..self.bound(index))
    }
}

#[expect(clippy::disallowed_methods, reason = "threads can only wait in real time")]
fn now() -> Instant {
    Instant::now()
}
