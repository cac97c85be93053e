//! The order of visitors' events, by numbers that stand for them: what [`posthaste::judge::Visits`] counts, in memory
//! that is bounded in bytes.

use rustc_hash::FxHashMap;

use super::table;

/// No time of this kind was seen.
const NEVER: i64 = i64::MAX;

/// The earliest decision and the earliest conversion of each visitor, in milliseconds since 1970, UTC.
///
/// Invariant: no more visitors are followed than there is memory for; of later ones nothing is said.
#[derive(Debug)]
pub(crate) struct Order {
    times: FxHashMap<u64, Times>,
    visitors_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    decision: i64,
    conversion: i64,
}

impl Times {
    fn are_odd(self) -> bool {
        self.decision != NEVER && self.conversion < self.decision
    }
}

/// What an event changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noted {
    /// By how many there are more visitors with a conversion before all of their decisions.
    pub(crate) more: u64,
    /// By how many there are fewer.
    pub(crate) fewer: u64,
    /// The time of the event of the other kind beside which this one is odd.
    pub(crate) odd_beside: Option<i64>,
}

impl Order {
    pub(crate) fn within(bytes: usize) -> Self {
        Self { times: FxHashMap::default(), visitors_max: table::most_within::<u64, Times>(bytes) }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, visitor: u64, timestamp: i64, is_decision: bool) -> Noted {
        if self.times.len() >= self.visitors_max && !self.times.contains_key(&visitor) {
            return Noted::default();
        }
        let times = self.times.entry(visitor).or_insert(Times { decision: NEVER, conversion: NEVER });
        let before = times.are_odd();
        let earliest = if is_decision { &mut times.decision } else { &mut times.conversion };
        *earliest = timestamp.min(*earliest);
        let after = times.are_odd();
        let (decision, conversion) = (times.decision, times.conversion);
        let odd_beside = if is_decision {
            Some(conversion).filter(|_| after && !before)
        } else {
            Some(decision).filter(|decision| *decision != NEVER && timestamp < *decision)
        };
        Noted { more: u64::from(after && !before), fewer: u64::from(before && !after), odd_beside }
    }

    pub(crate) fn memory(&self) -> usize {
        table::memory(&self.times)
    }
}

#[cfg(test)]
mod tests {
    use posthaste::judge::Visits;

    use super::*;

    #[test]
    fn it_counts_what_visits_counts() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut order, mut visits, mut odd) = (Order::within(1 << 20), Visits::default(), 0);
        for _ in 0..20_000 {
            let (visitor, timestamp, is_decision) = (rng.u64(0..500), rng.i64(0..1_000), rng.bool());
            let name = visitor.to_string();
            let said = if is_decision {
                visits.decision(&name, timestamp)
            } else {
                visits.conversion(&name, timestamp)
            };
            let Noted { more, fewer, odd_beside } = order.note(visitor, timestamp, is_decision);
            odd = odd + more - fewer;
            assert_eq!((odd, odd_beside.is_some()), (visits.too_early(), said.is_some()));
        }
        assert!(odd > 0);
    }

    #[test]
    fn it_stays_within_its_bytes() {
        for bytes in [0, 1, 24, 100, 10_000, 1 << 20] {
            let mut order = Order::within(bytes);
            for visitor in 0..100_000 {
                order.note(visitor, 1, true);
            }
            assert!(order.memory() <= bytes.max(200), "{bytes}: {}", order.memory());
        }
    }
}
