//! `posthaste spool status`: how a spool stands, without reading more of it than it must.

use std::{fmt, path::PathBuf};

use posthaste_spool::{Check, Inspection};
use serde::Serialize;

use super::look::{self, look};
use crate::{
    common::{
        exit::{Exit, Failure},
        output::{self, Audience, Output, counted, grouped},
    },
    input::Position,
};

/// So many records are looked into to count their events; reading more would take its time.
const COUNTED_MAX: u64 = 10_000;
/// So many bytes are read to count what is lost: a second's work.
const CHECKED_BYTES_MAX: u64 = 1 << 30;

/// Say how much waits, how far the input was read, and who owns the spool
///
/// Lost records are counted too. Only `posthaste spool verify` counts them in a spool of more than 1 GiB.
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
    /// Records that were stored and are lost, ever.
    lost: u64,
    /// Of those, what an owner or a repair had counted before.
    lost_before: u64,
    /// The same, of dead letters.
    dead_letters_lost: u64,
    /// Records that the disk would not hand out just now; they still wait.
    unreadable: u64,
    /// Whether everything was read to count what is lost. If not, `verify` may find more.
    checked: bool,
    /// Of the records that wait, those that are not on disk yet, as far as one can see.
    pending: u64,
    /// Records that came to their end, which would come again after a power cut: that is not written down yet.
    settled_unsynced: u64,
    /// Damaged segments, and pieces of them, that were set aside.
    damaged_files: usize,
    /// Whether a process owns the spool now.
    owned: bool,
    /// Its id, as far as it is known.
    owner: Option<u32>,
    position: Option<Position>,
    /// Whether there is metadata that is no position of `send`.
    other_metadata: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let mut found = look(&args.dir)?;
    let check = check(&mut found)?;
    let records = found.status().stats.records;
    let events = (records <= COUNTED_MAX).then(|| count_events(&mut found)).transpose()?;
    let mut status = Status::new(&found.status(), events, check.as_ref());
    if let Some(mut dead) = found.dead()? {
        status.checked &= self::check(&mut dead)?.is_some();
        let stats = dead.status().stats;
        status.dead_letters = stats.records;
        status.dead_letters_lost = stats.counters.lost_records;
    }
    Output::new(Audience::of(args.json)).result(&status);
    Ok(Exit::Fine)
}

/// `None`: there is too much to read.
fn check(found: &mut Inspection) -> Result<Option<Check>, Failure> {
    let is_small = found.status().stats.disk_bytes <= CHECKED_BYTES_MAX;
    let check = is_small.then(|| found.check(|_, _| {})).transpose();
    check.map_err(|error| Failure::Records(error.into()))
}

/// What cannot be read has none.
fn count_events(found: &mut Inspection) -> Result<u64, Failure> {
    let mut events = 0;
    for record in found.records() {
        events += look::request(&record?.bytes).map_or(0, |request| request.events() as u64);
    }
    Ok(events)
}

impl Status {
    fn new(found: &posthaste_spool::Status, events: Option<u64>, check: Option<&Check>) -> Self {
        let position = found.meta.as_ref().and_then(|meta| Position::read(meta).ok());
        let stats = &found.stats;
        Self {
            records: stats.records,
            events,
            dead_letters: 0,
            segments: stats.segments,
            spare_segments: found.spare_segments,
            bytes: stats.disk_bytes,
            oldest_sequence: stats.first_sequence,
            next_sequence: stats.next_sequence,
            lost: stats.counters.lost_records,
            lost_before: stats.counters.lost_before,
            dead_letters_lost: 0,
            unreadable: check.map_or(found.unreadable_records, |check| check.unreadable),
            checked: check.is_some(),
            pending: stats.pending_records,
            settled_unsynced: found.settled_unsynced,
            damaged_files: found.damaged_files,
            owned: found.is_owned,
            owner: found.owner,
            other_metadata: found.meta.is_some() && position.is_none(),
            position,
        }
    }

    fn dead_in_words(&self) -> String {
        let letters = counted(self.dead_letters, "letter", "letters");
        match self.dead_letters_lost {
            0 => letters,
            lost => format!("{letters}, and {} that were lost", grouped(lost)),
        }
    }

    /// `None`: there is nothing to say.
    fn losses_in_words(&self) -> Option<String> {
        let before = match self.lost_before {
            0 => String::new(),
            before if before == self.lost => " (counted before)".to_owned(),
            before => format!(" ({before} of them counted before)"),
        };
        let losses = output::losses(self.lost, self.unreadable).map(|losses| losses + &before);
        let kept = (self.damaged_files > 0).then(|| {
            let files = counted(self.damaged_files as u64, "damaged file", "damaged files");
            format!("{files} set aside")
        });
        let unchecked = "`posthaste spool verify` reads everything, to count what is lost";
        let unchecked = (!self.checked).then(|| unchecked.to_owned());
        let said: Vec<String> = [losses, kept, unchecked].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = match self.events {
            Some(events) => format!(" with {}", counted(events, "event", "events")),
            None => String::new(),
        };
        writeln!(f, "waiting    {}{events}", counted(self.records, "record", "records"))?;
        if self.pending > 0 {
            writeln!(f, "pending    {}, not on disk yet", counted(self.pending, "record", "records"))?;
        }
        if self.settled_unsynced > 0 {
            let records = counted(self.settled_unsynced, "record", "records");
            writeln!(f, "delivered  {records}, not yet written down")?;
        }
        writeln!(f, "dead       {}", self.dead_in_words())?;
        if let Some(losses) = self.losses_in_words() {
            writeln!(f, "losses     {losses}")?;
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
        match (self.owned, self.owner) {
            (true, Some(owner)) => write!(f, "owner      process {owner}"),
            (true, None) => write!(f, "owner      another process"),
            (false, _) => write!(f, "owner      none"),
        }
    }
}
