//! What follows from an answer, verdict by verdict.
//!
//! A bad event among n good ones is found by halving. The smaller half is asked about first; if it is good, the bad one
//! is in the other, which is halved without asking. For k bad events among n that takes at most
//! 2·k·log2(n) + 1 requests.

use std::time::Duration;

use super::{
    breaker::{Change, Why},
    item::Item,
    job::{self, Job, Lease, Part, Waiting},
    machine::{Answered, Machine},
};
use crate::{
    dispatch::{Answer, Verdict, verdict},
    metrics,
    outcome::DeadReason,
};

impl<T: Item> Machine<T> {
    /// Does what an answer asks for. Every part of the job ends, or is in a job again.
    pub(super) fn settle(&mut self, answered: Answered<T>) {
        let Answered { mut job, sent, answer } = answered;
        let now = self.shared.clock.elapsed();
        let verdict = verdict(&answer, self.shared.clock.now_ms());
        ::metrics::counter!(metrics::REQUESTS, "outcome" => verdict.name()).increment(1);
        self.learn(verdict, &answer, &job, sent, now);
        let sibling = job.sibling.take();
        if verdict == Verdict::Delivered {
            self.delivered(&job.parts);
            // This half was good, so the bad event is in the other.
            if let Some(sibling) = sibling {
                self.suspect(sibling);
            }
            return;
        }
        if let Some(sibling) = sibling {
            self.make_ready(sibling);
        }
        match verdict {
            Verdict::Delivered => {}
            Verdict::Retry { at_least, .. } => self.retry(job, at_least, now),
            Verdict::Hold => self.hold(job, now),
            Verdict::Halve => self.halve(job.parts, &answer),
            Verdict::Bisect => self.bisect(job.parts, &answer),
        }
    }

    /// What the answer says about the upstream.
    fn learn(&mut self, verdict: Verdict, answer: &Answer, job: &Job<T>, sent: Duration, now: Duration) {
        let change = match verdict {
            Verdict::Delivered => {
                self.limiter.got_through();
                self.breaker.answered(sent, now)
            }
            Verdict::Halve | Verdict::Bisect => self.breaker.answered(sent, now),
            Verdict::Retry { overloaded, .. } => {
                if overloaded {
                    self.limiter.overloaded(sent, now);
                }
                self.breaker.failed(now, &mut self.random)
            }
            // Others got through since this one was refused before: it is this one, not the address.
            Verdict::Hold if job.held_at.is_some_and(|held_at| self.breaker.has_answered_since(held_at)) => {
                self.breaker.answered(sent, now)
            }
            Verdict::Hold => self.breaker.refused(now, &mut self.random),
        };
        let said = || match answer {
            Ok(response) => format!("status {} {}", response.status, response.text),
            Err(error) => error.to_string(),
        };
        match change {
            Some(Change::Opened(Why::Failing)) => {
                tracing::warn!(answer = said(), "the upstream fails; events wait in the queue");
            }
            Some(Change::Opened(Why::Held)) => tracing::error!(
                answer = said(),
                "the upstream refuses every request: put its address or credential right; events wait in the queue"
            ),
            Some(Change::Closed(_)) => {
                tracing::info!("the upstream works again");
                self.hurry(now);
            }
            None => {}
        }
    }

    /// What waits for a dead upstream need wait no longer, except for what a server asked for.
    fn hurry(&mut self, now: Duration) {
        let waiting = std::mem::take(&mut self.waiting);
        for ((due, number), job) in waiting {
            self.waiting.insert((due.min(job.floor.max(now)), number), job);
        }
    }

    fn delivered(&mut self, parts: &[Part<T>]) {
        self.shared.counters.deliver(parts.iter().map(|part| part.item.events()).sum());
        self.end(parts.iter().map(|part| part.lease));
    }

    fn retry(&mut self, mut job: Job<T>, at_least: Duration, now: Duration) {
        job.failures = job.failures.saturating_add(1);
        let options = &self.shared.options;
        let floor = now.saturating_add(at_least.min(options.retry_after_max));
        let backed_off = now.saturating_add(options.backoff.wait(job.failures, &mut self.random));
        self.wait_until(backed_off.max(floor), floor, job);
    }

    /// Slowly, whatever becomes of others meanwhile.
    fn hold(&mut self, mut job: Job<T>, now: Duration) {
        job.failures = job.failures.saturating_add(1);
        job.held_at = Some(now);
        let due = now.saturating_add(self.shared.options.hold_backoff.wait(job.failures, &mut self.random));
        self.wait_until(due, due, job);
    }

    fn wait_until(&mut self, due: Duration, floor: Duration, job: Job<T>) {
        self.waited += 1;
        self.waiting.insert((due, self.waited), Waiting { job, floor });
    }

    fn halve(&mut self, parts: Vec<Part<T>>, answer: &Answer) {
        match self.halves(parts) {
            Ok((left, right)) => {
                self.make_ready(left);
                self.make_ready(right);
            }
            Err(part) => self.bury(part, DeadReason::TooLarge, answer),
        }
    }

    fn bisect(&mut self, parts: Vec<Part<T>>, answer: &Answer) {
        match self.halves(parts) {
            Ok((left, right)) => self.ask_about(left, right),
            Err(part) => self.bury(part, DeadReason::Rejected, answer),
        }
    }

    /// These hold a bad event. A single one is sent once more, to have the answer to it alone.
    fn suspect(&mut self, parts: Vec<Part<T>>) {
        match self.halves(parts) {
            Ok((left, right)) => self.ask_about(left, right),
            Err(part) => self.make_ready(vec![part]),
        }
    }

    fn ask_about(&mut self, left: Vec<Part<T>>, right: Vec<Part<T>>) {
        let mut job = Job::new(left, self.shared.options.end_point.as_ref());
        job.sibling = Some(right);
        self.ready.push_front(job);
    }

    #[expect(clippy::type_complexity, reason = "two groups, or the one part that is left")]
    fn halves(&mut self, parts: Vec<Part<T>>) -> Result<(Vec<Part<T>>, Vec<Part<T>>), Part<T>> {
        let halves = job::halves(parts)?;
        if let Some(lease) = halves.split_lease {
            *self.splits.entry(lease.sequence).or_insert(1) += 1;
        }
        Ok((halves.left, halves.right))
    }

    fn bury(&mut self, part: Part<T>, reason: DeadReason, answer: &Answer) {
        let (status, text) = match answer {
            Ok(response) => (Some(response.status), response.text.clone()),
            Err(error) => (None, error.to_string()),
        };
        let letter = self.shared.letter(part.item, reason, status, text);
        self.bury_letter(part.lease, letter);
    }

    /// These parts have come to an end; so have their leases, once no other part of them is left.
    pub(super) fn end(&mut self, leases: impl Iterator<Item = Lease>) {
        let ended: Vec<u64> =
            leases.filter(|lease| self.is_last_part(*lease)).map(|lease| lease.id).collect();
        self.shared.queue.settle(&ended);
        self.shared.room_made();
    }

    fn is_last_part(&mut self, lease: Lease) -> bool {
        if let Some(parts) = self.splits.get_mut(&lease.sequence) {
            *parts -= 1;
            if *parts > 0 {
                return false;
            }
            self.splits.remove(&lease.sequence);
        }
        self.unsettled -= 1;
        for waiter in self.waiters.iter_mut().filter(|waiter| lease.sequence < waiter.target) {
            waiter.open -= 1;
        }
        true
    }
}
