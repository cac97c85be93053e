//! Measures posthaste and its peers on this machine, side by side: `bench/run` starts it.
//!
//! Every measurement runs in a process of its own, which is fresh then, and says what it measured as a line of JSON.
//! A peer is a program that takes the same arguments and prints the same line, in whatever language. The server that
//! answers is another process still, so that its work is nobody's.

mod compare;
mod delivery;
mod enqueue;
mod process;
mod send;
mod server;
mod work;

use std::{
    io::{Error, Result, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};

/// Measures posthaste and its peers on this machine, side by side.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures everything, peers in turn, and writes the results down.
    Compare(compare::Arguments),
    /// Answers every request with 204.
    Serve {
        /// How long each answer takes, in milliseconds.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
    /// Makes events and hands them over; nothing is delivered meanwhile.
    Enqueue(enqueue::Arguments),
    /// Delivers events to a server.
    Deliver(delivery::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Serve { delay_ms } => server::serve(Duration::from_millis(delay_ms)),
        Command::Enqueue(arguments) => enqueue::measure(&arguments).and_then(|figures| say(&figures)),
        Command::Deliver(arguments) => delivery::measure(&arguments).and_then(|figures| say(&figures)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell then.
            drop(writeln!(std::io::stderr(), "posthaste-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The line that a measurement ends with.
fn say(figures: &process::Figures) -> Result<()> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(figures).map_err(Error::other)?)
}
