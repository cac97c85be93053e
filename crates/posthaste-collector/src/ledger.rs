//! What has arrived, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

/// How much has arrived since the start or the last reset. At every moment `events = good + bad + duplicates`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CollectorLedger {
    /// Bodies that were taken.
    pub requests: u64,
    /// Requests that were refused unread: too large, of an unknown compression, or of a session whose name is none. They
    /// are not among `requests`, and nobody knows how many events they carried.
    pub refused: u64,
    /// Events that were judged. A body or a part of one that cannot be read counts as one.
    pub events: u64,
    /// Events without a fault, repeats left out.
    pub good: u64,
    /// Events with a fault, each time they came.
    pub bad: u64,
    /// Different `(entity_id, uuid, timestamp)` among good and bad events.
    pub unique: u64,
    /// Events without a fault that repeat a good one: same `(entity_id, uuid, timestamp)`. The API keeps one of them.
    pub duplicates: u64,
    /// Good and bad events that had to make room. A repeat of one of these is not recognised any more.
    pub forgotten: u64,
    /// Good events that something is odd about, repeats left out.
    pub warned: u64,
    /// Visitors with a conversion that is earlier than all of their decisions
    /// ([`Visits`](posthaste::judge::Visits)).
    pub too_early: u64,
    /// Visitors that have been in two variations of one experiment, once for each experiment.
    pub mixed: u64,
    /// Halves of surrogate pairs that were read as U+FFFD.
    pub repaired: u64,
    /// Requests that a script did something to, taken or not.
    pub faulted: u64,
    /// Those of them whose events were not taken; they are not among `requests`.
    pub not_taken: u64,
    /// `faulted` by the rules' names, of every script that was in force; beyond [`FAULT_NAMES_MAX`] names the rest is
    /// under [`OTHER_FAULTS`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, u64>,
}

/// Names of rules that a ledger tells apart.
pub const FAULT_NAMES_MAX: usize = 1_000;
/// What rules are counted under once there are too many names.
pub const OTHER_FAULTS: &str = "(others)";

impl CollectorLedger {
    /// Leaves the counts of a part out, which are among these.
    pub(crate) fn take_out(&mut self, part: &Self) {
        for (count, less) in self.counts().into_iter().zip(part.clone().counts()) {
            *count = count.saturating_sub(*less);
        }
        for (rule, less) in &part.faults {
            if let Some(count) = self.faults.get_mut(rule) {
                *count = count.saturating_sub(*less);
            }
        }
        self.faults.retain(|_, count| *count > 0);
    }

    fn counts(&mut self) -> [&mut u64; 14] {
        [
            &mut self.requests,
            &mut self.refused,
            &mut self.events,
            &mut self.good,
            &mut self.bad,
            &mut self.unique,
            &mut self.duplicates,
            &mut self.forgotten,
            &mut self.warned,
            &mut self.too_early,
            &mut self.mixed,
            &mut self.repaired,
            &mut self.faulted,
            &mut self.not_taken,
        ]
    }

    /// One more request that this rule did something to.
    pub(crate) fn count_fault(&mut self, rule: &str, taken: bool) {
        self.faulted += 1;
        self.not_taken += u64::from(!taken);
        let is_told = self.faults.contains_key(rule) || self.faults.len() < FAULT_NAMES_MAX;
        let name = if is_told { rule } else { OTHER_FAULTS };
        *self.faults.entry(name.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rules_are_bounded_and_every_request_is_counted() {
        let mut ledger = CollectorLedger::default();
        for name in (0..FAULT_NAMES_MAX + 5).chain([0]) {
            ledger.count_fault(&format!("rule {name}"), name % 2 == 0);
        }
        let names = (ledger.faults.len(), ledger.faults["rule 0"], ledger.faults[OTHER_FAULTS]);
        assert_eq!(names, (FAULT_NAMES_MAX + 1, 2, 5));
        assert_eq!((ledger.faulted, ledger.not_taken), (1_006, 502));
        assert_eq!(ledger.faults.values().sum::<u64>(), ledger.faulted);
    }
}
