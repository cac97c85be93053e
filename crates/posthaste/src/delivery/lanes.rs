//! The end points of a pipeline, each with what is on its way to it.
//!
//! ```text
//! new events ─▶ flow ───────────────────┬─▶ in flight
//! backlog ────▶ flow ─ pace, half of it ┘
//! ```
//!
//! Events become requests only once their end point may be sent to. So what waits for a dead one costs little. With a
//! drain rate, what an outage has left behind has a flow of its own, and new events pass it.
//! Invariants: a lane with anything in it, or under way, is never forgotten; no request has events of both flows.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use super::{
    flow::Flow,
    item::Item,
    job::{Job, Part},
    leases::Lease,
    options::Options,
    pace::Pace,
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
    new: Flow<T>,
    /// Of the backlog; empty where there is no drain rate.
    paced: Flow<T>,
    pace: Pace,
    /// Requests of the backlog that are under way.
    paced_in_flight: usize,
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
    /// New leases below this are of the backlog too.
    paced_before: u64,
    random: fastrand::Rng,
}

impl<T: Item> Lanes<T> {
    pub(super) fn new(seed: Option<u64>) -> Self {
        let random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self { all: Vec::new(), turn: 0, uses: 0, found: 0, paced_before: 0, random }
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
        let lease = first.lease;
        self.flow(&end_point, lease, options).make_ready(parts, options);
    }

    /// Takes in an item that has been leased.
    pub(super) fn push(&mut self, part: Part<T>, options: &Options<T>) {
        let end_point = part.item.end_point(options.end_point.as_ref());
        let flow = self.flow(end_point, part.lease, options);
        flow.ungrouped.push_back(part);
    }

    /// Where what belongs to this lease goes.
    fn flow(&mut self, end_point: &str, lease: Lease, options: &Options<T>) -> &mut Flow<T> {
        let is_paced = lease.is_before(self.paced_before);
        let lane = self.to(end_point, options);
        if is_paced { &mut lane.paced } else { &mut lane.new }
    }

    /// Everything that is here is of the backlog, and so are new leases below this one.
    pub(super) fn begin_backlog(&mut self, before: u64) {
        self.paced_before = before;
        for lane in &mut self.all {
            lane.paced.absorb(&mut lane.new);
        }
    }

    /// New leases are new from this one on.
    pub(super) fn end_backlog(&mut self, from: u64) {
        self.paced_before = from;
    }

    /// The left half goes at once; the right one waits for its answer.
    pub(super) fn ask_about(&mut self, left: Vec<Part<T>>, right: Vec<Part<T>>, options: &Options<T>) {
        let mut job = Job::new(left, options.end_point.as_ref());
        job.sibling = Some(right);
        self.same_as(&job, options).0.schedule.add_first(job);
    }

    /// It has failed, and goes again after its backoff, and not before this time has passed.
    pub(super) fn retry(&mut self, job: Job<T>, at_least: Duration, now: Duration, options: &Options<T>) {
        let (flow, jitter) = self.same_as(&job, options);
        let floor = now.saturating_add(at_least.min(options.rules.retry_after_max));
        let wait = options.rules.backoff.wait(job.failures, jitter);
        flow.schedule.add_later(job, now.saturating_add(wait), floor);
    }

    /// It is held: it goes again slowly, whatever becomes of others meanwhile.
    pub(super) fn hold(&mut self, mut job: Job<T>, now: Duration, options: &Options<T>) {
        job.held_at = Some(now);
        let (flow, jitter) = self.same_as(&job, options);
        let wait = options.rules.hold_backoff.wait(job.failures, jitter);
        let due = now.saturating_add(wait);
        flow.schedule.add_later(job, due, due);
    }

