//! A request goes out, and what its answer asks for is done.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::{
    Machine,
    under_way::{Answered, UnderWay},
};
use crate::{
    delivery::{
        item::Item,
        job::{Halves, Job},
        lanes::Lane,
        settle::{Step, settle},
        upstream::{Change, Moment, Why},
    },
    dispatch::{Answer, DispatchError, Verdict, verdict},
};

/// A moment, by both clocks: one for all answers that are there at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    now: Duration,
    now_ms: i64,
}

impl<T: Item> Machine<T> {
    pub(super) fn at(&self) -> At {
        At { now: self.now(), now_ms: self.shared.clock().now_ms() }
    }

    pub(super) fn send(&mut self, job: Job<T>, sent: Duration) {
        if let Some(center) = &self.center {
            center.send(&job.request);
        }
        let request = job.request.clone();
        let span = tracing::debug_span!("request", events = request.events(), failures = job.failures);
        let dispatch = || span.in_scope(|| self.dispatcher.dispatch_event(request));
        let answer = catch_unwind(AssertUnwindSafe(dispatch))
            .unwrap_or_else(|_| Box::pin(std::future::ready(Err(DispatchError::Panicked))));
        self.in_flight.push(UnderWay::new(job, sent, answer, span));
    }

    /// Does what an answer asks for.
    pub(super) fn settle(&mut self, Answered { mut job, sent, answer }: Answered<T>, At { now, now_ms }: At) {
        let verdict = verdict(&answer, now_ms);
        self.published.answered(verdict);
        let moment = Moment { sent, now, now_ms, held_at: job.held_at };
        self.lanes.to(job.request.end_point(), self.shared.options()).answered(&mut job);
        self.learn(job.request.end_point(), verdict, &answer, moment);
        if matches!(verdict, Verdict::Retry { .. } | Verdict::Hold) {
            job.failed(&answer, now_ms);
        }
        let Some(job) = self.without_lost(job, verdict) else { return };
        let (step, sibling) = settle(job, verdict);
        self.take_step(step, &answer, now);
        if let Some(sibling) = sibling {
            self.take_step(sibling, &answer, now);
        }
    }

    /// What is left of a request without what the queue has taken back meanwhile. Where the answer was about an event in it,
    /// that may be gone: the rest is asked about anew.
    fn without_lost(&mut self, mut job: Job<T>, verdict: Verdict) -> Option<Job<T>> {
        if !self.ends.some_are_lost() {
            return Some(job);
        }
        if verdict == Verdict::Delivered {
            // This half ends as it is; the other is still to be sent.
            let mut sibling = job.sibling.take().unwrap_or_default();
            sibling.retain(|part| self.ends.keep(part));
            job.sibling = (!sibling.is_empty()).then_some(sibling);
            return Some(job);
        }
        let (before, options) = (job.len(), self.shared.options());
        let is_left = job.retain(|part| self.ends.keep(part), options.end_point.as_ref());
        if is_left && (job.len() == before || !matches!(verdict, Verdict::Halve | Verdict::Bisect)) {
            return Some(job);
        }
        self.lanes.make_ready(std::mem::take(&mut job.parts), options);
        self.lanes.make_ready(job.sibling.unwrap_or_default(), options);
        None
    }

    fn learn(&mut self, end_point: &str, verdict: Verdict, answer: &Answer, moment: Moment) {
        let lane = self.lanes.to(end_point, self.shared.options());
        let had_trouble = lane.upstream().trouble().is_some();
        let change = lane.upstream_mut().answered(verdict, answer, moment);
        self.is_health_stale |= had_trouble || lane.upstream().trouble().is_some() || change.is_some();
        match change {
            Some(Change::Opened(why)) => log_opened(why, lane),
            Some(Change::Closed(_)) => {
                tracing::info!(end_point, "the upstream works again");
                lane.hurry(moment.now);
                self.begin_backlog();
            }
            None => {}
        }
    }

    fn take_step(&mut self, step: Step<T>, answer: &Answer, now: Duration) {
        let (lanes, options) = (&mut self.lanes, self.shared.options());
        match step {
            Step::Delivered(parts) => self.ends.delivered(parts),
            Step::Retry(job, at_least) => lanes.retry(job, at_least, now, options),
            Step::Hold(job) => lanes.hold(job, now, options),
            Step::Send(parts) => lanes.make_ready(parts, options),
            Step::SendBoth(Halves { left, right, split_lease }) => {
                self.ends.split(split_lease);
                lanes.make_ready(left, options);
                lanes.make_ready(right, options);
            }
            Step::AskLeft(Halves { left, right, split_lease }) => {
                self.ends.split(split_lease);
                lanes.ask_about(left, right, options);
            }
            Step::Bury(part, reason) => self.ends.bury(part, reason, answer),
        }
    }
}

fn log_opened<T: Item>(why: Why, lane: &Lane<T>) {
    let end_point = &**lane.upstream().end_point();
    let answer = lane.upstream().trouble().map_or("", |trouble| &trouble.what);
    match why {
        Why::Failing => {
            tracing::warn!(end_point, answer, "the end point fails; its events wait in the queue");
        }
        Why::Held => tracing::error!(
            end_point,
            answer,
            "the end point refuses every request; put its address or credential right; its events wait in the queue"
        ),
    }
}
