//! What happens, line by line, for whoever listens: what came in, what went out, what was answered.
//!
//! Invariants: while nobody listens, a line costs one relaxed load and is never made; nobody who is served waits for a
//! listener; a listener holds a bounded number of lines, and hears how many it has missed.

mod line;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use parking_lot::RwLock;
use tokio::sync::mpsc;

pub(crate) use self::line::{Answered, CameIn, WentOut, shown};

/// Listeners at the same time.
pub(crate) const LISTENERS_MAX: usize = 8;
/// Lines that a listener may be behind. It takes them up ten times a second: what is beyond 2,560 lines a second is
/// counted, and not made.
const LINES_MAX: usize = 256;

/// Where lines are told.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    listening: AtomicUsize,
    /// Those of them that want the events of one account.
    by_account: AtomicUsize,
    listeners: RwLock<Vec<Arc<Listener>>>,
}

/// What a listener wants to hear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this tenant alone.
    pub(crate) tenant: Option<String>,
    /// Of this account alone.
    pub(crate) account: Option<String>,
}

#[derive(Debug)]
struct Listener {
    filter: Filter,
    lines: mpsc::Sender<Arc<str>>,
    missed: AtomicU64,
}

/// Somebody who listens, until this is dropped.
#[derive(Debug)]
pub(crate) struct Ear {
    tail: Arc<Tail>,
    listener: Arc<Listener>,
    lines: mpsc::Receiver<Arc<str>>,
}

impl Tail {
    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.listening.load(Relaxed) > 0
    }

    /// Whether anybody wants the events of one account.
    pub(crate) fn asks_for_accounts(&self) -> bool {
        self.by_account.load(Relaxed) > 0
    }

    /// Tells a line to those who want to hear of this tenant and account. It is made once somebody has room for it.
    pub(crate) fn tell(&self, tenant: Option<&str>, account: Option<&str>, line: &dyn Fn() -> String) {
        let mut made: Option<Arc<str>> = None;
        for listener in self.listeners.read().iter().filter(|one| one.filter.wants(tenant, account)) {
            match listener.lines.try_reserve() {
                Ok(place) => place.send(Arc::clone(made.get_or_insert_with(|| line().into()))),
                Err(_) => {
                    listener.missed.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// One more listener, if there may be.
    pub(crate) fn listen(self: &Arc<Self>, filter: Filter) -> Option<Ear> {
        let mut listeners = self.listeners.write();
        if listeners.len() >= LISTENERS_MAX {
            return None;
        }
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let listener = Arc::new(Listener { filter, lines: sender, missed: AtomicU64::new(0) });
        listeners.push(Arc::clone(&listener));
        self.count(&listeners);
        Some(Ear { tail: Arc::clone(self), listener, lines })
    }

    fn leave(&self, listener: &Arc<Listener>) {
        let mut listeners = self.listeners.write();
        listeners.retain(|one| !Arc::ptr_eq(one, listener));
        self.count(&listeners);
    }

    fn count(&self, listeners: &[Arc<Listener>]) {
        let by_account = listeners.iter().filter(|one| one.filter.account.is_some()).count();
        self.by_account.store(by_account, Relaxed);
        self.listening.store(listeners.len(), Relaxed);
    }
}

impl Filter {
    fn wants(&self, tenant: Option<&str>, account: Option<&str>) -> bool {
        let is_it = |wanted: &Option<String>, it| wanted.is_none() || wanted.as_deref() == it;
        is_it(&self.tenant, tenant) && is_it(&self.account, account)
    }
}

impl Ear {
    /// Waits for a line, and takes it with all that are there, and how many were missed until then.
    pub(crate) async fn hear(&mut self) -> (Vec<Arc<str>>, u64) {
        let mut lines = Vec::new();
        // The other end is ours: it is never closed.
        self.lines.recv_many(&mut lines, LINES_MAX).await;
        (lines, self.listener.missed.swap(0, Relaxed))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.tail.leave(&self.listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenant: Option<&str>, account: Option<&str>) -> Filter {
        Filter { tenant: tenant.map(str::to_owned), account: account.map(str::to_owned) }
    }

    #[tokio::test]
    async fn each_hears_what_it_wants() {
        let tail = Arc::new(Tail::default());
        assert!(!tail.is_heard());
        let [mut all, mut eu, mut ann] = [of(None, None), of(Some("eu"), None), of(None, Some("ann"))]
            .map(|filter| tail.listen(filter).unwrap());
        assert!(tail.is_heard() && tail.asks_for_accounts());
        tail.tell(Some("eu"), Some("bob"), &|| "1".to_owned());
        tail.tell(Some("us"), Some("ann"), &|| "2".to_owned());
        tail.tell(None, None, &|| "3".to_owned());
        for (ear, expected) in [(&mut all, "123"), (&mut eu, "1"), (&mut ann, "2")] {
            let (lines, missed) = ear.hear().await;
            assert_eq!((lines.concat().as_str(), missed), (expected, 0));
        }
        drop((all, eu, ann));
        assert!(!tail.is_heard() && !tail.asks_for_accounts());
    }

    #[tokio::test]
    async fn who_is_slow_misses_lines_that_are_never_made_and_hears_how_many() {
        let tail = Arc::new(Tail::default());
        let mut slow = tail.listen(Filter::default()).unwrap();
        let made = AtomicUsize::new(0);
        for _ in 0..1_000 {
            tail.tell(None, None, &|| made.fetch_add(1, Relaxed).to_string());
        }
        let (lines, missed) = slow.hear().await;
        assert_eq!(
            (lines.len(), missed, made.load(Relaxed)),
            (LINES_MAX, 1_000 - LINES_MAX as u64, LINES_MAX)
        );
        tail.tell(None, None, &|| "again".to_owned());
        assert_eq!(slow.hear().await, (vec!["again".into()], 0));
    }

    #[test]
    fn there_are_eight_listeners_at_most_and_places_come_back() {
        let tail = Arc::new(Tail::default());
        let mut ears: Vec<_> = (0..LISTENERS_MAX).map(|_| tail.listen(Filter::default()).unwrap()).collect();
        assert!(tail.listen(Filter::default()).is_none());
        ears.pop();
        assert!(tail.listen(Filter::default()).is_some());
    }
}
