//! Why a line is not taken, each reason in words that say what to change.

use posthaste::{
    ConversionError, DecodeError, ExperimentKeyError, ImpressionError, Refusal,
    judge::{Problem, ProblemKind, why_not_json},
    project::NearMisses,
};

/// Of an input that is told once.
const UNTOLD: &str = "; its lines that are no JSON objects are rejected, and not told one by one";

/// What is wrong with a line. Texts that come from the line are quoted, so that they cannot drive a terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("too long: a line may have {0} bytes (--max-line-bytes)")]
    TooLong(usize),
    /// As bodies are told it.
    #[error("{0}")]
    NotJson(String),
    #[error("not a JSON object: a line is an event, or a batch with `visitors`; put one on each line")]
    NotAnObject,
    /// Of a whole input, as its first line shows.
    #[error("no text in UTF-8, but binary or UTF-16: give it as UTF-8{UNTOLD}")]
    Binary,
    /// Likewise.
    #[error("JSON over several lines: put each event or batch on one line, as `jq -c` does{UNTOLD}")]
    Spread,
    #[error(
        "unknown key {key:?}{near}{} an event has type, user_id, attributes, experiment, experiment_id, flag, \
             variation, variation_id, metadata, event, tags, timestamp and uuid",
        semicolon(near)
    )]
    UnknownKey { key: String, near: NearMisses },
    #[error(
        "metadata: unknown key {key:?}{near}{} it has flag_key, rule_key, rule_type, variation_key, enabled and \
             cmab_uuid",
        semicolon(near)
    )]
    UnknownMetadata { key: String, near: NearMisses },
    /// As bodies are told it.
    #[error("{0}")]
    Metadata(Problem),
    #[error("metadata.rule_type: {0:?} is unknown: it is experiment, feature-test, rollout or holdout")]
    UnknownRuleType(String),
    #[error("{path}: {found:?} is not {of}, which is {expected:?}: correct one of them")]
    Contradiction { path: &'static str, found: String, of: &'static str, expected: String },
    #[error("{key} does not belong to {kind}")]
    Misplaced { key: &'static str, kind: &'static str },
    #[error("{0} occurs twice")]
    Twice(&'static str),
    #[error("{0} is empty: name one of the datafile, by its key or its id")]
    Nameless(&'static str),
    /// Other SDKs send such decisions, and so the library lets them pass; this one names an experiment.
    #[error("experiment: its id in the datafile (experiments[].id) is empty; copy the datafile again")]
    NoExperimentId,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key}: expected {expected}, found {found}")]
    WrongType { key: &'static str, expected: &'static str, found: &'static str },
    #[error("{key} cannot be read: {message}")]
    Unreadable { key: &'static str, message: String },
    #[error("type {0:?} is unknown: it is impression or conversion")]
    UnknownType(String),
    #[error("{error}{}", ways_out(error))]
    Experiment { error: ExperimentKeyError },
    #[error(transparent)]
    Impression(#[from] ImpressionError),
    #[error("no {kind} has the id {id:?}: look it up in the datafile")]
    UnknownId { kind: &'static str, id: String },
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    #[error("timestamp {0:?} is no RFC 3339 time, such as 2026-11-25T09:30:00Z")]
    BadTime(String),
    #[error("{0}")]
    Time(Problem),
    #[error("{0}")]
    Tags(Problem),
    #[error("uuid is empty: leave it out to get a new one")]
    EmptyUuid,
    #[error("{}{}", .0.first().map_or_else(String::new, ToString::to_string), more(.0.len()))]
    BadBatch(Vec<Problem>),
    #[error("this line was sent before it had its end, and went on; what was added to it is not sent")]
    WentOn,
    #[error("a dead letter inside a dead letter")]
    Nested,
    #[error(transparent)]
    NotABatch(#[from] DecodeError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What follows a question needs no semicolon.
fn semicolon(near: &NearMisses) -> &'static str {
    if near.keys().len() == 0 { ";" } else { "" }
}

fn ways_out(error: &ExperimentKeyError) -> &'static str {
    match error {
        ExperimentKeyError::Ambiguous { .. } => " (\"experiment_id\"), or by its \"flag\"",
        _ => "",
    }
}

fn more(problems: usize) -> String {
    match problems.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}

impl From<ExperimentKeyError> for Fault {
    fn from(error: ExperimentKeyError) -> Self {
        Self::Experiment { error }
    }
}

impl Fault {
    /// Its kind, where it is one that bodies have as well.
    pub(crate) fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Metadata(problem) | Self::Time(problem) | Self::Tags(problem) => Some(problem.kind),
            _ => None,
        }
    }

    /// Whether the line is no JSON object at all, as lines of other kinds of files are.
    fn is_foreign(&self) -> bool {
        matches!(self, Self::NotJson(_) | Self::NotAnObject | Self::TooLong(_))
    }

    /// What an input is as a whole whose first line has this fault, where that says more.
    fn of_input(first: &[u8]) -> Option<Self> {
        if first.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
            Some(Self::Binary)
        } else {
            matches!(super::unmarked(first).trim_ascii(), b"{" | b"[" | b"[{").then_some(Self::Spread)
        }
    }

    /// A line that could not be read as what it should be.
    pub(super) fn json(line: &[u8], error: &serde_json::Error) -> Self {
        // The first is off.
        if super::unmarked(line).len() < line.len() {
            return Self::NotJson(
                "not JSON: a second byte order mark; one may stand before a line".to_owned(),
            );
        }
        if error.is_data() { Self::NotAnObject } else { Self::not_json(line, error) }
    }

    /// A line that is no text, or no JSON. `error` is what its reader said.
    pub(super) fn not_json(line: &[u8], error: &dyn std::error::Error) -> Self {
        let Some(Problem { problem, fix, .. }) = why_not_json(line) else {
            return Self::NotJson(format!("not JSON: {error}"));
        };
        // The place within the line: there is one line.
        let place = problem.split(" (line 1, ").next().unwrap_or(&problem);
        Self::NotJson(format!("{place}; {fix}"))
    }
}

/// Which faults of an input are told: where it is another kind of file, that is, once, instead of every line of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    is_foreign: bool,
}

impl Told {
    /// What to tell of a fault of this line, if anything.
    pub(crate) fn tell(&mut self, number: u64, line: &[u8], fault: &Fault) -> Option<String> {
        if !fault.is_foreign() {
            return Some(fault.to_string());
        }
        if number == 1 {
            let of_input = Fault::of_input(line);
            self.is_foreign = of_input.is_some();
            return Some(of_input.map_or_else(|| fault.to_string(), |fault| fault.to_string()));
        }
        (!self.is_foreign).then(|| fault.to_string())
    }
}
