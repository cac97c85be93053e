//! Judges request bodies: which of their events count, what is wrong with the others, and what is odd.
//!
//! The Event API answers 204 to nearly everything and throws away what it cannot use. Whoever takes bodies from others
//! — `posthaste validate`, `send`, the collector — says so instead, by the rules that stand here, each once.
//!
//! A fault condemns what stands beneath it and nothing else: a fault of the envelope all events of the body, one of a
//! visitor all events of the visitor, one of an event that event. Fields that are unknown are fine; a missing field,
//! `null` and the empty text are the same for an id, as SDKs send all three.
//!
//! ```text
//! body ─ Text ─ decode ─▶ envelope ─▶ visitor ─▶ snapshot ─▶ event ─▶ Part
//!                            └ project: are the ids those of the datafile?
//! ```
//!
//! | rule | source |
//! |---|---|
//! | an impression has `type` or `key` `campaign_activated`; the other may be absent | Event API guide; `OpenAPI` 1.3.0, `Event.type` |
//! | a conversion goes by `entity_id`; `key` is optional | `OpenAPI` 1.3.0 |
//! | attributes have any type; `custom` ones have `entity_id` and `key` | `OpenAPI` 1.3.0, `Attribute.type` |
//! | `metadata` of a decision: texts, and `enabled` true or false | PROTOCOL 2.3 |
//! | a time is in milliseconds since 1970: 13 digits | Event API guide |
//! | an empty or blank `account_id` or `project_id` belongs to nobody | events without one are dropped |
//! | a body without events is refused | there is nothing in it to count |
//! | `visitors`, `snapshots` or `events` twice in one object is a fault of it | readers differ in which they take |
//! | a byte order mark is skipped; half of a surrogate pair becomes U+FFFD, counted | RFC 8259 8.1, 8.2 |
//! | a `revenue` tag is an integer, a `value` tag a number; else a warning | PROTOCOL 2.6 |
//! | tags have 120 levels at most, as a body has 127 | what readers take; beyond, they give up on all of a body |
//! | a conversion before its visitor's first decision is a warning | Event API, troubleshooting |
//! | a visitor in two variations of one experiment is a warning | support.optimizely.com, how conversions are counted |
//! | a `variation_id` that is no string of digits is a warning | PROTOCOL 1.4 |
//! | a custom attribute that the datafile has not is a warning | PROTOCOL 2.5 |
//! | a time more than five minutes ahead is a warning | Event API, troubleshooting |
//! | a bot's user agent, where bots are left out, is a warning | Feature Experimentation, "Filter out bots" |
//!
//! Each kind of problem, with an example, is in docs/PROBLEMS.md; [`ProblemKind`] is the table.

mod about;
mod against;
mod assigned;
mod bot;
mod checks;
mod decode;
mod doubled;
mod envelope;
mod event;
mod head;
mod kind;
mod node;
mod problem;
mod project;
mod visitor;
mod visits;
mod walk;

use std::{ops::ControlFlow, sync::Arc};

use serde_json::{Map, Value};

pub use about::{About, Example};
pub use head::{Packing, asks_for_strictness, not_gzip};
pub use kind::{ProblemKind, Severity};
pub use problem::{PROBLEMS_PER_BODY_MAX, PROBLEMS_PER_PART_MAX, Problem};
pub use visits::{
    VISITORS_MAX, Visits, conversion_before_decision, decision_after_conversion, two_variations,
};
pub use walk::Part;

pub use crate::text::{NotUtf8, Text};

use self::{against::Against, decode::Decoded, node::Node, problem::PartFindings, walk::Ended};
use crate::{
    batch::{TAGS_LEVELS_MAX, is_deeper_than},
    clock::Clock,
    event::{EventKind, TOO_DEEP, UserEvent},
    project::ProjectConfig,
};

/// Events that one body may hold; the smallest that the API could use take more bytes than its limit allows for.
pub const EVENTS_PER_BODY_MAX: usize = 100_000;

/// What has been found out about a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Judgement {
    /// What is wrong, each once; empty for a good body. At most [`PROBLEMS_PER_BODY_MAX`].
    pub problems: Vec<Problem>,
    /// What is odd and does no harm by itself, likewise.
    pub warnings: Vec<Problem>,
    /// Events that nothing is wrong with: those that the API counts.
    pub good: usize,
    /// Halves of surrogate pairs that were read as U+FFFD.
    pub repaired: u64,
}

impl From<Problem> for Judgement {
    /// A body of which no part can be used.
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }
}

