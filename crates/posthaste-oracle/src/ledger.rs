//! What a process says of itself: compared with what it was seen to do, never believed.

use std::fmt;

use serde::Serialize;

/// A process's own count of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ledger {
    /// Of those accepted, the ones that an earlier process had left.
    pub recovered: u64,
    /// Events taken, those recovered included.
    pub accepted: u64,
    /// Events that the receiver has confirmed.
    pub delivered: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Events that wait.
    pub queued: u64,
    /// Events that were handed back.
    pub refused: u64,
}

/// What the oracle has counted of the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Offers that were answered with yes, and with no.
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// What was found to wait; `None` where a later process may have changed that.
    pub(crate) waiting: Option<u64>,
    /// What arrived and what died, where no other process had a part in it.
    pub(crate) ends: Option<Ends>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) arrived: u64,
    pub(crate) dead: u64,
}

impl Ledger {
    /// Everything in which the two differ, in words.
    pub(crate) fn compare(&self, seen: Seen) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differ = |what: &str, said: u64, seen: u64| {
            if said != seen {
                differences.push(format!("it says {said} {what}, and {seen} were seen"));
            }
        };
        differ("accepted", self.accepted.saturating_sub(self.recovered), seen.accepted);
        differ("refused", self.refused, seen.refused);
        if let Some(waiting) = seen.waiting {
            differ("queued", self.queued, waiting);
        }
        if let Some(Ends { arrived, dead }) = seen.ends {
            differ("dead", self.dead, dead);
            // The receiver may have taken an event whose answer got lost: it still waits then.
            let legal = self.delivered..=self.delivered.saturating_add(self.queued);
            if !legal.contains(&arrived) {
                differ("delivered", self.delivered, arrived);
            }
        }
        let Self { accepted, delivered, dead, queued, .. } = *self;
        if accepted != delivered + dead + queued {
            differences.push(format!(
                "it does not balance: {accepted} accepted, {delivered} delivered + {dead} dead + {queued} queued"
            ));
        }
        differences
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recovered, accepted, delivered, dead, queued, refused } = self;
        write!(f, "{recovered} {accepted} {delivered} {dead} {queued} {refused}")
    }
}
