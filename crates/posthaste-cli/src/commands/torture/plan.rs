//! When to kill: moments that a seed decides, spread over the work whatever the machine's speed.

use std::time::Duration;

use fastrand::Rng;

/// One kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kill {
    /// Once so many events have been claimed. Where that was so before, the next life is hit while it starts.
    pub(super) after_events: u64,
    /// And so much later.
    pub(super) delay: Duration,
    /// However little has been claimed: at this time from the start.
    pub(super) at_latest: Duration,
}

/// Half of the kills come at once, before a commit has ended; the others may hit anything.
const SOON_MICROS: u64 = 4_000;
const LATER_MICROS: u64 = 120_000;

/// Kills over so many events, within this time.
pub(super) fn kills(number: u32, events: u64, time: Duration, seed: u64) -> Vec<Kill> {
    let mut random = Rng::with_seed(seed);
    let mut moments: Vec<u64> = (0..number).map(|_| random.u64(0..events)).collect();
    moments.sort_unstable();
    let kill = |(at, after_events)| {
        let longest = if random.bool() { SOON_MICROS } else { LATER_MICROS };
        let delay = Duration::from_micros(random.u64(0..longest));
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let at_latest = (time / number.max(1)).saturating_mul(at.saturating_add(1));
        Kill { after_events, delay, at_latest }
    };
    moments.into_iter().enumerate().map(kill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_in_order_and_in_time() {
        let time = Duration::from_secs(40);
        let plan = kills(20, 10_000, time, 7);
        assert_eq!(plan.len(), 20);
        assert!(plan.is_sorted_by_key(|kill| (kill.after_events, kill.at_latest)));
        assert!(plan.iter().all(|kill| (0..10_000).contains(&kill.after_events) && kill.at_latest <= time));
        assert_eq!(plan, kills(20, 10_000, time, 7));
        assert_ne!(plan, kills(20, 10_000, time, 8));
        assert!(kills(0, 1, time, 7).is_empty());
    }
}
