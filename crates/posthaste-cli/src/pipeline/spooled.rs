//! `--spool`: lines go to disk, together with how far the input has been read, and from there to the Event API.
//!
//! Many lines are stored in one commit, all or nothing with the position behind them, and the next commit waits for the
//! last: so the position on disk never tells of a line that is not there, and no line is stored twice. Meanwhile the
//! reader goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste::{
    Clock, LogEvent, OptionsError, QueueEventDispatcher, RawBatch, Receipt, Refusal, Refused, Region,
    SpoolQueue, SystemClock, UserEvent,
    outcome::{Health, Trouble},
    queue::DeliveryQueue,
};

use super::{
    args::DeliveryArgs,
    books::{Books, NotTaken, SpooledBooks},
    dead::DeadLetterOffice,
    request::{region_of, request},
    to::To,
};
use crate::{common::spool_options, input::Position, lines::Fault};

/// Lines of one commit, at most.
const CHUNK_LINES_MAX: usize = 1_024;
/// About what a record takes besides its body and its address.
const RECORD_HEAD_BYTES: usize = 64;
/// How often to look whether a full spool has room again; the spool itself tries its disk less often.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// How long a full spool may make the reader wait before that is said.
const ROOM_TOLD_AFTER: Duration = Duration::from_secs(2);
/// How often to look whether the run has ended while a disk takes its time.
const STORED_EVERY: Duration = Duration::from_millis(50);
/// How often, and how many times, what the disk will not hand out is tried once nothing else is left.
const UNREADABLE_EVERY: Duration = Duration::from_secs(1);
const UNREADABLE_TRIES: u32 = 3;

#[derive(Debug)]
pub(crate) struct Spooled {
    queue: SpoolQueue<LogEvent>,
    dispatcher: QueueEventDispatcher,
    /// What is to be stored next. There is one reader, so nobody waits for this.
    chunk: Mutex<Chunk>,
    endpoint: Option<Arc<str>>,
    /// The region of what does not say its own.
    region: Region,
    limits: Limits,
    keeps_place: bool,
    /// Where this run began to read.
    start: Position,
    /// The metadata at that time, which may be another input's.
    meta_before: Option<Bytes>,
    /// Dead letters and losses of earlier runs, in events: they are in the queue's ledger, and no part of this run's.
    dead_before: u64,
    /// Nothing is taken any more: nobody waits for the disk.
    is_closing: AtomicBool,
    is_wait_told: AtomicBool,
    /// Why there is no room, while the reader waits for it.
    no_room: Mutex<Option<String>>,
    office: Arc<DeadLetterOffice>,
}

/// How many bytes the spool's size leaves room for.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    commit: usize,
    event: usize,
    batch: usize,
}

impl Limits {
    pub(crate) fn of(spool_size: u64, args: &DeliveryArgs) -> Self {
        let request = spool_options::request_bytes_max(spool_size);
        Self {
            commit: spool_options::commit_bytes_max(spool_size),
            event: request.min(args.max_batch_bytes),
            batch: request,
        }
    }
}

#[derive(Debug, Default)]
struct Chunk {
    requests: Vec<LogEvent>,
    bytes: usize,
    lines: usize,
    events: u64,
    /// Of what was handed to the spool, and is not known to be stored.
    under_way: Option<Receipt>,
}

impl Spooled {
    /// Delivers what the queue holds from now on. `start` is where reading is; `None`: nobody reads, and there is no
    /// place to store.
    pub(crate) fn start(
        args: &DeliveryArgs,
        limits: Limits,
        queue: SpoolQueue<LogEvent>,
        start: Option<Position>,
        region: Option<Region>,
        (to, office): (&To, &Arc<DeadLetterOffice>),
    ) -> Result<Self, OptionsError> {
        let dead_before = queue.dead_letters().map_or(0, |letters| letters.count() as u64)
            + queue.spool().stats().counters.lost_before;
        let meta_before = queue.spool().meta();
        // It delivers from here on: what was there before has been counted.
        let dispatcher = to.pipeline(args, queue.clone(), office)?;
        Ok(Self {
            dispatcher,
            queue,
            chunk: Mutex::default(),
            endpoint: args.endpoint.as_deref().map(Arc::from),
            region: region.unwrap_or_default(),
            limits,
            keeps_place: start.is_some(),
            start: start.unwrap_or_else(|| Position::start("", None)),
            meta_before,
            dead_before,
            is_closing: AtomicBool::new(false),
            is_wait_told: AtomicBool::new(false),
            no_room: Mutex::default(),
            office: Arc::clone(office),
        })
    }

