//! `posthaste collect`: the Event API on this machine, until told to stop.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use posthaste_collector::{Collector, CollectorOptions, Faults, SCRIPT_BYTES_MAX};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::common::{
    arrived::Arrived,
    datafile,
    exit::{self, Exit, Failure},
    output::{Audience, Output},
    signals::Uncaught,
    values,
};

/// Be the Event API on this machine: take events, judge them, count them.
///
/// Point an SDK or `posthaste send --endpoint` at the printed URL. GET /ledger, /good and /bad on the same port show
/// what has arrived, and what is wrong with it.
///
/// To test a client, --faults takes a script of what goes wrong: a list of rules, of which the first that fits a request
/// decides. PUT /faults puts another in its place, GET /faults shows how often each rule was applied.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste collect --datafile datafile.json
  # Any free port; the first line says which
  posthaste collect --listen 0 --json
  # What has arrived
  curl http://127.0.0.1:8080/ledger
  # Let requests fail as a script says, and end that
  posthaste collect --faults faults.json
  curl -X PUT http://127.0.0.1:8080/faults -d ''

A script of faults is JSON:
  {\"seed\": 7, \"rules\": [
    {\"to\": 3, \"status\": 503, \"headers\": {\"retry-after\": \"1\"}},
    {\"from\": 4, \"share\": 0.1, \"end\": \"reset\"}
  ]}
For which requests, all of: n, or from, to and every; share; path (/eu/* by its
beginning); body_contains; times (at most). What is done: status, headers, body;
delay_ms; end (reset, hang, half, answer_then_reset). Events are taken before
the answer, unless its status is no 2xx; take (true or false) says otherwise.")]
pub(crate) struct CollectArgs {
    /// Where to listen: HOST:PORT, or a port, which means 127.0.0.1; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "8080", value_parser = values::address)]
    listen: SocketAddr,
    /// The project to judge events against; without it, only their form is judged
    #[arg(long, value_name = "FILE", env = "POSTHASTE_DATAFILE", hide_env_values = true, value_parser = values::datafile())]
    datafile: Option<PathBuf>,
    /// What goes wrong with which request: a script, as below
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long a request without an answer ("end": "hang") is kept
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = values::some_time)]
    hang_max: Duration,
    /// Answer 400 to every bad request, not only to those that ask for it
    #[arg(long)]
    strict: bool,
    /// Write JSON: the URL first, the ledger at the end
    #[arg(long)]
    json: bool,
}

/// The first line: where to send to.
#[derive(Serialize)]
struct Listening {
    url: String,
}

pub(crate) fn run(args: &CollectArgs) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let config = args.datafile.as_deref().map(|path| datafile::read_and_tell(path, &output)).transpose()?;
    let faults = args.faults.as_deref().map(script).transpose()?.unwrap_or_default();
    let options = CollectorOptions {
        config,
        faults,
        strict: args.strict,
        hang_max: args.hang_max,
        ..Default::default()
    };
    let collector = Collector::new(options);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&collector, args.listen, &output))?;
    output.result(&Arrived(collector.ledger()));
    Ok(Exit::Fine)
}

/// Reads a script of faults from disk.
fn script(path: &Path) -> Result<Faults, Failure> {
    let text = read_bounded(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Faults::parse(&text).map_err(|source| Failure::Faults { path: path.to_owned(), source })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SCRIPT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > SCRIPT_BYTES_MAX {
        let why = format!("it has more than {SCRIPT_BYTES_MAX} bytes, and is no script of faults");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

async fn serve(collector: &Collector, address: SocketAddr, output: &Output) -> Result<(), Failure> {
    let failed = |source| Failure::Listen { address, source };
    let mut signals = Uncaught::open()?.catch()?;
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let url = format!("http://{}/v1/events", listener.local_addr().map_err(failed)?);
    output.result(&Listening { url });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut serving = std::pin::pin!(collector.serve(listener, async { drop(stopped.await) }));
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = signals.next() => drop(stop),
    }
    tokio::select! {
        ended = serving => Ok(ended?),
        () = signals.next() => std::process::exit(exit::QUIT_AT_ONCE),
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "collecting at {} (Ctrl-C stops)", self.url)
    }
}
