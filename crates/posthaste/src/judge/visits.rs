//! What only shows across a visitor's events: a conversion before every decision that might explain it, and two
//! variations of one experiment.
//!
//! The API credits a conversion to decisions that are no later (PROTOCOL 9), and to the variation that a visitor met
//! first. Bodies arrive in any order, so it is the earliest time of each kind that is compared, of all that has been
//! seen.
//!
//! Invariant: no more than [`VISITORS_MAX`] visitors are followed, and of them no more decisions than fit; of later ones
//! nothing is said.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    assigned::{Assigned, Mixed},
    kind::ProblemKind,
    node::quote,
    problem::Problem,
    walk::Part,
};

/// Visitors that are remembered: some 20 MB, and 20 MB more where each is in many experiments.
pub const VISITORS_MAX: usize = 100_000;

const TOO_EARLY_FIX: &str = "the API credits a conversion to earlier decisions only; send the decision's own time, and mind the clocks";
const MIXED_FIX: &str = "the API credits the visitor's conversions to the variation of the first decision; keep a \
     visitor's variation, with a user profile service where traffic is changed, and one id for one visitor";

/// Where these stand in a body that carries one event alone.
const TIMESTAMP: &str = "visitors[0].snapshots[0].events[0].timestamp";
const VARIATION: &str = "visitors[0].snapshots[0].decisions[0].variation_id";

/// The earliest decision, the earliest conversion and the variations of each visitor.
///
/// ```
/// use posthaste::judge::Visits;
///
/// let mut visits = Visits::default();
/// visits.conversion("ann", 1_795_559_589_000);
/// visits.decision("ann", 1_795_559_590_000);
/// assert_eq!(visits.too_early(), 1);
/// visits.decision("ann", 1_795_559_588_000);
/// assert_eq!(visits.too_early(), 0, "this one explains it");
///
/// assert_eq!(visits.variation("ann", "11", "1101"), None);
/// assert!(visits.variation("ann", "11", "1102").is_some());
/// assert_eq!(visits.mixed(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Visits {
    visitors: HashMap<Box<str>, Visitor>,
    assigned: Assigned,
    too_early: u64,
    mixed: u64,
    /// One of those that are in two variations.
    example: Option<Example>,
}

/// In milliseconds since 1970, UTC.
#[derive(Debug, Clone, Default)]
struct Visitor {
    decision: Option<i64>,
    conversion: Option<i64>,
    variations: super::assigned::Variations,
    is_mixed: bool,
}

#[derive(Debug, Clone)]
struct Example {
    visitor: Box<str>,
    mixed: Mixed,
}

impl Visitor {
    fn is_too_early(&self) -> bool {
        self.decision.zip(self.conversion).is_some_and(|(decision, conversion)| conversion < decision)
    }
}

impl Visits {
    /// This visitor was given a variation, at this time (milliseconds since 1970, UTC). A problem: as far as it is
    /// known, this is the visitor's first decision, and there is an earlier conversion. Its path is that in a body that
    /// carries this event alone.
    pub fn decision(&mut self, visitor_id: &str, timestamp_ms: i64) -> Option<Problem> {
        let (before, visitor) =
            self.note(visitor_id, |visitor| earliest(&mut visitor.decision, timestamp_ms))?;
        let conversion = visitor.conversion.filter(|_| visitor.is_too_early() && !before)?;
        Some(decision_after_conversion(visitor_id, timestamp_ms, conversion))
    }

    /// This visitor did something that counts, at this time (milliseconds since 1970, UTC). A problem: as far as it is
    /// known, each decision of the visitor is later. Its path is that in a body that carries this event alone.
    pub fn conversion(&mut self, visitor_id: &str, timestamp_ms: i64) -> Option<Problem> {
        let (_, visitor) =
            self.note(visitor_id, |visitor| earliest(&mut visitor.conversion, timestamp_ms))?;
        let decision = visitor.decision.filter(|decision| timestamp_ms < *decision)?;
        Some(conversion_before_decision(visitor_id, timestamp_ms, decision))
    }

    /// This visitor was given this variation of this experiment. A problem: it was given another one before. Its path
    /// is that in a body that carries this event alone.
    pub fn variation(
        &mut self,
        visitor_id: &str,
        experiment_id: &str,
        variation_id: &str,
    ) -> Option<Problem> {
        let visitor = visitor_of(&mut self.visitors, visitor_id)?;
        let mixed = self.assigned.note(&mut visitor.variations, experiment_id, variation_id)?;
        self.mixed += u64::from(!visitor.is_mixed);
        visitor.is_mixed = true;
        let problem = mixed.in_words(visitor_id);
        if self.example.is_none() {
            self.example = Some(Example { visitor: visitor_id.into(), mixed });
        }
        Some(Problem::new(ProblemKind::VisitorInTwoVariations, VARIATION, problem, MIXED_FIX))
    }

