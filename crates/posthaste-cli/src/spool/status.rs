//! `posthaste spool status`: how a spool stands, without reading more of it than it must.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use posthaste_spool::Inspection;
use serde::Serialize;

use super::{
    look::{self, look},
    opening,
    position::Position,
};
use crate::{
    exit::{Exit, Failure},
    output::{Audience, Output, counted, grouped},
};

/// So many records are looked into to count their events; reading more would take its time.
const COUNTED_MAX: u64 = 10_000;

/// Say how much waits, how far its input was read, who owns the spool
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool status DIR
  posthaste spool status DIR --json | jq .records")]
pub(super) struct StatusArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    /// That wait: each is a request.
    records: u64,
    /// In those; `None`: there are too many to look into each.
    events: Option<u64>,
    dead_letters: u64,
    segments: usize,
    spare_segments: usize,
    bytes: u64,
    oldest_sequence: u64,
    next_sequence: u64,
    /// As far as damage has been met: `verify` looks for it.
    damaged_records: u64,
    unreadable_segments: usize,
    /// Pieces of damaged records that were set aside.
    damaged_files: usize,
    /// Process id.
    owner: Option<u32>,
    position: Option<Position>,
    /// Whether there is metadata that is no position of `send`.
    other_metadata: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let mut found = look(&args.dir)?;
    let records = found.status().stats.records;
    let events = (records <= COUNTED_MAX).then(|| count_events(&mut found)).transpose()?;
    let dead = found.dead().map_err(|source| opening(&args.dir, source))?;
    let dead_letters = dead.map_or(0, |dead| dead.status().stats.records);
    let status = Status::new(&args.dir, &found.status(), events, dead_letters);
    Output::new(Audience::of(args.json)).result(&status);
    Ok(Exit::Fine)
}

/// What cannot be read has none.
fn count_events(found: &mut Inspection) -> Result<u64, Failure> {
    let mut events = 0;
    for record in found.records() {
        let record = record.map_err(Failure::Records)?;
        events += look::request(&record.bytes).map_or(0, |request| request.events() as u64);
    }
    Ok(events)
}

impl Status {
    fn new(dir: &Path, found: &posthaste_spool::Status, events: Option<u64>, dead_letters: u64) -> Self {
        let position = found.meta.as_ref().and_then(|meta| Position::read(meta).ok());
        Self {
            records: found.stats.records,
            events,
            dead_letters,
            segments: found.stats.segments,
            spare_segments: found.spare_segments,
            bytes: found.stats.disk_bytes,
            oldest_sequence: found.stats.first_sequence,
            next_sequence: found.stats.next_sequence,
            damaged_records: found.stats.counters.damaged_records,
            unreadable_segments: found.unreadable_segments,
            damaged_files: found.damaged_files,
            owner: look::owner(dir, found.owner),
            other_metadata: found.meta.is_some() && position.is_none(),
            position,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = match self.events {
            Some(events) => format!(" with {}", counted(events, "event", "events")),
            None => String::new(),
        };
        writeln!(f, "waiting    {}{events}", counted(self.records, "record", "records"))?;
        writeln!(f, "dead       {}", counted(self.dead_letters, "letter", "letters"))?;
        let damage = [self.damaged_records, self.unreadable_segments as u64, self.damaged_files as u64];
        if damage.iter().any(|damage| *damage > 0) {
            writeln!(
                f,
                "damaged    {}, {}, {} set aside",
                counted(self.damaged_records, "record", "records"),
                counted(self.unreadable_segments as u64, "segment", "segments"),
                counted(self.damaged_files as u64, "piece", "pieces"),
            )?;
        }
        writeln!(
            f,
            "on disk    {}, {} and {} spare",
            counted(self.bytes, "byte", "bytes"),
            counted(self.segments as u64, "segment", "segments"),
            grouped(self.spare_segments as u64)
        )?;
        let (oldest, next) = (grouped(self.oldest_sequence), grouped(self.next_sequence));
        writeln!(f, "sequence   oldest {oldest}, next {next}")?;
        match (&self.position, self.other_metadata) {
            (Some(position), _) => writeln!(f, "input      {}", position.in_words())?,
            (None, true) => writeln!(f, "input      unknown: another program's metadata")?,
            (None, false) => {}
        }
        match self.owner {
            Some(owner) => write!(f, "owner      process {owner}"),
            None => write!(f, "owner      none"),
        }
    }
}
