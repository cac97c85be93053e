//! The books: facts in, in any order in which they can be heard; a verdict out, at any time.
//!
//! Producers and receiver speak over different pipes, so an event may arrive before its claim is heard. Nothing is judged
//! until somebody asks for the verdict.

use std::collections::BTreeMap;

use crate::{
    Answer, Cause, Digest, Fact, Ledger, Verdict,
    entry::{Contradiction, Entry, Told},
};

/// Events that nobody offered (yet) and that are remembered one by one; of more, only the number is known. Bounds what a
/// pipeline that invents events can do to this process.
pub const STRANGERS_MAX: u64 = 1_000_000;

/// Counts for itself what was offered, promised, delivered and lost. Some hundred bytes an event.
#[derive(Debug, Default)]
pub struct Oracle {
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) runs: BTreeMap<u32, Run>,
    /// Things without an id, and those beyond [`STRANGERS_MAX`].
    pub(crate) strays: u64,
    /// Of the entries, those without an offer.
    strangers: u64,
    /// Facts that contradict those before them.
    pub(crate) contradictions: Vec<Fact>,
    pub(crate) contradictions_total: u64,
}

/// One life of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) end: End,
    /// Answers to offers.
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) reported: Option<Ledger>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    #[default]
    Alive,
    Killed,
    Ended,
}

/// Contradictions that are kept to be shown.
const CONTRADICTIONS_MAX: usize = 10;

impl Oracle {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a fact down.
    pub fn note(&mut self, fact: Fact) {
        if self.try_note(fact).is_err() {
            self.contradictions_total += 1;
            if self.contradictions.len() < CONTRADICTIONS_MAX {
                self.contradictions.push(fact);
            }
        }
    }

    /// Everything that can be said by now. Final once the faults have stopped and every fact has been heard.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self)
    }

    /// How many events have been claimed so far.
    pub fn claimed(&self) -> u64 {
        self.entries.len() as u64 - self.strangers
    }

    fn try_note(&mut self, fact: Fact) -> Result<(), Contradiction> {
        match fact {
            Fact::Started { run } => {
                if self.runs.contains_key(&run) {
                    return Err(Contradiction);
                }
                self.runs.insert(run, Run::default());
            }
            Fact::Killed { run } => self.end(run, End::Killed)?,
            Fact::Ended { run } => self.end(run, End::Ended)?,
            Fact::Claimed { run, id, digest } => self.claim(run, id, digest)?,
            Fact::Fresh { id } => {
                let entry = self.entries.get_mut(&id).and_then(|entry| entry.offer.as_mut());
                entry.ok_or(Contradiction)?.fresh = true;
            }
            Fact::Accepted { run, id } => self.tell(run, id, Told::Accepted)?,
            Fact::Stored { run, id } => self.tell(run, id, Told::Stored)?,
            Fact::NotStored { run, id } => self.tell(run, id, Told::NotStored)?,
            Fact::Refused { run, id } => self.tell(run, id, Told::Refused)?,
            Fact::Arrived { id, digest, answer, .. } => self.arrive(id, digest, answer),
            Fact::Stray { .. } => self.strays += 1,
            Fact::Dead { id, digest, cause } => self.bury(id, digest, cause),
            Fact::Waiting { id, digest } => self.see(id, |entry| entry.wait(digest)),
            Fact::Reported { run, ledger } => {
                self.runs.get_mut(&run).ok_or(Contradiction)?.reported = Some(ledger);
            }
        }
        Ok(())
    }

    fn end(&mut self, run: u32, end: End) -> Result<(), Contradiction> {
        match self.runs.get_mut(&run) {
            Some(run) if run.end == End::Alive => run.end = end,
            _ => return Err(Contradiction),
        }
        Ok(())
    }

    fn claim(&mut self, run: u32, id: u64, digest: Digest) -> Result<(), Contradiction> {
        if self.runs.get(&run).is_none_or(|run| run.end != End::Alive) {
            return Err(Contradiction);
        }
        let runs = &self.runs;
        let was_killed = |run| runs.get(&run).is_some_and(|run| run.end == End::Killed);
        let entry = self.entries.entry(id).or_default();
        let was_stranger = entry.offer.is_none() && entry.sight.is_some();
        let claimed = entry.claim(run, digest, was_killed);
        self.strangers -= u64::from(was_stranger);
        claimed
    }

    fn tell(&mut self, run: u32, id: u64, told: Told) -> Result<(), Contradiction> {
        let of_run = self.runs.get_mut(&run).filter(|run| run.end == End::Alive).ok_or(Contradiction)?;
        self.entries.get_mut(&id).ok_or(Contradiction)?.tell(run, told)?;
        match told {
            Told::Accepted => of_run.accepted += 1,
            Told::Refused => of_run.refused += 1,
            _ => {}
        }
        Ok(())
    }

    fn arrive(&mut self, id: u64, digest: Digest, answer: Answer) {
        self.see(id, |entry| entry.arrive(digest, answer));
    }

    fn bury(&mut self, id: u64, digest: Digest, cause: Cause) {
        self.see(id, |entry| entry.bury(digest, cause));
    }

    fn see(&mut self, id: u64, see: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&id) {
            see(entry);
        } else if self.strangers < STRANGERS_MAX {
            self.strangers += 1;
            see(self.entries.entry(id).or_default());
        } else {
            self.strays += 1;
        }
    }
}

impl Extend<Fact> for Oracle {
    fn extend<I: IntoIterator<Item = Fact>>(&mut self, facts: I) {
        facts.into_iter().for_each(|fact| self.note(fact));
    }
}
