//! A process that gets killed: it delivers what is in the stream. What it does the upstream sees; it says nothing.
//!
//! It ends when stdin says `finish`, and at once when the parent is gone.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use posthaste::{
    HttpEventDispatcher, QueueEventDispatcher,
    queue::jetstream::{JetStream, Keeper, ProcessCounts, Role},
};

use super::{ACK_WAIT, TENANT, stream};
use crate::{
    commands::torture::child::told_to_finish,
    common::{
        exit::{Exit, Failure},
        nats::{self, NatsArgs},
    },
};

/// Less than the upstream's worst, and than a lease.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages that are fetched ahead: few, so that both senders have some.
const PREFETCH: usize = 64;

/// A process that gets killed: it delivers what is in a stream
#[derive(Debug, clap::Args)]
pub(crate) struct SenderArgs {
    /// The stream; else it is in the environment, where nobody else reads its password
    #[arg(long)]
    queue: Option<String>,
    /// Decides everything that is left to chance
    #[arg(long)]
    seed: u64,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(crate) fn run(args: &SenderArgs) -> Result<Exit, Failure> {
    let options = nats::options("--queue", &stream::address(args.queue.as_deref()), &args.nats)?
        .connect_timeout(stream::PATIENCE)
        .ack_wait(ACK_WAIT)
        .prefetch(PREFETCH);
    let stream = JetStream::attach(options)?;
    let dispatcher = Arc::new(dispatcher(args, &stream)?);
    let seen = Arc::clone(&dispatcher);
    let keeper = Keeper::start(&stream, "torture", "send", move || {
        let ledger = seen.ledger();
        ProcessCounts {
            delivered: ledger.delivered,
            buried: ledger.dead_lettered,
            ..ProcessCounts::default()
        }
    })?;
    let within = told_to_finish();
    dispatcher.close(within).wait();
    keeper.close();
    Ok(Exit::Fine)
}

/// Every life is a little different.
fn dispatcher(args: &SenderArgs, stream: &JetStream) -> Result<QueueEventDispatcher, Failure> {
    let mut random = Rng::with_seed(args.seed);
    let http = HttpEventDispatcher::builder().request_timeout(REQUEST_TIMEOUT).no_proxy().build();
    let builder = QueueEventDispatcher::builder(http.map_err(posthaste::OptionsError::from)?)
        .queue(stream.queue(TENANT, Role::Deliver)?)
        .batch_size(random.usize(1..25))
        .in_flight(random.usize(2..9))
        .flush_interval(Duration::from_millis(random.u64(5..100)))
        .backoff(Duration::from_millis(2), Duration::from_millis(50))
        .retry_after_max(Duration::from_secs(1))
        .drop_deadline(Duration::ZERO);
    Ok(builder.build()?)
}
