//! What an outage, or an earlier process, has left behind: it goes at the drain rate, and what is new passes it.
//!
//! ```text
//! an end point works again ─▶ apart: the queue has two lines ── no backlog is left in it ─▶ none
//!                        └──▶ all: the queue has one line ───── it is empty ─────────────┘
//! ```
//!
//! Invariants: without a drain rate there is never any. What is leased as of a backlog stays so until it ends.

use std::time::Duration;

use super::{AT_ONCE, Item, Line, Lines, Machine, Supply};

/// Where the queue's part of a backlog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum InQueue {
    /// Nowhere: everything in the queue is new.
    #[default]
    None,
    /// In a line of its own.
    Apart,
    /// Everything in the queue is of it: that has one line.
    All,
}

/// What the queue holds of a backlog, and how it comes out.
pub(super) struct Backlog<T> {
    in_queue: InQueue,
    supply: Supply<T>,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { in_queue: InQueue::default(), supply: Supply::default() }
    }
}

impl<T> Backlog<T> {
    pub(super) fn supply(&self) -> &Supply<T> {
        &self.supply
    }

    pub(super) fn supply_mut(&mut self) -> &mut Supply<T> {
        &mut self.supply
    }

    /// Whether everything in the queue is of it.
    pub(super) fn is_all(&self) -> bool {
        self.in_queue == InQueue::All
    }

    /// The line in which the oldest stands.
    pub(super) fn line(&self) -> Line {
        if self.in_queue == InQueue::Apart { Line::Backlog } else { Line::New }
    }
}

impl<T: Item> Machine<T> {
    /// Everything that has not come to an end is the backlog, where there is to be one.
    pub(super) fn begin_backlog(&mut self) {
        if self.options().drain_rate.is_none() || self.shared.queue().size() == 0 {
            return;
        }
        let (in_queue, before) = if self.shared.queue().begin_backlog() {
            (InQueue::Apart, self.ends.next_sequences().new)
        } else {
            (InQueue::All, u64::MAX)
        };
        self.backlog.in_queue = in_queue;
        self.ends.begin_backlog(before, self.shared.ledger().queued);
        self.lanes.begin_backlog(before);
    }

    /// Once nothing of it is left in the queue, everything there is new.
    pub(super) fn end_backlog(&mut self) {
        let is_over = match self.backlog.in_queue {
            InQueue::None => return,
            InQueue::Apart => self.shared.queue().newer_than_backlog().is_none() || self.unleased() == 0,
            InQueue::All => self.unleased() == 0,
        };
        if !is_over {
            return;
        }
        if self.backlog.is_all() {
            self.ends.end_backlog();
            self.lanes.end_backlog(self.ends.next_sequences().new);
        }
        self.backlog.in_queue = InQueue::None;
    }

    /// Items in the queue that are not leased and not of the backlog.
    pub(super) fn unleased_new(&self) -> usize {
        // In this order: what comes in between is new.
        let all = self.unleased();
        match self.backlog.in_queue {
            InQueue::None => all,
            InQueue::Apart => self.shared.queue().newer_than_backlog().map_or(all, |new| new.min(all)),
            InQueue::All => 0,
        }
    }

    /// Items of the backlog that are not leased.
    pub(super) fn unleased_backlog(&self) -> usize {
        let all = self.unleased();
        match self.backlog.in_queue {
            InQueue::None => 0,
            InQueue::Apart => {
                let new = self.shared.queue().newer_than_backlog();
                // While the queue says that some is left, some is, whatever the counts say of losses.
                new.map_or(0, |new| all.saturating_sub(new).max(usize::from(all > 0)))
            }
            InQueue::All => all,
        }
    }

    /// The same for those who wait, in the lines of the queue.
    pub(super) fn unleased_lines(&self) -> Lines {
        if self.backlog.in_queue == InQueue::Apart {
            return Lines { new: self.unleased_new() as u64, backlog: self.unleased_backlog() as u64 };
        }
        Lines { new: self.unleased() as u64, backlog: 0 }
    }

    /// About how many events of the backlog are left; `u64::MAX` where they are all that are queued.
    pub(super) fn events_of_backlog(&self) -> u64 {
        if self.backlog.is_all() {
            return u64::MAX;
        }
        // Each item is one event at least.
        match (self.ends.open_paced() + self.unleased_backlog()) as u64 {
            0 => 0,
            items => self.ends.backlog_events().max(items),
        }
    }

    pub(super) fn supply_of(&mut self, line: Line) -> &mut Supply<T> {
        match line {
            Line::New => &mut self.supply,
            Line::Backlog => &mut self.backlog.supply,
        }
    }

    /// Leases as much of the backlog as can be sent soon.
    pub(super) fn fill_from_backlog(&mut self) {
        let line = self.backlog.line();
        while let Some(wanted) = self.wanted_of_backlog(line) {
            let (queue, bytes) = (self.shared.queue(), self.ends.bytes_left(Line::Backlog));
            let answer = match line {
                Line::Backlog => queue.lease_backlog(wanted, bytes),
                Line::New => queue.lease(wanted, bytes),
            };
            let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
            let leased = self.supply_of(line).ask(answer, now, now_ms);
            if leased.is_empty() {
                match line {
                    Line::New => self.note_empty_lease(now),
                    Line::Backlog => self.note_empty_backlog(now),
                }
                break;
            }
            self.take_leased(leased, line);
        }
    }

    pub(super) fn note_empty_backlog(&mut self, now: Duration) {
        if self.unleased_backlog() == 0 {
            self.backlog.supply.flows();
        } else if self.backlog.supply.may_ask(now) {
            // What is left of it cannot be read.
            self.backlog.supply.pauses(now);
        }
    }

    /// How many items of it to lease now, if any.
    fn wanted_of_backlog(&mut self, line: Line) -> Option<usize> {
        let now = self.now();
        if self.backlog.in_queue == InQueue::None
            || !self.supply_of(line).may_ask(now)
            || self.unleased_backlog() == 0
        {
            return None;
        }
        let options = self.options();
        let requests = self.lanes.paced_demand(now, options.rules.in_flight);
        let events = requests.saturating_mul(options.batch_size);
        let items = match line {
            Line::New => self.supply.items_of(events),
            Line::Backlog => self.backlog.supply.items_of(events),
        };
        let wanted = items.min(self.room_for_backlog()).min(AT_ONCE);
        (wanted > 0).then_some(wanted)
    }

    /// How many items more of it may be leased: half as many as new ones.
    fn room_for_backlog(&self) -> usize {
        if self.ends.bytes_left(Line::Backlog) == 0 {
            return 0;
        }
        self.leases_max(self.options().window_max() / 2).saturating_sub(self.ends.open_paced())
    }

    /// Whether some of the queue may still join groups of the backlog.
    pub(super) fn may_join_backlog(&self) -> bool {
        let supply = if self.backlog.is_all() { &self.supply } else { &self.backlog.supply };
        self.unleased_backlog() > 0 && !supply.is_dry() && self.room_for_backlog() > 0
    }
}
