//! What is wrong with a body: where, what, and what to do about it.
//!
//! The number of problems is bounded wherever they are gathered, but never down to none: no problems means good.

use std::fmt;

use serde::Serialize;

/// Problems that the answer to one body lists; more are as good as these for finding the cause.
pub const PROBLEMS_PER_BODY_MAX: usize = 1_000;
/// Problems that are kept with one bad event.
pub const PROBLEMS_PER_RECORD_MAX: usize = 10;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where in the JSON, as `visitors[0].snapshots[0].events[0].timestamp`; `body` for the body as a whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// How to put it right.
    pub fix: String,
}

impl Problem {
    pub(crate) fn of_body(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: "body".to_owned(), problem: problem.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.problem, self.fix)
    }
}

/// The first `MAX` problems.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems<const MAX: usize>(Vec<Problem>);

/// The problems of a body.
pub(crate) type BodyProblems = Problems<PROBLEMS_PER_BODY_MAX>;
/// The problems of one record.
pub(crate) type RecordProblems = Problems<PROBLEMS_PER_RECORD_MAX>;

impl<const MAX: usize> Problems<MAX> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Problem>) {
        self.0.extend(more.into_iter().take(MAX - self.0.len()));
    }

    /// The problem is made only where there is room for it: `problem` may cost something.
    pub(crate) fn add_with(&mut self, problem: impl FnOnce() -> Problem) {
        if self.0.len() < MAX {
            self.0.push(problem());
        }
    }

    pub(crate) fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}