    /// An event of a body, if it is good: the API drops a bad one.
    pub fn note_part(&mut self, part: &Part<'_>) {
        let visitor = part.visitor.and_then(|visitor| visitor.get("visitor_id")?.as_str());
        let timestamp = part.value.get("timestamp").and_then(Value::as_i64);
        let Some((visitor, timestamp)) = visitor.zip(timestamp).filter(|_| part.problems.is_empty()) else {
            return;
        };
        if !part.is_impression {
            self.conversion(visitor, timestamp);
            return;
        }
        self.decision(visitor, timestamp);
        let id =
            |key| part.decision.and_then(|decision| decision.get(key)?.as_str()).filter(|id| !id.is_empty());
        if let Some((experiment, variation)) = id("experiment_id").zip(id("variation_id")) {
            self.variation(visitor, experiment, variation);
        }
    }

    /// How many visitors have a conversion that is earlier than all of their decisions, of which there are some.
    pub fn too_early(&self) -> u64 {
        self.too_early
    }

    /// How many visitors have been in two variations of one experiment.
    pub fn mixed(&self) -> u64 {
        self.mixed
    }

    /// The same in words, one for each kind that there is, with one of the visitors.
    pub fn warnings(&self) -> Vec<Problem> {
        self.warning_of_times().into_iter().chain(self.warning_of_variations()).collect()
    }

    fn warning_of_times(&self) -> Option<Problem> {
        let odd = self.visitors.iter().filter(|(_, visitor)| visitor.is_too_early());
        let (id, visitor) = odd.min_by(|(a, _), (b, _)| a.cmp(b))?;
        let (decision, conversion) = (visitor.decision?, visitor.conversion?);
        let all = match self.too_early {
            1 => String::new(),
            all => format!(
                "{all} visitors have a conversion that is earlier than their first decision, such as "
            ),
        };
        Some(Problem::of_body(
            ProblemKind::ConversionBeforeDecision,
            format!(
                "{all}visitor {id:?}: the conversion of {conversion} is {} ms earlier than the first decision",
                decision.saturating_sub(conversion)
            ),
            TOO_EARLY_FIX,
        ))
    }

    fn warning_of_variations(&self) -> Option<Problem> {
        let Example { visitor, mixed } = self.example.as_ref()?;
        let all = match self.mixed {
            1 => String::new(),
            all => format!("{all} visitors are in two variations of one experiment, such as: "),
        };
        let problem = all + &mixed.in_words(visitor);
        Some(Problem::of_body(ProblemKind::VisitorInTwoVariations, problem, MIXED_FIX))
    }

    /// Whether the visitor was too early before, and the visitor as it is now; none where no more fit.
    fn note(&mut self, visitor_id: &str, note: impl FnOnce(&mut Visitor)) -> Option<(bool, &Visitor)> {
        let visitor = visitor_of(&mut self.visitors, visitor_id)?;
        let before = visitor.is_too_early();
        note(visitor);
        self.too_early += u64::from(visitor.is_too_early());
        self.too_early -= u64::from(before);
        Some((before, visitor))
    }
}

/// What is said of a visitor's first decision that is later than a conversion; times in milliseconds since 1970, UTC.
pub fn decision_after_conversion(visitor_id: &str, decision_ms: i64, conversion_ms: i64) -> Problem {
    let problem = format!(
        "this decision, the first of visitor {} so far, is {} ms later than the conversion of {conversion_ms}",
        quote(visitor_id),
        decision_ms.saturating_sub(conversion_ms)
    );
    Problem::new(ProblemKind::ConversionBeforeDecision, TIMESTAMP, problem, TOO_EARLY_FIX)
}

/// What is said of a conversion that is earlier than all of its visitor's decisions so far; times likewise.
pub fn conversion_before_decision(visitor_id: &str, conversion_ms: i64, decision_ms: i64) -> Problem {
    let problem = format!(
        "this conversion is {} ms earlier than the first decision of visitor {} so far, of {decision_ms}",
        decision_ms.saturating_sub(conversion_ms),
        quote(visitor_id)
    );
    Problem::new(ProblemKind::ConversionBeforeDecision, TIMESTAMP, problem, TOO_EARLY_FIX)
}

