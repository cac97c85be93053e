//! One thing that `validate` has found, and where: with the kind that docs/PROBLEMS.md explains, where it has one.

use std::fmt;

use posthaste::judge::{self, ProblemKind};
use serde::{Serialize, Serializer};

/// Wrong. In JSON an object.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<ProblemKind>,
    #[serde(rename = "problem")]
    pub(super) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        write_kind(self.kind, f)
    }
}

/// Nothing wrong, but odd. In JSON a text: `line 3: …`.
#[derive(Debug)]
pub(super) struct Warning {
    pub(super) line: Option<u64>,
    kind: Option<ProblemKind>,
    text: String,
}

impl Warning {
    pub(super) fn of(line: Option<u64>, problem: &judge::Problem) -> Self {
        Self { line, kind: Some(problem.kind), text: problem.to_string() }
    }
}

impl From<String> for Warning {
    fn from(warning: String) -> Self {
        Self { line: None, kind: None, text: warning }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        write_kind(self.kind, f)
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.line {
            Some(line) => serializer.collect_str(&format_args!("line {line}: {self}")),
            None => serializer.collect_str(self),
        }
    }
}

fn write_kind(kind: Option<ProblemKind>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    kind.map_or(Ok(()), |kind| write!(f, " [{kind}]"))
}
