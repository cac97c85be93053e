//! What follows from an answer, as a pure function with a name for each outcome. The machine does what it says.
//!
//! A bad event among n good ones is found by halving. The smaller half is asked about first; if it is good, the bad one
//! is in the other, which is halved without asking. For k bad events among n that takes at most
//! 2·k·log2(n) + 1 requests.

use std::time::Duration;

use super::{
    item::Item,
    job::{self, Halves, Job, Part},
};
use crate::{dispatch::Verdict, outcome::DeadReason};

/// What becomes of the parts of a request. Every part is in exactly one of these.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// They have arrived.
    Delivered(Vec<Part<T>>),
    /// The same request goes again, after its backoff, and not before this time has passed.
    Retry(Job<T>, Duration),
    /// The same request goes again, slowly: the address or a credential is wrong.
    Hold(Job<T>),
    /// These go as a request of their own.
    Send(Vec<Part<T>>),
    /// Both halves go.
    SendBoth(Halves<T>),
    /// The left half goes; the right one waits for its answer.
    AskLeft(Halves<T>),
    /// It will not be delivered.
    Bury(Part<T>, DeadReason),
}

/// What follows for the request, and for the half that was kept back, in this order.
pub(super) fn settle<T: Item>(mut job: Job<T>, verdict: Verdict) -> (Step<T>, Option<Step<T>>) {
    let sibling = job.sibling.take();
    let step = match verdict {
        Verdict::Delivered => {
            job.request.let_go();
            // This half was good, so the bad event is in the other.
            return (Step::Delivered(job.parts), sibling.map(suspect));
        }
        Verdict::Retry { at_least, .. } => Step::Retry(job, at_least),
        Verdict::Hold => Step::Hold(job),
        Verdict::Halve => match job::halves(job.parts) {
            Ok(halves) => Step::SendBoth(halves),
            Err(part) => Step::Bury(part, DeadReason::TooLarge),
        },
        Verdict::Bisect => match job::halves(job.parts) {
            Ok(halves) => Step::AskLeft(halves),
            Err(part) => Step::Bury(part, DeadReason::Rejected),
        },
    };
    (step, sibling.map(Step::Send))
}

/// These hold a bad event. A single one is sent once more, to have the answer to it alone.
fn suspect<T: Item>(parts: Vec<Part<T>>) -> Step<T> {
    match job::halves(parts) {
        Ok(halves) => Step::AskLeft(halves),
        Err(part) => Step::Send(vec![part]),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Leases, *};
    use crate::batch::{Batch, LogEvent, Snapshot, SnapshotEvent, Visitor};

    const RETRY: Verdict = Verdict::Retry { at_least: Duration::from_secs(7), overloaded: false };

    fn request(events: usize) -> LogEvent {
        let snapshot = Snapshot { events: vec![SnapshotEvent::default(); events], ..Snapshot::default() };
        let visitor = Visitor { snapshots: vec![snapshot], ..Visitor::default() };
        let batch = Batch { visitors: vec![visitor], ..Batch::default() };
        LogEvent::new("http://127.0.0.1/", &batch)
    }

    fn job(items: usize, events: usize) -> Job<LogEvent> {
        let mut leases = Leases::new(false);
        let parts = (0..items).map(|id| Part { lease: leases.begin(id as u64), item: request(events) });
        Job::new(parts.collect(), None)
    }

    /// A word for each outcome, with how many parts go where.
    fn word(step: &Step<LogEvent>) -> String {
        match step {
            Step::Delivered(parts) => format!("delivered {}", parts.len()),
            Step::Retry(job, at_least) => format!("retry {} after {at_least:?}", job.parts.len()),
            Step::Hold(job) => format!("hold {}", job.parts.len()),
            Step::Send(parts) => format!("send {}", parts.len()),
            Step::SendBoth(halves) => format!("send {} and {}", halves.left.len(), halves.right.len()),
            Step::AskLeft(halves) => format!("ask {} before {}", halves.left.len(), halves.right.len()),
            Step::Bury(_, reason) => format!("bury {reason}"),
        }
    }

    #[test]
    fn every_verdict_has_its_step() {
        for (items, events, verdict, expected) in [
            (3, 1, Verdict::Delivered, "delivered 3"),
            (3, 1, RETRY, "retry 3 after 7s"),
            (3, 1, Verdict::Hold, "hold 3"),
            (3, 1, Verdict::Halve, "send 1 and 2"),
            (3, 1, Verdict::Bisect, "ask 1 before 2"),
            (1, 1, Verdict::Halve, "bury too_large"),
            (1, 1, Verdict::Bisect, "bury rejected"),
            (1, 2, Verdict::Halve, "send 1 and 1"),
            (1, 2, Verdict::Bisect, "ask 1 before 1"),
        ] {
            let (step, sibling) = settle(job(items, events), verdict);
            assert_eq!(word(&step), expected, "{items} of {events}: {verdict:?}");
            assert!(sibling.is_none());
        }
    }

    #[test]
    fn the_half_that_was_kept_back_follows() {
        for (kept_back, verdict, expected) in [
            (4, Verdict::Delivered, "ask 2 before 2"),
            (1, Verdict::Delivered, "send 1"),
            (4, Verdict::Bisect, "send 4"),
            (4, Verdict::Halve, "send 4"),
            (4, RETRY, "send 4"),
            (4, Verdict::Hold, "send 4"),
        ] {
            let mut left = job(2, 1);
            left.sibling = Some(job(kept_back, 1).parts);
            let (_, sibling) = settle(left, verdict);
            assert_eq!(word(&sibling.unwrap()), expected, "{verdict:?}");
        }
    }

    #[test]
    fn the_parts_of_a_split_item_share_its_lease() {
        let (step, _) = settle(job(1, 5), Verdict::Bisect);
        let Step::AskLeft(Halves { left, right, split_lease }) = step else { panic!("{step:?}") };
        assert_eq!(split_lease, Some(left[0].lease));
        assert_eq!((left[0].lease, left[0].item.events() + right[0].item.events()), (right[0].lease, 5));
    }
}
