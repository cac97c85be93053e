//! The answer: whether it holds, and if not, what is missing and what came instead. As JSON, and as text of a few lines.

use std::fmt;

use serde::Serialize;

use super::{LINES_MAX, text::shown};

/// What became of an expectation. As text, it has [`LINES_MAX`] lines at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether every pattern holds.
    pub holds: bool,
    /// How long was waited.
    pub waited_ms: u64,
    /// Events that were looked at.
    pub looked_at: u64,
    /// Events that had made room, here or in another session: they were not looked at, unless they came during the wait.
    pub forgotten: u64,
    /// Each pattern, in the order in which they were given; one more for each `no_bad`.
    pub expected: Vec<Expected>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What became of one pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Expected {
    /// As it was written, cut where it is long.
    pub pattern: String,
    /// Whether as many came as were expected.
    pub holds: bool,
    /// How many were: `at least 1`, `exactly 2`, `none`.
    pub count: String,
    /// How many came.
    pub came: u64,
    /// The first ids of those that came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u64>,
    /// Where too many came: the newest of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<Miss>,
    /// Where too few came: those that differ least, the nearest first. Looked for among the newest, where much is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Miss>,
}

/// An event that is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Miss {
    /// The event's place in the order of arrival.
    pub id: u64,
    /// What it says.
    pub words: String,
    /// `good`, `warned` or `bad`.
    pub verdict: &'static str,
    /// How many more differ in the same way.
    pub alike: u64,
    /// What is wrong or odd with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// In what it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// A field that is not as it was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Which: `key`, `tags.plan`.
    pub field: String,
    /// What was expected, as JSON.
    pub expected: String,
    /// What came.
    pub came: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.head()];
        let failed: Vec<(usize, &Expected)> =
            self.expected.iter().enumerate().filter(|(_, expected)| !expected.holds).collect();
        let room = LINES_MAX - 1 - self.notes.len();
        // Each is told with what came nearest at least.
        let told = failed.len().min(room / 3);
        let share = (room - usize::from(told < failed.len())).checked_div(told).unwrap_or_default();
        for (at, expected) in failed.iter().take(told) {
            lines.extend(expected.lines(at + 1).into_iter().take(share));
        }
        if told < failed.len() {
            lines.push(format!("… and {} more", failed.len() - told));
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }

    fn head(&self) -> String {
        let (all, events) = (self.expected.len(), counted(self.looked_at, "event"));
        let after = format!("after {} ms, of {events}", self.waited_ms);
        if self.holds {
            return format!("holds {after}");
        }
        let failed = self.expected.iter().filter(|expected| !expected.holds).count();
        format!("does not hold {after}: {failed} of {all} failed")
    }
}

impl Expected {
    fn lines(&self, number: usize) -> Vec<String> {
        let pattern = &self.pattern;
        let mut lines = vec![format!("{number}. expected {} of {pattern}, came {}", self.count, self.came)];
        for miss in &self.surplus {
            lines.push(format!("   came {miss}"));
            lines.extend(miss.problems.iter().map(|problem| format!("     {problem}")));
        }
        for miss in &self.nearest {
            lines.push(format!("   near {miss}"));
            lines.extend(miss.differences.iter().map(|difference| format!("     {difference}")));
        }
        lines
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, words, verdict, alike, .. } = self;
        write!(f, "event {id} ({verdict}): {}", shown(words))?;
        if *alike > 0 { write!(f, ", and {alike} more alike") } else { Ok(()) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, came {}", self.field, self.expected, self.came)
    }
}

pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