/// Judges a body alone: what is wrong with it, against the form that the API wants and, given a datafile, against the
/// project. Repeats of earlier events are no fault of it.
///
/// ```
/// use posthaste::judge::judge_batch;
///
/// let judgement = judge_batch(br#"{"account_id": "1", "visitors": []}"#, None);
/// let expected = "body: holds no events: there is nothing in it to count; send a body only where there are events";
/// assert_eq!(judgement.problems[0].to_string(), expected);
/// ```
pub fn judge_batch(body: &[u8], config: Option<&ProjectConfig>) -> Judgement {
    let mut judge = Judge::new(config.cloned());
    let mut judgement = judge.batch(body);
    judgement.warnings.extend(judge.visits().warnings());
    judgement
}

/// Judges a body, and hands out its events one by one, in their order, with what is wrong with each.
///
/// An error: no part of the body can be used, whatever has been handed out. It is not JSON, or holds more than
/// [`EVENTS_PER_BODY_MAX`] events, or `take` has broken off with this reason.
///
/// ```
/// use std::ops::ControlFlow;
/// use posthaste::judge::judge_parts;
///
/// let body = br#"{"account_id": "1", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [
///     {"entity_id": "3", "timestamp": 1795559589561, "uuid": "5b0a4c9e"}, {"entity_id": "3"}]}]}]}"#;
/// let mut good = Vec::new();
/// judge_parts(body, None, &mut |part| {
///     good.push(part.problems.is_empty());
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(good, [true, false]);
/// # Ok::<(), posthaste::judge::Problem>(())
/// ```
pub fn judge_parts(
    body: &[u8],
    config: Option<&ProjectConfig>,
    take: &mut dyn FnMut(Part<'_>) -> ControlFlow<Problem>,
) -> Result<Judgement, Problem> {
    judge_against(body, Against { config, now_ms: None }, take)
}

/// The same for a body that arrived at this time (milliseconds since 1970, UTC): a time of an event that has not come
/// yet is a warning.
pub fn judge_parts_at(
    now_ms: i64,
    body: &[u8],
    config: Option<&ProjectConfig>,
    take: &mut dyn FnMut(Part<'_>) -> ControlFlow<Problem>,
) -> Result<Judgement, Problem> {
    judge_against(body, Against { config, now_ms: Some(now_ms) }, take)
}

fn judge_against(
    body: &[u8],
    against: Against<'_>,
    take: &mut dyn FnMut(Part<'_>) -> ControlFlow<Problem>,
) -> Result<Judgement, Problem> {
    let Decoded { root, doubled, repaired } = decode::decode(body)?;
    let (mut broken_off, mut good) = (None, 0);
    let mut take = |part: Part<'_>| {
        good += usize::from(part.problems.is_empty());
        match take(part) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(problem) => {
                broken_off = Some(problem);
                ControlFlow::Break(())
            }
        }
    };
    match walk::walk(&root, &doubled, against, &mut take) {
        Ok(found) => {
            let (problems, warnings) = found.into_lists();
            Ok(Judgement { problems, warnings, good, repaired })
        }
        Err(Ended) => Err(broken_off.unwrap_or_else(too_many)),
    }
}

fn too_many() -> Problem {
    Problem::of_body(
        ProblemKind::TooManyEvents,
        format!("holds more than {EVENTS_PER_BODY_MAX} events"),
        "send several bodies",
    )
}

/// Why these bytes are no JSON, in the words that bodies are told it in; `None`: they are.
///
/// ```
/// use posthaste::judge::why_not_json;
///
/// let problem = why_not_json(br#"{"revenue": NaN}"#).unwrap();
/// assert_eq!(problem.problem, "not JSON: NaN at byte 12 (line 1, column 13)");
/// ```
pub fn why_not_json(bytes: &[u8]) -> Option<Problem> {
    decode::decode(bytes).err()
}

/// What is wrong with an event's time, which is milliseconds since 1970 (from 2001 to 2286): `None`, nothing.
///
/// ```
/// use posthaste::judge::judge_timestamp;
///
/// assert_eq!(judge_timestamp(1_795_559_589_561), None);
/// let problem = judge_timestamp(1_795_559_589).unwrap();
/// let text = "timestamp: not milliseconds since 1970: 1795559589 looks like seconds; multiply by 1000";
/// assert_eq!(problem.to_string(), text);
/// ```
pub fn judge_timestamp(timestamp_ms: i64) -> Option<Problem> {
    event::wrong_time(timestamp_ms).map(|(kind, problem, fix)| Problem::new(kind, "timestamp", problem, fix))
}

/// What is wrong with how a decision came about, as `metadata` of a decision says it: the types of its fields.
///
/// ```
/// use posthaste::judge::judge_metadata;
///
/// let metadata = serde_json::json!({"flag_key": "dark_mode", "enabled": "yes"});
/// let problems = judge_metadata(metadata.as_object().unwrap());
/// let text = "metadata.enabled: expected a boolean, found string \"yes\"; send true or false, or leave it out";
/// assert_eq!(problems[0].to_string(), text);
/// ```
pub fn judge_metadata(metadata: &Map<String, Value>) -> Vec<Problem> {
    let root = serde_json::json!({"metadata": metadata});
    let mut found = PartFindings::default();
    event::check_metadata(&Node::root(&root).get("metadata"), &mut found);
    found.into_lists().0
}

/// What is wrong with a conversion's tags, a JSON text: `None`, nothing. Where they are nested so deep that readers give
/// up, these give up on the whole request, whatever else is in it.
///
/// ```
/// use posthaste::judge::judge_tags;
///
/// assert_eq!(judge_tags(r#"{"order": {"items": [1, 2]}}"#), None);
/// let problem = judge_tags(&format!("{{\"a\": {}{}}}", "[".repeat(120), "]".repeat(120))).unwrap();
/// assert!(problem.to_string().starts_with("tags: nested deeper than the 120 levels"));
/// ```
pub fn judge_tags(tags: &str) -> Option<Problem> {
    let is_too_deep = is_deeper_than(TAGS_LEVELS_MAX, tags.as_bytes());
    let (path, rest) = TOO_DEEP.split_once(": ").filter(|_| is_too_deep)?;
    let (problem, fix) = rest.split_once("; ")?;
    Some(Problem::new(ProblemKind::NestedTooDeep, path, problem, fix))
}

/// Judges one body or event after the other, and what only shows across them.
///
/// ```
/// use posthaste::judge::Judge;
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = posthaste::ProjectConfig::from_datafile(datafile)?;
/// let mut judge = Judge::new(Some(config.clone()));
/// let event = config.conversion("purchase", &posthaste::UserContext::new("ann"), [("revenue", "12.50")])?;
/// let warnings = judge.event(&event);
/// assert!(warnings[0].to_string().starts_with("tags.revenue: string \"12.50\" is no revenue"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Judge {
    config: Option<ProjectConfig>,
    visits: Visits,
    clock: Option<Arc<dyn Clock>>,
}

