//! Stands in for what the library's queueing dispatcher does not have yet.

use posthaste::{DeadLetter, LogEvent, QueueEventDispatcher};

pub(super) trait Ahead {
    fn queue_bytes(&self) -> u64;
    fn dead_letters_page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<LogEvent>)>;
    fn replay_dead_letters_where(&self, which: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize;
    fn purge_dead_letters_where(&self, which: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize;
}

impl Ahead for QueueEventDispatcher {
    fn queue_bytes(&self) -> u64 {
        self.get(100_000).iter().map(|one| one.body().len() as u64).sum()
    }
    fn dead_letters_page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<LogEvent>)> {
        let all = (1..).zip(self.dead_letters());
        all.filter(|(id, _)| after.is_none_or(|after| *id > after)).take(max).collect()
    }
    fn replay_dead_letters_where(&self, _which: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize {
        self.replay_dead_letters()
    }
    fn purge_dead_letters_where(&self, _which: &dyn Fn(&DeadLetter<LogEvent>) -> bool) -> usize {
        self.purge_dead_letters().len()
    }
}
