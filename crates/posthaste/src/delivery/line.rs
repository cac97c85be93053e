//! The two lines in which items leave the queue, and counts in each.

/// Who waits for whom. Within a line, whoever was there first is leased first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Line {
    /// What has come after the backlog; everything where the queue keeps none apart.
    New,
    /// What an outage, or an earlier process, has left in the queue.
    Backlog,
}

/// A number for each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lines {
    pub(super) new: u64,
    pub(super) backlog: u64,
}

impl Lines {
    pub(super) const ALL: [Line; 2] = [Line::New, Line::Backlog];

    pub(super) fn of(self, line: Line) -> u64 {
        match line {
            Line::New => self.new,
            Line::Backlog => self.backlog,
        }
    }

    pub(super) fn of_mut(&mut self, line: Line) -> &mut u64 {
        match line {
            Line::New => &mut self.new,
            Line::Backlog => &mut self.backlog,
        }
    }
}
