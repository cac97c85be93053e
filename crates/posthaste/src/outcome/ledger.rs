//! How many events there have been, and what became of them.

/// How many events there have been, and what became of them. All numbers are events, since the start, at one moment.
/// The queue counts what it has taken and holds; delivery counts what it has delivered and buried. So the balance is a
/// check, not a definition.
///
/// ```
/// use posthaste::Ledger;
///
/// let mut in_all = Ledger::default();
/// in_all = in_all + Ledger::default(); // one for each pipeline
/// assert!(in_all.balances());
/// assert_eq!(in_all.accepted, in_all.delivered + in_all.dead_lettered + in_all.queued);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Ledger {
    /// Events taken.
    pub accepted: u64,
    /// Events that the API has confirmed.
    pub delivered: u64,
    /// Events that will not be delivered, each with a [`DeadReason`](super::DeadReason).
    pub dead_lettered: u64,
    /// Events that have not come to an end yet.
    pub queued: u64,
    /// Events that others have now, and bring to an end: those that went into a queue which several processes share, and
    /// those that were taken out of it and given back. 0 where no queue is shared.
    pub handed_over: u64,
    /// Events that were never taken; their callers have them back. They are no part of the balance.
    pub refused: u64,
}

impl Ledger {
    pub(crate) fn new(accepted: u64, delivered: u64, dead_lettered: u64, queued: u64, refused: u64) -> Self {
        Self { accepted, delivered, dead_lettered, queued, handed_over: 0, refused }
    }

    pub(crate) fn with_handed_over(self, handed_over: u64) -> Self {
        Self { handed_over, ..self }
    }

    /// Whether every accepted event is accounted for. Where not, a queue of your own counts wrongly.
    pub fn balances(&self) -> bool {
        let ended = self.delivered.checked_add(self.dead_lettered);
        let elsewhere = self.queued.checked_add(self.handed_over);
        ended.zip(elsewhere).and_then(|(ended, elsewhere)| ended.checked_add(elsewhere))
            == Some(self.accepted)
    }
}

impl std::ops::Add for Ledger {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            delivered: self.delivered + other.delivered,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            queued: self.queued + other.queued,
            handed_over: self.handed_over + other.handed_over,
            refused: self.refused + other.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_add_up_number_by_number() {
        let sum = Ledger::new(15, 12, 1, 2, 5) + Ledger::new(100, 70, 10, 20, 40);
        assert_eq!(sum, Ledger::new(115, 82, 11, 22, 45));
    }

    #[test]
    fn a_ledger_that_misses_an_event_or_has_one_twice_does_not_balance() {
        assert!(Ledger::new(15, 12, 1, 2, 5).balances());
        assert!(!Ledger::new(16, 12, 1, 2, 5).balances());
        assert!(!Ledger::new(14, 12, 1, 2, 5).balances());
        assert!(!Ledger::new(1, u64::MAX, 1, 1, 0).balances());
        assert!(Ledger::new(20, 12, 1, 2, 5).with_handed_over(5).balances());
        assert!(!Ledger::new(15, 12, 1, 2, 5).with_handed_over(1).balances());
        assert!(!Ledger::new(1, 0, 0, u64::MAX, 0).with_handed_over(2).balances());
    }
}
