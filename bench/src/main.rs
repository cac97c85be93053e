//! Measures posthaste on this machine, each figure with what it means, as a Markdown table for BENCHMARKS.md.
//!
//! The server that answers is another process, so that its work is not counted as ours.

mod delivery;
mod enqueue;
mod process;
mod report;
mod send;
mod server;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

/// Measures posthaste on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Events of each measurement, in thousands.
    #[arg(long, default_value_t = 1_000)]
    thousand: usize,
    /// The `posthaste` program, to measure `posthaste send` too.
    #[arg(long)]
    posthaste: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Answers every request with 204 (what the measurements start by themselves).
    Serve {
        /// How long each answer takes, in milliseconds.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
    /// Runs one measurement in this process, which is fresh then (what the measurements start by themselves).
    Measure {
        /// Which one, as JSON.
        what: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Serve { delay_ms }) => server::serve(Duration::from_millis(delay_ms)),
        Some(Command::Measure { what }) => report::measure(&what),
        None => report::run(arguments.thousand * 1_000, arguments.posthaste.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}
