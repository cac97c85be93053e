//! What is wrong or odd with a body: where, what, and what to do about it.
//!
//! The number of problems is bounded wherever they are gathered, but never down to none: no problems means good.

use std::fmt;

use serde::Serialize;

use super::kind::{ProblemKind, Severity};

/// Problems that are listed of one body; more are as good as these for finding the cause. As many warnings besides.
pub const PROBLEMS_PER_BODY_MAX: usize = 1_000;
/// Problems that are listed of one part of a body. As many warnings besides.
pub const PROBLEMS_PER_PART_MAX: usize = 10;

/// One thing that is wrong, or odd.
///
/// ```
/// use posthaste::judge::judge_batch;
///
/// let problem = &judge_batch(br#"{"account_id": "1", "visitors": 5}"#, None).problems[0];
/// assert_eq!((problem.path.as_str(), problem.problem.as_str()), ("visitors", "expected a list, found number 5"));
/// assert_eq!(problem.to_string(), format!("visitors: {}; {}", problem.problem, problem.fix));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem, for programs.
    pub kind: ProblemKind,
    /// How bad it is: as its kind is.
    pub severity: Severity,
    /// Where in the JSON, as `visitors[0].snapshots[0].events[0].timestamp`; `body` for the body as a whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// How to put it right.
    pub fix: String,
}

impl Problem {
    /// A problem of a place.
    pub(crate) fn new(
        kind: ProblemKind,
        path: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let severity = kind.severity();
        Self { kind, severity, path: path.into(), problem: problem.into(), fix: fix.into() }
    }

    /// A problem of the body as a whole.
    ///
    /// ```
    /// use posthaste::judge::{Problem, ProblemKind};
    ///
    /// let problem = Problem::of_body(ProblemKind::NotGzip, "not whole gzip", "compress the whole body");
    /// assert_eq!(problem.to_string(), "body: not whole gzip; compress the whole body");
    /// ```
    pub fn of_body(kind: ProblemKind, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(kind, "body", problem, fix)
    }

    /// Bytes of text in it.
    pub fn text_bytes(&self) -> usize {
        self.path.len() + self.problem.len() + self.fix.len()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.problem, self.fix)
    }
}

/// The first `MAX` problems, and the first `MAX` warnings: what is odd and does no harm by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings<const MAX: usize> {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Of a body.
pub(super) type BodyFindings = Findings<PROBLEMS_PER_BODY_MAX>;
/// Of a part of one.
pub(super) type PartFindings = Findings<PROBLEMS_PER_PART_MAX>;

impl<const MAX: usize> Findings<MAX> {
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn extend<const OTHER: usize>(&mut self, more: &Findings<OTHER>) {
        let room = |list: &Vec<Problem>| MAX.saturating_sub(list.len());
        self.problems.extend(more.problems.iter().take(room(&self.problems)).cloned());
        self.warnings.extend(more.warnings.iter().take(room(&self.warnings)).cloned());
    }

    /// Its kind says into which of the lists it belongs. It is made only where there is room for it: `problem` may cost
    /// something.
    pub(super) fn add_with(&mut self, kind: ProblemKind, problem: impl FnOnce(ProblemKind) -> Problem) {
        let list = match kind.severity() {
            Severity::Error => &mut self.problems,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() < MAX {
            list.push(problem(kind));
        }
    }

    /// Problems and warnings.
    pub(super) fn into_lists(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }
}
