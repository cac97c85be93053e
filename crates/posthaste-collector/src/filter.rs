//! Which of the kept events somebody wants to see.

use posthaste::{
    ProjectConfig,
    judge::{self, ProblemKind},
};
use serde::Deserialize;

use crate::{
    Verdict,
    store::{
        View,
        layout::{Field, Head, Kind},
    },
};

/// Picks events. What is not set does not matter; what is set must be equal, letter for letter, unless it says otherwise.
///
/// As a query string: `?visitor=ann&key=purchase&limit=10`. An unknown name is an error, not a filter that picks all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The visitor's id; with `*` at its end, the beginning of it.
    pub visitor: Option<String>,
    /// The experiment's id, or its key where a datafile is given. Picks impressions only: a conversion names none.
    pub experiment: Option<String>,
    /// The variation's id, or its key where a datafile is given. Picks impressions only.
    pub variation: Option<String>,
    /// The event's key; `campaign_activated` for impressions.
    pub key: Option<String>,
    /// The key of the flag that was decided on. Picks impressions only.
    pub flag: Option<String>,
    /// The event's uuid.
    pub uuid: Option<String>,
    /// The kind of a problem or a warning that it has, such as `timestamp-in-seconds`.
    pub problem: Option<String>,
    /// The test's session.
    pub session: Option<String>,
    /// What is to be said of it in one word.
    pub verdict: Option<Verdict>,
    /// A text anywhere in the event's JSON or its visitor's, in capitals or not.
    pub q: Option<String>,
    /// Which come first.
    pub order: Order,
    /// The newest that may be picked, by its id.
    pub until: Option<u64>,
    /// Only what is newer than this one, by its id.
    pub after: Option<u64>,
    /// How many at most.
    pub limit: Option<usize>,
    /// How many of those that match to pass over.
    pub offset: Option<usize>,
}

/// Which events come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "there is no third order")]
pub enum Order {
    /// Those that arrived first.
    #[default]
    Oldest,
    /// Those that arrived last.
    Newest,
}

/// A filter made ready for many events.
#[derive(Debug, Clone)]
pub(crate) struct Picker {
    visitor: Option<Visitor>,
    experiments: Option<Vec<String>>,
    variations: Option<Vec<String>>,
    key: Option<Key>,
    flag: Option<String>,
    uuid: Option<String>,
    problem: Option<Problem>,
    session: Option<String>,
    verdict: Option<Verdict>,
    text: Option<Needle>,
    until: u64,
    looks_inside: bool,
}

#[derive(Debug, Clone)]
enum Visitor {
    Is(String),
    BeginsWith(String),
}

#[derive(Debug, Clone, Copy)]
enum Problem {
    Is(ProblemKind),
    /// No event has a problem of a kind that is not there.
    Unknown,
}

/// An event's key; where it was left out, its id, which a datafile has for the key.
#[derive(Debug, Clone)]
struct Key {
    key: String,
    id: Option<String>,
}

impl Picker {
    pub(crate) fn new(filter: &Filter, config: Option<&ProjectConfig>) -> Self {
        let Filter {
            visitor,
            experiment,
            variation,
            key,
            flag,
            uuid,
            problem,
            session,
            verdict,
            q,
            until,
            ..
        } = filter.clone();
        let text = q.filter(|text| !text.is_empty()).map(|text| Needle::new(&text));
        let looks_inside = visitor.is_some()
            || experiment.is_some()
            || variation.is_some()
            || key.is_some()
            || flag.is_some()
            || uuid.is_some()
            || text.is_some();
        Self {
            visitor: visitor.map(|visitor| match visitor.strip_suffix('*') {
                Some(beginning) => Visitor::BeginsWith(beginning.to_owned()),
                None => Visitor::Is(visitor),
            }),
            experiments: experiment.map(|experiment| experiments(experiment, config)),
            variations: variation.map(|variation| variations(variation, config)),
            key: key.map(|key| {
                let id =
                    config.and_then(|config| config.event_by_key(&key)).map(|event| event.id().to_owned());
                Key { key, id }
            }),
            flag,
            uuid,
            problem: problem
                .map(|problem| ProblemKind::from_code(&problem).map_or(Problem::Unknown, Problem::Is)),
            session,
            verdict,
            text,
            until: until.unwrap_or(u64::MAX),
            looks_inside,
        }
    }

    pub(crate) fn picks(&self, view: &View<'_>) -> bool {
        view.id() <= self.until
            && self.verdict.is_none_or(|verdict| verdict == view.verdict())
            && view.is_of(self.session.as_deref())
            && self.problem.is_none_or(|problem| problem.is_among(view.problems()))
            && (!self.looks_inside || self.picks_inside(&view.head(), view.bytes()))
    }

