//! Reads the ledger: notes, the stream, and the notes once more, when all who live have written what they had counted.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{
    account::{Account, Ledger, Paper},
    note::ProcessNote,
};
use crate::{
    clock::{Clock as _, SystemClock},
    queue::jetstream::{error::JetStreamError, stream::JetStream},
};

/// After so long without a new note, a process is silent: it was killed, or is cut off.
const SILENT: Duration = Duration::from_secs(5);
/// Between two looks at the notes.
const EVERY: Duration = Duration::from_millis(200);
/// A note after this many others was begun after the look: the first of them may have been under way.
const WORDS: u64 = 2;
/// So many messages are looked into to count their events.
const COUNTED_MAX: usize = 2_000;

/// Notes by key; one that cannot be read, with the reason.
type Notes = BTreeMap<String, Result<ProcessNote, String>>;

impl JetStream {
    /// Adds up the stream and the processes that have used it. It takes a second or two while processes live, and five
    /// where one is silent.
    pub fn ledger(&self) -> Result<Ledger, JetStreamError> {
        let before = self.process_notes()?;
        let look = self.look()?;
        let counted = self.events_in(look.events.messages)?;
        // What is written from now on was not under way when the stream was looked at, but for one note of each process.
        let seen = self.process_notes()?;
        let after = self.wait_for_notes(&seen)?;
        let papers = after.iter().map(|(key, after)| {
            let before = before.get(key).and_then(|note| note.as_ref().ok());
            let seen = seen.get(key).and_then(|note| note.as_ref().ok());
            let is_living = after.as_ref().is_ok_and(|after| has_spoken(seen, after));
            Paper { before: before.cloned(), after: after.clone(), is_living }
        });
        let papers: Vec<Paper> = papers.collect();
        Ok(Ledger::new(Account { look, counted }, papers))
    }

    fn process_notes(&self) -> Result<Notes, JetStreamError> {
        let notes = self.notes()?.into_iter().filter(|(key, _)| ProcessNote::is_key(key));
        Ok(notes.map(|(key, bytes)| (key, ProcessNote::read(&bytes))).collect())
    }

    /// Until everybody who was there has spoken again, has ended, or is silent.
    fn wait_for_notes(&self, seen: &Notes) -> Result<Notes, JetStreamError> {
        let until = SystemClock.elapsed() + SILENT;
        loop {
            let now = self.process_notes()?;
            let is_said = now.iter().all(|(key, note)| match note {
                Err(_) => true,
                Ok(note) => {
                    note.has_ended || has_spoken(seen.get(key).and_then(|note| note.as_ref().ok()), note)
                }
            });
            if is_said || SystemClock.elapsed() >= until {
                return Ok(now);
            }
            thread::sleep(EVERY);
        }
    }

    /// `None`: there are too many to look into each.
    fn events_in(&self, messages: u64) -> Result<Option<u64>, JetStreamError> {
        if messages > COUNTED_MAX as u64 {
            return Ok(None);
        }
        let kept = self.read_behind(0, COUNTED_MAX + 1)?;
        let events = kept.iter().map(|message| message.events as u64).sum();
        Ok((kept.len() <= COUNTED_MAX).then_some(events))
    }
}

fn has_spoken(seen: Option<&ProcessNote>, now: &ProcessNote) -> bool {
    now.words >= seen.map_or(0, |seen| seen.words) + WORDS
}
