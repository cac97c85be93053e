//! The requests for one end point that have not been sent, or are to be sent again: which is next, and when.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    item::Item,
    job::{Job, Part},
};

/// Requests of one end point.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    ready: VecDeque<Job<T>>,
    /// By the time from which they may be sent; the number tells equal times apart.
    waiting: BTreeMap<(Duration, u64), Waiting<T>>,
    waited: u64,
}

/// A job that waits for its next attempt.
#[derive(Debug)]
struct Waiting<T> {
    job: Job<T>,
    /// The server asked not to be bothered before this time.
    floor: Duration,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self { ready: VecDeque::new(), waiting: BTreeMap::new(), waited: 0 }
    }
}

impl<T: Item> Schedule<T> {
    /// To be sent when its turn comes.
    pub(super) fn add(&mut self, job: Job<T>) {
        self.ready.push_back(job);
    }

    /// To be sent before everything else that is ready.
    pub(super) fn add_first(&mut self, job: Job<T>) {
        self.ready.push_front(job);
    }

    /// To be sent from `due` on, or by whoever is in a hurry from `floor` on.
    pub(super) fn add_later(&mut self, job: Job<T>, due: Duration, floor: Duration) {
        self.waited += 1;
        self.waiting.insert((due.max(floor), self.waited), Waiting { job, floor });
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.waiting.is_empty()
    }

    /// The job that has waited long enough, else the oldest that is ready.
    pub(super) fn next(&mut self, now: Duration) -> Option<Job<T>> {
        let due = self.waiting.first_entry().filter(|entry| entry.key().0 <= now);
        due.map(|entry| entry.remove().job).or_else(|| self.ready.pop_front())
    }

    /// One that has not failed yet.
    pub(super) fn next_ready(&mut self) -> Option<Job<T>> {
        self.ready.pop_front()
    }

    /// One that has not failed yet, or else the one whose turn comes next: a request that always fails must not be
    /// every probe. A probe need not wait out its own backoff, only what the server asked for: the breaker paces it.
    pub(super) fn next_probe(&mut self, now: Duration) -> Option<Job<T>> {
        self.next_ready().or_else(|| {
            let allowed = self.first_allowed(now)?;
            self.waiting.remove(&allowed).map(|waiting| waiting.job)
        })
    }

    /// Whose turn comes next among those that have failed and that the server lets go now.
    fn first_allowed(&self, now: Duration) -> Option<(Duration, u64)> {
        self.waiting.iter().find(|(_, waiting)| waiting.floor <= now).map(|(key, _)| *key)
    }

    /// When that one would go by itself.
    pub(super) fn first_allowed_due(&self, now: Duration) -> Option<Duration> {
        self.first_allowed(now).map(|(due, _)| due)
    }

    /// Takes over everything that another has.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        self.ready.append(&mut other.ready);
        for ((due, _), Waiting { job, floor }) in std::mem::take(&mut other.waiting) {
            self.add_later(job, due, floor);
        }
    }

    /// When the first job that waits may be sent.
    pub(super) fn first_due(&self) -> Option<Duration> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    /// When the first job that waits may be sent by whoever is in a hurry.
    pub(super) fn first_floor(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.floor).min()
    }

    /// What waits need wait no longer, except for what a server asked for.
    pub(super) fn hurry(&mut self, now: Duration) {
        for ((due, number), waiting) in std::mem::take(&mut self.waiting) {
            self.waiting.insert((due.min(waiting.floor.max(now)), number), waiting);
        }
    }

    /// Lets go of parts that are not to be kept, and of requests that have none left.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Part<T>) -> bool, end_point: Option<&Arc<str>>) {
        self.ready.retain_mut(|job| job.retain(&mut keep, end_point));
        self.waiting.retain(|_, waiting| waiting.job.retain(&mut keep, end_point));
    }

    /// Everything.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job<T>> {
        self.ready.iter().chain(self.waiting.values().map(|waiting| &waiting.job))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Leases, *};
    use crate::batch::{Batch, LogEvent};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn job(id: u64) -> Job<LogEvent> {
        let request = LogEvent::new("http://127.0.0.1/", &Batch::default());
        Job::new(vec![Part { lease: Leases::new(false).begin(id), item: request }], None)
    }

    fn id(job: Option<Job<LogEvent>>) -> Option<u64> {
        job.and_then(|job| job.parts.first().map(|part| part.lease.id()))
    }

    #[test]
    fn what_has_waited_long_enough_goes_before_what_is_new() {
        let mut schedule = Schedule::default();
        schedule.add(job(1));
        schedule.add_later(job(2), s(5), s(0));
        schedule.add_later(job(3), s(4), s(0));
        schedule.add_first(job(0));
        assert_eq!([(); 2].map(|()| id(schedule.next(s(1)))), [Some(0), Some(1)]);
        assert_eq!((id(schedule.next(s(3))), schedule.first_due()), (None, Some(s(4))));
        assert_eq!([(); 3].map(|()| id(schedule.next(s(5)))), [Some(3), Some(2), None]);
        assert!(schedule.is_empty());
    }

    #[test]
    fn a_probe_waits_for_the_server_alone() {
        let mut schedule = Schedule::default();
        schedule.add_later(job(1), s(9), s(7));
        schedule.add_later(job(2), s(20), s(0));
        assert_eq!((schedule.first_floor(), id(schedule.next_probe(s(1)))), (Some(s(0)), Some(2)));
        assert_eq!(id(schedule.next_probe(s(6))), None);
        schedule.hurry(s(6));
        assert_eq!(schedule.first_due(), Some(s(7)), "not before the server lets it");
        assert_eq!(id(schedule.next_probe(s(7))), Some(1));
    }

    #[test]
    fn nothing_is_due_before_its_floor() {
        let mut schedule = Schedule::default();
        schedule.add_later(job(1), s(1), s(3));
        assert_eq!((schedule.first_due(), schedule.jobs().count()), (Some(s(3)), 1));
    }

    #[test]
    fn requests_that_are_due_at_one_time_all_come() {
        let mut schedule = Schedule::default();
        for number in 1..=3 {
            schedule.add_later(job(number), s(5), s(0));
        }
        assert_eq!([(); 4].map(|()| id(schedule.next(s(5)))), [Some(1), Some(2), Some(3), None]);
    }
}
