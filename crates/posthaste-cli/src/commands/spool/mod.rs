//! `posthaste spool`: a look into a spool, and what can be done about what is in it.
//!
//! `status`, `cat`, `verify` and `dead` only look, and work while a process owns the spool; the others need it for
//! themselves, and say who has it.

mod cat;
mod dead;
mod drain;
mod look;
mod repair;
mod replay;
mod status;
mod verify;

use crate::common::{
    exit::{Exit, Failure},
    threads,
};

/// Look into a spool: the folder where `send --spool` and other programs keep events until they are delivered
///
/// status, cat, verify and dead change nothing, and work while a process owns the spool. repair, replay, drain and
/// dead --purge need it for themselves.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # How much waits, and what of
  posthaste spool status DIR
  # Deliver it
  posthaste spool drain DIR
  # Write it as lines that `send` reads
  posthaste spool cat DIR > events.jsonl
  # Check every checksum, settle what is lost
  posthaste spool verify DIR || posthaste spool repair DIR
  # What the API refused, and why
  posthaste spool dead DIR
  # Put that back among what waits
  posthaste spool replay DIR")]
pub(crate) struct SpoolArgs {
    #[command(subcommand)]
    command: SpoolCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SpoolCommand {
    /// Say how much waits, how far the input was read, and who owns the spool
    Status(status::StatusArgs),
    /// Write what waits as lines that `send` reads
    Cat(cat::CatArgs),
    /// Check every checksum, and say what is damaged where
    Verify(verify::VerifyArgs),
    /// Settle what is lost, so that the rest reads without a hitch
    Repair(repair::RepairArgs),
    /// Write the dead letters: what will not be delivered, and why
    Dead(dead::DeadArgs),
    /// Put the dead letters back among what waits
    Replay(replay::ReplayArgs),
    /// Deliver what waits
    Drain(drain::DrainArgs),
}

impl SpoolCommand {
    fn changes_something(&self) -> bool {
        match self {
            Self::Status(_) | Self::Cat(_) | Self::Verify(_) => false,
            Self::Dead(args) => args.is_purge(),
            Self::Repair(_) | Self::Replay(_) | Self::Drain(_) => true,
        }
    }
}

pub(crate) fn run(args: &SpoolArgs) -> Result<Exit, Failure> {
    if args.command.changes_something() {
        threads::need(threads::OF_A_SERVICE)?;
    }
    match &args.command {
        SpoolCommand::Status(args) => status::run(args),
        SpoolCommand::Cat(args) => cat::run(args),
        SpoolCommand::Verify(args) => verify::run(args),
        SpoolCommand::Repair(args) => repair::run(args),
        SpoolCommand::Dead(args) => dead::run(args),
        SpoolCommand::Replay(args) => replay::run(args),
        SpoolCommand::Drain(args) => drain::run(args),
    }
}
