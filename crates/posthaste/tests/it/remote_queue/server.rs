//! A queue on another machine, and the way there: answers take their time, fail and get lost, and leases run out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use posthaste::{
    Clock, Queue, Receipt, Refusal, Refused, SystemClock, UserEvent,
    queue::{Counts, DeliveryQueue, Eventually, Leased, QueueError, QueueWatcher},
};

/// What the server holds, and what it knows of everybody.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) random: fastrand::Rng,
    /// Out of 100 calls, how many meet a fault.
    pub(crate) faults: u8,
    lease_time: Duration,
    waiting: VecDeque<UserEvent>,
    leased: BTreeMap<u64, (Duration, UserEvent)>,
    next_id: u64,
    closed: bool,
    pub(crate) lease_calls: u64,
    /// Ended for good.
    settled: HashSet<String>,
    watchers: Watchers,
}

#[derive(Clone, Default)]
struct Watchers(Vec<Arc<dyn QueueWatcher>>);

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchers").field(&self.0.len()).finish()
    }
}

/// What one pipeline has been told about its leases, by the uuids of their events.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Under which leases it may send an event: those that it has neither ended nor been told it lost.
    held: HashMap<String, HashSet<u64>>,
    uuids: HashMap<u64, String>,
    /// Leases that it has ended, as far as it is concerned.
    ended: HashSet<u64>,
}

impl Known {
    pub(crate) fn may_send(&self, uuid: &str) -> bool {
        self.held.get(uuid).is_some_and(|leases| !leases.is_empty())
    }

    fn is_over(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some(leases) = self.uuids.get(id).and_then(|uuid| self.held.get_mut(uuid)) {
                leases.remove(id);
            }
        }
    }
}

/// One pipeline's way to the server.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) known: Arc<Mutex<Known>>,
}

impl Server {
    pub(crate) fn new(mut random: fastrand::Rng) -> Self {
        Self {
            faults: random.choice([0, 5, 30]).unwrap(),
            lease_time: Duration::from_secs(random.u64(3..30)),
            random,
            waiting: VecDeque::new(),
            leased: BTreeMap::new(),
            next_id: 0,
            closed: false,
            lease_calls: 0,
            settled: HashSet::new(),
            watchers: Watchers::default(),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.waiting.len() + self.leased.len()
    }

    /// Leases that have run out end; their events come first again.
    fn expire(&mut self) {
        let now = SystemClock.elapsed();
        let over: BTreeSet<u64> =
            self.leased.iter().filter(|(_, (until, _))| *until <= now).map(|(id, _)| *id).collect();
        for id in over.into_iter().rev() {
            let (_, event) = self.leased.remove(&id).unwrap();
            self.waiting.push_front(event);
        }
    }

    fn lease(&mut self, count: usize) -> Vec<Leased<UserEvent>> {
        let until = SystemClock.elapsed() + self.lease_time;
        // It may give fewer than it was asked for.
        let count = if self.random.u8(0..4) == 0 { self.random.usize(0..=count) } else { count };
        let mut leases = Vec::new();
        for event in self.waiting.drain(..count.min(self.waiting.len())).collect::<Vec<_>>() {
            self.next_id += 1;
            self.leased.insert(self.next_id, (until, event.clone()));
            leases.push(Leased::new(self.next_id, event));
        }
        leases
    }

    fn settle(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some((_, event)) = self.leased.remove(id) {
                assert!(self.settled.insert(event.uuid().to_string()), "settled twice");
            }
        }
    }

    fn renew(&mut self, ids: &[u64]) -> Vec<u64> {
        let until = SystemClock.elapsed() + self.lease_time;
        let mut lost = Vec::new();
        for id in ids {
            match self.leased.get_mut(id) {
                Some((lasts_until, _)) => *lasts_until = until,
                None => lost.push(*id),
            }
        }
        lost
    }

    /// How a call goes: how long each way takes, and whether it arrives, and its answer does.
    fn journey(&mut self) -> (Duration, bool, Duration, bool) {
        if self.random.u8(0..100) >= self.faults {
            let way = Duration::from_millis(self.random.u64(0..30));
            return (way, true, way, true);
        }
        let way = Duration::from_millis(self.random.choice([10, 1_000, 20_000]).unwrap());
        match self.random.u8(0..3) {
            0 => (way, false, way, false),
            1 => (way, true, way, false),
            _ => (way, true, way, true),
        }
    }
}

impl Remote {
    pub(crate) fn new(server: &Arc<Mutex<Server>>) -> Self {
        Self { server: Arc::clone(server), known: Arc::default() }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        let mut server = self.server.lock().unwrap();
        server.expire();
        server
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Calls the server; `told` happens here, when its answer has come.
    fn call<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Server) -> R + Send + 'static,
        told: impl FnOnce(&mut Known, &R) + Send + 'static,
    ) -> Eventually<Result<R, QueueError>> {
        let (there, arrives, back, is_answered) = self.server().journey();
        let remote = self.clone();
        Eventually::later(async move {
            tokio::time::sleep(there).await;
            let answer = arrives.then(|| act(&mut remote.server()));
            tokio::time::sleep(back).await;
            match answer.filter(|_| is_answered) {
                Some(answer) => {
                    told(&mut remote.known(), &answer);
                    Ok(answer)
                }
                None => Err(QueueError::new("lost on the way")),
            }
        })
    }
}

impl Queue<UserEvent> for Remote {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        let mut server = self.server();
        if server.closed {
            return Err(Refused::new(item, Refusal::Closed));
        }
        server.waiting.push_back(item);
        let watchers = server.watchers.clone();
        drop(server);
        for watcher in watchers.0 {
            watcher.changed();
        }
        Ok(Receipt::stored())
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        let server = self.server();
        let leased = server.leased.values().map(|(_, event)| event);
        leased.chain(&server.waiting).take(count).cloned().collect()
    }

    fn remove(&self, _count: usize) -> Vec<UserEvent> {
        Vec::new()
    }

    fn size(&self) -> usize {
        self.server().size()
    }
}

impl DeliveryQueue<UserEvent> for Remote {
    fn capacity(&self) -> usize {
        usize::MAX
    }

    /// What this pipeline has ended, and what is there.
    fn counts(&self) -> Counts {
        let ended = self.known().ended.len() as u64;
        let held = self.server().size() as u64;
        Counts::new(ended + held, held)
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<UserEvent>>, QueueError>> {
        self.server().lease_calls += 1;
        self.call(
            move |server| server.lease(count),
            |known, leases| {
                for lease in leases {
                    let uuid = lease.item.uuid().to_string();
                    known.held.entry(uuid.clone()).or_default().insert(lease.id);
                    known.uuids.insert(lease.id, uuid);
                }
            },
        )
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let ids = ids.to_vec();
        let mut known = self.known();
        known.ended.extend(&ids);
        known.is_over(&ids);
        drop(known);
        self.call(move |server| server.settle(&ids), |_, ()| {})
    }

    fn renew(&self, ids: &[u64]) -> Eventually<Result<Vec<u64>, QueueError>> {
        let ids = ids.to_vec();
        self.call(move |server| server.renew(&ids), |known, lost| known.is_over(lost))
    }

    fn lease_time(&self) -> Option<Duration> {
        Some(self.server().lease_time)
    }

    /// The other pipeline's go on: its leases run out by themselves where nobody renews them.
    fn release(&self) {
        self.known().held.clear();
    }

    fn close(&self) {
        self.server().closed = true;
    }

    fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        self.server().watchers.0.push(watcher);
    }
}
