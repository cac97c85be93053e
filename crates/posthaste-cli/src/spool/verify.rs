//! `posthaste spool verify`: every checksum of a spool.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use posthaste_spool::{Inspection, ProblemKind};
use serde::Serialize;

use super::{
    look::{self, look},
    opening,
};
use crate::{
    exit::{Exit, Failure},
    output::{self, Audience, Output, counted},
};

/// Problems that are listed; the others are counted.
const LISTED_MAX: usize = 1_000;

/// Check every checksum of a spool and its dead letters, and say what is damaged where
///
/// The exit code is 0 if nothing is, 1 otherwise.
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

#[derive(Debug, Serialize)]
struct Findings {
    sound: bool,
    records: u64,
    problems: Vec<Problem>,
    problems_total: usize,
}

#[derive(Debug, Serialize)]
struct Problem {
    file: PathBuf,
    offset: u64,
    /// The record, as far as it is known.
    sequence: Option<u64>,
    reason: String,
}

pub(super) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let found = look(&args.dir)?;
    let working = output::working("checking");
    let mut problems = problems(&args.dir, &found, Path::new(""))?;
    if let Some(dead) = found.dead().map_err(|source| opening(&args.dir, source))? {
        problems.extend(self::problems(&args.dir, &dead, Path::new(posthaste_spool::DEAD_DIR))?);
    }
    drop(working);
    let problems_total = problems.len();
    problems.truncate(LISTED_MAX);
    let sound = problems_total == 0;
    let findings = Findings { sound, records: found.status().stats.records, problems, problems_total };
    Output::new(Audience::of(args.json)).result(&findings);
    Ok(if sound { Exit::Fine } else { Exit::Failed })
}

/// A write that is going on is no problem.
fn problems(dir: &Path, found: &Inspection, folder: &Path) -> Result<Vec<Problem>, Failure> {
    let is_owned = look::owner(dir, Some(0)).is_some();
    let is_one = |problem: &posthaste_spool::Problem| {
        !(is_owned && matches!(problem.kind, ProblemKind::Unfinished { .. }))
    };
    let problems = found.verify().map_err(|error| Failure::Records(error.into()))?;
    Ok(problems.into_iter().filter(is_one).map(|problem| Problem::new(problem, folder)).collect())
}

impl Problem {
    fn new(problem: posthaste_spool::Problem, folder: &Path) -> Self {
        let posthaste_spool::Problem { file, offset, sequence, kind } = problem;
        Self { file: folder.join(file), offset, sequence, reason: kind.to_string() }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { file, offset, sequence, reason } in &self.problems {
            let record = sequence.map(|sequence| format!(", record {sequence}")).unwrap_or_default();
            writeln!(f, "{} at {offset}{record}: {reason}", file.display())?;
        }
        let unlisted = (self.problems_total - self.problems.len()) as u64;
        if unlisted > 0 {
            writeln!(f, "… and {}", counted(unlisted, "more problem", "more problems"))?;
        }
        let records = counted(self.records, "record waits", "records wait");
        match self.problems_total {
            0 => write!(f, "sound: {records}"),
            problems => {
                let problems = counted(problems as u64, "problem", "problems");
                write!(f, "{problems}: `posthaste spool repair` covers them; {records}")
            }
        }
    }
}
