//! `posthaste spool verify`: every checksum of a spool.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use posthaste_spool::{Check, DEAD_DIR, Inspection};
use serde::Serialize;

use super::look::look;
use crate::common::{
    exit::{Exit, Failure},
    output::{self, Audience, Output, Percentage, counted},
};

/// Problems that are listed; the others are counted.
const LISTED_MAX: usize = 1_000;

/// Check every checksum of a spool and its dead letters, and say what is damaged where
///
/// The exit code is 1 if stored records are lost or unreadable, and nobody has settled that. It is 0 for an unfinished
/// write, for damage that cost no record, and after `posthaste spool repair`; the result tells of these too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool verify DIR
  posthaste spool verify DIR --json | jq .problems")]
pub(super) struct VerifyArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Findings {
    /// No problem costs records.
    sound: bool,
    /// That wait.
    records: u64,
    /// Records, and dead letters, that are lost, ever.
    lost: u64,
    /// Of those, what has been settled before.
    lost_before: u64,
    /// Records, and dead letters, that could not be read just now.
    unreadable: u64,
    problems: Vec<Problem>,
    problems_total: usize,
}

#[derive(Debug, Serialize)]
struct Problem {
    file: PathBuf,
    offset: u64,
    /// The record, as far as it is known.
    sequence: Option<u64>,
    /// Whether it keeps stored records from being delivered.
    costs_records: bool,
    reason: String,
}

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let mut found = look(&args.dir)?;
    let mut findings = Findings { sound: true, ..Findings::default() };
    findings.add(check(&mut found, "checking")?, Path::new(""));
    findings.records = found.status().stats.records;
    if let Some(mut dead) = found.dead()? {
        findings.add(check(&mut dead, "checking the dead letters")?, Path::new(DEAD_DIR));
    }
    findings.problems_total = findings.problems.len();
    findings.problems.truncate(LISTED_MAX);
    Output::new(Audience::of(args.json)).result(&findings);
    Ok(if findings.sound { Exit::Fine } else { Exit::Failed })
}

fn check(found: &mut Inspection, what: &'static str) -> Result<Check, Failure> {
    let percentage = Percentage::of(what);
    found.check(|done, total| percentage.set(done, total)).map_err(|error| Failure::Records(error.into()))
}

impl Findings {
    fn add(&mut self, check: Check, folder: &Path) {
        self.lost += check.lost;
        self.lost_before += check.lost_before;
        self.unreadable += check.unreadable;
        self.sound &= !check.problems.iter().any(|problem| problem.kind.costs_records());
        self.problems.extend(check.problems.into_iter().map(|problem| Problem::new(problem, folder)));
    }
}

impl Problem {
    fn new(problem: posthaste_spool::Problem, folder: &Path) -> Self {
        let posthaste_spool::Problem { file, offset, sequence, kind, .. } = problem;
        let costs_records = kind.costs_records();
        Self { file: folder.join(file), offset, sequence, costs_records, reason: kind.to_string() }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { file, offset, sequence, reason, .. } in &self.problems {
            let record = sequence.map(|sequence| format!(", record {sequence}")).unwrap_or_default();
            writeln!(f, "{} at {offset}{record}: {reason}", file.display())?;
        }
        let unlisted = (self.problems_total - self.problems.len()) as u64;
        if unlisted > 0 {
            writeln!(f, "… and {}", counted(unlisted, "more problem", "more problems"))?;
        }
        let problems = counted(self.problems_total as u64, "problem", "problems");
        match (self.sound, self.problems_total) {
            (true, 0) => write!(f, "sound")?,
            (true, _) => write!(f, "sound, but for {problems} that cost no record")?,
            (false, _) => write!(f, "{problems}")?,
        }
        if let Some(losses) = output::losses(self.lost, self.unreadable) {
            write!(f, ": {losses}")?;
        }
        match self.lost_before {
            0 => {}
            before if before == self.lost => write!(f, ", counted and settled before")?,
            before => write!(f, ", {before} of them counted before")?,
        }
        if !self.sound {
            write!(f, "; `posthaste spool repair` settles what is lost")?;
        }
        write!(f, "; {}", counted(self.records, "record waits", "records wait"))
    }
}