    /// Where a request has come from, and jitter for it.
    fn same_as(&mut self, job: &Job<T>, options: &Options<T>) -> (&mut Flow<T>, &mut fastrand::Rng) {
        let is_paced = job.parts.first().is_some_and(|part| part.lease.is_before(self.paced_before));
        let Lane { new, paced, upstream, .. } = self.to(job.request.end_point(), options);
        (if is_paced { paced } else { new }, upstream.jitter())
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, keep: &mut impl FnMut(&Part<T>) -> bool, options: &Options<T>) {
        for lane in &mut self.all {
            lane.new.retain(&mut *keep, options);
            lane.paced.retain(&mut *keep, options);
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

    /// How many requests of the backlog more the lanes could have ready than they have.
    pub(super) fn paced_demand(&self, now: Duration, in_flight: usize) -> usize {
        let known: usize = self.all.iter().map(|lane| lane.paced_demand(now)).sum();
        // What is for others may stand behind what is for a dead one.
        let looks_ahead = known == 0 && self.some_are_blocked(now);
        if self.all.is_empty() || looks_ahead { half(in_flight) } else { known }
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

    /// Whether nothing new is ready or waiting, and nothing is under way, anywhere.
    pub(super) fn nothing_moves(&self) -> bool {
        let moves = |lane: &Lane<T>| lane.upstream.in_flight() > 0 || !lane.new.schedule.is_empty();
        !self.all.iter().any(moves)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all.iter().map(|lane| lane.upstream.in_flight()).sum()
    }

    /// How many more events it takes until some group is full; `None`: none can fill now.
    pub(super) fn missing(&self, now: Duration, batch_size: usize, looks_ahead: bool) -> Option<usize> {
        let can_send = self.all.iter().filter(|lane| lane.demand(now) > 0);
        let known = can_send.map(|lane| lane.new.groups.missing()).min();
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
            new: Flow::new(options),
            paced: Flow::new(options),
            pace: Pace::new(options.drain_rate),
            paced_in_flight: 0,
            used: 0,
        }
    }

    fn is_to(&self, end_point: &str) -> bool {
        let own: &str = self.upstream.end_point();
        std::ptr::eq(own, end_point) || own == end_point
    }

    fn is_idle(&self) -> bool {
        self.upstream.in_flight() == 0 && self.new.is_empty() && self.paced.is_empty()
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(super) fn upstream_mut(&mut self) -> &mut Upstream {
        &mut self.upstream
    }

    /// What waits need wait no longer, except for what a server asked for.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.new.schedule.hurry(now);
        self.paced.schedule.hurry(now);
    }

    /// A request has been answered, or not.
    pub(super) fn answered(&mut self, job: &mut Job<T>) {
        if std::mem::take(&mut job.is_paced) {
            self.paced_in_flight -= 1;
        }
    }

    /// Makes requests of what is leased, as many as may be sent. Groups with a lease below `force_before` go although they
    /// are not full, once nothing more can join them.
    pub(super) fn load(
        &mut self,
        now: Duration,
        options: &Options<T>,
        force_before: u64,
        may_others_join: bool,
    ) {
        self.new.load(self.upstream.free(now), options, force_before, may_others_join);
    }

    /// The same of the backlog, in which nobody waits for a group to fill.
    pub(super) fn load_paced(&mut self, now: Duration, options: &Options<T>, may_others_join: bool) {
        self.paced.load(self.paced_free(now), options, u64::MAX, may_others_join);
    }

    /// Whether it takes nothing, and others are not to wait for it.
    fn is_blocked(&self, now: Duration) -> bool {
        self.upstream.is_stalled(now)
    }

    /// How many requests more may be sent than are ready.
    fn demand(&self, now: Duration) -> usize {
        self.upstream.free(now).saturating_sub(self.new.schedule.ready())
    }

    /// How many requests of the backlog may be under way besides those that are: half of all at most, so that there is
    /// always room for a new one.
    fn paced_free(&self, now: Duration) -> usize {
        let free = half(self.upstream.limit()).saturating_sub(self.paced_in_flight);
        free.min(self.upstream.free(now))
    }

    fn paced_demand(&self, now: Duration) -> usize {
        self.paced_free(now).saturating_sub(self.paced.schedule.ready())
    }

    fn send_next(&mut self, now: Duration) -> Option<Job<T>> {
        let turn = self.upstream.turn(now);
        let job = match turn {
            Turn::Any => self.new.schedule.next(now).or_else(|| self.next_paced(now)),
            Turn::Probe => self.next_probe(now),
            Turn::NotBefore(_) | Turn::Wait => None,
        }?;
        if job.is_paced || turn == Turn::Probe {
            self.pace.sent(job.request.events(), now);
        }
        self.paced_in_flight += usize::from(job.is_paced);
        self.upstream.sent(now);
        Some(job)
    }

    fn next_paced(&mut self, now: Duration) -> Option<Job<T>> {
        let may_send = self.pace.may_send(now) && self.paced_free(now) > 0;
        may_send.then(|| self.paced.schedule.next(now)).flatten().map(paced)
    }

    /// New or not, one that has not failed yet, or else the one whose turn comes next.
    fn next_probe(&mut self, now: Duration) -> Option<Job<T>> {
        if !self.pace.may_send(now) || self.paced.schedule.is_empty() {
            return self.new.schedule.next_probe(now);
        }
        if let Some(job) = self.new.schedule.next_ready() {
            return Some(job);
        }
        if let Some(job) = self.paced.schedule.next_ready() {
            return Some(paced(job));
        }
        let new_is_first =
            match (self.new.schedule.first_allowed_due(now), self.paced.schedule.first_allowed_due(now)) {
                (Some(new), Some(paced)) => new <= paced,
                (new, _) => new.is_some(),
            };
        if new_is_first {
            self.new.schedule.next_probe(now)
        } else {
            self.paced.schedule.next_probe(now).map(paced)
        }
    }

    fn next_attempt(&self, now: Duration) -> Option<Duration> {
        let turn = self.upstream.turn(now);
        let first = |flow: &Flow<T>| match turn {
            Turn::Any => flow.schedule.first_due(),
            _ => flow.schedule.first_floor(),
        };
        // What is ready and may be sent is under way by now; it is the pace, then, that it waits for.
        let is_paced_ready = self.paced.schedule.ready() > 0;
        let paced = if is_paced_ready { Some(Duration::ZERO) } else { first(&self.paced) };
        let paced = paced.filter(|_| turn != Turn::Any || self.paced_free(now) > 0);
        let paced = paced.map(|due| due.max(self.pace.due()));
        let next = [first(&self.new), paced].into_iter().flatten().min();
        match turn {
            Turn::Any | Turn::Probe => next,
            Turn::NotBefore(until) if self.new.schedule.ready() > 0 => Some(until),
            Turn::NotBefore(until) => next.map(|next| next.max(until)).or(Some(until)),
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
        for (is_paced, flow, what) in [
            (false, &self.new, "not sent yet"),
            (true, &self.paced, "not sent yet: drain_rate sets the pace"),
        ] {
            for job in flow.schedule.jobs() {
                // What has failed in an outage that is over waits for its turn.
                let failed = job.trouble.clone().filter(|_| !is_paced || self.upstream.trouble().is_some());
                let trouble = failed.unwrap_or_else(|| untried(what));
                troubles.push(trouble.with_events(job.events() as u64));
            }
            let events = flow.events_unsent();
            if events > 0 {
                troubles.push(untried(what).with_events(events as u64));
            }
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

fn paced<T>(mut job: Job<T>) -> Job<T> {
    job.is_paced = true;
    job
}

/// Half of these requests, and one at least.
fn half(requests: usize) -> usize {
    (requests / 2).max(1)
}

#[cfg(test)]
mod tests;
