//! The posthaste command line: one file or folder for each command, in `args` the list of them.

mod args;
mod collect;
mod completions;
mod demo;
mod exit;
mod lines;
mod logging;
mod output;
mod send;
mod signals;
mod spool;
mod torture;
mod validate;

use clap::Parser;

fn main() -> std::process::ExitCode {
    logging::init();
    let exit = args::Cli::parse().command.run();
    output::concluded(exit).into()
}
