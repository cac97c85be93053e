//! The end points of a pipeline, each with what is on its way to it.
//!
//! ```text
//! backlog ─▶ open groups ─▶ schedule: ready ─▶ in flight
//!            (one a context)        ▲               │
//!                                   └─ later ◀──────┘
//! ```
//!
//! Events become requests only once their end point may be sent to. So what waits for a dead one costs little.
//! Invariant: a lane with anything in it, or under way, is never forgotten.

use std::{cmp::Reverse, collections::VecDeque, sync::Arc, time::Duration};

use super::{
    groups::Groups,
    item::Item,
    job::{Job, Part},
    options::Options,
    schedule::Schedule,
    upstream::{Turn, Upstream},
};
use crate::{
    outcome::{Trouble, UpstreamHealth},
    words::counted,
};

/// Idle end points that are remembered, at most. So their breakers and limits outlast a lull.
pub(super) const IDLE_LANES_MAX: usize = 64;

/// One end point, and what is on its way to it.
#[derive(Debug)]
pub(super) struct Lane<T> {
    upstream: Upstream,
    schedule: Schedule<T>,
    groups: Groups<T>,
    /// Leased, and not grouped yet.
    backlog: VecDeque<Part<T>>,
    /// When it was last used, in uses.
    used: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    all: Vec<Lane<T>>,
    /// Whose turn it is to send.
    turn: usize,
    uses: u64,
    found: u64,
    random: fastrand::Rng,
}

