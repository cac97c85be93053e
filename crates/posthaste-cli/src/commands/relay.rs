//! `posthaste relay`: takes what any Optimizely SDK posts, stores it, and delivers it, until told to stop.

use std::{net::SocketAddr, path::PathBuf};

use posthaste_relay::{Config, Relay, Stop};
use tokio::net::TcpListener;

use crate::common::{
    exit::{self, Exit, Failure},
    output::{Audience, Output},
    signals::Uncaught,
    values,
};

/// Take what any Optimizely SDK posts, store it, and deliver it
///
/// Point SDKs at the printed URL. A request is answered 204 once its events are on disk; from then on they are
/// delivered, however long that takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste relay --upstream us
  # Beside a collector, to try it
  posthaste relay --upstream http://127.0.0.1:8080/v1/events --listen 8090")]
pub(crate) struct RelayArgs {
    /// Where SDKs post to: HOST:PORT, or a port, which means 127.0.0.1; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "8090", value_parser = values::address)]
    listen: SocketAddr,
    /// Where events go: us, eu, or a URL
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Where events are kept until they are delivered
    #[arg(long, value_name = "DIR", default_value = "./posthaste-data")]
    data: PathBuf,
    /// Where the admin interface listens: /healthz, /readyz, /metrics and more
    #[arg(long, value_name = "ADDR", default_value = "8091", value_parser = values::address)]
    admin: SocketAddr,
    /// Keep events in memory: what is queued is gone with the process
    #[arg(long, conflicts_with = "data")]
    memory: bool,
}

pub(crate) fn run(args: &RelayArgs) -> Result<Exit, Failure> {
    let config = Config::to(posthaste_relay::config::upstream_url(&args.upstream));
    let config = Config { listen: args.listen, admin: Some(args.admin), ..config };
    let config = if args.memory { config } else { config.on_disk(&args.data) };
    let output = Output::new(Audience::People);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config, &output))
}

async fn serve(config: Config, output: &Output) -> Result<Exit, Failure> {
    let address = config.listen;
    let failed = |source| Failure::Listen { address, source };
    let mut signals = Uncaught::open()?.catch()?;
    let relay = Relay::open(config).map_err(|error| Failure::Refused(error.to_string()))?;
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let url = format!("http://{}/v1/events", listener.local_addr().map_err(failed)?);
    output.note(format_args!("relaying at {url} (Ctrl-C stops)"));
    let stop = Stop::new();
    let mut serving = std::pin::pin!(relay.serve(listener, None, &stop));
    let report = tokio::select! {
        report = &mut serving => report,
        () = signals.next() => {
            stop.stop();
            tokio::select! {
                report = serving => report,
                () = signals.next() => std::process::exit(exit::QUIT_AT_ONCE),
            }
        }
    };
    output.note(format_args!("{report}"));
    Ok(Exit::Fine)
}
