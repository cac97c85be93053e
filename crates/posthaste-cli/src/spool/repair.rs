//! `posthaste spool repair`: covers what is damaged.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{limits, look::look, opening};
use crate::{
    exit::{Exit, Failure},
    output::{self, Audience, Output, counted, grouped},
};

/// Cover what is damaged in a spool and its dead letters, for good
///
/// Damaged bytes are kept in the spool's folder `damaged`, as far as there is room; nothing sound is touched. A repaired
/// spool passes `posthaste spool verify`. Nothing else needs this: a damaged record is passed over anyway.
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
    /// Damaged pieces that are covered now.
    covered_pieces: u64,
    lost_records: u64,
    /// Pieces of unfinished writes that were cut.
    cut_pieces: u64,
    /// Headers and cursor slots that were written anew from their copies.
    healed: u64,
    /// That wait.
    records: u64,
}

pub(super) fn run(args: &RepairArgs) -> Result<Exit, Failure> {
    let has_dead = look(&args.dir)?.dead().map_err(|source| opening(&args.dir, source))?.is_some();
    let mut repaired = Repaired::default();
    let mut repair = |dir: &std::path::Path| {
        let done =
            posthaste_spool::repair(dir, limits::any_options()).map_err(|source| opening(dir, source))?;
        repaired.covered_pieces += done.covered_pieces;
        repaired.lost_records += done.stats.counters.damaged_records;
        repaired.cut_pieces += done.stats.counters.torn_pieces;
        repaired.healed += done.stats.counters.healed;
        Ok::<u64, Failure>(done.stats.records)
    };
    let working = output::working("repairing");
    let records = repair(&args.dir)?;
    if has_dead {
        repair(&args.dir.join(posthaste_spool::DEAD_DIR))?;
    }
    drop(working);
    repaired.records = records;
    Output::new(Audience::of(args.json)).result(&repaired);
    Ok(Exit::Fine)
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "covered {}, cut {} unfinished, healed {}; {} lost; {}",
            counted(self.covered_pieces, "damaged piece", "damaged pieces"),
            grouped(self.cut_pieces),
            counted(self.healed, "header or cursor", "headers and cursors"),
            counted(self.lost_records, "record is", "records are"),
            counted(self.records, "record waits", "records wait")
        )
    }
}