impl<T: Item> Lanes<T> {
    pub(super) fn new(seed: Option<u64>) -> Self {
        let random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self { all: Vec::new(), turn: 0, uses: 0, found: 0, random }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane<T>> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane<T>> {
        self.all.iter_mut()
    }

    /// How many end points have been found so far, those that are forgotten included.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// The lane to this end point, made if there is none.
    pub(super) fn to(&mut self, end_point: &str, options: &Options<T>) -> &mut Lane<T> {
        self.uses += 1;
        let at = self.all.iter().position(|lane| lane.is_to(end_point)).unwrap_or_else(|| {
            self.forget_one();
            self.found += 1;
            let random = self.random.fork();
            self.all.push(Lane::new(options.end_point_of(end_point), options, random));
            self.all.len() - 1
        });
        let lane = self.all.get_mut(at).expect("found or made just now");
        lane.used = self.uses;
        lane
    }

    /// The least used that is idle makes room for another.
    fn forget_one(&mut self) {
        if self.all.len() < IDLE_LANES_MAX {
            return;
        }
        let idle = self.all.iter().enumerate().filter(|(_, lane)| lane.is_idle());
        if let Some((at, _)) = idle.min_by_key(|(_, lane)| lane.used) {
            self.all.swap_remove(at);
        }
    }

    /// These go as a request of their own.
    pub(super) fn make_ready(&mut self, parts: Vec<Part<T>>, options: &Options<T>) {
        let Some(first) = parts.first() else { return };
        let end_point = first.item.end_point(options.end_point.as_ref()).to_owned();
        self.to(&end_point, options).make_ready(parts, options);
    }

    /// The left half goes at once; the right one waits for its answer.
    pub(super) fn ask_about(&mut self, left: Vec<Part<T>>, right: Vec<Part<T>>, options: &Options<T>) {
        let mut job = Job::new(left, options.end_point.as_ref());
        job.sibling = Some(right);
        self.same_as(&job, options).schedule.add_first(job);
    }

    /// It has failed, and goes again after its backoff, and not before this time has passed.
    pub(super) fn retry(&mut self, job: Job<T>, at_least: Duration, now: Duration, options: &Options<T>) {
        let lane = self.same_as(&job, options);
        let floor = now.saturating_add(at_least.min(options.rules.retry_after_max));
        let wait = options.rules.backoff.wait(job.failures, lane.upstream.jitter());
        lane.schedule.add_later(job, now.saturating_add(wait), floor);
    }

    /// It is held: it goes again slowly, whatever becomes of others meanwhile.
    pub(super) fn hold(&mut self, mut job: Job<T>, now: Duration, options: &Options<T>) {
        job.held_at = Some(now);
        let lane = self.same_as(&job, options);
        let wait = options.rules.hold_backoff.wait(job.failures, lane.upstream.jitter());
        let due = now.saturating_add(wait);
        lane.schedule.add_later(job, due, due);
    }

    fn same_as(&mut self, job: &Job<T>, options: &Options<T>) -> &mut Lane<T> {
        self.to(job.request.end_point(), options)
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, keep: &mut impl FnMut(&Part<T>) -> bool, options: &Options<T>) {
        for lane in &mut self.all {
            lane.backlog.retain(&mut *keep);
            lane.groups.retain(&mut *keep);
            lane.schedule.retain(&mut *keep, options.end_point.as_ref());
        }
    }

    /// The next request that may go, each lane in its turn; it counts as sent.
    pub(super) fn next(&mut self, now: Duration) -> Option<Job<T>> {
        for _ in 0..self.all.len() {
            self.turn = (self.turn + 1) % self.all.len();
            let job = self.all.get_mut(self.turn).and_then(|lane| lane.send_next(now));
            if job.is_some() {
                return job;
            }
        }
        None
    }

    /// How many requests more the lanes could send than they have ready; a lane to come could send `in_flight`.
    pub(super) fn demand(&self, now: Duration, in_flight: usize, looks_ahead: bool) -> usize {
        let known: usize = self.all.iter().map(|lane| lane.demand(now)).sum();
        if self.all.is_empty() || (known == 0 && looks_ahead) { in_flight } else { known }
    }

    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Whether some lane takes nothing, while others may.
    pub(super) fn some_are_blocked(&self, now: Duration) -> bool {
        self.all.iter().any(|lane| lane.is_blocked(now))
    }

    /// When some lane that is only busy now will count as blocked.
    pub(super) fn next_stall(&self, now: Duration) -> Option<Duration> {
        self.all.iter().filter_map(|lane| lane.upstream.stalls_at(now)).min()
    }

    /// Whether nothing is ready, waiting or under way anywhere.
    pub(super) fn nothing_moves(&self) -> bool {
        let moves = |lane: &Lane<T>| lane.upstream.in_flight() > 0 || !lane.schedule.is_empty();
        !self.all.iter().any(moves)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all.iter().map(|lane| lane.upstream.in_flight()).sum()
    }

    /// How many more items it takes at least until some group is full; `None`: none can fill now.
    pub(super) fn missing(&self, now: Duration, batch_size: usize, looks_ahead: bool) -> Option<usize> {
        let can_send = self.all.iter().filter(|lane| lane.demand(now) > 0);
        let known = can_send.map(|lane| lane.groups.missing()).min();
        let is_unknown_welcome = self.all.is_empty() || looks_ahead;
        known.or(is_unknown_welcome.then_some(batch_size))
    }

    /// When some lane may send something, if that is a matter of time alone.
    pub(super) fn next_attempt(&self, now: Duration) -> Option<Duration> {
        self.all.iter().filter_map(|lane| lane.next_attempt(now)).min()
    }

    /// How each stands: those with trouble first, then those in use, then the last used. Others fall off the end.
    pub(super) fn health(&self) -> Vec<UpstreamHealth> {
        let mut lanes: Vec<_> = self.all.iter().collect();
        let order = |lane: &&Lane<T>| {
            let upstream = &lane.upstream;
            let is_well = upstream.why().is_none() && upstream.trouble().is_none();
            (is_well, lane.is_idle(), Reverse(lane.used))
        };
        lanes.sort_unstable_by_key(order);
        lanes.truncate(IDLE_LANES_MAX);
        lanes.into_iter().map(|lane| lane.upstream.health()).collect()
    }
}

impl<T: Item> Lane<T> {
    fn new(end_point: Arc<str>, options: &Options<T>, random: fastrand::Rng) -> Self {
        Self {
            upstream: Upstream::new(end_point, &options.rules, random),
            schedule: Schedule::default(),
            groups: Groups::new(options.batch_size),
            backlog: VecDeque::new(),
            used: 0,
        }
    }

    fn is_to(&self, end_point: &str) -> bool {
        let own: &str = self.upstream.end_point();
        std::ptr::eq(own, end_point) || own == end_point
    }

