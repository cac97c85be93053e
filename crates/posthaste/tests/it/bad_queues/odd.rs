//! A queue that misbehaves in one way, and is one in memory in all others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    InMemoryQueue, Queue, Receipt, Refused, UserEvent,
    queue::{
        Counts, DeadLetterStore, DeliveryQueue, Displacing, Eventually, Finish, Leased, QueueError,
        QueueWatcher,
    },
};

use crate::support::{impression, larkspur};

/// A queue that is one in memory, except where it misbehaves.
#[derive(Debug)]
pub(super) struct Odd {
    queue: InMemoryQueue<UserEvent>,
    how: How,
    pub(super) calls: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    /// Panics in this method, from this call of it on.
    Panics(&'static str, u64),
    /// Panics in what this method returns.
    PanicsLater(&'static str),
    /// What this method returns never resolves.
    Hangs(&'static str),
    Fails(&'static str),
    Lies(Lie),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lie {
    SizeZero,
    SizeMax,
    SizeJumps,
    CapacityZeroLater,
    CapacityMax,
    LeasesNothing,
    LeasesMore,
    LeasesUnderOneId,
    LeasesTheSameAgain,
    Invents,
    SettleIgnored,
    CloseIgnored,
    ReleaseIgnored,
    CountsNothing,
    CountsMax,
    LeaseTimeZero,
    LeaseTimeMax,
    LosesEverything,
    LosesWhatWasNeverLeased,
    LeasesMaxZero,
    DisplacesAlways,
}

impl Lie {
    pub(super) const ALL: [Self; 21] = [
        Self::SizeZero,
        Self::SizeMax,
        Self::SizeJumps,
        Self::CapacityZeroLater,
        Self::CapacityMax,
        Self::LeasesNothing,
        Self::LeasesMore,
        Self::LeasesUnderOneId,
        Self::LeasesTheSameAgain,
        Self::Invents,
        Self::SettleIgnored,
        Self::CloseIgnored,
        Self::ReleaseIgnored,
        Self::CountsNothing,
        Self::CountsMax,
        Self::LeaseTimeZero,
        Self::LeaseTimeMax,
        Self::LosesEverything,
        Self::LosesWhatWasNeverLeased,
        Self::LeasesMaxZero,
        Self::DisplacesAlways,
    ];
}

impl Odd {
    pub(super) fn new(how: How) -> Self {
        Self { queue: InMemoryQueue::new(100), how, calls: AtomicU64::new(0) }
    }

    /// Called by every method that may panic.
    fn enter(&self, method: &str) {
        if let How::Panics(panics_in, from) = self.how
            && panics_in == method
        {
            assert!(self.calls.fetch_add(1, SeqCst) < from, "on purpose, in {method}");
        }
    }

    fn lies(&self, lie: Lie) -> bool {
        self.how == How::Lies(lie)
    }

    /// The answer, in whatever way this method gives it.
    fn eventually<R: Send + 'static>(
        &self,
        method: &'static str,
        answer: impl FnOnce() -> Eventually<Result<R, QueueError>>,
    ) -> Eventually<Result<R, QueueError>> {
        match self.how {
            How::PanicsLater(late) if late == method => {
                Eventually::later(async move { panic!("on purpose, later, in {method}") })
            }
            How::Hangs(hangs) if hangs == method => Eventually::later(std::future::pending()),
            How::Fails(fails) if fails == method => Eventually::Now(Err(QueueError::new("on purpose"))),
            _ => answer(),
        }
    }
}

impl Queue<UserEvent> for Odd {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        self.enter("add");
        self.queue.add(item)
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.enter("get");
        self.queue.get(count)
    }

    fn remove(&self, count: usize) -> Vec<UserEvent> {
        self.enter("remove");
        self.queue.remove(count)
    }

    fn size(&self) -> usize {
        self.enter("size");
        match self.how {
            How::Lies(Lie::SizeZero) => 0,
            How::Lies(Lie::SizeMax) => usize::MAX,
            How::Lies(Lie::SizeJumps) => usize::try_from(self.calls.fetch_add(7_919, SeqCst) % 50).unwrap(),
            _ => self.queue.size(),
        }
    }
}

impl DeliveryQueue<UserEvent> for Odd {
    fn capacity(&self) -> usize {
        self.enter("capacity");
        match self.how {
            How::Lies(Lie::CapacityZeroLater) if self.calls.fetch_add(1, SeqCst) > 3 => 0,
            How::Lies(Lie::CapacityMax) => usize::MAX,
            _ => self.queue.capacity(),
        }
    }

    fn counts(&self) -> Counts {
        self.enter("counts");
        match self.how {
            How::Lies(Lie::CountsNothing) => Counts::default(),
            How::Lies(Lie::CountsMax) => Counts::new(u64::MAX, u64::MAX).with_lost(u64::MAX, u64::MAX),
            _ => self.queue.counts(),
        }
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<UserEvent>>, QueueError>> {
        self.enter("lease");
        self.eventually("lease", || match self.how {
            How::Lies(Lie::LeasesNothing) => Eventually::Now(Ok(Vec::new())),
            How::Lies(Lie::LeasesMore) => self.queue.lease(count + 100),
            How::Lies(Lie::Invents) => {
                Eventually::Now(Ok(vec![Leased::new(77, impression(&larkspur(), "invented"))]))
            }
            How::Lies(Lie::LeasesTheSameAgain) => {
                let leases = self.queue.lease(count);
                self.queue.release();
                leases
            }
            How::Lies(Lie::LeasesUnderOneId) => {
                let leases = self.queue.lease(count).wait().unwrap();
                Eventually::Now(Ok(leases.into_iter().map(|lease| Leased::new(0, lease.item)).collect()))
            }
            _ => self.queue.lease(count),
        })
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        self.enter("settle");
        self.eventually("settle", || {
            if self.lies(Lie::SettleIgnored) { Eventually::Now(Ok(())) } else { self.queue.settle(ids) }
        })
    }

    fn release(&self) {
        self.enter("release");
        if !self.lies(Lie::ReleaseIgnored) {
            self.queue.release();
        }
    }

    fn close(&self) {
        self.enter("close");
        if !self.lies(Lie::CloseIgnored) {
            self.queue.close();
        }
    }

    fn leases_max(&self) -> Option<usize> {
        self.enter("leases_max");
        self.lies(Lie::LeasesMaxZero).then_some(0)
    }

    fn lease_time(&self) -> Option<Duration> {
        self.enter("lease_time");
        match self.how {
            How::Lies(Lie::LeaseTimeZero) => Some(Duration::ZERO),
            How::Lies(Lie::LeaseTimeMax) => Some(Duration::MAX),
            How::Lies(Lie::LosesEverything | Lie::LosesWhatWasNeverLeased)
            | How::Panics("renew", _)
            | How::PanicsLater("renew")
            | How::Hangs("renew")
            | How::Fails("renew") => Some(Duration::from_millis(30)),
            _ => None,
        }
    }

    fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        self.enter("renew");
        self.eventually("renew", || {
            Eventually::Now(Ok(match self.how {
                How::Lies(Lie::LosesEverything) => ids.to_vec(),
                How::Lies(Lie::LosesWhatWasNeverLeased) => (1_000..1_100).collect(),
                _ => Vec::new(),
            }))
        })
    }

    fn add_displacing(&self, item: UserEvent) -> Displacing<UserEvent> {
        self.enter("add_displacing");
        self.queue.add_displacing(item)
    }

    fn displaced(&self, _count: usize) -> Vec<Leased<UserEvent>> {
        self.enter("displaced");
        let invents = self.lies(Lie::DisplacesAlways);
        invents.then(|| Leased::new(5, impression(&larkspur(), "displaced"))).into_iter().collect()
    }

    fn finish(&self, within: Duration) -> Finish {
        self.enter("finish");
        match self.how {
            How::PanicsLater("finish") => Box::pin(async { panic!("on purpose, later, in finish") }),
            How::Hangs("finish") => Box::pin(std::future::pending()),
            _ => self.queue.finish(within),
        }
    }

    fn give_up(&self) -> Vec<Leased<UserEvent>> {
        self.enter("give_up");
        self.queue.give_up()
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.enter("watch");
        self.queue.watch(watcher);
    }

    fn dead_letters(&self) -> Option<Arc<dyn DeadLetterStore<UserEvent>>> {
        self.enter("dead_letters");
        self.queue.dead_letters()
    }
}