/// What is odd about a visitor who was in another variation of this experiment before: for those who remember that by
/// themselves. Its path is that in a body that carries the event alone.
pub fn two_variations(visitor_id: &str, experiment_id: &str, variation_id: &str) -> Problem {
    let [visitor, experiment, variation] = [visitor_id, experiment_id, variation_id].map(quote);
    let problem =
        format!("visitor {visitor} was in another variation of experiment {experiment} than {variation}");
    Problem::new(ProblemKind::VisitorInTwoVariations, VARIATION, problem, MIXED_FIX)
}

fn visitor_of<'a>(visitors: &'a mut HashMap<Box<str>, Visitor>, id: &str) -> Option<&'a mut Visitor> {
    if !visitors.contains_key(id) {
        if visitors.len() >= VISITORS_MAX {
            return None;
        }
        visitors.insert(id.into(), Visitor::default());
    }
    visitors.get_mut(id)
}

fn earliest(known: &mut Option<i64>, timestamp_ms: i64) {
    *known = Some(known.map_or(timestamp_ms, |known| known.min(timestamp_ms)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the order in which they come.
    #[test]
    fn the_earliest_of_each_kind_are_compared_in_any_order() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..1_000 {
            let mut times: Vec<(bool, i64)> = (0..6).map(|_| (rng.bool(), rng.i64(0..10))).collect();
            let first = |decision| times.iter().filter(|(is, _)| *is == decision).map(|(_, at)| *at).min();
            let expected = first(true).zip(first(false)).is_some_and(|(decision, other)| other < decision);
            for _ in 0..3 {
                rng.shuffle(&mut times);
                let mut visits = Visits::default();
                let mut is_told = false;
                for &(is_decision, at) in &times {
                    let told =
                        if is_decision { visits.decision("v", at) } else { visits.conversion("v", at) };
                    is_told |= told.is_some();
                }
                assert_eq!(visits.too_early(), u64::from(expected), "{times:?}");
                assert_eq!(visits.warnings().len(), usize::from(expected));
                assert!(is_told || !expected, "some event is told what shows in the end: {times:?}");
            }
        }
    }

    #[test]
    fn the_warning_says_how_many_visitors_there_are() {
        let mut visits = Visits::default();
        for (count, expected) in [
            (1, "visitor \"v1\": the conversion of 7 is 2 ms earlier than the first decision"),
            (
                1_000,
                "1000 visitors have a conversion that is earlier than their first decision, such as visitor \"v1\": \
                 the conversion of 7 is 2 ms earlier than the first decision",
            ),
        ] {
            for visitor in 1..=count {
                visits.conversion(&format!("v{visitor}"), 7);
                visits.decision(&format!("v{visitor}"), 9);
            }
            assert_eq!(visits.warnings()[0].problem, expected);
        }
    }

    #[test]
    fn a_visitor_of_two_variations_is_told_with_each_event_that_is_not_of_the_first() {
        let mut visits = Visits::default();
        for (visitor, experiment, variation, is_told) in [
            ("ann", "11", "1101", false),
            ("ann", "12", "1102", false),
            ("bob", "11", "1102", false),
            ("ann", "11", "1101", false),
            ("ann", "11", "1102", true),
            ("ann", "11", "1103", true),
            ("ann", "11", "1101", false),
        ] {
            let told = visits.variation(visitor, experiment, variation);
            assert_eq!(told.is_some(), is_told, "{visitor} {experiment} {variation}");
        }
        let warnings = visits.warnings();
        let expected =
            "visitor \"ann\" is in two variations of experiment \"11\": first in \"1101\", now in \"1102\"";
        assert_eq!((warnings.len(), visits.mixed(), warnings[0].problem.as_str()), (1, 1, expected));
        visits.variation("bob", "11", "1101");
        assert!(visits.warnings()[0].problem.starts_with("2 visitors are in two variations"));
    }

    #[test]
    fn no_more_than_so_many_visitors_are_followed() {
        let mut visits = Visits::default();
        for visitor in 0..VISITORS_MAX + 10 {
            visits.conversion(&visitor.to_string(), 1);
            visits.decision(&visitor.to_string(), 2);
            visits.variation(&visitor.to_string(), "1", "2");
            visits.variation(&visitor.to_string(), "1", "3");
        }
        let most = VISITORS_MAX as u64;
        assert_eq!((visits.visitors.len(), visits.too_early(), visits.mixed()), (VISITORS_MAX, most, most));
    }
}
