//! Measures a stream of NATS servers in a running cluster: a bare client, the library's queue at the same work, whole
//! pipelines, and the spool beside them.
//!
//! `bench/cluster/run` starts the servers and this. Figures are compared within one round only: in each, all do their work
//! in turn, in an order that changes from round to round.

mod bare;
mod bench;
mod ours;
#[path = "../../src/process.rs"]
#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod process;
#[path = "../../src/server.rs"]
mod server;
mod table;
mod work;

use std::{io::Result, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::bench::Bench;

/// Measures a stream of NATS servers beside a bare client and the spool.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures, and prints a table.
    Measure(Measure),
    /// Answers requests with 204 until it is killed.
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        delay_ms: u64,
    },
}

#[derive(clap::Args, Debug)]
struct Measure {
    /// Servers of a cluster, HOST:PORT with commas between; once for each cluster.
    #[arg(long, required = true)]
    servers: Vec<String>,
    /// Events of a request; once for each size.
    #[arg(long, default_values_t = [10, 100])]
    batch: Vec<usize>,
    /// How often everything is done. One short round goes before, uncounted.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// For how long requests are offered each time.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// A folder on the disk that the spool is to be on; what is made in it is deleted.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Serve { delay_ms } => server::serve(Duration::from_millis(delay_ms)),
        Command::Measure(measure) => run(&measure),
    }
}

fn run(measure: &Measure) -> Result<()> {
    let upstream = process::Server::start(0)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    for servers in &measure.servers {
        let bench = Bench::new(servers, &upstream.url, &measure.dir, &runtime)?;
        for batch in &measure.batch {
            bench.round(*batch, 0, measure.seconds / 4.0)?;
            let rounds = (0..measure.rounds).map(|round| bench.round(*batch, round, measure.seconds));
            rows.extend(table::rows(bench.count(), *batch, &rounds.collect::<Result<Vec<_>>>()?));
        }
    }
    table::print(&rows)
}
