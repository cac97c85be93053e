//! `posthaste collect`: the Event API on this machine, until told to stop.

use std::{fmt, net::SocketAddr, path::PathBuf};

use posthaste_collector::{Collector, CollectorOptions};
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
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste collect --datafile datafile.json
  # Any free port; the first line says which
  posthaste collect --listen 0 --json
  # What has arrived
  curl http://127.0.0.1:8080/ledger")]
pub(crate) struct CollectArgs {
    /// Where to listen: HOST:PORT, or a port, which means 127.0.0.1; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "8080", value_parser = values::address)]
    listen: SocketAddr,
    /// The project to judge events against; without it, only their form is judged
    #[arg(long, value_name = "FILE", env = "POSTHASTE_DATAFILE", hide_env_values = true, value_parser = values::datafile())]
    datafile: Option<PathBuf>,
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
    let config = args.datafile.as_deref().map(datafile::read).transpose()?;
    let collector = Collector::new(CollectorOptions { config, strict: args.strict, ..Default::default() });
    let output = Output::new(Audience::of(args.json));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&collector, args.listen, &output))?;
    output.result(&Arrived(collector.ledger()));
    Ok(Exit::Fine)
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
