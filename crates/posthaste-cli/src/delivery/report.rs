//! The books of a run.

use std::{fmt, sync::atomic::Ordering::Relaxed, time::Duration};

use posthaste::{Ledger, ProjectConfig, outcome::Trouble};
use serde::Serialize;

use super::{
    control::{CutOff, Ended},
    intake::End,
    job::{Job, Length},
};
use crate::{
    common::output::{counted, grouped, losses, plain},
    input::is_broken,
    pipeline::{self, Pipeline},
};

/// What came of a run, for people and for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Lines dealt with, blank ones included.
    lines: u64,
    event_lines: u64,
    batch_lines: u64,
    blank_lines: u64,
    pub(crate) rejected: u64,
    /// What was rejected and is no line: what was added to a line after an earlier run had taken it for whole.
    /// `lines + line_rests = event_lines + batch_lines + blank_lines + rejected`.
    #[serde(skip_serializing_if = "is_zero")]
    line_rests: u64,
    /// The last line, which has no end and was left for the next run.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished_line: Option<u64>,
    /// Events of event lines; with a spool, only the total is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Books>,
    /// Events of batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<Books>,
    pub(crate) total: Books,
    attributes_left_out: LeftOut,
    /// Lines that something is odd about, and that were taken all the same; of this run.
    warned: u64,
    /// Visitors with a conversion that is earlier than all of their decisions; of this run.
    too_early: u64,
    /// Halves of surrogate pairs that were sent as U+FFFD; of this run.
    repaired: u64,
    pub(crate) stopped: Option<Stopped>,
    /// Why something is left, where something is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<Reason>,
    seconds: f64,
}

/// Why events are left, in the library's words, and in parts for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Reason {
    end_point: Option<String>,
    what: String,
    status: Option<u16>,
    times: u64,
    /// That are left because of it.
    events: u64,
    #[serde(skip)]
    in_words: String,
}

impl From<&Trouble> for Reason {
    fn from(trouble: &Trouble) -> Self {
        let Trouble { end_point, what, status, times, events, .. } = trouble.clone();
        Self { end_point, what, status, times, events, in_words: plain(&trouble.to_string()) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words)
    }
}

/// `recovered + accepted = delivered + dead_lettered + left`. What is lost is among the dead-lettered.
#[derive(Debug, Serialize)]
pub(crate) struct Books {
    /// What an earlier run had left in the spool.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<u64>,
    accepted: u64,
    delivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) left: u64,
    /// Of the dead-lettered, those that have a letter.
    #[serde(skip)]
    pub(crate) letters: u64,
    /// Records that were stored in the spool and are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    /// Records of the spool that could not be read: by this version, and so dead-lettered, or from the disk, and so
    /// left.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<u64>,
}

/// Attributes that no event can carry.
#[derive(Debug, Serialize)]
struct LeftOut {
    unknown: u64,
    invalid: u64,
}

/// Where reading stopped before the end, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Stopped {
    /// The first line that was not dealt with, and whose it is.
    line: u64,
    #[serde(skip)]
    name: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where what is packed is damaged: the lines of the file before that, which nothing vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsure_lines: Option<u64>,
    /// The input has no end of its own: it ends where it is told to.
    #[serde(skip)]
    is_its_end: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was read by this run.
struct Read {
    lines: u64,
    /// The first line that was not read, of its file.
    next_line: u64,
    event_lines: u64,
    batch_lines: u64,
    blank_lines: u64,
    rejected: u64,
}

impl Read {
    /// With a spool, what is not stored counts as not read: it will be read again.
    fn new(job: &Job<'_>) -> Self {
        match &*job.pipeline {
            Pipeline::Memory(_) | Pipeline::Stream(_) => Self {
                lines: job.progress.lines.load(Relaxed),
                next_line: job.progress.line.load(Relaxed) + 1,
                event_lines: job.progress.event_lines.load(Relaxed),
                batch_lines: job.progress.batch_lines.load(Relaxed),
                blank_lines: job.progress.blank_lines.load(Relaxed),
                rejected: job.progress.rejected.load(Relaxed),
            },
            Pipeline::Spool(spooled) => {
                let (began, stored) = (spooled.began(), spooled.stored());
                Self {
                    lines: stored.lines_in_all() - began.lines_in_all(),
                    next_line: stored.lines + 1,
                    event_lines: stored.event_lines - began.event_lines,
                    batch_lines: stored.batch_lines - began.batch_lines,
                    blank_lines: stored.blank_lines - began.blank_lines,
                    rejected: stored.rejected - began.rejected,
                }
            }
        }
    }
}

