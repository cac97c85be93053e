//! `posthaste spool repair`: settles what is lost.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::look::look;
use crate::common::{
    exit::{Exit, Failure},
    output::{self, Audience, Output, Percentage, counted},
    spool_options,
};

/// Settle for good what a spool and its dead letters have lost, and write damaged headers anew
///
/// The spool's folder `damaged` keeps what is left of damaged records, as far as there is room. Sound records stay as
/// they are. A repaired spool passes `posthaste spool verify`; nothing else needs this, since every command counts a
/// lost record and goes on behind it. A record that the disk does not hand out now is not lost: it stays for another
/// try, and makes the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool repair DIR")]
pub(super) struct RepairArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Repaired {
    /// Records, and dead letters, that are lost, and that nobody had counted before.
    lost: u64,
    /// Counted before.
    lost_before: u64,
    damaged_places: u64,
    /// Records that could not be read just now.
    unreadable: u64,
    /// Headers that were written anew.
    headers: u64,
    /// That wait.
    records: u64,
}

pub(super) fn run(args: &RepairArgs) -> Result<Exit, Failure> {
    let has_dead = look(&args.dir)?.dead()?.is_some();
    let mut repaired = Repaired::default();
    repaired.records = repaired.repair(&args.dir, "repairing")?;
    if has_dead {
        repaired.repair(&args.dir.join(posthaste_spool::DEAD_DIR), "repairing the dead letters")?;
    }
    Output::new(Audience::of(args.json)).result(&repaired);
    Ok(if repaired.unreadable == 0 { Exit::Fine } else { Exit::Failed })
}

impl Repaired {
    /// Says how many records wait there.
    fn repair(&mut self, dir: &std::path::Path, what: &'static str) -> Result<u64, Failure> {
        let percentage = Percentage::of(what);
        let done = posthaste_spool::repair(dir, spool_options::any_options(), |done, total| {
            percentage.set(done, total);
        })?;
        let counters = done.stats.counters;
        self.lost += counters.lost_records - counters.lost_before;
        self.lost_before += counters.lost_before;
        self.damaged_places += done.damaged_places;
        self.unreadable += done.unreadable;
        self.headers += done.headers;
        Ok(done.stats.records)
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match output::losses(self.lost, self.unreadable) {
            None => write!(f, "nothing is lost")?,
            Some(losses) => write!(f, "{losses}")?,
        }
        if self.lost_before > 0 {
            write!(f, " ({} more counted before)", self.lost_before)?;
        }
        write!(
            f,
            "; {}, {} written anew; {}",
            counted(self.damaged_places, "damaged place", "damaged places"),
            counted(self.headers, "header", "headers"),
            counted(self.records, "record waits", "records wait")
        )
    }
}