    fn is_idle(&self) -> bool {
        let is_waiting = !self.schedule.is_empty() || !self.backlog.is_empty() || !self.groups.is_empty();
        self.upstream.in_flight() == 0 && !is_waiting
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(super) fn upstream_mut(&mut self) -> &mut Upstream {
        &mut self.upstream
    }

    /// What waits need wait no longer, except for what a server asked for.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.schedule.hurry(now);
    }

    /// Takes in an item that has been leased.
    pub(super) fn push(&mut self, part: Part<T>) {
        self.backlog.push_back(part);
    }

    /// Makes requests of the backlog, as many as may be sent. Groups with a lease below `force_before` go although they are
    /// not full, once nothing more can join them.
    pub(super) fn load(
        &mut self,
        now: Duration,
        options: &Options<T>,
        force_before: u64,
        may_others_join: bool,
    ) {
        while self.demand(now) > 0
            && let Some(part) = self.backlog.pop_front()
        {
            if let Some(group) = self.groups.add(part) {
                self.make_ready(group, options);
            }
        }
        if self.backlog.is_empty() && !may_others_join {
            for group in self.groups.seal_before(force_before) {
                self.make_ready(group, options);
            }
        }
    }

    /// A group becomes a request, or several where it would be too large for one.
    pub(super) fn make_ready(&mut self, group: Vec<Part<T>>, options: &Options<T>) {
        let job = Job::new(group, options.end_point.as_ref());
        if job.parts.len() > 1 && job.request.body().len() > options.max_batch_bytes {
            let mut left = job.parts;
            let right = left.split_off(left.len() / 2);
            self.make_ready(left, options);
            self.make_ready(right, options);
        } else {
            self.schedule.add(job);
        }
    }

    /// Whether it takes nothing, and others are not to wait for it.
    fn is_blocked(&self, now: Duration) -> bool {
        self.upstream.is_stalled(now)
    }

    /// How many requests more may be sent than are ready.
    fn demand(&self, now: Duration) -> usize {
        self.upstream.free(now).saturating_sub(self.schedule.ready())
    }

    fn send_next(&mut self, now: Duration) -> Option<Job<T>> {
        let job = match self.upstream.turn(now) {
            Turn::Any => self.schedule.next(now),
            Turn::Probe => self.schedule.next_probe(now),
            Turn::NotBefore(_) | Turn::Wait => None,
        }?;
        self.upstream.sent(now);
        Some(job)
    }

    fn next_attempt(&self, now: Duration) -> Option<Duration> {
        let floor = || self.schedule.first_floor();
        match self.upstream.turn(now) {
            Turn::Any => self.schedule.first_due(),
            Turn::Probe => floor(),
            Turn::NotBefore(until) if self.schedule.ready() > 0 => Some(until),
            Turn::NotBefore(until) => floor().map(|floor| floor.max(until)).or(Some(until)),
            Turn::Wait => None,
        }
    }

    /// Why what is here has not been delivered, and how many events each reason holds back.
    pub(super) fn troubles(&self, now_ms: i64) -> Vec<Trouble> {
        let end_point = self.upstream.end_point();
        let untried = |what: &str| match self.upstream.trouble() {
            Some(trouble) => trouble.clone(),
            None => Trouble::at(end_point, what, now_ms),
        };
        let mut troubles = Vec::new();
        for job in self.schedule.jobs() {
            let trouble = job.trouble.clone().unwrap_or_else(|| untried("not sent yet"));
            troubles.push(trouble.with_events(job.events() as u64));
        }
        let waiting = self.backlog.iter().chain(self.groups.parts());
        let events: usize = waiting.map(|part| part.item.events()).sum();
        if events > 0 {
            troubles.push(untried("not sent yet").with_events(events as u64));
        }
        if self.upstream.in_flight() > 0 {
            let requests = self.upstream.in_flight() as u64;
            let what = format!("{} without an answer yet", counted(requests, "request", "requests"));
            troubles.push(
                self.upstream.trouble().cloned().unwrap_or_else(|| Trouble::at(end_point, what, now_ms)),
            );
        }
        troubles
    }
}

#[cfg(test)]
mod tests;
