//! What is expected: patterns, each of some fields and of how many events they are to fit.

use std::fmt;

use serde_json::Value;

use super::{ExpectationError, parse};
use crate::Verdict;

/// Patterns that are all to hold. Made of JSON: a pattern, or a list of them.
///
/// ```
/// use posthaste_collector::Expectation;
///
/// let expectation: Expectation = r#"{"visitor": "ann*", "key": "purchase", "tags": {"plan": "pro"}}"#.parse()?;
/// let error = r#"{"visitor": "ann", "ky": "purchase"}"#.parse::<Expectation>().unwrap_err();
/// assert_eq!(error.to_string(), r#"pattern: unknown field "ky"; did you mean "key"?"#);
/// # Ok::<(), posthaste_collector::ExpectationError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub(super) patterns: Vec<Pattern>,
}

/// Events of one kind, and how many.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    /// In the order of [`Field`]: what is cheap to look at comes first.
    pub(super) wants: Vec<Want>,
    pub(super) count: Count,
    /// Whether it was made of `no_bad`: it asks for no event, and does not by itself put the answer off.
    pub(super) is_no_bad: bool,
    /// As it was written, for the answer.
    pub(super) written: String,
}

/// What one field is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Want {
    pub(super) field: Field,
    pub(super) wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Verdict,
    Session,
    Visitor,
    Key,
    Experiment,
    Variation,
    Flag,
    Uuid,
    Revenue,
    Value,
    Tag(String),
    Attribute(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// This text.
    Text(String),
    /// A text that begins so.
    Prefix(String),
    /// This value; objects in part, numbers by what they are worth. `null`: not there.
    Json(Value),
    /// One of these verdicts.
    OneOf(&'static [Verdict]),
}

/// How many events are to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) min: u64,
    pub(super) max: Option<u64>,
}

impl Pattern {
    /// Whether it is of every bad event, whosever it is.
    pub(super) fn is_of_all_bad(&self) -> bool {
        self.is_no_bad && self.wants.iter().all(|want| want.field == Field::Verdict)
    }
}

impl Expectation {
    /// Reads a pattern or a list of patterns.
    pub fn from_value(value: &Value) -> Result<Self, ExpectationError> {
        parse::expectation(value)
    }
}

impl std::str::FromStr for Expectation {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_value(&serde_json::from_str(text).map_err(ExpectationError::NotJson)?)
    }
}

impl TryFrom<&str> for Expectation {
    type Error = ExpectationError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<Value> for Expectation {
    type Error = ExpectationError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::from_value(&value)
    }
}

impl Count {
    pub(super) const AT_LEAST_ONE: Self = Self { min: 1, max: None };
    pub(super) const NONE: Self = Self { min: 0, max: Some(0) };

    pub(super) fn is_exceeded(self, came: u64) -> bool {
        self.max.is_some_and(|max| came > max)
    }

    pub(super) fn is_met(self, came: u64) -> bool {
        came >= self.min && !self.is_exceeded(came)
    }
}

impl Wanted {
    /// As it is written in a pattern.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Prefix(prefix) => Value::from(format!("{prefix}*")),
            Self::Json(value) => value.clone(),
            Self::OneOf(verdicts) => {
                let names: Vec<&str> = verdicts.iter().copied().map(name).collect();
                Value::from(names.join(" or "))
            }
        }
    }
}

/// What the API counts.
pub(super) const COUNTED: &[Verdict] = &[Verdict::Good, Verdict::Warned];

pub(super) fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Warned => "warned",
        Verdict::Bad => "bad",
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verdict => "verdict",
            Self::Session => "session",
            Self::Visitor => "visitor",
            Self::Key => "key",
            Self::Experiment => "experiment",
            Self::Variation => "variation",
            Self::Flag => "flag",
            Self::Uuid => "uuid",
            Self::Revenue => "revenue",
            Self::Value => "value",
            Self::Tag(name) => return write!(f, "tags.{name}"),
            Self::Attribute(name) => return write!(f, "attributes.{name}"),
        })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (0, Some(0)) => f.write_str("none"),
            (min, Some(max)) if min == max => write!(f, "exactly {min}"),
            (0, Some(max)) => write!(f, "at most {max}"),
            (min, Some(max)) => write!(f, "{min} to {max}"),
            (min, None) => write!(f, "at least {min}"),
        }
    }
}
