//! The thread that writes: takes all that is waiting, commits it, answers, and keeps house in between.
//!
//! The queue in front of it is bounded in bytes, counted until their receipts resolve. Control never waits behind
//! data: acknowledgements and closing are flags, seen at the next turn.

use std::{mem, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::{
    batch::Batch,
    error::{DiskError, Refusal, WriteError},
    log::Log,
    options::Durability,
    receipt::{Completer, SpoolReceipt, receipt},
    shared::Shared,
    writer::Writer,
};

/// By how much the time between tries grows at most.
const RETRY_GROWTH_MAX: u32 = 32;

/// What waits for the writing thread.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: Vec<Batch>,
    completers: Vec<Completer>,
    /// Of batches waiting and being written.
    bytes: usize,
    syncs: Vec<Completer>,
    acked: bool,
    closed: bool,
    ended: bool,
    /// Why nothing can be written, until a try succeeds.
    blocked: Option<WriteError>,
}

/// One turn's work.
struct Work {
    batches: Vec<Batch>,
    completers: Vec<Completer>,
    bytes: usize,
    syncs: Vec<Completer>,
    closed: bool,
    blocked: bool,
}

impl Queue {
    /// Takes a batch to be written, or says why not. The batch has passed its own checks.
    pub(crate) fn push(&self, batch: Batch, bytes_max: usize) -> Result<SpoolReceipt, (Batch, Refusal)> {
        let bytes = batch.disk_bytes();
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err((batch, Refusal::Closed));
        }
        if let Some(error) = &waiting.blocked {
            let reason = Refusal::Blocked(error.clone());
            return Err((batch, reason));
        }
        if waiting.bytes > 0 && waiting.bytes + bytes > bytes_max {
            return Err((batch, Refusal::PendingFull { bytes_max }));
        }
        let (completer, receipt) = receipt();
        let idle = waiting.batches.is_empty();
        waiting.bytes += bytes;
        waiting.batches.push(batch);
        waiting.completers.push(completer);
        drop(waiting);
        if idle {
            self.wake.notify_one();
        }
        Ok(receipt)
    }

    /// Asks for a sync of everything taken so far.
    pub(crate) fn sync(&self) -> SpoolReceipt {
        let (completer, receipt) = receipt();
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.syncs.push(completer);
            self.wake.notify_one();
        }
        receipt
    }

    /// Tells that acknowledgements call for the writer.
    pub(crate) fn acked(&self) {
        self.waiting.lock().acked = true;
        self.wake.notify_one();
    }

    /// Refuses all that comes from now on; what was taken is still written.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for the thread's end, but not longer than this. Says whether it ended.
    pub(crate) fn wait_ended(&self, limit: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.ended.wait_while_for(&mut waiting, |waiting| !waiting.ended, limit);
        waiting.ended
    }

    /// Waits for work. While writing is blocked, an empty turn comes every `retry`.
    fn take(&self, retry: Duration) -> Work {
        let mut waiting = self.waiting.lock();
        while waiting.is_idle() {
            if waiting.blocked.is_none() {
                self.wake.wait(&mut waiting);
            } else if self.wake.wait_for(&mut waiting, retry).timed_out() {
                break;
            }
        }
        waiting.acked = false;
        Work {
            bytes: waiting.batches.iter().map(Batch::disk_bytes).sum(),
            batches: mem::take(&mut waiting.batches),
            completers: mem::take(&mut waiting.completers),
            syncs: mem::take(&mut waiting.syncs),
            closed: waiting.closed,
            blocked: waiting.blocked.is_some(),
        }
    }

    fn settle(&self, bytes: usize, blocked: Option<WriteError>) {
        let mut waiting = self.waiting.lock();
        waiting.bytes -= bytes;
        waiting.blocked = blocked;
    }

    fn end(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.ended = true;
        waiting.batches.clear();
        waiting.completers.clear();
        waiting.syncs.clear();
        drop(waiting);
        self.ended.notify_all();
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.batches.is_empty() && self.syncs.is_empty() && !self.acked && !self.closed
    }
}

