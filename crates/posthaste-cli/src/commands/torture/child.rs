//! The process that gets killed: a program that reports events, as any other, and says on stdout what it is told.
//!
//! It claims an event before it offers it, so that whatever the disk holds of it later is known to the parent. It ends
//! when stdin says `finish` and how long that may take, and at once when the parent is gone.

use std::{
    io::{self, BufRead, Stdout},
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, Scope},
    time::Duration,
};

use fastrand::Rng;
use posthaste::{
    BatchEventProcessor, Clock, DeadLetter, HttpEventDispatcher, LogEvent, ProjectConfig, Receipt,
    SpoolQueue, SystemClock, UserEvent, WhenFull,
};
use posthaste_oracle::{Cause, Digest, Fact, FactLog, Ledger};

use super::{dice, payload};
use crate::common::{
    exit::{Exit, Failure},
    spool_options,
};

/// The smallest spool that the command line makes: a few hundred kilobytes a segment, soon full.
const SPOOL_BYTES: u64 = 1 << 20;
/// Threads that offer events.
const PRODUCERS: u64 = 3;
/// Receipts that wait to be looked at.
const RECEIPTS_MAX: usize = 1_024;
/// How often a refused event is offered again.
const OFFERS_MAX: u32 = 40;
/// How long a producer waits before that.
const PAUSE_MS: std::ops::Range<u64> = 1..25;
/// How long a full queue may block a producer.
const BLOCK: Duration = Duration::from_millis(200);
/// Less than the upstream's worst.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// What the parent says at the end, before a number of milliseconds.
pub(super) const FINISH: &str = "finish";
/// What is left for the last words, after the deadline.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The process that gets killed
#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    /// The spool's folder
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// The upstream
    #[arg(long)]
    pub(super) url: String,
    /// The number of this life
    #[arg(long)]
    pub(super) run: u32,
    /// The first event to claim
    #[arg(long)]
    pub(super) from: u64,
    /// The last event to claim
    #[arg(long)]
    pub(super) until: u64,
    /// Decides everything that is left to chance
    #[arg(long)]
    pub(super) seed: u64,
}

pub(crate) fn run(args: &ChildArgs) -> Result<Exit, Failure> {
    let queue = SpoolQueue::open(&args.dir, spool_options::options(SPOOL_BYTES))?;
    let processor = processor(args, queue)?;
    let recovered = processor.ledger().accepted;
    let child = Child {
        args,
        processor,
        config: payload::project(),
        next: AtomicU64::new(args.from),
        is_over: AtomicBool::new(false),
    };
    let within = child.work()?;
    child.finish(within, recovered);
    Ok(Exit::Fine)
}

/// Every life is a little different: batches, overlap, and what a full queue does.
fn processor(args: &ChildArgs, queue: SpoolQueue<UserEvent>) -> Result<BatchEventProcessor, Failure> {
    let mut random = Rng::with_seed(args.seed ^ u64::from(args.run));
    let dispatcher = HttpEventDispatcher::builder()
        .request_timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(posthaste::OptionsError::from)?;
    let processor = BatchEventProcessor::builder()
        .queue(queue)
        .event_dispatcher(dispatcher)
        .event_end_point(args.url.as_str())
        .batch_size(random.usize(1..25))
        .in_flight(random.usize(2..9))
        .flush_interval(Duration::from_millis(random.u64(5..100)))
        .backoff(Duration::from_millis(2), Duration::from_millis(50))
        .retry_after_max(Duration::from_secs(1))
        .when_full(if random.bool() { WhenFull::Reject } else { WhenFull::Block(BLOCK) })
        .drop_deadline(Duration::ZERO)
        .on_dead_letter(tell_of_the_unstored);
    Ok(processor.build()?)
}

/// What the disk would not take is in no file: this is all that is heard of it.
fn tell_of_the_unstored(letter: &DeadLetter<UserEvent>) {
    if letter.reason.name() != "not_stored" {
        return;
    }
    let request = LogEvent::of_event("", &letter.item);
    for (id, digest) in payload::read(request.body()).unwrap_or_default() {
        note(Fact::Dead { id, digest, cause: Cause::Excused });
    }
}

/// Whoever cannot be heard any more has no reason to go on.
pub(super) fn note(fact: Fact) {
    static FACTS: LazyLock<FactLog<Stdout>> = LazyLock::new(|| FactLog::new(io::stdout()));
    if FACTS.note(&fact).is_err() {
        std::process::exit(1);
    }
}

