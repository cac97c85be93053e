//! Which of the kept events a filter picks, a bit for each: how many there are is known without looking again.

use std::collections::VecDeque;

/// Ids of kept events.
#[derive(Debug, Default)]
pub(super) struct Matches {
    words: VecDeque<u64>,
    /// The number of the first word.
    first: u64,
    count: u64,
}

impl Matches {
    /// Ids come in order, each once.
    pub(super) fn insert(&mut self, id: u64) {
        let (word, bit) = (id / 64, id % 64);
        if self.words.is_empty() {
            self.first = word;
        }
        let Some(at) = word.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()) else { return };
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at)
            && *word & (1 << bit) == 0
        {
            *word |= 1 << bit;
            self.count += 1;
        }
    }

    /// What is older than this one is not kept any more.
    pub(super) fn forget_before(&mut self, id: u64) {
        while self.first < id / 64
            && let Some(word) = self.words.pop_front()
        {
            self.count -= u64::from(word.count_ones());
            self.first += 1;
        }
        if self.first == id / 64
            && let Some(word) = self.words.front_mut()
        {
            let gone = *word & !(u64::MAX << (id % 64));
            self.count -= u64::from(gone.count_ones());
            *word &= !gone;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_counts_what_a_set_counts() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..50 {
            let (mut matches, mut set, mut id, mut oldest) = (Matches::default(), BTreeSet::new(), 1, 1);
            for _ in 0..500 {
                id += rng.u64(1..200);
                matches.insert(id);
                set.insert(id);
                if rng.u8(0..4) == 0 {
                    oldest = rng.u64(oldest..=id + 1);
                    matches.forget_before(oldest);
                    set = set.split_off(&oldest);
                }
                assert_eq!(matches.count(), set.len() as u64);
            }
        }
    }
}
