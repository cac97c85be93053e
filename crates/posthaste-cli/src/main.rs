//! The posthaste command line. Each folder uses those below it, and none above:
//!
//! ```text
//! cli        the list of commands
//! commands   a file or a folder for each; nobody else uses them
//! delivery   a run: lines are read, delivered and accounted for
//! pipeline   what lines are handed to: in memory, or on disk
//! input      what lines come from, and taking it up where a run ended
//! lines      the lines that are read and written
//! common     what commands share: exit codes, output, the forms of arguments
//! ```

mod cli;
mod commands;
mod common;
mod delivery;
mod input;
mod lines;
mod pipeline;

use crate::common::{output, signals};

fn main() -> std::process::ExitCode {
    signals::outlive_file_size_limit();
    let exit = cli::Cli::read().run();
    output::concluded(exit).into()
}
