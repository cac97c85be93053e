//! `posthaste spool dead`: what will not be delivered, and why; or the end of it.

use std::{fmt, path::PathBuf};

use posthaste_spool::Spool;
use serde::Serialize;

use super::look::{self, close, look};
use crate::{
    common::{
        exit::{Exit, Failure},
        output::{Audience, Lines, Output, counted},
        spool_options,
    },
    lines,
};

/// Write the dead letters, oldest first: what will not be delivered, and why
///
/// One JSON object on each line, as `posthaste send --dead-letters` writes them and `posthaste send` reads them. Its
/// "text" is what the API said: JSON where that was JSON.
/// Once the reason is gone, `posthaste spool replay` puts them back among what waits. Lost and unreadable letters are
/// counted on stderr, and make the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # The reasons
  posthaste spool dead DIR | jq -c .text | sort | uniq -c
  # Forget them all
  posthaste spool dead DIR --purge --yes")]
pub(super) struct DeadArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Forget the dead letters for good, rather than write them
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

impl DeadArgs {
    pub(super) fn is_purge(&self) -> bool {
        self.purge
    }
}

pub(super) fn run(args: &DeadArgs) -> Result<Exit, Failure> {
    if args.purge { purge(args) } else { list(args) }
}

fn list(args: &DeadArgs) -> Result<Exit, Failure> {
    let Some(mut dead) = look(&args.dir)?.dead()? else { return Ok(Exit::Fine) };
    let mut lines = Lines::new();
    let mut unreadable = 0;
    for record in dead.records() {
        match look::letter(&record?.bytes) {
            Some((letter, _)) => lines.put(&lines::dead_batch_line(&letter))?,
            None => unreadable += 1,
        }
        if lines.is_closed() {
            return Ok(Exit::Fine);
        }
    }
    lines.end()?;
    unreadable += dead.status().unreadable_records;
    Ok(look::told(look::newly_lost(&dead), unreadable, "letters"))
}

fn purge(args: &DeadArgs) -> Result<Exit, Failure> {
    look(&args.dir)?;
    let spool = Spool::open(&args.dir, spool_options::any_options())?;
    let purged = spool.dead().purge().map_err(Failure::Dead)?;
    close(&spool)?;
    Output::new(Audience::of(args.json)).result(&Purged { purged });
    Ok(Exit::Fine)
}

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgot {}", counted(self.purged, "dead letter", "dead letters"))
    }
}
