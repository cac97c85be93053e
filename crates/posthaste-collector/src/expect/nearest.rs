//! The events that differ least from a pattern, told apart field by field. Events that differ alike are one miss.

use super::{
    MISSES_MAX, TELLING,
    answer::{Difference, Miss},
    pattern::{Pattern, name},
    seen::Seen,
    text::shown,
};

/// The nearest misses of one pattern.
#[derive(Debug, Default)]
pub(super) struct Nearest(Vec<Ranked>);

#[derive(Debug)]
struct Ranked {
    rank: Rank,
    miss: Miss,
}

/// How many fields differ, and how many of these not even nearly.
type Rank = (usize, usize);

impl Nearest {
    /// Takes events newest first. Returns what it took, in comparisons.
    pub(super) fn offer(&mut self, pattern: &Pattern, seen: &Seen<'_>) -> usize {
        let unmet = pattern.unmet(seen);
        let is_full = self.0.len() == MISSES_MAX;
        let worst = self.0.last().map_or((usize::MAX, 0), |last| last.rank);
        if unmet.is_empty() || (is_full && unmet.len() > worst.0) {
            return pattern.wants.len();
        }
        let rank = (unmet.len(), unmet.iter().filter(|want| !want.is_near(seen)).count());
        if is_full && rank > worst {
            return pattern.wants.len();
        }
        let cost = pattern.wants.len() + TELLING * unmet.len();
        let differences: Vec<Difference> = unmet.into_iter().map(|want| want.difference(seen)).collect();
        if let Some(alike) = self.0.iter_mut().find(|other| other.miss.differences == differences) {
            alike.miss.alike += 1;
        } else if !is_full || rank < worst {
            let at = self.0.partition_point(|other| other.rank <= rank);
            self.0.insert(at, Ranked { rank, miss: Miss { differences, ..Miss::of(seen) } });
            self.0.truncate(MISSES_MAX);
        }
        cost
    }

    pub(super) fn into_misses(self) -> Vec<Miss> {
        self.0.into_iter().map(|ranked| ranked.miss).collect()
    }
}

impl Miss {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        Self {
            id: seen.id(),
            words: shown(&seen.words()),
            verdict: name(seen.verdict()),
            alike: 0,
            problems: seen.problems().iter().map(|problem| shown(&problem.to_string())).collect(),
            differences: Vec::new(),
        }
    }
}
