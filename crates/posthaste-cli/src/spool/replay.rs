//! `posthaste spool replay`: dead letters back among what waits. Each is stored there before it is taken from here: a
//! kill in between leaves it in both, and the Event API drops the repeat.

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
    output::{self, Audience, Output, counted, grouped},
};

/// Letters that are moved at once, at most.
const AT_ONCE: usize = 1_000;
/// Bytes of those, at most: they are stored in one commit, which has to fit into a segment.
const AT_ONCE_BYTES: usize = 128 << 10;

/// Put the dead letters back among what waits, oldest first
///
/// The next `posthaste send --spool` or `posthaste spool drain` sends them again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool replay DIR
  posthaste spool replay DIR && posthaste spool drain DIR")]
pub(super) struct ReplayArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Replayed {
    replayed: u64,
    /// What cannot be read stays where it is.
    unreadable: u64,
}

pub(super) fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    look(&args.dir)?;
    let spool = Spool::open(&args.dir, limits::any_options()).map_err(|source| opening(&args.dir, source))?;
    let working = output::working("putting back");
    let replayed = replay(&spool)?;
    drop(working);
    spool.close().map_err(Failure::Store)?;
    Output::new(Audience::of(args.json)).result(&replayed);
    Ok(if replayed.unreadable == 0 { Exit::Fine } else { Exit::Failed })
}

fn replay(spool: &Spool) -> Result<Replayed, Failure> {
    let (mut replayed, mut from) = (Replayed::default(), 0);
    loop {
        let letters = spool.dead().list(from, AT_ONCE, AT_ONCE_BYTES).map_err(Failure::Dead)?;
        let Some(last) = letters.last() else { return Ok(replayed) };
        from = last.sequence + 1;
        let (mut records, mut sequences) = (Vec::new(), Vec::new());
        for letter in &letters {
            match look::letter(&letter.bytes) {
                None => replayed.unreadable += 1,
                Some((_, record)) => {
                    records.push(letter.bytes.slice_ref(record));
                    sequences.push(letter.sequence);
                }
            }
        }
        if records.is_empty() {
            continue;
        }
        let receipt = spool.add_batch(records, None).map_err(|refused| Failure::Full(refused.reason))?;
        receipt.wait().map_err(Failure::Store)?;
        replayed.replayed += spool.dead().remove(&sequences).map_err(Failure::Dead)?;
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "put back {}", counted(self.replayed, "dead letter", "dead letters"))?;
        match self.unreadable {
            0 => Ok(()),
            unreadable => write!(f, "; {} cannot be read and stayed", grouped(unreadable)),
        }
    }
}
