//! The books of a run.

use std::{fmt, sync::atomic::Ordering::Relaxed, time::Duration};

use posthaste::{Ledger, event::dropped_attributes};
use serde::Serialize;

use super::{
    Job,
    control::{CutOff, Ended},
    intake::End,
};
use crate::output::{counted, grouped};

/// What came of a run, for people and for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Lines dealt with, blank ones included.
    lines: u64,
    event_lines: u64,
    batch_lines: u64,
    pub(crate) rejected: u64,
    /// Events of event lines.
    events: Books,
    /// Events of batches.
    batches: Books,
    pub(crate) total: Books,
    attributes_left_out: LeftOut,
    pub(crate) stopped: Option<Stopped>,
    seconds: f64,
}

/// `accepted = delivered + dead_lettered + left`.
#[derive(Debug, Serialize)]
pub(crate) struct Books {
    accepted: u64,
    delivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) left: u64,
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
    /// The first line that was not dealt with.
    line: u64,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Report {
    pub(crate) fn new(job: &Job<'_>, ended: &Ended, took: Duration) -> Self {
        let progress = &job.progress;
        let (events, batches) = job.pipeline.ledgers();
        let dropped = dropped_attributes();
        let lines = progress.lines.load(Relaxed);
        Self {
            lines,
            event_lines: progress.event_lines.load(Relaxed),
            batch_lines: progress.batch_lines.load(Relaxed),
            rejected: progress.rejected.load(Relaxed),
            total: (events + batches).into(),
            events: events.into(),
            batches: batches.into(),
            attributes_left_out: LeftOut { unknown: dropped.unknown, invalid: dropped.invalid },
            stopped: Stopped::new(ended, lines + 1),
            seconds: took.as_secs_f64(),
        }
    }

    /// Whether every line was read, and everything in them delivered.
    pub(crate) fn is_fine(&self) -> bool {
        self.stopped.is_none()
            && self.rejected == 0
            && self.total.dead_lettered == 0
            && self.total.left == 0
            && self.total.accepted == self.total.delivered
    }
}

impl Stopped {
    fn new(ended: &Ended, line: u64) -> Option<Self> {
        let (reason, error) = match (&ended.reading, ended.cut_off) {
            (Some(End::Input), _) => return None,
            (Some(End::NoDatafile), _) => ("no_datafile", None),
            (Some(End::Unreadable(error)), _) => ("unreadable", Some(error.to_string())),
            (Some(End::NotKept), _) => ("not_kept", None),
            (_, Some(CutOff::MaxTime)) => ("max_time", None),
            (Some(End::Stopped) | None, _) => ("signal", None),
        };
        Some(Self { line, reason, error })
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, reason, error } = self;
        match *reason {
            "no_datafile" => write!(
                f,
                "line {line} is an event, and there is no datafile to look its keys up in; \
                 give --datafile FILE. It and what follows were not sent"
            ),
            "unreadable" => {
                let error = error.as_deref().unwrap_or_default();
                write!(
                    f,
                    "failed to read line {line} of the input: {error}; it and what follows were not sent"
                )
            }
            "not_kept" => write!(f, "stopped at line {line}, which could be neither sent nor kept"),
            "max_time" => {
                write!(f, "stopped at line {line} by --max-time; it and what follows were not sent")
            }
            _ => write!(f, "stopped at line {line} by a signal; it and what follows were not sent"),
        }
    }
}

impl From<Ledger> for Books {
    fn from(ledger: Ledger) -> Self {
        let Ledger { accepted, delivered, dead_lettered, queued, .. } = ledger;
        Self { accepted, delivered, dead_lettered, left: queued }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "read       {}: {}, {}, {} rejected",
            counted(self.lines, "line", "lines"),
            counted(self.event_lines, "event", "events"),
            counted(self.batch_lines, "batch", "batches"),
            grouped(self.rejected)
        )?;
        writeln!(f, "ledger     {}", self.total)?;
        let LeftOut { unknown, invalid } = self.attributes_left_out;
        if unknown + invalid > 0 {
            writeln!(
                f,
                "attributes {} unknown to the datafile and {} of a kind that cannot be sent were left out of events",
                grouped(unknown),
                grouped(invalid)
            )?;
        }
        write!(f, "delivered  {}", self.verdict())
    }
}

impl Report {
    fn verdict(&self) -> String {
        let how_much = if self.is_fine() { "everything".to_owned() } else { grouped(self.total.delivered) };
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = self.total.delivered as f64 / self.seconds.max(0.001);
        format!("{how_much} in {:.1} s ({rate:.0} events/s)", self.seconds)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
