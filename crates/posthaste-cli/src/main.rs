//! The posthaste command line. Each folder uses those below it, and none above:
//!
//! ```text
//! cli        the list of commands
//! commands   a file or a folder for each; nobody else uses them
//! input      what lines come from, and taking it up where a run ended
//! lines      the lines that are read and written
//! common     what commands share: exit codes, output, the forms of arguments
//! ```

mod cli;
mod commands;
mod common;
mod input;
mod lines;

use clap::Parser;

use crate::common::{logging, output};

fn main() -> std::process::ExitCode {
    logging::init();
    let exit = cli::Cli::parse().command.run();
    output::concluded(exit).into()
}
