//! What the upstream answers, and which events are bad: decided by a seed.
//!
//! Every answer that a real upstream is known to give has its place: busy, broken, gone in the middle of a request,
//! slow, away for a while, and right to refuse.

use std::time::Duration;

use fastrand::Rng;

/// One event in so many is bad: the upstream refuses it for good.
const BAD_ONE_IN: u64 = 40;
/// Requests of more events may be too large.
const LARGE_EVENTS: usize = 8;
/// Longer than the client's patience, at times.
const SLOW_MS: std::ops::Range<u64> = 20..1_300;
/// Requests that an outage swallows.
const OUTAGE_REQUESTS: std::ops::Range<u32> = 3..12;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roll {
    /// It is answered with this status, after this time.
    Answer { status: u16, retry_after: Option<u32>, after: Duration },
    /// The connection is reset, and nobody knows what became of it.
    Reset,
}

/// An upstream's moods.
#[derive(Debug)]
pub(super) struct Dice {
    random: Rng,
    seed: u64,
    outage: u32,
    /// Whether some events are bad.
    has_bad_events: bool,
    /// From then on it only refuses what is bad.
    is_healthy: bool,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), seed, outage: 0, has_bad_events: true, is_healthy: false }
    }

    /// One that takes every event in the end.
    pub(super) fn without_bad_events(seed: u64) -> Self {
        Self { has_bad_events: false, ..Self::new(seed) }
    }

    /// The faults stop.
    pub(super) fn heal(&mut self) {
        self.is_healthy = true;
    }

    /// They begin again.
    pub(super) fn turn_ill(&mut self) {
        self.is_healthy = false;
    }

    /// What a request with these events is answered.
    pub(super) fn roll(&mut self, ids: &[u64]) -> Roll {
        if !self.is_healthy
            && let Some(fault) = self.fault(ids.len())
        {
            return fault;
        }
        let is_bad = self.has_bad_events && ids.iter().any(|id| is_bad(self.seed, *id));
        let is_slow = !self.is_healthy && self.random.u8(0..100) == 0;
        let after = if is_slow { Duration::from_millis(self.random.u64(SLOW_MS)) } else { Duration::ZERO };
        Roll::Answer { status: if is_bad { 400 } else { 204 }, retry_after: None, after }
    }

    /// `None`: it judges the request by what is in it.
    fn fault(&mut self, events: usize) -> Option<Roll> {
        let answer = |status, retry_after| Some(Roll::Answer { status, retry_after, after: Duration::ZERO });
        if self.outage == 0 && self.random.u8(0..200) == 0 {
            self.outage = self.random.u32(OUTAGE_REQUESTS);
        }
        if self.outage > 0 {
            self.outage -= 1;
            return if self.random.bool() { answer(503, None) } else { Some(Roll::Reset) };
        }
        match self.random.u16(0..1_000) {
            0..30 => answer(500, None),
            30..60 => answer(503, None),
            60..80 => answer(429, Some(0)),
            80..83 => answer(429, Some(1)),
            83..120 => Some(Roll::Reset),
            120..400 if events > LARGE_EVENTS => answer(413, None),
            _ => None,
        }
    }
}

/// Whether the upstream will never take this event.
pub(super) fn is_bad(seed: u64, id: u64) -> bool {
    of_event(seed, id).u64(0..BAD_ONE_IN) == 0
}

/// Everything about an event that is left to chance, the same in every process.
pub(super) fn of_event(seed: u64, id: u64) -> Rng {
    Rng::with_seed(seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_answer_comes_up_and_most_are_good() {
        let (mut dice, mut seen) = (Dice::new(7), BTreeMap::<_, u32>::new());
        let good: Vec<u64> = (1..10_000).filter(|id| !is_bad(7, *id)).take(20).collect();
        for request in 0..10_000 {
            let key = match dice.roll(&good[..=request % good.len()]) {
                Roll::Reset => (0, None),
                Roll::Answer { status, retry_after, .. } => (status, retry_after),
            };
            *seen.entry(key).or_default() += 1;
        }
        let expected =
            [(0, None), (204, None), (413, None), (429, Some(0)), (429, Some(1)), (500, None), (503, None)];
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
        assert!(seen[&(204, None)] > 5_000, "{seen:?}");
    }

    #[test]
    fn a_healthy_upstream_refuses_what_is_bad_and_nothing_else() {
        let mut dice = Dice::new(7);
        dice.heal();
        let bad: Vec<u64> = (1..10_000).filter(|id| is_bad(7, *id)).collect();
        assert!((150..350).contains(&bad.len()), "{}", bad.len());
        for id in 1..1_000 {
            let status = if is_bad(7, id) { 400 } else { 204 };
            assert_eq!(dice.roll(&[id]), Roll::Answer { status, retry_after: None, after: Duration::ZERO });
        }
        let with_company = [bad[0], bad[0] + 1, bad[0] + 2];
        assert!(matches!(dice.roll(&with_company), Roll::Answer { status: 400, .. }));
    }

    #[test]
    fn a_seed_decides_everything() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..200).map(|id| dice.roll(&[id])).collect::<Vec<_>>()
        };
        assert_eq!(rolls(3), rolls(3));
        assert_ne!(rolls(3), rolls(4));
    }
}