    fn picks_inside(&self, head: &Head, bytes: &[u8]) -> bool {
        let is_one_of = |wanted: &Option<Vec<String>>, field| {
            let found = head.field(field, bytes);
            wanted.as_ref().is_none_or(|ids| !found.is_empty() && ids.iter().any(|id| id.as_bytes() == found))
        };
        let is = |wanted: &Option<String>, field| {
            let found = head.field(field, bytes);
            wanted.as_ref().is_none_or(|wanted| !found.is_empty() && wanted.as_bytes() == found)
        };
        is_one_of(&self.experiments, Field::Experiment)
            && is_one_of(&self.variations, Field::Variation)
            && is(&self.flag, Field::Flag)
            && is(&self.uuid, Field::Uuid)
            && self.visitor.as_ref().is_none_or(|visitor| visitor.is(head.field(Field::Visitor, bytes)))
            && self.key.as_ref().is_none_or(|key| key.is(head, bytes))
            && self.text.as_ref().is_none_or(|text| text.is_in(head.json(bytes)))
    }
}

impl Problem {
    fn is_among(self, problems: &[judge::Problem]) -> bool {
        match self {
            Self::Is(kind) => problems.iter().any(|problem| problem.kind == kind),
            Self::Unknown => false,
        }
    }
}

impl Visitor {
    fn is(&self, found: &[u8]) -> bool {
        match self {
            Self::Is(wanted) => !found.is_empty() && wanted.as_bytes() == found,
            Self::BeginsWith(beginning) => !found.is_empty() && found.starts_with(beginning.as_bytes()),
        }
    }
}

impl Key {
    fn is(&self, head: &Head, bytes: &[u8]) -> bool {
        match head.field(Field::Key, bytes) {
            b"" => {
                let entity = head.field(Field::Entity, bytes);
                let is_conversion = head.kind == Kind::Event && !head.is_impression;
                is_conversion && self.id.as_ref().is_some_and(|id| id.as_bytes() == entity)
            }
            found => found == self.key.as_bytes(),
        }
    }
}

/// An id, and the one that a key stands for.
fn experiments(wanted: String, config: Option<&ProjectConfig>) -> Vec<String> {
    let known =
        config.and_then(|config| config.experiments().iter().find(|experiment| experiment.key() == wanted));
    let id = known.map(|experiment| experiment.id().to_owned());
    [wanted].into_iter().chain(id).collect()
}

/// Likewise: experiments may use a key for a variation of their own each.
fn variations(wanted: String, config: Option<&ProjectConfig>) -> Vec<String> {
    let experiments = config.map(ProjectConfig::experiments).unwrap_or_default();
    let known = experiments.iter().filter_map(|experiment| experiment.variation_by_key(&wanted));
    let ids: Vec<_> = known.map(|variation| variation.id().to_owned()).collect();
    [wanted].into_iter().chain(ids).collect()
}

/// A text that is looked for in JSON, in capitals or not: as it is, or as JSON writes it.
#[derive(Debug, Clone)]
struct Needle {
    lower: Vec<Vec<u8>>,
    is_ascii: bool,
}

impl Needle {
    fn new(text: &str) -> Self {
        let json = serde_json::to_string(text).unwrap_or_default().to_lowercase();
        let written = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let mut lower = vec![text.to_lowercase(), written];
        lower.dedup();
        // The long s and the Kelvin sign become ASCII when they are made lower: such an event is not found by s or k.
        let is_ascii = lower.iter().all(|text| text.is_ascii());
        Self { lower: lower.into_iter().map(String::into_bytes).collect(), is_ascii }
    }

    fn is_in(&self, json: &[u8]) -> bool {
        if self.is_ascii {
            return self.lower.iter().any(|text| is_in(json, text));
        }
        let json = String::from_utf8_lossy(json).to_lowercase();
        self.lower.iter().any(|text| memchr::memmem::find(json.as_bytes(), text).is_some())
    }
}

/// Whether an ASCII text is there.
fn is_in(json: &[u8], lower: &[u8]) -> bool {
    let first = lower.first().copied().unwrap_or_default();
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), json)
        .any(|at| json.get(at..at + lower.len()).is_some_and(|found| found.eq_ignore_ascii_case(lower)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_capitals_or_not() {
        let json = r#"{"key":"Purchase","name":"ÄPFEL und \"Birnen\""}"#;
        for (text, is_there) in [
            ("purchase", true),
            ("PURCHASE", true),
            ("äpfel", true),
            ("\"birnen\"", true),
            ("pear", false),
            ("ä und", false),
        ] {
            assert_eq!(Needle::new(text).is_in(json.as_bytes()), is_there, "{text}");
        }
    }
}