impl Report {
    pub(crate) fn new(job: &Job<'_>, ended: &Ended, took: Duration) -> Self {
        let dropped = job.config.as_deref().map(ProjectConfig::dropped_attributes).unwrap_or_default();
        let books = job.pipeline.books();
        let (events, batches) = books.by_kind.unzip();
        let read = Read::new(job);
        let total = Books::of_run(&books, job.office.events());
        Self {
            lines: read.lines,
            event_lines: read.event_lines,
            batch_lines: read.batch_lines,
            blank_lines: read.blank_lines,
            rejected: read.rejected,
            line_rests: (read.event_lines + read.batch_lines + read.blank_lines + read.rejected)
                .saturating_sub(read.lines),
            reasons: ended.reasons.iter().filter(|_| total.left > 0).map(Reason::from).collect(),
            total,
            events: events.map(Books::new),
            batches: batches.map(Books::new),
            attributes_left_out: LeftOut { unknown: dropped.unknown, invalid: dropped.invalid },
            warned: job.progress.warned.load(Relaxed),
            too_early: job.progress.too_early.load(Relaxed),
            repaired: job.progress.repaired.load(Relaxed),
            unfinished_line: match ended.reading {
                Some(End::Unfinished(line)) => Some(line),
                _ => None,
            },
            // Who follows a log is stopped in no other way.
            stopped: Stopped::new(job, ended, read.next_line)
                .filter(|stopped| !(job.follows && stopped.is_asked_for())),
            seconds: took.as_secs_f64(),
        }
    }

    /// Whether every line was read, as far as the input has an end, and everything in them delivered.
    pub(crate) fn is_fine(&self) -> bool {
        self.stopped.as_ref().is_none_or(|stopped| stopped.is_its_end)
            && self.rejected == 0
            && self.total.dead_lettered == 0
            && self.total.left == 0
            && self.total.lost.unwrap_or_default() + self.total.unreadable.unwrap_or_default() == 0
            && self.total.accepted + self.total.recovered.unwrap_or_default() == self.total.delivered
    }
}

impl Stopped {
    fn new(job: &Job<'_>, ended: &Ended, line: u64) -> Option<Self> {
        let (reason, error) = match (&ended.reading, ended.cut_off) {
            (Some(End::Input | End::Unfinished(_)), _) => return None,
            (Some(End::NoDatafile), _) => ("no_datafile", None),
            (Some(End::Unreadable(error)), _) => ("unreadable", Some(error.to_string())),
            (Some(End::NotKept), _) => ("not_kept", None),
            (Some(End::NotStored(reason)), _) => ("not_stored", Some(reason.to_string())),
            (_, Some(CutOff::MaxTime)) => ("max_time", None),
            (Some(End::Stopped) | None, _) => ("signal", None),
        };
        let is_its_end = reason == "signal" && job.length == Length::Unknown;
        let is_damaged = matches!(&ended.reading, Some(End::Unreadable(error)) if is_broken(error));
        let unsure_lines = is_damaged.then(|| line - 1);
        Some(Self { line, name: job.progress.name.lock().clone(), reason, error, unsure_lines, is_its_end })
    }

