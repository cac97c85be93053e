//! How many events fit each pattern so far, and what follows from that. Looks at each event once.

use super::{
    IDS_MAX,
    pattern::{Expectation, Pattern},
    seen::Seen,
};

/// The counts of one who waits.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    rows: Vec<Row<'a>>,
    /// Events that were looked at.
    pub(super) looked_at: u64,
}

/// The events that fit one pattern.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) pattern: &'a Pattern,
    pub(super) came: u64,
    /// The first of them.
    pub(super) ids: Vec<u64>,
}

/// What can be said of an expectation, in the order of what decides where several hold for its patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It holds, whatever comes.
    Holds,
    /// It holds, if it stays so for a moment.
    Settles,
    /// It holds, if it still does at the end of the wait.
    HoldsAtEnd,
    /// Something is missing.
    Open,
    /// There is too much, which nothing can mend.
    Broken,
}

impl<'a> Tally<'a> {
    pub(super) fn new(expectation: &'a Expectation) -> Self {
        let row = |pattern| Row { pattern, came: 0, ids: Vec::new() };
        Self { rows: expectation.patterns.iter().map(row).collect(), looked_at: 0 }
    }

    /// Events come in their order.
    pub(super) fn look(&mut self, seen: &Seen<'_>) {
        self.looked_at += 1;
        for row in self.rows.iter_mut().filter(|row| row.pattern.fits(seen)) {
            row.came += 1;
            if row.ids.len() < IDS_MAX {
                row.ids.push(seen.id());
            }
        }
    }

    /// So many bad events came, those included that had to make room.
    pub(super) fn count_bad(&mut self, bad: u64) {
        for row in self.rows.iter_mut().filter(|row| row.pattern.is_of_all_bad()) {
            row.came = row.came.max(bad);
        }
    }

    /// Something was forgotten on demand: what is still there is to be looked at anew.
    pub(super) fn reset(&mut self) {
        self.looked_at = 0;
        for row in &mut self.rows {
            row.came = 0;
            row.ids.clear();
        }
    }

    pub(super) fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    pub(super) fn state(&self) -> State {
        let asks_for_events = self.rows.iter().any(|row| !row.pattern.is_no_bad);
        let states = self.rows.iter().map(|row| match row.state() {
            // It is to be so whenever the others hold.
            State::HoldsAtEnd if row.pattern.is_no_bad && asks_for_events => State::Holds,
            state => state,
        });
        states.max().unwrap_or(State::Holds)
    }
}

impl Row<'_> {
    pub(super) fn holds(&self) -> bool {
        self.pattern.count.is_met(self.came)
    }

    fn state(&self) -> State {
        let count = self.pattern.count;
        if count.is_exceeded(self.came) {
            State::Broken
        } else if self.came < count.min {
            State::Open
        } else if count.min == 0 {
            State::HoldsAtEnd
        } else if count.max.is_some() {
            State::Settles
        } else {
            State::Holds
        }
    }
}
