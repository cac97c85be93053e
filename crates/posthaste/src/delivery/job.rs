//! A request on its way: what it carries, and what is left to do once it has been answered.

use std::{sync::Arc, time::Duration};

use super::{item::Item, leases::Lease, upstream};
use crate::{batch::LogEvent, dispatch::Answer, outcome::Trouble};

/// An item of a request, and which lease it belongs to. A split item's parts share the lease.
#[derive(Debug, Clone)]
pub(super) struct Part<T> {
    pub(super) lease: Lease,
    pub(super) item: T,
}

/// A request to be sent until its answer is final.
#[derive(Debug)]
pub(super) struct Job<T> {
    pub(super) parts: Vec<Part<T>>,
    pub(super) request: LogEvent,
    /// It is under way as one of the backlog's.
    pub(super) is_paced: bool,
    /// How often it has failed in a row.
    pub(super) failures: u32,
    /// When it was last refused as if the address or a credential were wrong.
    pub(super) held_at: Option<Duration>,
    /// What went wrong with it.
    pub(super) trouble: Option<Trouble>,
    /// The other half of a request that holds a bad event. It waits until this half has been judged. If this half is
    /// good, the bad event is in the other, and nobody need ask about that again.
    pub(super) sibling: Option<Vec<Part<T>>>,
}

impl<T: Item> Job<T> {
    pub(super) fn new(parts: Vec<Part<T>>, end_point: Option<&Arc<str>>) -> Self {
        let request = T::request(parts.iter().map(|part| &part.item), end_point);
        Self { parts, request, is_paced: false, failures: 0, held_at: None, trouble: None, sibling: None }
    }

    /// Its parts, with those that wait for its answer.
    pub(super) fn len(&self) -> usize {
        self.parts.len() + self.sibling.as_ref().map_or(0, Vec::len)
    }

    /// Lets go of parts that are not to be kept. False: none is left.
    pub(super) fn retain(
        &mut self,
        mut keep: impl FnMut(&Part<T>) -> bool,
        end_point: Option<&Arc<str>>,
    ) -> bool {
        let before = self.parts.len();
        let mut sibling = self.sibling.take().unwrap_or_default();
        sibling.retain(&mut keep);
        self.sibling = (!sibling.is_empty()).then_some(sibling);
        self.parts.retain(&mut keep);
        if self.parts.is_empty() {
            // The other half need not wait for an answer about this one.
            self.parts = self.sibling.take().unwrap_or_default();
        } else if self.parts.len() == before {
            return true;
        }
        if !self.parts.is_empty() {
            self.request = T::request(self.parts.iter().map(|part| &part.item), end_point);
        }
        !self.parts.is_empty()
    }

    /// It has failed again.
    pub(super) fn failed(&mut self, answer: &Answer, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        upstream::note(&mut self.trouble, self.request.end_point(), answer, now_ms);
    }

    /// Events that wait for this request's answer.
    pub(super) fn events(&self) -> usize {
        let held_back = self.sibling.iter().flatten();
        self.parts.iter().chain(held_back).map(|part| part.item.events()).sum()
    }
}

/// Two halves of a group, the smaller one first; `None` where the group is a single event.
///
/// The halves of a split item need one more settlement of its lease, which the caller sees to.
pub(super) fn halves<T: Item>(mut parts: Vec<Part<T>>) -> Result<Halves<T>, Part<T>> {
    if parts.len() > 1 {
        let right = parts.split_off(parts.len() / 2);
        return Ok(Halves { left: parts, right, split_lease: None });
    }
    let part = parts.pop().expect("a group has at least one part");
    match part.item.split() {
        Some((left, right)) => {
            let part_of = |item| vec![Part { lease: part.lease, item }];
            Ok(Halves { left: part_of(left), right: part_of(right), split_lease: Some(part.lease) })
        }
        None => Err(part),
    }
}

#[derive(Debug)]
pub(super) struct Halves<T> {
    pub(super) left: Vec<Part<T>>,
    pub(super) right: Vec<Part<T>>,
    /// The lease that is now settled in two parts instead of one.
    pub(super) split_lease: Option<Lease>,
}

#[cfg(test)]
mod tests {
    use super::{super::leases::Leases, *};
    use crate::batch::{Batch, LogEvent};

    fn job(ids: &[u64], sibling: &[u64]) -> Job<LogEvent> {
        let mut leases = Leases::new(false);
        let mut parts = |ids: &[u64]| -> Vec<Part<LogEvent>> {
            let item = LogEvent::new("http://127.0.0.1/", &Batch::default());
            ids.iter().map(|id| Part { lease: leases.begin(*id), item: item.clone() }).collect()
        };
        let mut job = Job::new(parts(ids), None);
        job.sibling = Some(parts(sibling));
        job
    }

    fn ids(parts: &[Part<LogEvent>]) -> Vec<u64> {
        parts.iter().map(|part| part.lease.id()).collect()
    }

    /// A half without parts would be halved again.
    #[test]
    fn no_half_stays_without_parts() {
        let mut all_of_sibling = job(&[1], &[2, 3]);
        assert!(all_of_sibling.retain(|part| part.lease.id() == 1, None));
        assert_eq!((ids(&all_of_sibling.parts), all_of_sibling.sibling.is_none()), (vec![1], true));
        let mut all_of_parts = job(&[1], &[2, 3]);
        assert!(all_of_parts.retain(|part| part.lease.id() == 3, None));
        assert_eq!((ids(&all_of_parts.parts), all_of_parts.sibling.is_none()), (vec![3], true));
        assert!(!job(&[1], &[2]).retain(|_| false, None));
    }
}
