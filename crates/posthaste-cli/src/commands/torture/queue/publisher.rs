//! A process that gets killed: it puts requests into the stream, and says on stdout what it is told.
//!
//! It claims an event before it offers it. It ends when stdin says `finish`, and at once when the parent is gone.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use posthaste::{
    Batch, JetStreamQueue, LogEvent, ProjectConfig, Queue, Receipt, UserEvent,
    queue::{
        DeliveryQueue,
        jetstream::{JetStream, Keeper, ProcessCounts, Role},
    },
};
use posthaste_oracle::{Digest, Fact};

use super::{ACK_WAIT, TENANT, stream};
use crate::{
    commands::torture::{
        child::{note, told_to_finish},
        dice, payload,
    },
    common::{
        exit::{Exit, Failure},
        nats::{self, NatsArgs},
    },
};

/// Threads that offer events.
const PRODUCERS: u64 = 2;
/// Events of a request, at most.
const EVENTS_MAX: u64 = 5;
/// Requests on their way into the stream: few, so that kills find work everywhere.
const WINDOW: usize = 64;
/// How long a producer waits before it offers again.
const PAUSE_MS: std::ops::Range<u64> = 1..25;

/// A process that gets killed: it puts requests into a stream
#[derive(Debug, clap::Args)]
pub(crate) struct PublisherArgs {
    /// The stream; else it is in the environment, where nobody else reads its password
    #[arg(long)]
    queue: Option<String>,
    /// Where the requests are to go in the end
    #[arg(long)]
    upstream: String,
    /// The number of this life
    #[arg(long)]
    run: u32,
    /// The first event to claim
    #[arg(long)]
    from: u64,
    /// How many to claim, before a fresh one
    #[arg(long)]
    events: u64,
    /// Decides everything that is left to chance
    #[arg(long)]
    seed: u64,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(crate) fn run(args: &PublisherArgs) -> Result<Exit, Failure> {
    let options = nats::options("--queue", &stream::address(args.queue.as_deref()), &args.nats)?
        .connect_timeout(stream::PATIENCE)
        .ack_wait(ACK_WAIT)
        .publish_window(WINDOW);
    let stream = JetStream::attach(options)?;
    let queue = stream.queue(TENANT, Role::Accept)?;
    let seen = queue.clone();
    let keeper = Keeper::start(&stream, "torture", "publish", move || {
        let traffic = seen.traffic();
        ProcessCounts { accepted: traffic.accepted, waiting: traffic.publishing, ..ProcessCounts::default() }
    })?;
    let publisher = Publisher {
        args,
        queue,
        config: payload::project(),
        next: AtomicU64::new(args.from),
        is_over: AtomicBool::new(false),
    };
    publisher.work()?;
    publisher.fresh();
    keeper.close();
    Ok(Exit::Fine)
}

struct Publisher<'a> {
    args: &'a PublisherArgs,
    queue: JetStreamQueue,
    config: ProjectConfig,
    /// The next event that nobody has claimed.
    next: AtomicU64,
    is_over: AtomicBool,
}

/// The events of an accepted request whose receipt has not been looked at.
type Taken = (Vec<u64>, Receipt);

impl Publisher<'_> {
    /// Offers events until there are no more of them, or the parent has had enough.
    fn work(&self) -> io::Result<()> {
        let (taken, receipts) = sync_channel(WINDOW);
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, move || self.look_at(receipts))?;
            for producer in 0..PRODUCERS {
                let taken = taken.clone();
                thread::Builder::new().spawn_scoped(scope, move || self.produce(producer, &taken))?;
            }
            drop(taken);
            told_to_finish();
            self.is_over.store(true, SeqCst);
            Ok(())
        })
    }

    /// Behind the last event to claim.
    fn end(&self) -> u64 {
        self.args.from + self.args.events
    }

    fn produce(&self, producer: u64, taken: &SyncSender<Taken>) {
        let mut random = Rng::with_seed(self.args.seed ^ (u64::from(self.args.run) << 8) ^ producer);
        while !self.is_over.load(SeqCst) {
            let count = random.u64(1..=EVENTS_MAX);
            let from = self.next.fetch_add(count, SeqCst);
            let ids: Vec<u64> = (from..(from + count).min(self.end())).collect();
            if ids.is_empty() {
                break;
            }
            let Some(receipt) = self.offer(&ids, &mut random) else { break };
            if taken.send((ids, receipt)).is_err() {
                break;
            }
        }
    }

    /// Offers a request, again and again while the window is full. `None`: it was given up.
    fn offer(&self, ids: &[u64], random: &mut Rng) -> Option<Receipt> {
        let run = self.args.run;
        let made: Vec<(UserEvent, Digest)> =
            ids.iter().map(|id| payload::event(&self.config, self.args.seed, *id)).collect();
        let events: Vec<UserEvent> = made.iter().map(|(event, _)| event.clone()).collect();
        let request = LogEvent::new(self.args.upstream.as_str(), &Batch::from_user_events(&events));
        loop {
            for (id, (_, digest)) in ids.iter().zip(&made) {
                note(Fact::Claimed { run, id: *id, digest: *digest });
            }
            let refused = match self.queue.add(request.clone()) {
                Ok(receipt) => {
                    for id in ids {
                        note(Fact::Accepted { run, id: *id });
                    }
                    return Some(receipt);
                }
                Err(refused) => refused,
            };
            for id in ids {
                note(Fact::Refused { run, id: *id });
            }
            if !refused.reason.is_full() || self.is_over.load(SeqCst) {
                return None;
            }
            thread::sleep(Duration::from_millis(random.u64(PAUSE_MS)));
        }
    }

    fn look_at(&self, receipts: Receiver<Taken>) {
        for (ids, receipt) in receipts {
            self.tell_of(&ids, receipt);
        }
    }

    fn tell_of(&self, ids: &[u64], receipt: Receipt) {
        let run = self.args.run;
        let is_stored = receipt.wait().is_ok();
        for id in ids {
            note(if is_stored { Fact::Stored { run, id: *id } } else { Fact::NotStored { run, id: *id } });
        }
    }

    /// One fresh event at the end. One that the upstream refuses for good would never arrive.
    fn fresh(&self) {
        let seed = self.args.seed;
        let first = self.next.load(SeqCst).max(self.end());
        let id = (first..).take(10_000).find(|id| !dice::is_bad(seed, *id)).expect("most are good");
        if let Some(receipt) = self.offer(&[id], &mut Rng::with_seed(seed)) {
            self.tell_of(&[id], receipt);
        }
        note(Fact::Fresh { id });
        self.queue.close();
    }
}
