//! `posthaste spool dead`: what will not be delivered, and why; or the end of it.

use std::{fmt, path::PathBuf};

use posthaste_spool::Spool;
use serde::Serialize;

use super::{
    limits,
    look::{self, look},
    opening,
};
use crate::{
    exit::{Exit, Failure},
    lines,
    output::{Audience, Lines, Output, counted},
};

/// Write the dead letters, oldest first: what will not be delivered, and why
///
/// One JSON object on each line, as `posthaste send --dead-letters` writes them and `posthaste send` reads them.
/// `posthaste spool replay` puts them back among what waits, once the reason is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool dead DIR | jq -r .text | sort | uniq -c           the reasons
  posthaste spool dead DIR --purge --yes                            forget them all")]
pub(super) struct DeadArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Forget the dead letters instead, for good
    #[arg(long, requires = "yes")]
    purge: bool,
    /// Yes, forget them
    #[arg(long, requires = "purge")]
    yes: bool,
    /// Write the result of --purge as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Purged {
    purged: u64,
}

pub(super) fn run(args: &DeadArgs) -> Result<Exit, Failure> {
    if args.purge { purge(args) } else { list(args) }
}

fn list(args: &DeadArgs) -> Result<Exit, Failure> {
    let dead = look(&args.dir)?.dead().map_err(|source| opening(&args.dir, source))?;
    let Some(mut dead) = dead else { return Ok(Exit::Fine) };
    let mut lines = Lines::new();
    let mut unreadable = 0;
    for record in dead.records() {
        match look::letter(&record.map_err(Failure::Records)?.bytes) {
            Some((letter, _)) => lines.put(&lines::dead_batch_line(&letter))?,
            None => unreadable += 1,
        }
        if lines.is_closed() {
            return Ok(Exit::Fine);
        }
    }
    lines.end()?;
    let unreadable = unreadable + dead.status().stats.counters.damaged_records;
    if unreadable == 0 {
        return Ok(Exit::Fine);
    }
    let left_out = counted(unreadable, "letter", "letters");
    Output::new(Audience::People).note(format_args!("posthaste: left out {left_out} that cannot be read"));
    Ok(Exit::Failed)
}

fn purge(args: &DeadArgs) -> Result<Exit, Failure> {
    look(&args.dir)?;
    let spool = Spool::open(&args.dir, limits::any_options()).map_err(|source| opening(&args.dir, source))?;
    let purged = spool.dead().purge().map_err(Failure::Dead)?;
    Output::new(Audience::of(args.json)).result(&Purged { purged });
    Ok(Exit::Fine)
}

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgot {}", counted(self.purged, "dead letter", "dead letters"))
    }
}
