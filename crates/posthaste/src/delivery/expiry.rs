//! Which items are too old to be sent, and when to look for them.
//!
//! An item is looked at when it is leased. What waits to be sent is looked at again once its oldest item is too old, a
//! second apart at least: a look costs a walk through all of it. Invariant: `next_ms` is no later than the moment at which
//! the first of what waits is too old.

use std::time::Duration;

use super::item::Item;

/// Between two looks at what waits, at least.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Expiry {
    /// `None`: nothing is ever too old.
    age_max_ms: Option<i64>,
    /// From when on something that waits is too old.
    next_ms: Option<i64>,
    looked_at: Option<Duration>,
}

impl Expiry {
    pub(super) fn new(age_max: Option<Duration>) -> Self {
        let age_max_ms = age_max.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        Self { age_max_ms, next_ms: None, looked_at: None }
    }

    /// Whether it is too old. Where it is not, it waits from now on, and is kept in mind.
    pub(super) fn is_over(&mut self, item: &impl Item, now_ms: i64) -> bool {
        let Some(age_max_ms) = self.age_max_ms else { return false };
        let Some(from_ms) = item.ages_from_ms() else { return false };
        let over_ms = from_ms.saturating_add(age_max_ms);
        let is_over = now_ms > over_ms;
        if !is_over {
            self.next_ms = Some(self.next_ms.map_or(over_ms, |next_ms| next_ms.min(over_ms)));
        }
        is_over
    }

    /// Whether something that waits may be too old. Then all of it is to be looked at.
    pub(super) fn is_due(&mut self, now: Duration, now_ms: i64) -> bool {
        let is_due = self.next_ms.is_some_and(|next_ms| next_ms < now_ms)
            && self.looked_at.is_none_or(|at| now >= at.saturating_add(INTERVAL));
        if is_due {
            (self.looked_at, self.next_ms) = (Some(now), None);
        }
        is_due
    }

    /// When to look next, by the clock that waits.
    pub(super) fn due(&self, now: Duration, now_ms: i64) -> Option<Duration> {
        let wait_ms = self.next_ms?.saturating_sub(now_ms).saturating_add(1);
        let due = now.saturating_add(Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()));
        let earliest = self.looked_at.map_or(Duration::ZERO, |at| at.saturating_add(INTERVAL));
        Some(due.max(earliest))
    }

    /// In words, for the letter.
    pub(super) fn reason(&self) -> String {
        format!("older than the {} ms that it may be when it is sent", self.age_max_ms.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, LogEvent};

    fn taken(at_ms: i64) -> LogEvent {
        LogEvent::new("http://127.0.0.1/", &Batch::default()).with_taken_ms(at_ms)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_item_is_too_old_beyond_its_age_and_not_at_it() {
        let mut expiry = Expiry::new(Some(s(60)));
        assert!(!expiry.is_over(&taken(1_000), 61_000));
        assert!(expiry.is_over(&taken(1_000), 61_001));
        assert!(!expiry.is_over(&LogEvent::new("http://127.0.0.1/", &Batch::default()), i64::MAX), "no time");
        assert!(!expiry.is_over(&taken(1_000), i64::MIN), "a clock that goes back");
        let again = taken(1_000).with_put_back_ms(70_000);
        assert!(!expiry.is_over(&again, 130_000) && expiry.is_over(&again, 130_001), "put back");
        assert!(!Expiry::new(None).is_over(&taken(i64::MIN), i64::MAX));
    }

    #[test]
    fn what_waits_is_looked_at_when_its_oldest_is_too_old_and_not_all_the_time() {
        let mut expiry = Expiry::new(Some(s(60)));
        assert_eq!((expiry.is_due(s(5), i64::MAX), expiry.due(s(5), 0)), (false, None), "nothing waits");
        assert!(!expiry.is_over(&taken(3_000), 5_000) && !expiry.is_over(&taken(1_000), 5_000));
        assert_eq!(expiry.due(s(5), 5_000), Some(s(5) + Duration::from_millis(56_001)));
        assert!(!expiry.is_due(s(61), 61_000) && expiry.is_due(s(61), 61_001));
        // The look finds the one that is left.
        assert!(!expiry.is_over(&taken(3_000), 61_001));
        assert!(!expiry.is_due(s(61), 99_000), "not twice in a second");
        assert_eq!(expiry.due(s(61), 99_000), Some(s(62)));
        assert!(expiry.is_due(s(62), 99_000));
    }
}