    /// Nothing went wrong.
    fn is_asked_for(&self) -> bool {
        matches!(self.reason, "signal" | "max_time")
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, name, reason, error, .. } = self;
        let error = error.as_deref().unwrap_or_default();
        match *reason {
            "no_datafile" => write!(
                f,
                "{name}:{line}: this is an event, and there is no datafile to look its keys up in; give --datafile FILE. \
                 It and what follows were not sent"
            ),
            "unreadable" => {
                write!(
                    f,
                    "{name}:{line}: failed to read on: {error}. This line and what follows were not sent"
                )?;
                match self.unsure_lines {
                    None | Some(0) => Ok(()),
                    Some(before) => write!(
                        f,
                        "; {} before it {} taken, and may be wrong",
                        counted(before, "line", "lines"),
                        if before == 1 { "was" } else { "were" }
                    ),
                }
            }
            "not_stored" => write!(
                f,
                "failed to store line {line} in the spool: {error}; it and what follows were not sent"
            ),
            "not_kept" => write!(f, "stopped at line {line}, which could be neither sent nor kept"),
            "max_time" => {
                write!(f, "stopped at line {line} by --max-time; it and what follows were not sent")
            }
            _ => write!(f, "stopped at line {line} by a signal; it and what follows were not sent"),
        }
    }
}

impl Books {
    fn new(ledger: Ledger) -> Self {
        let Ledger { accepted, delivered, dead_lettered, queued: left, .. } = ledger;
        let letters = dead_lettered;
        let (recovered, lost, unreadable) = (None, None, None);
        Self { recovered, accepted, delivered, dead_lettered, left, letters, lost, unreadable }
    }

    fn of_run(books: &pipeline::Books, letters: u64) -> Self {
        let total = Self::new(books.total);
        let Some(pipeline::SpooledBooks { recovered, lost, unreadable }) = books.spooled else {
            return total;
        };
        Self {
            recovered: Some(recovered),
            accepted: total.accepted.saturating_sub(recovered),
            letters,
            lost: Some(lost),
            unreadable: Some(unreadable),
            ..total
        }
    }

    /// What did not go well, in words: `3 dead, 2 lost`. Plain numbers, which programs look for.
    fn trouble(&self) -> Option<String> {
        let dead = (self.letters > 0).then(|| format!("{} dead", self.letters));
        let losses = losses(self.lost.unwrap_or_default(), self.unreadable.unwrap_or_default());
        let said: Vec<String> = [dead, losses].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who drains a spool reads nothing.
        if self.lines > 0 || self.total.recovered.is_none() {
            writeln!(
                f,
                "read       {}: {}, {}, {} rejected, {} blank{}",
                counted(self.lines, "line", "lines"),
                counted(self.event_lines, "event", "events"),
                counted(self.batch_lines, "batch", "batches"),
                grouped(self.rejected),
                grouped(self.blank_lines),
                self.rests_in_words()
            )?;
        }
        writeln!(f, "ledger     {}", self.total)?;
        if let Some(trouble) = self.total.trouble() {
            writeln!(f, "trouble    {trouble}")?;
        }
        let LeftOut { unknown, invalid } = self.attributes_left_out;
        if unknown + invalid > 0 {
            writeln!(
                f,
                "attributes {} unknown to the datafile and {} of a kind that cannot be sent were left out of events",
                grouped(unknown),
                grouped(invalid)
            )?;
        }
        let Self { warned, too_early, repaired, .. } = self;
        if warned + too_early + repaired > 0 {
            writeln!(
                f,
                "odd        {}, {} whose conversion is earlier than its decision, {} of a surrogate pair replaced",
                counted(*warned, "line with a warning", "lines with warnings"),
                counted(*too_early, "visitor", "visitors"),
                counted(*repaired, "half", "halves")
            )?;
        }
        write!(f, "delivered  {}", self.verdict())
    }
}

impl Report {
    fn rests_in_words(&self) -> String {
        match self.line_rests {
            0 => String::new(),
            rests => {
                format!(" ({} rejected, of lines that were sent before)", counted(rests, "rest", "rests"))
            }
        }
    }

    fn verdict(&self) -> String {
        let how_much = if self.is_fine() { "everything".to_owned() } else { grouped(self.total.delivered) };
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = self.total.delivered as f64 / self.seconds.max(0.001);
        format!("{how_much} in {:.1} s ({rate:.0} events/s)", self.seconds)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(recovered) = self.recovered.filter(|recovered| *recovered > 0) {
            write!(f, "{} recovered + ", grouped(recovered))?;
        }
        write!(
            f,
            "{} accepted = {} delivered + {} dead-lettered + {} left",
            grouped(self.accepted),
            grouped(self.delivered),
            grouped(self.dead_lettered),
            grouped(self.left)
        )
    }
}