    pub(crate) fn add_event(&self, event: &UserEvent) -> Result<(), NotTaken> {
        if let Some(reason) = event.why_invalid() {
            return Err(NotTaken::Fault(Fault::Refused(Refusal::Invalid(reason))));
        }
        let endpoint = self.endpoint_in(self.region);
        let request = LogEvent::of_event(endpoint, event);
        self.add(request, self.limits.event)
    }

    pub(crate) fn add_batch(&self, body: &str) -> Result<(), NotTaken> {
        let fault = |error| NotTaken::Fault(Fault::NotABatch(error));
        let region = region_of(&RawBatch::parse(body.as_bytes()).map_err(fault)?, self.region);
        let request = request(self.endpoint_in(region), body)?;
        self.add(request, self.limits.batch)
    }

    fn endpoint_in(&self, region: Region) -> Arc<str> {
        self.endpoint.clone().unwrap_or_else(|| region.event_end_point().into())
    }

    fn add(&self, request: LogEvent, bytes_max: usize) -> Result<(), NotTaken> {
        let bytes = request.body().len();
        if bytes > bytes_max {
            return Err(NotTaken::Fault(Fault::Refused(Refusal::TooLarge { bytes, bytes_max })));
        }
        let mut chunk = self.chunk.lock();
        chunk.bytes += bytes + RECORD_HEAD_BYTES + request.end_point().len();
        chunk.events += request.events() as u64;
        chunk.requests.push(request);
        Ok(())
    }

    /// Hands the chunk to the spool if it is large enough.
    pub(crate) fn line_done(&self, position: impl FnOnce() -> Position) -> Result<(), NotTaken> {
        let mut chunk = self.chunk.lock();
        chunk.lines += 1;
        if chunk.lines >= CHUNK_LINES_MAX || chunk.bytes >= self.limits.commit {
            self.store(&mut chunk, position())?;
        }
        Ok(())
    }

    pub(crate) fn reading_done(&self, position: Position) -> Result<(), NotTaken> {
        if !self.keeps_place {
            return Ok(());
        }
        let mut chunk = self.chunk.lock();
        self.store(&mut chunk, position)?;
        self.confirm(&mut chunk)
    }

    pub(crate) fn pause(&self, position: Position) -> Result<(), NotTaken> {
        self.reading_done(position)?;
        // Nobody waits for this: it only says that no batch has to fill.
        drop(self.dispatcher.flush(Duration::ZERO));
        Ok(())
    }

    fn store(&self, chunk: &mut Chunk, mut position: Position) -> Result<(), NotTaken> {
        self.confirm(chunk)?;
        position.events = self.stored().events + chunk.events;
        let requests = std::mem::take(&mut chunk.requests);
        (chunk.bytes, chunk.lines, chunk.events) = (0, 0, 0);
        chunk.under_way = Some(self.hand_over(requests, &position.to_meta().into())?);
        Ok(())
    }

    /// Waits until what was handed over is stored: for as long as the disk takes, unless the run ends.
    fn confirm(&self, chunk: &mut Chunk) -> Result<(), NotTaken> {
        while let Some(receipt) = &mut chunk.under_way {
            let stored = receipt.wait_within(STORED_EVERY);
            match stored {
                Some(Ok(())) => chunk.under_way = None,
                // Whether it will be stored is the spool's to say: the position goes with it.
                _ if self.is_closing.load(SeqCst) => return Err(NotTaken::Closed),
                Some(Err(reason)) => return Err(NotTaken::NotStored(reason)),
                None => {}
            }
        }
        Ok(())
    }

    /// Waits for room for as long as it takes: closing the queue ends the wait.
    fn hand_over(&self, requests: Vec<LogEvent>, meta: &Bytes) -> Result<Receipt, NotTaken> {
        let handed_over = self.hand_over_or_wait(requests, meta);
        *self.no_room.lock() = None;
        handed_over
    }

