//! The loop: lease, send, settle, until told to close.
//!
//! Invariants: `unsettled` is the number of leases that have not ended; every part of such a lease is in exactly one of
//! an open group, a ready job, a waiting job, a request under way, or a sibling of one of those.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use rustc_hash::FxHashMap;
use tracing::Instrument as _;

use super::{
    breaker::{Breaker, Permission},
    burial::{Burial, Burying, Replaying},
    groups::Groups,
    item::Item,
    job::{Job, Lease, Part, Waiting},
    limiter::Limiter,
    report::{Answer as Report, CloseReport, FlushReport, Waiter},
    shared::{Command, Shared},
};
use crate::{
    clock::Sleep,
    dispatch::{Answer, DispatchError, Dispatcher},
    notification,
    outcome::DeadLetter,
};

/// How long a queue that could not be read is left alone.
const LEASE_RETRY: Duration = Duration::from_secs(1);

/// How long after the deadline a disk may still say that it has everything: most do at once.
const DISK_GRACE: Duration = Duration::from_millis(250);

/// One delivery pipeline at work.
pub(super) struct Machine<T: Item> {
    pub(super) shared: Arc<Shared<T>>,
    dispatcher: Arc<dyn Dispatcher>,
    center: Option<Arc<notification::Center>>,
    pub(super) groups: Groups<T>,
    pub(super) ready: VecDeque<Job<T>>,
    /// By the time from which they may be sent; the number tells equal times apart.
    pub(super) waiting: BTreeMap<(Duration, u64), Waiting<T>>,
    pub(super) waited: u64,
    pub(super) in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Answered<T>> + Send>>>,
    /// Dead letters that are being written.
    pub(super) burying: FuturesUnordered<Burying<T>>,
    /// Dead letters that could not be kept, and when to try again.
    pub(super) unburied: Vec<Burial<T>>,
    pub(super) bury_from: Option<Duration>,
    /// Dead letters whose events are being written into the queue again.
    pub(super) replaying: FuturesUnordered<Replaying>,
    pub(super) limiter: Limiter,
    pub(super) breaker: Breaker,
    pub(super) random: fastrand::Rng,
    /// The sequence that the next lease gets.
    pub(super) next_sequence: u64,
    pub(super) unsettled: usize,
    /// Leases that are settled in more than one part, and how many parts are left.
    pub(super) splits: FxHashMap<u64, usize>,
    /// Leases before this sequence are not to wait for their group to fill.
    pub(super) force_before: u64,
    /// How often in a row there was nothing to lease though there should have been.
    empty_leases: u32,
    /// Nothing is leased before this time: the queue could not be read.
    pub(super) lease_from: Option<Duration>,
    pub(super) next_tick: Duration,
    pub(super) waiters: Vec<Waiter<T>>,
    /// The longest deadline of those who asked to close; `None` while nobody has.
    pub(super) closing: Option<Duration>,
    pub(super) timer: Option<(Duration, Sleep)>,
    pub(super) published: super::telemetry::Published,
}

/// A request that has been answered, or not.
pub(super) struct Answered<T> {
    pub(super) job: Job<T>,
    pub(super) sent: Duration,
    pub(super) answer: Answer,
}

