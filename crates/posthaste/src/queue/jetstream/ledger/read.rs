//! Reads the ledger: notes, the stream, and the notes once more, when all who live have written what they had counted.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{
    account::{Account, Ledger, Paper, Standing},
    keeper,
    note::ProcessNote,
    opening::{self, Opening},
};
use crate::{
    clock::{Clock as _, SystemClock},
    queue::jetstream::{error::JetStreamError, inspection::Inspection, stream::JetStream, traffic::Messages},
};

/// After so long without a new note, a process is silent: it was killed, or is cut off.
const SILENT: Duration = Duration::from_secs(5);
/// Between two looks at the notes.
const EVERY: Duration = Duration::from_millis(200);
/// A note after this many others was begun after the look: the first of them may have been under way.
const WORDS: u64 = 2;
/// So many messages are looked into to count their events.
const COUNTED_MAX: usize = 2_000;
/// How long a moment is waited for at which nothing is under way.
const REST_WITHIN: Duration = Duration::from_mins(1);

/// Notes by key; one that cannot be read, with the reason.
type Notes = BTreeMap<String, Result<ProcessNote, String>>;

/// What the stream says, and what processes say, as it is, before any books.
struct Reading {
    look: Inspection,
    /// Events in the stream, where they were counted one by one.
    counted: Option<u64>,
    papers: BTreeMap<String, Paper>,
}

impl JetStream {
    /// Adds up the stream and the processes that have used it, since the books [began](Self::begin_books). It takes a second
    /// or two while processes live, and five where one is silent.
    pub fn ledger(&self) -> Result<Ledger, JetStreamError> {
        loop {
            let opening = self.opening()?;
            let reading = self.read_all()?;
            // Somebody may have begun new ones meanwhile.
            if self.opening()? == opening {
                return Ok(reading.ledger(opening.as_ref()));
            }
        }
    }

    /// Closes the books, and begins new ones: what a killed process left unknown, and what may have been counted twice, is in
    /// none of the new ones. Returns the ledger as it was closed. Notes of processes that have ended are removed.
    ///
    /// It waits a minute at most for a moment at which nothing is on its way into the stream or out of it. A process that is
    /// cut off, and not dead, should be back before: what it had done and not said by then will not add up.
    pub fn begin_books(&self) -> Result<Ledger, JetStreamError> {
        let until = SystemClock.elapsed() + REST_WITHIN;
        loop {
            let before = self.opening()?;
            let reading = self.read_all()?;
            if reading.is_at_rest() && self.is_still(&reading.look)? {
                let opening = reading.opening();
                self.write_note(opening::KEY, opening.bytes())?;
                for key in opening.closed() {
                    self.remove_note(key)?;
                }
                return Ok(reading.ledger(before.as_ref()));
            }
            if SystemClock.elapsed() >= until {
                let why = "events are on their way all the time; stop those who publish and deliver, or try at a calmer moment";
                return Err(JetStreamError::refused("begin new books", why));
            }
        }
    }

    fn opening(&self) -> Result<Option<Opening>, JetStreamError> {
        let note = self.note(opening::KEY)?;
        let opening = note.map(|note| Opening::read(&note)).transpose();
        opening.map_err(|why| JetStreamError::refused("read where the books begin", why))
    }

    fn read_all(&self) -> Result<Reading, JetStreamError> {
        let before = self.process_notes()?;
        let look = self.look()?;
        let counted = self.events_in(look.events.messages)?;
        // What is written from now on was not under way when the stream was looked at, but for one note of each process.
        let seen = self.process_notes()?;
        let after = self.wait_for_notes(&seen)?;
        let papers = after.into_iter().map(|(key, after)| {
            let before = before.get(&key).and_then(|note| note.as_ref().ok());
            let seen = seen.get(&key).and_then(|note| note.as_ref().ok());
            let is_living = after.as_ref().is_ok_and(|after| has_spoken(seen, after));
            (key, Paper { before: before.cloned(), after, is_living })
        });
        Ok(Reading { look, counted, papers: papers.collect() })
    }

    /// Whether the streams are as they were.
    fn is_still(&self, look: &Inspection) -> Result<bool, JetStreamError> {
        let now = self.look()?;
        let of = |look: &Inspection| {
            let dead = look.dead.as_ref().map(|dead| (dead.taken, dead.messages));
            (look.events.taken, look.events.messages, dead)
        };
        Ok(of(&now) == of(look))
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

impl Reading {
    fn ledger(self, opening: Option<&Opening>) -> Ledger {
        let Self { mut look, counted, papers } = self;
        let Some(opening) = opening else {
            return Ledger::new(Account { look, counted }, papers.into_values().collect());
        };
        opening.adjust(&mut look);
        let since = papers.into_iter().filter_map(|(key, paper)| opening.since(&key, paper));
        Ledger::new(Account { look, counted }, since.chain([opening.stock()]).collect())
    }

    /// Whether those who live did nothing between the two looks, and are at nothing.
    fn is_at_rest(&self) -> bool {
        let mut living = self.papers.values().filter(|paper| paper.standing() != Standing::Silent);
        living.all(|paper| match (&paper.before, &paper.after) {
            (Some(before), Ok(after)) => {
                before.traffic.messages == after.traffic.messages && after.traffic.messages.is_at_rest()
            }
            (None, Ok(after)) => after.traffic.messages == Messages::default(),
            (_, Err(_)) => true,
        })
    }

    fn opening(&self) -> Opening {
        let stock = ProcessNote::new("books", "begun", keeper::host(), SystemClock.now_ms());
        let mut opening = Opening::new(stock, &self.look, self.counted);
        for (key, paper) in &self.papers {
            match &paper.after {
                Ok(note) if !note.has_ended => {
                    opening.go_on(key.clone(), note.clone(), paper.standing() == Standing::Silent);
                }
                Ok(_) | Err(_) => opening.close(key.clone()),
            }
        }
        opening
    }
}

fn has_spoken(seen: Option<&ProcessNote>, now: &ProcessNote) -> bool {
    now.words >= seen.map_or(0, |seen| seen.words) + WORDS
}