/// Ends the queue however the thread ends, so that nobody waits for an answer that cannot come.
struct EndsQueue(Arc<Queue>);

impl Drop for EndsQueue {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs until the queue is closed and empty, and says whether the last sync worked.
pub(crate) fn run(mut writer: Writer, queue: Arc<Queue>) -> Result<(), DiskError> {
    let queue = EndsQueue(queue);
    let shared = Arc::clone(&writer.shared);
    let interval = shared.options.retry_interval;
    let mut retry = interval;
    loop {
        let work = queue.0.take(retry);
        let idle = work.batches.is_empty();
        if work.blocked {
            writer.reclaim();
        }
        let blocked = write(&mut writer, &shared, &work.batches, work.completers, work.blocked);
        // Each try fills what is left of a full disk for a moment.
        retry = if blocked.is_some() {
            retry.saturating_mul(2).min(interval.saturating_mul(RETRY_GROWTH_MAX))
        } else {
            interval
        };
        queue.0.settle(work.bytes, blocked);
        if let Some(listener) = shared.on_commit.get() {
            (listener.0)();
        }
        keep_house(&mut writer, &shared, idle);
        for sync in work.syncs {
            sync.complete(writer.sync().map(|()| 0).map_err(WriteError::from));
        }
        if work.closed && idle {
            return writer.sync();
        }
    }
}

/// Writes and answers. Says why nothing can be written, if so.
fn write(
    writer: &mut Writer,
    shared: &Shared,
    batches: &[Batch],
    mut completers: Vec<Completer>,
    was_blocked: bool,
) -> Option<WriteError> {
    if batches.is_empty() {
        return if was_blocked { writer.make_room(0).err() } else { None };
    }
    if shared.options.durability == Durability::Memory {
        promise(shared, batches, mem::take(&mut completers));
    }
    let mut completers = completers.into_iter();
    let (mut blocked, mut unwritten) = (None, 0);
    for (result, batch) in writer.write(batches).into_iter().zip(batches) {
        if let Err(error) = &result {
            blocked = Some(error.clone());
            unwritten += batch.records.len() as u64;
        }
        if let Some(completer) = completers.next() {
            completer.complete(result);
        }
    }
    if shared.options.durability == Durability::Memory && unwritten > 0 {
        writer.skip(unwritten);
    }
    blocked
}

/// Answers before writing: the numbers are known, and nothing else was promised.
fn promise(shared: &Shared, batches: &[Batch], completers: Vec<Completer>) {
    let mut next = shared.state.lock().next;
    for (batch, completer) in batches.iter().zip(completers) {
        completer.complete(Ok(next));
        next += batch.records.len() as u64;
    }
}

fn keep_house(writer: &mut Writer, shared: &Shared, idle: bool) {
    let (reclaimable, unwritten) = {
        let state = shared.state.lock();
        (state.is_reclaimable(), state.acks_unwritten)
    };
    if unwritten >= shared.options.cursor_acks_max {
        // Counted there; what is not written down comes again after a crash.
        let _ = writer.write_cursor();
    }
    if reclaimable {
        writer.reclaim();
    }
    if idle {
        writer.prepare();
    }
}

/// Starts the thread that owns the log's writer.
pub(crate) fn start(log: Log, queue: &Arc<Queue>) -> std::io::Result<(Running, Arc<Shared>)> {
    let Log { shared, writer, reader } = log;
    let queue = Arc::clone(queue);
    let thread = std::thread::Builder::new().name("posthaste-spool".into());
    let thread = thread.spawn(move || run(writer, queue))?;
    Ok((Running { thread, reader }, shared))
}

/// A started thread, and the half of the log that it does not own.
pub(crate) struct Running {
    pub(crate) thread: std::thread::JoinHandle<Result<(), DiskError>>,
    pub(crate) reader: crate::reader::Reader,
}