impl<T: Item> Machine<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, dispatcher: Arc<dyn Dispatcher>) -> Self {
        let options = &shared.options;
        Self {
            groups: Groups::new(options.batch_size),
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            waited: 0,
            in_flight: FuturesUnordered::new(),
            burying: FuturesUnordered::new(),
            unburied: Vec::new(),
            bury_from: None,
            replaying: FuturesUnordered::new(),
            limiter: Limiter::new(options.in_flight),
            breaker: Breaker::new(options.breaker_threshold, options.backoff, options.hold_backoff),
            random: options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            next_sequence: 0,
            unsettled: 0,
            splits: FxHashMap::default(),
            force_before: 0,
            empty_leases: 0,
            lease_from: None,
            next_tick: shared.clock.elapsed().saturating_add(options.flush_interval),
            waiters: Vec::new(),
            closing: None,
            timer: None,
            published: super::telemetry::Published::after(shared.counters.snapshot().dead_lettered),
            center: options.sdk_key.as_deref().map(notification::center),
            dispatcher,
            shared,
        }
    }

    /// Works until it is told to close and has, or has run out of time.
    pub(super) async fn run(mut self) {
        loop {
            self.take_commands();
            self.take_answers();
            self.take_burials();
            self.take_replayed();
            self.bury_displaced();
            self.tick();
            self.fill();
            self.send_what_may_go();
            self.publish(false);
            if self.answer_waiters() {
                break;
            }
            self.sleep().await;
        }
        self.finish().await;
    }

    pub(super) fn now(&self) -> Duration {
        self.shared.clock.elapsed()
    }

    /// How many items the queue holds that have not been leased.
    fn unleased(&self) -> usize {
        self.shared.queue.size().saturating_sub(self.unsettled)
    }

    fn take_commands(&mut self) {
        let commands = std::mem::take(&mut self.shared.commands.lock().pending);
        for Command { within, answer } in commands {
            let deadline = self.now().saturating_add(within);
            let target = self.next_sequence + self.unleased() as u64;
            self.force_before = self.force_before.max(target);
            if matches!(answer, Report::Close(_)) {
                self.closing = self.closing.max(Some(deadline));
            }
            self.waiters.push(Waiter { deadline, target, open: self.unsettled as u64, answer });
        }
    }

    /// Answers that are already there, without waiting.
    fn take_answers(&mut self) {
        while let Some(Some(answered)) = self.in_flight.next().now_or_never() {
            self.settle(answered);
        }
    }

    /// Everything goes at each interval, and when the queue is full: a group that cannot fill would keep it so.
    fn tick(&mut self) {
        let now = self.now();
        if now >= self.next_tick {
            self.next_tick = now.saturating_add(self.shared.options.flush_interval);
            self.force();
        } else if self.shared.has_been_full.swap(false, SeqCst)
            || self.shared.queue.size() >= self.shared.queue.capacity()
            || self.is_stuck()
        {
            self.force();
        }
    }

    /// Everything leased gathers in groups, none of which is full, and no more can be leased.
    fn is_stuck(&self) -> bool {
        self.room() == 0 && self.in_flight.is_empty() && self.ready.is_empty() && self.waiting.is_empty()
    }

    fn force(&mut self) {
        self.force_before = self.force_before.max(self.next_sequence + self.unleased() as u64);
    }

    /// How many requests more may be under way.
    pub(super) fn free(&self) -> usize {
        let limit = match self.breaker.permission(self.now()) {
            Permission::Send => self.limiter.limit(),
            Permission::Probe => 1,
            Permission::NotBefore(_) | Permission::AwaitProbe => 0,
        };
        limit.saturating_sub(self.in_flight.len())
    }

    /// Leases as much as can be sent now, and groups it.
    fn fill(&mut self) {
        while let Some(wanted) = self.wanted() {
            let leased = self.shared.queue.lease(wanted);
            if leased.is_empty() {
                self.note_empty_lease();
                break;
            }
            self.empty_leases = 0;
            for leased in leased {
                let lease = self.count_lease(leased.id);
                if leased.recovered {
                    self.shared.counters.recovered_item_has(leased.item.events());
                }
                if let Some(group) = self.groups.add(Part { lease, item: leased.item }) {
                    self.make_ready(group);
                }
            }
        }
        // Groups that must go wait for what may still join them, unless there is no room for it.
        if self.next_sequence >= self.force_before || self.unleased() == 0 || self.room() == 0 {
            for group in self.groups.seal_before(self.force_before) {
                self.make_ready(group);
            }
        }
        if self.unleased() == 0 {
            // What was to go may have been taken out of the queue instead.
            self.force_before = self.force_before.min(self.next_sequence);
        }
    }

    /// There should have been something to lease. That passes at once where somebody is about to finish adding; a disk that
    /// cannot be read is asked again later.
    fn note_empty_lease(&mut self) {
        /// Turns that somebody may need to finish adding.
        const TURNS: u32 = 1_000;
        if self.shared.queue.size() <= self.unsettled {
            self.empty_leases = 0;
            return;
        }
        self.empty_leases = self.empty_leases.saturating_add(1);
        if self.empty_leases > TURNS {
            self.lease_from = Some(self.now() + LEASE_RETRY);
        }
    }

    /// How many items to lease now, if any.
    fn wanted(&self) -> Option<usize> {
        /// Keeps one call's memory and time small.
        const AT_ONCE: usize = 4_096;
        if self.lease_from.is_some_and(|from| self.now() < from) {
            return None;
        }
        let requests = self.free().saturating_sub(self.ready.len());
        let wanted = requests.saturating_mul(self.shared.options.batch_size).min(self.room()).min(AT_ONCE);
        (wanted > 0).then_some(wanted)
    }

    /// How many items more may be leased.
    pub(super) fn room(&self) -> usize {
        self.shared.options.window_max().saturating_sub(self.unsettled)
    }

    pub(super) fn count_lease(&mut self, id: u64) -> Lease {
        let lease = Lease { sequence: self.next_sequence, id };
        self.next_sequence += 1;
        self.unsettled += 1;
        for waiter in self.waiters.iter_mut().filter(|waiter| lease.sequence < waiter.target) {
            waiter.open += 1;
        }
        lease
    }

    /// A group becomes a request, or several where it would be too large for one.
    pub(super) fn make_ready(&mut self, group: Vec<Part<T>>) {
        let options = &self.shared.options;
        let job = Job::new(group, options.end_point.as_ref());
        if job.parts.len() > 1 && job.request.body().len() > options.max_batch_bytes {
            let mut left = job.parts;
            let right = left.split_off(left.len() / 2);
            self.make_ready(left);
            self.make_ready(right);
        } else {
            self.ready.push_back(job);
        }
    }

    fn send_what_may_go(&mut self) {
        loop {
            let now = self.now();
            let job = match self.breaker.permission(now) {
                Permission::Send if self.in_flight.len() < self.limiter.limit() => self.next_job(now),
                Permission::Probe if self.in_flight.is_empty() => self.next_probe(now),
                _ => None,
            };
            let Some(job) = job else { break };
            self.breaker.probing();
            self.send(job, now);
        }
    }

    /// The job that has waited long enough, else the oldest that is ready.
    fn next_job(&mut self, now: Duration) -> Option<Job<T>> {
        let due = self.waiting.first_entry().filter(|entry| entry.key().0 <= now);
        due.map(|entry| entry.remove().job).or_else(|| self.ready.pop_front())
    }

    /// One that has not failed yet, or else the one whose turn comes next: a request that always fails must not be every
    /// probe. A probe need not wait out its own backoff, only what the server asked for: the breaker paces it.
    fn next_probe(&mut self, now: Duration) -> Option<Job<T>> {
        self.ready.pop_front().or_else(|| {
            let allowed = self.waiting.iter().find(|(_, waiting)| waiting.floor <= now).map(|(key, _)| *key);
            allowed.and_then(|key| self.waiting.remove(&key)).map(|waiting| waiting.job)
        })
    }

    fn send(&mut self, job: Job<T>, sent: Duration) {
        if let Some(center) = &self.center {
            center.send(&job.request);
        }
        let dispatcher = Arc::clone(&self.dispatcher);
        let request = job.request.clone();
        let span = tracing::debug_span!("request", events = request.events(), failures = job.failures);
        let dispatched = async move { dispatcher.dispatch_event(request).await }.instrument(span);
        let dispatched = AssertUnwindSafe(dispatched).catch_unwind();
        self.in_flight.push(Box::pin(async move {
            let answer = dispatched.await.unwrap_or(Err(DispatchError::Panicked));
            Answered { job, sent, answer }
        }));
    }

    /// Answers whoever need not or cannot wait any longer. True: it is time to end.
    fn answer_waiters(&mut self) -> bool {
        let now = self.now();
        let (next, unleased) = (self.next_sequence, self.unleased());
        let is_done = |waiter: &Waiter<T>| waiter.open == 0 && (next >= waiter.target || unleased == 0);
        let all_done =
            self.waiters.iter().any(|waiter| matches!(waiter.answer, Report::Close(_)) && is_done(waiter));
        if self.closing.is_some_and(|deadline| all_done || deadline <= now) {
            return true;
        }
        let over = |waiter: &mut Waiter<T>| waiter.deadline <= now || is_done(waiter);
        for waiter in self.waiters.extract_if(.., over).collect::<Vec<_>>() {
            let left = if is_done(&waiter) { 0 } else { waiter.open + waiter.target.saturating_sub(next) };
            self.answer(waiter.answer, left, None, &[]);
        }
        false
    }

    /// Whoever asked may have stopped listening; then nobody misses the answer.
    fn answer(
        &self,
        answer: Report<T>,
        left: u64,
        dispatcher: Option<FlushReport>,
        not_stored: &[DeadLetter<T>],
    ) {
        let ledger = self.shared.counters.snapshot();
        match answer {
            Report::Flush(answer) => drop(answer.send(FlushReport { left, ledger })),
            Report::Close(answer) => {
                drop(answer.send(CloseReport::new(ledger, dispatcher, not_stored.to_vec())));
            }
        }
    }

    /// Everything unfinished goes back to the queue, and everybody who waits is told.
    async fn finish(mut self) {
        self.in_flight.clear();
        let until = self.closing.unwrap_or_default();
        self.finish_burials(until).await;
        self.shared.queue.release();
        let not_stored = self.finish_queue(until).await;
        let dispatcher = self.flush_dispatcher().await;
        self.publish(true);
        let pending = {
            let mut commands = self.shared.commands.lock();
            commands.ended = true;
            std::mem::take(&mut commands.pending)
        };
        let left = self.shared.counters.snapshot().queued;
        let waiting = std::mem::take(&mut self.waiters).into_iter().map(|waiter| waiter.answer);
        for answer in waiting.chain(pending.into_iter().map(|command| command.answer)) {
            self.answer(answer, left, dispatcher, &not_stored);
        }
    }

    /// Waits until the queue has everything safely; then nobody waits for it any longer.
    async fn finish_queue(&mut self, until: Duration) -> Vec<DeadLetter<T>> {
        let within = until.saturating_sub(self.now()).saturating_add(DISK_GRACE);
        self.shared.queue.finish(within).await;
        self.shared.give_up()
    }

    /// A dispatcher with a queue of its own gets what is left of the time.
    async fn flush_dispatcher(&mut self) -> Option<FlushReport> {
        let within = self.closing.unwrap_or_default().saturating_sub(self.now());
        tokio::select! {
            report = self.dispatcher.flush(within) => report,
            () = self.shared.clock.sleep(within) => None,
        }
    }
}

/// Whatever ends the machine, nobody waits for it any longer, and what it had leased is free.
impl<T: Item> Drop for Machine<T> {
    fn drop(&mut self) {
        let mut commands = self.shared.commands.lock();
        if commands.ended {
            return;
        }
        commands.ended = true;
        let unanswered = std::mem::take(&mut commands.pending);
        drop(commands);
        // Their receivers see that no answer will come.
        drop(unanswered);
        self.shared.queue.release();
    }
}
