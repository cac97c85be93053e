//! Sums over processes: what they say they did, at least and at most.
//!
//! Invariant: what is at least comes from notes before the look, what is at most from notes after it. What is loose keeps
//! the two apart for as long as it is so; what is under way and gets on does so for a moment, and is not loose.

use super::account::{Paper, Standing};
use crate::queue::jetstream::{inspection::StreamFacts, traffic::Messages};

#[derive(Default)]
pub(super) struct Sums {
    pub(super) published_low: u64,
    pub(super) published_high: u64,
    pub(super) published_loose: u64,
    pub(super) settled_low: u64,
    pub(super) settled_high: u64,
    pub(super) settled_loose: u64,
    pub(super) letters: LetterSums,
    pub(super) repeated: u64,
    pub(super) redelivered: u64,
    pub(super) unreadable: Vec<String>,
    known: u64,
    settled_again: u64,
    silent: usize,
}

/// Dead letters, over processes.
#[derive(Default)]
pub(super) struct LetterSums {
    buried: u64,
    buried_again: u64,
    /// Surely, or under way.
    removed: u64,
    maybe_removed: u64,
}

impl Sums {
    pub(super) fn of(papers: &[Paper]) -> Self {
        let mut sums = Self::default();
        for paper in papers {
            let after = match &paper.after {
                Ok(after) => after,
                Err(why) => {
                    sums.unreadable.push(format!("a note of a process cannot be read: {why}"));
                    continue;
                }
            };
            sums.silent += usize::from(paper.standing() == Standing::Silent);
            if let Some(before) = &paper.before {
                sums.add_before(&before.traffic.messages);
            }
            sums.repeated += after.traffic.repeated;
            sums.add_after(&after.traffic.messages, after.maybe_repeated, paper.standing());
            if let (Some(before), Standing::Living) = (&paper.before, paper.standing()) {
                sums.add_stuck(&before.traffic.messages, &after.traffic.messages);
            }
        }
        // So many may have been counted by two.
        sums.published_low = sums.published_low.saturating_sub(sums.known);
        sums.settled_low = sums.settled_low.saturating_sub(sums.settled_again);
        sums
    }

    fn add_before(&mut self, of: &Messages) {
        self.published_low += of.published + of.replayed;
        self.settled_low += of.settled;
        self.letters.buried += of.buried;
        self.letters.buried_again += of.buried_again;
    }

    fn add_after(&mut self, of: &Messages, maybe_repeated: u64, standing: Standing) {
        self.published_high += of.published + of.replayed + of.publishing + of.given_up + maybe_repeated;
        self.published_loose += of.known + of.given_up + maybe_repeated;
        self.settled_high += of.settled + of.settling + of.maybe_settled;
        self.settled_loose += of.settled_again + of.maybe_settled;
        self.letters.removed += of.removed;
        self.letters.maybe_removed += of.maybe_removed;
        self.known += of.known;
        self.redelivered += of.redelivered;
        self.settled_again += of.settled_again;
        if standing == Standing::Living {
            self.letters.removed += of.removing;
        } else {
            // Nobody goes on with it.
            self.published_loose += of.publishing;
            self.settled_loose += of.settling;
            self.letters.maybe_removed += of.removing;
        }
    }

    /// What is under way, and gets no further: it may have arrived or not, for as long as that lasts.
    fn add_stuck(&mut self, before: &Messages, after: &Messages) {
        if before.published == after.published {
            self.published_loose += before.publishing.min(after.publishing);
        }
        if before.settled == after.settled {
            self.settled_loose += before.settling.min(after.settling);
        }
    }

    /// Whether processes may have done more than anybody has written down.
    pub(super) fn is_open(&self) -> bool {
        self.silent > 0 || !self.unreadable.is_empty()
    }
}

impl LetterSums {
    /// Letters that are gone, whatever may have been removed here.
    pub(super) fn missing(&self, dead: Option<&StreamFacts>) -> u64 {
        self.missing_beyond(dead, self.removed + self.maybe_removed)
    }

    /// Letters that could be gone besides.
    pub(super) fn loose(&self, dead: Option<&StreamFacts>) -> u64 {
        let removals = self.missing_beyond(dead, self.removed) - self.missing(dead);
        // The stream numbers its letters: it shows which of those that were there already were counted by nobody else.
        let taken = dead.map_or(0, |dead| dead.taken);
        let repeats = self.buried_again.min((self.buried + self.buried_again).saturating_sub(taken));
        removals + repeats
    }

    /// A stream knows what has gone from it. One that was made anew does not, and has less than was buried.
    fn missing_beyond(&self, dead: Option<&StreamFacts>, removed: u64) -> u64 {
        let (gone, there) = dead.map_or((0, 0), |dead| (dead.gone(), dead.messages));
        let gone = gone.saturating_sub(removed);
        gone.max(self.buried.saturating_sub(removed).saturating_sub(there))
    }
}