struct Child<'a> {
    args: &'a ChildArgs,
    processor: BatchEventProcessor,
    config: ProjectConfig,
    /// The next event that nobody has claimed.
    next: AtomicU64,
    is_over: AtomicBool,
}

/// An accepted event whose receipt has not been looked at.
type Taken = (u64, Receipt);

impl Child<'_> {
    /// Offers events until there are no more of them, or the parent has had enough. Returns how long the end may take.
    fn work(&self) -> io::Result<Duration> {
        let (taken, receipts) = sync_channel(RECEIPTS_MAX);
        thread::scope(|scope| {
            let started = self.start_threads(scope, taken, receipts);
            let within = started.map(|()| told_to_finish());
            self.is_over.store(true, SeqCst);
            within
        })
    }

    fn start_threads<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        taken: SyncSender<Taken>,
        receipts: Receiver<Taken>,
    ) -> io::Result<()> {
        thread::Builder::new().spawn_scoped(scope, move || self.look_at(receipts))?;
        for producer in 0..PRODUCERS {
            let taken = taken.clone();
            thread::Builder::new().spawn_scoped(scope, move || self.produce(producer, &taken))?;
        }
        // The producers have the others: receipts end with them.
        drop(taken);
        Ok(())
    }

    fn produce(&self, producer: u64, taken: &SyncSender<Taken>) {
        let mut random = Rng::with_seed(self.args.seed ^ (u64::from(self.args.run) << 8) ^ producer);
        while !self.is_over.load(SeqCst) {
            let id = self.next.fetch_add(1, SeqCst);
            if id > self.args.until {
                break;
            }
            let (event, digest) = payload::event(&self.config, self.args.seed, id);
            let Some(receipt) = self.offer(&event, id, digest, &mut random) else { continue };
            // Some producers wait until their event is safe, most do not.
            if random.u8(0..20) == 0 {
                self.tell_of(id, receipt);
            } else if taken.send((id, receipt)).is_err() {
                break;
            }
        }
    }

    /// Offers an event, again and again if need be. `None`: it was given up.
    fn offer(&self, event: &UserEvent, id: u64, digest: Digest, random: &mut Rng) -> Option<Receipt> {
        let run = self.args.run;
        for _ in 0..OFFERS_MAX {
            note(Fact::Claimed { run, id, digest });
            let refused = match self.processor.process_event(event.clone()) {
                Ok(receipt) => {
                    note(Fact::Accepted { run, id });
                    return Some(receipt);
                }
                Err(refused) => refused,
            };
            note(Fact::Refused { run, id });
            if !refused.reason.is_full() {
                break;
            }
            thread::sleep(Duration::from_millis(random.u64(PAUSE_MS)));
        }
        None
    }

    fn look_at(&self, receipts: Receiver<Taken>) {
        for (id, receipt) in receipts {
            self.tell_of(id, receipt);
        }
    }

    fn tell_of(&self, id: u64, receipt: Receipt) {
        let run = self.args.run;
        match receipt.wait() {
            Ok(()) => note(Fact::Stored { run, id }),
            Err(_) => note(Fact::NotStored { run, id }),
        }
    }

    /// One fresh event, then the end: everything has to be delivered now.
    fn finish(self, within: Duration, recovered: u64) {
        let started = SystemClock.elapsed();
        let (run, seed) = (self.args.run, self.args.seed);
        // One that the upstream refuses for good would never arrive.
        let id =
            (self.args.until + 1..).take(10_000).find(|id| !dice::is_bad(seed, *id)).expect("most are good");
        let (event, digest) = payload::event(&self.config, self.args.seed, id);
        if let Some(receipt) = self.offer(&event, id, digest, &mut Rng::with_seed(self.args.seed)) {
            self.tell_of(id, receipt);
        }
        note(Fact::Fresh { id });
        let left = (started + within).saturating_sub(SystemClock.elapsed());
        let ledger = self.processor.close(left.saturating_sub(LAST_WORDS)).wait().ledger;
        note(Fact::Reported { run, ledger: said(recovered, ledger) });
    }
}

/// Blocks until stdin says so.
pub(super) fn told_to_finish() -> Duration {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let millis = line.trim().strip_prefix(FINISH).and_then(|millis| millis.trim().parse().ok());
    match (read, millis) {
        (Ok(1..), Some(millis)) => Duration::from_millis(millis),
        // The parent is gone.
        _ => std::process::exit(1),
    }
}

fn said(recovered: u64, ledger: posthaste::Ledger) -> Ledger {
    let posthaste::Ledger { accepted, delivered, dead_lettered: dead, queued, refused, .. } = ledger;
    Ledger { recovered, accepted, delivered, dead, queued, refused }
}
