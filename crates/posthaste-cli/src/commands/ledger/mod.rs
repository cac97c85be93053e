//! `posthaste ledger`: whether everything that went into a stream is accounted for, over all processes.

mod shown;

use posthaste::queue::jetstream::{JetStream, Verdict};

use self::shown::Shown;
use crate::common::{
    exit::{Exit, Failure},
    nats::{self, NatsArgs},
    output::{Audience, Output},
};

/// Add up a stream of NATS JetStream and all processes that use it, and say whether every event is accounted for
///
/// Each relay and sender writes down what it has counted, at most a second old, beside the stream. The stream says how
/// many messages it has ever taken and how many have gone. What a killed process had not written down is unknown: it is
/// shown as that, and never as balanced. So is what may have been counted twice. Dead letters that nobody replayed or purged
/// have to be there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste ledger nats://127.0.0.1:4222/events
  posthaste ledger nats://a:4222,b:4222,c:4222/events --json | jq .verdict
  posthaste ledger nats://127.0.0.1:4222/events --begin

The exit code is 0 only if everything is accounted for: 1 where it is not, or where nobody knows.")]
pub(crate) struct LedgerArgs {
    /// The stream: `nats://HOST:4222/STREAM`, several servers of a cluster with commas
    #[arg(value_name = "URL")]
    stream: String,
    /// Close the books, print them, and begin new ones
    ///
    /// What killed processes left unknown, and what may have been counted twice, is
    /// in none of the new books. For whoever has looked into that. It waits a minute
    /// at most for a moment at which nothing is on its way; the exit code is 0 once
    /// new books have begun.
    #[arg(long)]
    begin: bool,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(crate) fn run(args: &LedgerArgs) -> Result<Exit, Failure> {
    let stream = JetStream::attach(nats::options("URL", &args.stream, &args.nats)?)?;
    let output = Output::new(Audience::of(args.json));
    if args.begin {
        output.result(&Shown(stream.begin_books()?));
        output.tell("New books begin here.");
        return Ok(Exit::Fine);
    }
    let shown = Shown(stream.ledger()?);
    output.result(&shown);
    Ok(if shown.0.verdict == Verdict::Balanced { Exit::Fine } else { Exit::Failed })
}
