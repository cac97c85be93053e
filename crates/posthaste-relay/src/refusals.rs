//! One line in the log for each kind of refusal, with how often: however many clients are refused, the log stays short.

use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::Reason;

/// Each kind is told of at most so often.
const INTERVAL: Duration = Duration::from_secs(10);

/// What has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<[Kind; Reason::ALL.len()]>);

#[derive(Debug, Clone, Copy, Default)]
struct Kind {
    /// Since it was last told.
    count: u64,
    told: Option<Duration>,
}

impl Refusals {
    /// One more of this kind; returns how many to tell of now, if it is time to.
    fn add(&self, reason: Reason, now: Duration) -> Option<u64> {
        let at = Reason::ALL.iter().position(|one| *one == reason)?;
        let mut kinds = self.0.lock();
        let kind = kinds.get_mut(at)?;
        kind.count += 1;
        if kind.told.is_some_and(|told| now < told.saturating_add(INTERVAL)) {
            return None;
        }
        kind.told = Some(now);
        Some(std::mem::take(&mut kind.count))
    }

    /// One more of this kind.
    pub(crate) fn note(&self, reason: Reason, now: Duration) {
        if let Some(requests) = self.add(reason, now) {
            let status = reason.status().as_u16();
            tracing::warn!(reason = reason.name(), status, requests, "requests were not taken as they came");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_kind_is_told_of_at_once_and_then_with_a_count() {
        let refusals = Refusals::default();
        assert_eq!(refusals.add(Reason::Full, s(1)), Some(1));
        assert_eq!(refusals.add(Reason::NoToken, s(1)), Some(1), "another kind");
        assert_eq!([s(2), s(5), s(10)].map(|now| refusals.add(Reason::Full, now)), [None; 3]);
        assert_eq!(refusals.add(Reason::Full, s(11)), Some(4));
    }
}
