//! Where the books begin: what was counted before is counted no more.
//!
//! What a killed process had not written down stays unknown for ever, and so does what was counted twice. Whoever has looked
//! into that begins new books, in which nothing is unknown.
//!
//! What the stream had then stands in them as if one process had put it there, which has ended; what has gone before is
//! taken off the stream's own count; and of what processes say, what they had said by then. Invariant: books begin only at a
//! moment of rest, so that the stream and the processes speak of the same moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    account::Paper,
    note::{self, ProcessCounts, ProcessNote},
};
use crate::queue::jetstream::{
    inspection::{Inspection, StreamFacts},
    traffic::{Messages, Traffic},
};

/// The key of the note that says it.
pub(super) const KEY: &str = "books";
/// The form that this version writes and reads.
const FORM: u32 = 1;

/// A beginning of books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    form: u32,
    /// Who began them, and what was in the streams then: published, and buried, by nobody in particular.
    stock: ProcessNote,
    /// What had gone from the streams.
    gone: u64,
    letters_gone: u64,
    /// Processes that had ended, or were silent.
    closed: BTreeSet<String>,
    /// What the others had said, and the silent.
    said: BTreeMap<String, ProcessNote>,
}

impl Opening {
    /// Books that begin with this look at the streams, and these notes. `events`: those in the stream, where that is known.
    pub(super) fn new(mut stock: ProcessNote, look: &Inspection, events: Option<u64>) -> Self {
        let in_dead = look.dead.as_ref().map_or(0, |dead| dead.messages);
        stock.has_ended = true;
        stock.traffic = Traffic {
            published: events.unwrap_or(0),
            messages: Messages { published: look.events.messages, buried: in_dead, ..Messages::default() },
            ..Traffic::default()
        };
        Self {
            form: FORM,
            stock,
            gone: look.events.gone(),
            letters_gone: look.dead.as_ref().map_or(0, StreamFacts::gone),
            closed: BTreeSet::new(),
            said: BTreeMap::new(),
        }
    }

    /// A process that had ended, or whose note nobody can read.
    pub(super) fn close(&mut self, key: String) {
        self.closed.insert(key);
    }

    /// A process that may say more; a silent one is closed unless it does.
    pub(super) fn go_on(&mut self, key: String, note: ProcessNote, is_silent: bool) {
        if is_silent {
            self.closed.insert(key.clone());
        }
        self.said.insert(key, note);
    }

    /// Processes whose notes nobody needs any more.
    pub(super) fn closed(&self) -> impl Iterator<Item = &str> {
        self.closed.iter().map(String::as_str)
    }

    /// The streams, as if they had begun then.
    pub(super) fn adjust(&self, look: &mut Inspection) {
        look.events.taken = look.events.taken.saturating_sub(self.gone);
        if let Some(dead) = &mut look.dead {
            dead.taken = dead.taken.saturating_sub(self.letters_gone);
        }
    }

    /// What a process has said since. `None`: it is in earlier books only.
    pub(super) fn since(&self, key: &str, paper: Paper) -> Option<Paper> {
        let said = self.said.get(key);
        let has_spoken = match (&paper.after, said) {
            (Ok(now), Some(said)) => now.words > said.words,
            (_, said) => said.is_some(),
        };
        if self.closed.contains(key) && !has_spoken {
            return None;
        }
        let since = |note: ProcessNote| match said {
            Some(said) => note_since(note, said),
            None => note,
        };
        Some(Paper { before: paper.before.map(since), after: paper.after.map(since), ..paper })
    }

    /// What was there when they began.
    pub(super) fn stock(&self) -> Paper {
        Paper { before: Some(self.stock.clone()), after: Ok(self.stock.clone()), is_living: false }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        note::write(self)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        note::read(bytes, |opening: &Self| opening.form, FORM)
    }
}

fn note_since(note: ProcessNote, said: &ProcessNote) -> ProcessNote {
    let (now, then) = (note.counts, said.counts);
    ProcessNote {
        counts: ProcessCounts {
            accepted: now.accepted.saturating_sub(then.accepted),
            waiting: now.waiting,
            delivered: now.delivered.saturating_sub(then.delivered),
            buried: now.buried.saturating_sub(then.buried),
        },
        traffic: note.traffic.since(&said.traffic),
        maybe_repeated: note.maybe_repeated.saturating_sub(said.maybe_repeated),
        ..note
    }
}
