//! `posthaste collect`: the Event API on this machine, until told to stop.

mod child;
mod junit;
mod load;
mod options;
mod ready;
mod run;
mod serve;
mod watch;

use std::{fmt, net::SocketAddr};

use posthaste_collector::Collector;
use serde::Serialize;

use self::{options::Options, ready::ReadyArgs, run::RunArgs, serve::Serving, watch::Watch};
use crate::common::{
    arrived::Arrived,
    exit::{self, Exit, Failure},
    output::{Audience, Output},
    signals::{Signals, Uncaught},
    values,
};

/// Be the Event API on this machine: take events, judge them, count them.
///
/// Point an SDK or `posthaste send --endpoint` at the printed URL. Each bad event is a line on standard error; the page
/// at the same port shows what has arrived, and so do the requests below.
///
/// To test a client, --faults takes a script of what goes wrong: a list of rules, of which the first that fits a
/// request decides. PUT /faults puts another in its place, GET /faults shows how often each rule was applied.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = after_help())]
pub(crate) struct CollectArgs {
    #[command(subcommand)]
    command: Option<CollectCommand>,
    /// Where to listen: HOST:PORT, or a port, which means 127.0.0.1; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "8080", value_parser = values::address)]
    listen: SocketAddr,
    #[command(flatten)]
    options: Options,
    /// Write JSON: the URL first, the ledger at the end
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum CollectCommand {
    Run(Box<RunArgs>),
    Ready(ReadyArgs),
}

const EXAMPLES: &str = "Examples:
  posthaste collect --datafile datafile.json
  # Any free port; the first line says which
  posthaste collect --listen 0 --json
  # What has arrived
  curl http://127.0.0.1:8080/ledger
  posthaste tail http://127.0.0.1:8080
  # For as long as tests run, which find it in their environment
  posthaste collect run --no-bad -- npm test
  # In front of the real API
  posthaste collect --forward https://logx.optimizely.com/v1/events
  # Let requests fail as a script says, and end that
  posthaste collect --faults faults.json
  curl -X PUT http://127.0.0.1:8080/faults -d ''
";

const FAULTS: &str = "A script of faults is JSON:
  {\"seed\": 7, \"rules\": [
    {\"to\": 3, \"status\": 503, \"headers\": {\"retry-after\": \"1\"}},
    {\"from\": 4, \"share\": 0.1, \"end\": \"reset\"}
  ]}
For which requests, all of: n, or from, to and every; share; path (/eu/* by its
beginning); session; body_contains; times (at most). What is done: status,
headers, body; delay_ms; end (reset, hang, half, answer_then_reset). Events are taken before
the answer, unless its status is no 2xx; take (true or false) says otherwise.";

const ACCESS: &str = "Events may come from any page and any host. The others answer only who asks by
an address, as localhost or by a name of --allow-host, and no page but their own.";

fn after_help() -> String {
    let requests = posthaste_collector::list("  ");
    format!("{EXAMPLES}\nRequests (GET /openapi.json has them for programs):\n{requests}{ACCESS}\n\n{FAULTS}")
}

impl CollectArgs {
    /// Whether it only asks another collector.
    pub(crate) fn is_a_look(&self) -> bool {
        matches!(self.command, Some(CollectCommand::Ready(_)))
    }
}

/// The first line: where to send to, and where to look.
#[derive(Serialize)]
struct Listening {
    url: String,
    page: String,
}

pub(crate) fn run(args: &CollectArgs) -> Result<Exit, Failure> {
    match &args.command {
        None => collect(args),
        Some(CollectCommand::Run(args)) => run::run(args),
        Some(CollectCommand::Ready(args)) => ready::run(args),
    }
}

fn collect(args: &CollectArgs) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let options = args.options.read(&output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let collector = runtime.block_on(async {
        let mut signals = Uncaught::open()?.catch()?;
        let (collector, serving) = Serving::start(options, args.listen).await?;
        output.result(&Listening { url: serving.events_url(), page: format!("{}/", serving.url()) });
        let watch = Watch::begin(&collector, &args.options, &output)?;
        until_stopped(serving, watch, &mut signals).await?;
        Ok::<Collector, Failure>(collector)
    })?;
    output.result(&Arrived(collector.ledger()));
    Ok(Exit::Fine)
}

/// The first signal ends it in good order, the second at once.
async fn until_stopped(
    mut serving: Serving,
    mut watch: Watch<'_>,
    signals: &mut Signals,
) -> Result<(), Failure> {
    tokio::select! {
        failure = serving.fails() => return Err(failure),
        failure = watch.go_on() => return Err(failure),
        () = signals.next() => {}
    }
    tokio::select! {
        ended = serving.stop() => ended?,
        () = signals.next() => std::process::exit(exit::QUIT_AT_ONCE),
    }
    watch.end()
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "collecting at {}, shown at {} (Ctrl-C stops)", self.url, self.page)
    }
}
