//! `posthaste demo`: an experiment from the first visitor to the result, over real HTTP, on this machine alone. At the
//! end the books of both sides are compared event by event.

mod books;
mod play;
mod relay;
mod relayed;
mod server;

use std::{fmt, time::Duration};

use posthaste::{BatchEventProcessor, Ledger, OptionsError, ProjectConfig, Refusal, UserEvent, WhenFull};
use posthaste_collector::Filter;
use serde::Serialize;

use self::{
    books::{Books, Sent},
    server::Server,
};
use crate::common::{
    datafile::LARKSPUR,
    exit::{Exit, Failure},
    output::{Audience, Output, counted},
    signals::Uncaught,
};

/// More than ten times what the slowest machine should need for one event.
const PATIENCE: Duration = Duration::from_secs(10);
/// Both ends of each are descriptors of this process.
const CONNECTIONS: usize = 8;
/// As many as the collector keeps without forgetting, by far.
const EVENTS_MAX: u64 = 200_000;

/// Play an experiment against a local Event API, and compare the books of both sides.
///
/// Visitors see one of two checkout buttons, and some of them buy. The events go through posthaste to a collector on
/// this machine, over HTTP. The table shows what arrived. Nothing leaves the machine; no account is needed.
///
/// With --relay they go through a relay instead, in requests such as SDKs send. In the middle it is killed with SIGKILL,
/// and started again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste demo
  posthaste demo --events 50000 --seed 7
  posthaste demo --json
  # Look at what arrived, on a page
  posthaste demo --open
  # What the relay has answered 204 survives that it is killed
  posthaste demo --relay

The exit code is 0 only if every event that was sent arrived exactly once.
With --relay, those that were under way when it was killed may come again,
under the same uuid; the Event API drops such repeats.")]
pub(crate) struct DemoArgs {
    /// About how many events to send [default: those of a thousand visitors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: Option<u64>,
    /// Decides who sees and does what: the same seed, the same numbers
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Let them go through a relay that is killed in the middle
    #[arg(long)]
    relay: bool,
    /// Keep the collector up afterwards, so that its page shows what arrived
    #[arg(long)]
    open: bool,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

/// Where what arrived can be looked at.
#[derive(Serialize)]
struct Open {
    page: String,
}

pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let config = ProjectConfig::from_datafile(LARKSPUR).expect("the built-in datafile is sound");
    let output = Output::new(Audience::of(args.json));
    let visitors = args.events.map_or(play::VISITORS, play::visitors_for);
    let events = play::events(&config, visitors, args.seed);

    let server = Server::start(config)?;
    let told = |way: &str| {
        output.tell(format_args!(
            "{} to experiment {:?}; their {} go {way}.\n",
            counted(visitors, "visitor comes", "visitors come"),
            play::EXPERIMENT,
            counted(events.len() as u64, "event", "events"),
        ));
    };
    let sent = if args.relay {
        let began = |url: &str| told(&format!("to a relay at {url}, which is killed in the middle"));
        Sent::ThroughRelay(relayed::deliver(&events, server.url(), began)?)
    } else {
        told(&format!("to {}", server.url()));
        Sent::straight(events.len() as u64, deliver(&events, server.url())?)
    };
    let page = server.page();
    // What goes on being served is not stopped, and nobody sends any more.
    let (collector, serving) =
        if args.open { (server.collector().clone(), Some(server)) } else { (server.stop(), None) };

    let received = collector.good(&Filter::default());
    let books = Books::new(args.seed, &events, sent, &received, collector.ledger());
    output.result(&books);
    if !books.agree() {
        output.note("posthaste: the books of both sides do not agree");
    }
    match serving {
        Some(serving) => keep_open(serving, page, &output)?,
        None => output.tell("\nThe same events on a page: posthaste demo --open"),
    }
    Ok(if books.agree() { Exit::Fine } else { Exit::Failed })
}

/// Until Ctrl-C.
fn keep_open(serving: Server, page: String, output: &Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Uncaught::open()?.catch()?;
        output.result(&Open { page });
        signals.next().await;
        Ok::<_, Failure>(())
    })?;
    serving.stop();
    Ok(())
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nThe events are at {} (Ctrl-C stops)", self.page)
    }
}

/// Sends the events as a program would, and waits until every one has come to its end, or none does any more.
fn deliver(events: &[UserEvent], url: &str) -> Result<Ledger, OptionsError> {
    let processor = BatchEventProcessor::builder()
        .event_end_point(url)
        .in_flight(CONNECTIONS)
        .when_full(WhenFull::Block(PATIENCE))
        .drop_deadline(Duration::ZERO)
        .build()?;
    for event in events {
        let taken = processor.process_event(event.clone());
        // The ledger shows it: what was not taken is missing on the other side.
        if taken.is_err_and(|refused| matches!(refused.reason, Refusal::QueueFull { .. })) {
            break;
        }
    }
    let mut left = u64::MAX;
    loop {
        let report = processor.flush(PATIENCE).wait();
        if report.is_complete() || report.left >= left {
            break;
        }
        left = report.left;
    }
    let ledger = processor.close(Duration::ZERO).wait().ledger;
    // They have been counted: there is nothing to warn of.
    drop(processor.remove(usize::MAX));
    Ok(ledger)
}
