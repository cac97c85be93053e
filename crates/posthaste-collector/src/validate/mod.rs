//! Judges a body: which of its events are good, and what is wrong with the others.
//!
//! A fault condemns what stands beneath it and nothing else: a fault of the envelope all events of the body, one of a
//! visitor all events of the visitor, one of an event that event. Fields that are unknown are fine; a missing field,
//! `null` and the empty text are the same for an id, as SDKs send all three.
//!
//! ```text
//! body ─ decode ─▶ envelope ─▶ visitor ─▶ snapshot ─▶ event ─▶ Record
//!                     └ project: are the ids those of the datafile?
//! ```

mod checks;
mod envelope;
mod event;
mod judge;
mod node;
mod project;
mod visitor;

use posthaste::ProjectConfig;

pub(crate) use judge::{Judgement, judge};

use crate::Problem;

/// Events that one body may hold; the smallest that the API could use take more bytes than its limit allows for.
pub const EVENTS_PER_BODY_MAX: usize = 100_000;

/// What is wrong with a request body, against the form that the API wants and, given a datafile, against the project.
/// Empty for a good one; at most [`PROBLEMS_PER_BODY_MAX`](crate::PROBLEMS_PER_BODY_MAX).
///
/// The body is taken alone: repeats of earlier events are no fault of it.
///
/// ```
/// let problems = posthaste_collector::validate_batch(br#"{"account_id": "1", "visitors": 5}"#, None);
/// assert_eq!(problems[0].to_string(), "visitors: expected a list, found number 5; list the visitors, one for each event");
/// ```
pub fn validate_batch(body: &[u8], config: Option<&ProjectConfig>) -> Vec<Problem> {
    judge(body, config, 0).problems
}