    fn hand_over_or_wait(&self, mut requests: Vec<LogEvent>, meta: &Bytes) -> Result<Receipt, NotTaken> {
        let since = SystemClock.elapsed();
        loop {
            match self.queue.add_all(requests, meta.clone()) {
                Ok(receipt) => return Ok(receipt),
                Err(Refused { item, reason, .. }) if reason.is_full() => {
                    if SystemClock.elapsed() >= since + ROOM_TOLD_AFTER {
                        self.tell_of_wait(&reason);
                    }
                    requests = item;
                }
                Err(Refused { reason: Refusal::Closed, .. }) => return Err(NotTaken::Closed),
                Err(Refused { reason, .. }) => return Err(NotTaken::NotStored(reason)),
            }
            // What does not fill a batch would keep the spool full until the flush interval is over.
            drop(self.dispatcher.flush(Duration::ZERO));
            thread::sleep(ROOM_EVERY);
        }
    }

    /// Once is enough for a log.
    fn tell_of_wait(&self, reason: &Refusal) {
        *self.no_room.lock() = Some(format!("room in the spool ({reason})"));
        if !self.is_wait_told.swap(true, SeqCst) {
            self.office.note(format_args!("posthaste: reading waits for room in the spool ({reason})"));
        }
    }

    /// How far the input has been read, as the spool has it.
    pub(crate) fn stored(&self) -> Position {
        let meta = self.queue.spool().meta().filter(|meta| Some(meta) != self.meta_before.as_ref());
        meta.and_then(|meta| Position::read(&meta).ok()).unwrap_or_else(|| self.start.clone())
    }

    /// Where this run began to read.
    pub(crate) fn began(&self) -> &Position {
        &self.start
    }

    pub(crate) fn books(&self) -> Books {
        let ledger = self.dispatcher.ledger();
        let accepted = ledger.accepted.saturating_sub(self.dead_before);
        let dead_lettered = ledger.dead_lettered.saturating_sub(self.dead_before);
        let taken = self.stored().events.saturating_sub(self.start.events);
        let recovered = accepted.saturating_sub(taken);
        let mut total = ledger;
        (total.accepted, total.dead_lettered) = (accepted, dead_lettered);
        let counters = self.queue.spool().stats().counters;
        let lost = counters.lost_records - counters.lost_before;
        // Nobody is told of what is set aside because this version cannot read it.
        let set_aside = dead_lettered.saturating_sub(lost + self.office.events());
        let unreadable = set_aside + self.queue.unreadable();
        Books { by_kind: None, total, spooled: Some(SpooledBooks { recovered, lost, unreadable }) }
    }

    /// Ends early where nothing is left but what the disk will not hand out.
    pub(crate) async fn flush(&self, within: Duration) {
        let until = SystemClock.elapsed().saturating_add(within);
        let mut tries = 0;
        loop {
            let now = SystemClock.elapsed();
            let left = until.saturating_sub(now);
            let report = self.dispatcher.flush(left.min(UNREADABLE_EVERY)).await;
            let is_all_unreadable = report.left <= self.queue.unreadable();
            tries = if is_all_unreadable { tries + 1 } else { 0 };
            // Delivery that has ended by itself answers early.
            let has_ended = SystemClock.elapsed() < now + UNREADABLE_EVERY;
            if report.is_complete() || has_ended || left <= UNREADABLE_EVERY || tries >= UNREADABLE_TRIES {
                return;
            }
        }
    }

    pub(crate) fn close(&self, within: Duration) -> impl Future<Output = Vec<Trouble>> + use<> {
        self.is_closing.store(true, SeqCst);
        let closing = self.dispatcher.close(within);
        async move { closing.await.reasons }
    }

    pub(crate) fn health(&self) -> Health {
        self.dispatcher.health()
    }

    /// For what the reader waits.
    pub(crate) fn room_wanted(&self) -> Option<String> {
        self.no_room.lock().clone()
    }

    /// Of the whole input; where nobody reads, of what there is.
    pub(crate) fn events_of_input(&self) -> u64 {
        if self.keeps_place { self.stored().events } else { self.books().total.accepted }
    }
}
