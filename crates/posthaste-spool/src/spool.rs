//! The spool as its callers see it: shared by reference among threads, never blocking on the disk to add.

use std::{path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    batch::Batch,
    dead::DeadLetters,
    error::{AddError, DiskError, OpenError, ReadError, Refusal, WriteError},
    filesystem::{Filesystem, RealFilesystem},
    log::{Log, Stats},
    options::SpoolOptions,
    reader::{Reader, Record},
    receipt::SpoolReceipt,
    shared::{Listener, Shared},
    worker::{self, Queue, Running},
};

/// How long a dropped spool waits for its last write. `close` waits as long as it takes.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// A durable queue on disk for one process.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    reader: Mutex<Reader>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<Result<(), DiskError>>>>,
    dead: DeadLetters,
}

impl Spool {
    /// Opens the spool in a folder, made if it is not there, and starts the thread that writes.
    pub fn open(dir: impl AsRef<Path>, options: SpoolOptions) -> Result<Self, OpenError> {
        Self::open_with(Arc::new(RealFilesystem), dir, options)
    }

    /// Opens a spool on the given filesystem.
    pub fn open_with(
        filesystem: Arc<dyn Filesystem>,
        dir: impl AsRef<Path>,
        options: SpoolOptions,
    ) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let dead = DeadLetters::new(Arc::clone(&filesystem), dir, &options);
        let log = Log::open_with(filesystem, dir, options)?;
        let queue = Arc::<Queue>::default();
        let (Running { thread, reader }, shared) =
            worker::start(log, &queue).map_err(|error| DiskError::new("start the writer of", dir, error))?;
        Ok(Self { shared, reader: Mutex::new(reader), queue, thread: Mutex::new(Some(thread)), dead })
    }

    /// Hands a record to the thread that writes, without waiting for the disk. A refusal gives it back.
    pub fn add(&self, record: impl Into<Bytes>) -> Result<SpoolReceipt, AddError> {
        self.add_batch(vec![record.into()], None)
    }

    /// Hands over records that are stored all or nothing, together with the caller's metadata if it changes with
    /// them. The receipt resolves to the number of the first; the others follow without gaps.
    pub fn add_batch(&self, records: Vec<Bytes>, meta: Option<Bytes>) -> Result<SpoolReceipt, AddError> {
        let batch = Batch { records, meta };
        if let Err(reason) = batch.check(&self.shared.options) {
            return Err(AddError { batch, reason });
        }
        let pushed = self.queue.push(batch, self.shared.options.pending_bytes_max);
        pushed.map_err(|(batch, reason)| AddError { batch, reason })
    }

    /// Calls `listener` on the writing thread after each commit, once its receipts have resolved, whether it worked or
    /// not. It must not wait for the spool. The first listener stays; a second one is not called.
    pub fn on_commit(&self, listener: impl Fn() + Send + Sync + 'static) {
        drop(self.shared.on_commit.set(Listener(Box::new(listener))));
    }

    /// Unacknowledged records from `from` on whose receipts have resolved, oldest first, as many as both limits
    /// allow, but one at least if there is one. They stay. Reads that go on where the last one ended are cheap.
    pub fn read(&self, from: u64, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let records = self.reader.lock().read(from, records_max, bytes_max);
        self.wake_for_acks();
        records
    }

    /// Acknowledges records, in any order, and says how many of them were not before.
    ///
    /// The cursor on disk follows in steps (`cursor_acks_max`), at [`sync`](Self::sync) and at the end: after a
    /// crash, the last ones come again. Consumers drop repeats.
    pub fn ack(&self, sequences: &[u64]) -> u64 {
        let new = self.shared.ack(sequences.iter().map(|sequence| *sequence..sequence.saturating_add(1)));
        self.wake_for_acks();
        new
    }

    /// Acknowledges everything up to and including this record.
    pub fn ack_up_to(&self, sequence: u64) -> u64 {
        let new = self.shared.ack(std::iter::once(0..sequence.saturating_add(1)));
        self.wake_for_acks();
        new
    }

    fn wake_for_acks(&self) {
        let due = {
            let state = self.shared.state.lock();
            state.is_reclaimable() || state.acks_unwritten >= self.shared.options.cursor_acks_max
        };
        if due {
            self.queue.acked();
        }
    }

    /// Makes everything added and acknowledged so far survive a power cut, whatever the durability.
    pub fn sync(&self) -> Result<(), WriteError> {
        self.queue.sync().wait().map(drop)
    }

    /// Unacknowledged records.
    pub fn len(&self) -> u64 {
        self.shared.state.lock().unsettled()
    }

    /// Whether every record is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on disk, spare segments included.
    pub fn bytes(&self) -> u64 {
        self.shared.state.lock().disk_bytes()
    }

    /// The metadata of the last committed batch that had some.
    pub fn meta(&self) -> Option<Bytes> {
        self.shared.state.lock().meta.clone()
    }

    /// How the spool stands.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The store for records that are given up.
    pub fn dead(&self) -> &DeadLetters {
        &self.dead
    }

    /// Writes what was added, and the cursor, and ends the thread. Adds are refused from here on, reads go on.
    ///
    /// What could not be written is told by its receipt; an error here means that acknowledgements were not written
    /// down, so that some records come again.
    pub fn close(&self) -> Result<(), WriteError> {
        self.queue.close();
        match self.thread.lock().take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error.into()),
            Some(Err(_)) => Err(WriteError::Closed),
        }
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.thread.lock().is_none()
    }

    /// Checks a record as `add` would, without adding it.
    pub fn check(&self, record: &Bytes) -> Result<(), Refusal> {
        Batch::record(record.clone()).check(&self.shared.options)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take()
            && self.queue.wait_ended(DROP_WAIT)
            && let Ok(Err(error)) = thread.join()
        {
            tracing::warn!(dir = %self.shared.dir.display(), %error, "could not write the cursor at the end");
        }
    }
}
