//! The result: for people and for machines.

use std::{fmt, time::Duration};

use posthaste_oracle::{Fresh, Verdict};
use serde::Serialize;

use super::readers::Read;
use crate::common::output::{counted, grouped};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    seed: u64,
    seconds: f64,
    /// Asked for.
    events: u64,
    claimed: u64,
    /// Of those, the ones that had to be kept: stored, or accepted by a process that was not killed.
    acknowledged: u64,
    accepted: u64,
    stored: u64,
    refused: u64,
    arrived: u64,
    dead: u64,
    waiting: u64,
    /// Accepted and gone with their killed process, before they were said to be stored.
    vanished: u64,
    /// Of those, the ones whose receipt failed first.
    failed_and_gone: u64,
    lost: u64,
    invented: u64,
    altered: u64,
    repeated: u64,
    /// Everything else that is not right.
    refused_but_there: u64,
    unjustly_dead: u64,
    dead_letters_repeated: u64,
    kills: u64,
    /// Processes that looked at the spool meanwhile, and the damage that they reported: there was none.
    reads: u64,
    false_damage: u64,
    fresh: Fresh,
    /// In words.
    problems: Vec<String>,
    /// What was tortured.
    #[serde(skip)]
    kind: Kind,
}

/// What was tortured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Spool,
    Relay,
    Queue,
}

/// What a run has been, beside what became of its events.
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) events: u64,
    pub(super) took: Duration,
    pub(super) read: Read,
    /// What went wrong with processes.
    pub(super) troubles: Vec<String>,
}

impl Report {
    pub(super) fn new(run: Run, verdict: &Verdict) -> Self {
        let Run { seed, events, took, read, troubles } = run;
        let is_calm =
            troubles.is_empty() && read.reports == 0 && verdict.waiting + verdict.failed_and_gone == 0;
        Self {
            ok: verdict.ok() && is_calm,
            seed,
            seconds: (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
            events,
            claimed: verdict.claimed,
            acknowledged: verdict.promised,
            accepted: verdict.accepted,
            stored: verdict.stored,
            refused: verdict.refused,
            arrived: verdict.arrived,
            dead: verdict.dead,
            waiting: verdict.waiting,
            vanished: verdict.vanished,
            failed_and_gone: verdict.failed_and_gone,
            lost: verdict.lost(),
            invented: verdict.invented,
            altered: verdict.altered,
            repeated: verdict.repeated,
            refused_but_there: verdict.refused_but_there,
            unjustly_dead: verdict.unjustly_dead,
            dead_letters_repeated: verdict.letters_repeated,
            kills: verdict.kills,
            reads: read.reads,
            false_damage: read.reports,
            fresh: verdict.fresh,
            problems: problems(troubles, read.shown, verdict),
            kind: Kind::Spool,
        }
    }
}

impl Report {
    /// The same of something else than a spool, where so many processes were killed.
    pub(super) fn of(self, kind: Kind, kills: u64) -> Self {
        Self { kills, kind, ..self }
    }
}

fn problems(mut problems: Vec<String>, reports: Vec<String>, verdict: &Verdict) -> Vec<String> {
    problems.extend(reports);
    problems.extend(verdict.findings.iter().map(ToString::to_string));
    problems.extend(verdict.ledgers.iter().cloned());
    problems
        .extend(verdict.contradictory.iter().map(|fact| format!("the books contradict themselves: {fact}")));
    if verdict.fresh != Fresh::Flowed {
        problems.push("a fresh event did not arrive after all faults had stopped".to_owned());
    }
    if verdict.failed_and_gone > 0 {
        let events = counted(verdict.failed_and_gone, "accepted event", "accepted events");
        problems
            .push(format!("{events} had a receipt that failed while the process lived, and no dead letter"));
    }
    if verdict.waiting > 0 {
        let events = counted(verdict.waiting, "event still waits", "events still wait");
        problems.push(format!("{events} though the upstream is well; with more --time they may arrive"));
    }
    problems
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let mut row = |name: &str, number: u64, what: &str| {
            writeln!(f, "{name:<12}{:>10}  {what}", grouped(number)).map(drop)
        };
        if self.kind == Kind::Relay {
            row("claimed", self.claimed, "posted to a relay that might be killed")?;
            row("stored", self.stored, "answered 204: kept whatever happens")?;
            row("arrived", self.arrived, "the upstream has them")?;
            row("repeated", self.repeated, "arrivals of what had arrived, as they may be after a kill")?;
        } else if self.kind == Kind::Queue {
            row("claimed", self.claimed, "offered to the stream by processes that might be killed")?;
            row("stored", self.stored, "acknowledged by the stream: kept whatever happens")?;
            row("arrived", self.arrived, "the upstream has them")?;
            row("repeated", self.repeated, "arrivals of what had arrived, as they may be after a kill")?;
            row("dead", self.dead, "dead letters in their stream")?;
            row("vanished", self.vanished, "not acknowledged yet, and gone with a killed process")?;
        } else {
            row("claimed", self.claimed, "offered to a process that might be killed")?;
            row("accepted", self.accepted, "process_event said Ok")?;
            row("stored", self.stored, "the receipt resolved: kept whatever happens")?;
            row("refused", self.refused, "handed back")?;
            row("arrived", self.arrived, "the upstream has them")?;
            row("repeated", self.repeated, "arrivals of what had arrived, as they may be after a kill")?;
            row("dead", self.dead, "dead letters on disk")?;
            row("vanished", self.vanished, "accepted, not stored yet, and gone with a killed process")?;
        }
        row("lost", self.lost, "promised, and nowhere")?;
        row("invented", self.invented, "there, and never offered")?;
        row("altered", self.altered, "not as they were")?;
        row("kills", self.kills, "SIGKILL at a random moment")?;
        if self.kind == Kind::Spool {
            row("reads", self.reads, "of the spool, beside its owner")?;
            row("false alarm", self.false_damage, "reads that reported damage")?;
        }
        let verdict =
            if self.ok { "Nothing is lost, invented or altered" } else { "Not everything is right" };
        write!(f, "{verdict}. Seed {}, {:.1} s.", self.seed, self.seconds)
    }
}
