//! Why a line is not taken, each reason in words that say what to change.

use posthaste::{DecodeError, ExperimentKeyError, Refusal};

/// What is wrong with a line. Texts that come from the line are quoted, so that they cannot drive a terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("not UTF-8 at byte {}", .0 + 1)]
    NotUtf8(usize),
    #[error("too long: a line may have {0} bytes (--max-line-bytes)")]
    TooLong(usize),
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not a JSON object: a line is an event, or a batch with `visitors`")]
    NotAnObject,
    #[error(
        "unknown key {0:?}; an event has type, user_id, attributes, experiment, variation, event, tags, \
             timestamp and uuid"
    )]
    UnknownKey(String),
    #[error("{key} does not belong to {kind}")]
    Misplaced { key: &'static str, kind: &'static str },
    #[error("{0} occurs twice")]
    Twice(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key}: expected {expected}, found {found}")]
    WrongType { key: &'static str, expected: &'static str, found: &'static str },
    #[error("{key} cannot be read: {message}")]
    Unreadable { key: &'static str, message: String },
    #[error("type {0:?} is unknown: it is impression or conversion")]
    UnknownType(String),
    #[error("experiment {0:?} is not in the datafile")]
    UnknownExperiment(String),
    #[error(transparent)]
    Experiment(#[from] ExperimentKeyError),
    #[error("variation {variation:?} is not in experiment {experiment:?}")]
    UnknownVariation { experiment: String, variation: String },
    #[error("event {0:?} is not in the datafile")]
    UnknownEvent(String),
    #[error("timestamp {0:?} is no RFC 3339 time, such as 2026-11-25T09:30:00Z")]
    BadTime(String),
    #[error("uuid is empty: leave it out to get a new one")]
    EmptyUuid,
    #[error("a batch without events: there is nothing in it to deliver")]
    NoEvents,
    #[error("this line was sent before it had its end, and went on; what was added to it is not sent")]
    WentOn,
    #[error("a dead letter inside a dead letter")]
    Nested,
    #[error(transparent)]
    NotABatch(#[from] DecodeError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Fault {
    /// The reader counts lines within its text, which has only one.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::NotAnObject;
        }
        Self::NotJson(error.to_string().replace(" at line 1 column ", " at byte "))
    }
}
