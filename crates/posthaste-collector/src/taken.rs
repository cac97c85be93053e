//! A body's events as bytes: judged by the rules of [`posthaste::judge`], each ready to be kept by itself.
//!
//! All of it happens before the store is locked, whatever a body costs.

use std::{
    hash::{BuildHasher, RandomState},
    ops::{ControlFlow, Range},
    sync::Arc,
};

use posthaste::{
    EventUuid, ProjectConfig,
    judge::{Judgement, Part, Problem, ProblemKind, judge_parts_at},
};
use serde_json::Value;

use crate::{
    Verdict,
    store::{Envelope, layout},
};

/// About how much memory the events of one body may take. Each has its visitor's id and attributes to itself, so a
/// visitor of a megabyte with thousands of events would grow beyond all measure.
const EVENTS_BYTES_MAX: usize = 1 << 26;

/// A body's events in its order, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) envelope: Envelope,
    /// Every event's bytes, one after the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) judgement: Judgement,
}

/// An event that is to be kept.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where it stands in its body's bytes.
    pub(crate) place: Range<usize>,
    pub(crate) verdict: Verdict,
    /// What is wrong or odd.
    pub(crate) problems: Option<Arc<[Problem]>>,
    /// What the API tells repeats by, hashed; `None` where there is no uuid or no timestamp that could be read.
    pub(crate) identity: Option<u64>,
    pub(crate) visit: Visit,
}

impl Draft {
    /// One thing more that is odd about it.
    pub(crate) fn warn(&mut self, problem: Problem) {
        let before = self.problems.as_deref().unwrap_or_default();
        self.problems = Some(before.iter().cloned().chain([problem]).collect());
        self.verdict = Verdict::Warned;
    }
}

/// What the order of a visitor's events is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    /// The visitor's id, hashed.
    pub(crate) visitor: u64,
    /// In milliseconds since 1970, UTC.
    pub(crate) timestamp: i64,
    pub(crate) is_impression: bool,
    /// The visitor in an experiment, and the variation of it, hashed.
    pub(crate) assigned: Option<(u64, u64)>,
}

/// Makes numbers of texts, the same ones in all of a collector; nobody outside can tell which.
#[derive(Debug, Default, Clone)]
pub(crate) struct Hashes(RandomState);

impl Hashes {
    /// What repeats are told by, within a session.
    pub(crate) fn identity(&self, session: Option<&str>, entity_id: &str, uuid: &str, timestamp: i64) -> u64 {
        self.0.hash_one((session, entity_id, EventUuid::from(uuid), timestamp))
    }

    fn assigned(
        &self,
        session: Option<&str>,
        visitor_id: &str,
        experiment_id: &str,
        variation_id: &str,
    ) -> (u64, u64) {
        (self.0.hash_one((session, visitor_id, experiment_id)), self.0.hash_one(variation_id))
    }

    pub(crate) fn visitor(&self, session: Option<&str>, visitor_id: &[u8]) -> u64 {
        self.0.hash_one((session, visitor_id))
    }
}

impl Taken {
    /// What is in a body.
    pub(crate) fn of(
        body: &[u8],
        config: Option<&ProjectConfig>,
        session: Option<&str>,
        hashes: &Hashes,
        now_ms: i64,
    ) -> Self {
        let (mut bytes, mut drafts, mut envelope, mut size) = (Vec::new(), Vec::new(), None, 0);
        let judged = judge_parts_at(now_ms, body, config, &mut |part| {
            envelope.get_or_insert_with(|| Envelope::of(part.body));
            let start = bytes.len();
            layout::write(&part, &mut bytes);
            let draft = draft(part, start..bytes.len(), session, hashes);
            size +=
                draft.place.len() + size_of::<Draft>() + draft.problems.as_deref().map_or(0, problems_bytes);
            drafts.push(draft);
            if size > EVENTS_BYTES_MAX { ControlFlow::Break(too_large()) } else { ControlFlow::Continue(()) }
        });
        match judged {
            Ok(judgement) => Self { envelope: envelope.unwrap_or_default(), bytes, drafts, judgement },
            Err(problem) => Self::of_bad_body(body, problem),
        }
    }

    /// A body of which no part can be used.
    pub(crate) fn of_bad_body(body: &[u8], problem: Problem) -> Self {
        let mut bytes = Vec::new();
        layout::write_text(body, &mut bytes);
        let draft = Draft {
            place: 0..bytes.len(),
            verdict: Verdict::Bad,
            problems: Some(Arc::from([problem.clone()])),
            identity: None,
            visit: Visit { visitor: 0, timestamp: 0, is_impression: false, assigned: None },
        };
        Self {
            envelope: Envelope::default(),
            bytes,
            drafts: vec![draft],
            judgement: Judgement::from(problem),
        }
    }
}

/// About how much memory they take.
pub(crate) fn problems_bytes(problems: &[Problem]) -> usize {
    // Each text is an allocation of its own, which costs more than it holds.
    let one = |problem: &Problem| size_of::<Problem>() + problem.text_bytes() + 3 * 24;
    problems.iter().map(one).sum::<usize>() + 64
}

fn too_large() -> Problem {
    let problem = format!("takes more than {EVENTS_BYTES_MAX} bytes with each event by itself");
    Problem::of_body(ProblemKind::BodyTooLarge, problem, "send several bodies")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn draft(part: Part<'_>, place: Range<usize>, session: Option<&str>, hashes: &Hashes) -> Draft {
    let visitor = part.visitor.map(|visitor| text(visitor, "visitor_id")).unwrap_or_default();
    let timestamp = part.value.get("timestamp").and_then(Value::as_i64);
    let uuid = Some(text(part.value, "uuid")).filter(|uuid| !uuid.is_empty());
    let identity = uuid
        .zip(timestamp)
        .map(|(uuid, timestamp)| hashes.identity(session, text(part.value, "entity_id"), uuid, timestamp));
    let id = |name| Some(text(part.decision?, name)).filter(|id| !id.is_empty());
    let assigned = id("experiment_id").zip(id("variation_id"));
    let assigned =
        assigned.map(|(experiment, variation)| hashes.assigned(session, visitor, experiment, variation));
    let (verdict, list) = match (part.problems.is_empty(), part.warnings.is_empty()) {
        (false, _) => (Verdict::Bad, part.problems),
        (true, false) => (Verdict::Warned, part.warnings),
        (true, true) => (Verdict::Good, Vec::new()),
    };
    Draft {
        place,
        verdict,
        problems: Some(list).filter(|list| !list.is_empty()).map(Arc::from),
        identity,
        visit: Visit {
            visitor: hashes.visitor(session, visitor.as_bytes()),
            timestamp: timestamp.unwrap_or_default(),
            is_impression: part.is_impression,
            assigned,
        },
    }
}
