//! Requests that an upstream has not answered: one that hangs is told long before its time is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

/// Those that are under way, with when each was sent. Numbers go up, so the first was sent first, give or take a
/// moment.
#[derive(Debug, Default)]
pub(super) struct Unanswered(Mutex<BTreeMap<u64, Duration>>);

/// One of them, until this is dropped: it has its answer, or nobody waits for one.
#[derive(Debug)]
pub(super) struct Waiting {
    all: Arc<Unanswered>,
    number: u64,
}

impl Unanswered {
    pub(super) fn begin(self: &Arc<Self>, number: u64, sent: Duration) -> Waiting {
        self.0.lock().insert(number, sent);
        Waiting { all: Arc::clone(self), number }
    }

    /// When the oldest was sent; none: every request has its answer.
    pub(super) fn since(&self) -> Option<Duration> {
        self.0.lock().first_key_value().map(|(_, sent)| *sent)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_until_it_is_answered() {
        let all = Arc::<Unanswered>::default();
        let [first, second] = [1, 2].map(|at| all.begin(at, Duration::from_secs(at)));
        assert_eq!(all.since(), Some(Duration::from_secs(1)));
        drop(first);
        assert_eq!(all.since(), Some(Duration::from_secs(2)));
        drop(second);
        assert_eq!(all.since(), None);
    }
}
