//! `posthaste spool replay`: dead letters back among what waits. Each is stored there before it is taken from here: a
//! kill in between leaves it in both, and the Event API drops the repeat.

use std::{fmt, path::PathBuf, thread, time::Duration};

use bytes::Bytes;
use posthaste::{Clock as _, LogEvent, SystemClock, queue::SpoolItem as _};
use posthaste_spool::Spool;
use serde::Serialize;

use super::look::{self, close, look};
use crate::common::{
    bar::Bar,
    exit::{Exit, Failure},
    output::{Audience, Output, counted, grouped},
    spool_options,
};

/// Letters that are moved at once, at most.
const AT_ONCE: usize = 1_000;
/// Bytes of those, at most: they are stored in one commit, which has to fit into a segment.
const AT_ONCE_BYTES: usize = 128 << 10;
/// How often, and how many times, to look whether there is room again.
const ROOM_EVERY: Duration = Duration::from_millis(20);
const ROOM_TRIES: usize = 250;

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
    let spool = Spool::open(&args.dir, spool_options::any_options())?;
    let working = Bar::working("putting back");
    let replayed = replay(&spool)?;
    drop(working);
    close(&spool)?;
    Output::new(Audience::of(args.json)).result(&replayed);
    Ok(if replayed.unreadable == 0 { Exit::Fine } else { Exit::Failed })
}

fn replay(spool: &Spool) -> Result<Replayed, Failure> {
    let (mut replayed, mut from) = (Replayed::default(), 0);
    loop {
        let read = spool.dead().list(from, AT_ONCE, AT_ONCE_BYTES).map_err(Failure::Dead)?;
        let unreadable = read.unreadable.iter().map(|range| range.end - range.start);
        replayed.unreadable += unreadable.sum::<u64>();
        if read.records.is_empty() && read.next <= from {
            return Ok(replayed);
        }
        from = read.next;
        let (mut records, mut sequences) = (Vec::new(), Vec::new());
        for letter in &read.records {
            match look::letter(&letter.bytes) {
                None => replayed.unreadable += 1,
                Some((of, record)) => {
                    records.push(put_back_now(of.item).unwrap_or_else(|| letter.bytes.slice_ref(record)));
                    sequences.push(letter.sequence);
                }
            }
        }
        if records.is_empty() {
            continue;
        }
        put_back(spool, records)?;
        replayed.replayed += spool.dead().remove(&sequences).map_err(Failure::Dead)?;
    }
}

/// A request's age counts anew. `None`: it has none, as no single event has.
fn put_back_now(request: LogEvent) -> Option<Bytes> {
    request.taken_ms()?;
    Some(request.with_put_back_ms(SystemClock.now_ms()).to_record().into())
}

/// Waits a little for room, which may be being made.
fn put_back(spool: &Spool, mut records: Vec<Bytes>) -> Result<(), Failure> {
    let mut tries = 0;
    let receipt = loop {
        match spool.add_batch(records, None) {
            Err(refused) if refused.reason.is_full() && tries < ROOM_TRIES => {
                tries += 1;
                records = refused.batch.records;
                thread::sleep(ROOM_EVERY);
            }
            added => break added.map_err(|refused| Failure::Full(refused.reason))?,
        }
    };
    look::stored(spool, receipt)
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