impl Judge {
    /// Without a datafile, ids are not looked up.
    pub fn new(config: Option<ProjectConfig>) -> Self {
        Self { config, visits: Visits::default(), clock: None }
    }

    /// Tells of times that have not come yet by this clock. Without one, none is in the future.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Some(Arc::new(clock)), ..self }
    }

    /// Judges a body.
    pub fn batch(&mut self, body: &[u8]) -> Judgement {
        let Self { config, visits, clock } = self;
        let now_ms = clock.as_ref().map(Clock::now_ms);
        let judged = judge_against(body, Against { config: config.as_ref(), now_ms }, &mut |part| {
            visits.note_part(&part);
            ControlFlow::Continue(())
        });
        judged.unwrap_or_else(Judgement::from)
    }

    /// Judges an event that was made of a datafile: what is odd about it.
    pub fn event(&mut self, event: &UserEvent) -> Vec<Problem> {
        let (visitor, time) = (event.visitor_id(), event.timestamp_ms());
        let mut warnings = Vec::new();
        match event.kind() {
            EventKind::Impression(impression) => {
                self.visits.decision(visitor, time);
                if let Some(variation) = impression.variation_id() {
                    self.visits.variation(visitor, impression.experiment_id(), variation);
                }
            }
            EventKind::Conversion(conversion) => {
                self.visits.conversion(visitor, time);
                if conversion.may_state_a_number() {
                    warnings = warnings_of_tags(&conversion.tags());
                }
            }
        }
        let future = self.clock.as_ref().and_then(|clock| event::future_time(time, clock.now_ms()));
        warnings.extend(future.map(|(kind, problem, fix)| Problem::new(kind, "timestamp", problem, fix)));
        warnings.extend(bot::warning_of(event));
        warnings
    }

    /// The order of each visitor's events.
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// The same, for events that are judged elsewhere.
    pub fn visits_mut(&mut self) -> &mut Visits {
        &mut self.visits
    }
}

/// What is odd about a conversion's tags.
fn warnings_of_tags(tags: &Map<String, Value>) -> Vec<Problem> {
    let root = serde_json::json!({"tags": tags});
    let mut found = PartFindings::default();
    event::check_tags(&Node::root(&root).get("tags"), &mut found);
    found.into_lists().1
}
