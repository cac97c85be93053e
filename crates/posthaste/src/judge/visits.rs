//! Does a visitor's conversion come before every decision that might explain it?
//!
//! The API credits a conversion to decisions that are no later (PROTOCOL 9). Bodies arrive in any order, so it is the
//! earliest time of each kind that is compared, of all that has been seen.
//!
//! Invariant: no more than [`VISITORS_MAX`] visitors are followed; of later ones nothing is said.

use std::collections::HashMap;

use serde_json::Value;

use super::{kind::ProblemKind, problem::Problem, walk::Part};

/// Visitors whose times are remembered: some 15 MB.
pub const VISITORS_MAX: usize = 100_000;

/// The earliest decision and the earliest conversion of each visitor.
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
/// ```
#[derive(Debug, Clone, Default)]
pub struct Visits {
    visitors: HashMap<Box<str>, Times>,
    too_early: u64,
}

/// In milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    decision: Option<i64>,
    conversion: Option<i64>,
}

impl Times {
    fn are_odd(self) -> bool {
        self.decision.zip(self.conversion).is_some_and(|(decision, conversion)| conversion < decision)
    }
}

impl Visits {
    /// This visitor was given a variation, at this time (milliseconds since 1970, UTC).
    pub fn decision(&mut self, visitor_id: &str, timestamp_ms: i64) {
        self.note(visitor_id, |times| earliest(&mut times.decision, timestamp_ms));
    }

    /// This visitor did something that counts, at this time (milliseconds since 1970, UTC).
    pub fn conversion(&mut self, visitor_id: &str, timestamp_ms: i64) {
        self.note(visitor_id, |times| earliest(&mut times.conversion, timestamp_ms));
    }

    /// An event of a body, if it is good: the API drops a bad one.
    pub fn note_part(&mut self, part: &Part<'_>) {
        let visitor = part.visitor.and_then(|visitor| visitor.get("visitor_id")?.as_str());
        let timestamp = part.value.get("timestamp").and_then(Value::as_i64);
        let Some((visitor, timestamp)) = visitor.zip(timestamp).filter(|_| part.problems.is_empty()) else {
            return;
        };
        if part.is_impression {
            self.decision(visitor, timestamp);
        } else {
            self.conversion(visitor, timestamp);
        }
    }

    /// How many visitors have a conversion that is earlier than all of their decisions, of which there are some.
    pub fn too_early(&self) -> u64 {
        self.too_early
    }

    /// The same in words, with one of the visitors; `None`: there are none.
    pub fn warning(&self) -> Option<Problem> {
        let odd = self.visitors.iter().filter(|(_, times)| times.are_odd());
        let (visitor, times) = odd.min_by(|(a, _), (b, _)| a.cmp(b))?;
        let (decision, conversion) = (times.decision?, times.conversion?);
        let all = match self.too_early {
            1 => String::new(),
            all => format!(
                "{all} visitors have a conversion that is earlier than their first decision, such as "
            ),
        };
        Some(Problem::of_body(
            ProblemKind::ConversionBeforeDecision,
            format!(
                "{all}visitor {visitor:?}: the conversion of {conversion} is {} ms earlier than the first decision",
                decision - conversion
            ),
            "the API credits a conversion to earlier decisions only; send the decision's own time, and mind the clocks",
        ))
    }

    fn note(&mut self, visitor_id: &str, note: impl FnOnce(&mut Times)) {
        if let Some(times) = self.visitors.get_mut(visitor_id) {
            let before = times.are_odd();
            note(times);
            self.too_early += u64::from(times.are_odd());
            self.too_early -= u64::from(before);
        } else if self.visitors.len() < VISITORS_MAX {
            let mut times = Times::default();
            note(&mut times);
            self.visitors.insert(visitor_id.into(), times);
        }
    }
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
                for &(is_decision, at) in &times {
                    if is_decision { visits.decision("v", at) } else { visits.conversion("v", at) }
                }
                assert_eq!(visits.too_early(), u64::from(expected), "{times:?}");
                assert_eq!(visits.warning().is_some(), expected);
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
            assert_eq!(visits.warning().unwrap().problem, expected);
        }
    }

    #[test]
    fn no_more_than_so_many_visitors_are_followed() {
        let mut visits = Visits::default();
        for visitor in 0..VISITORS_MAX + 10 {
            visits.conversion(&visitor.to_string(), 1);
            visits.decision(&visitor.to_string(), 2);
        }
        assert_eq!((visits.visitors.len(), visits.too_early()), (VISITORS_MAX, VISITORS_MAX as u64));
    }
}
