//! What is on its way to one end point, new or of the backlog: from leased items to requests.
//!
//! ```text
//! ungrouped ─▶ open groups ─▶ schedule: ready ─▶ in flight
//!              (one a context)        ▲               │
//!                                     └─ later ◀──────┘
//! ```

use std::collections::VecDeque;

use super::{
    groups::Groups,
    item::Item,
    job::{Job, Part},
    options::Options,
    schedule::Schedule,
};

#[derive(Debug)]
pub(super) struct Flow<T> {
    pub(super) schedule: Schedule<T>,
    pub(super) groups: Groups<T>,
    /// Leased, and not grouped yet.
    pub(super) ungrouped: VecDeque<Part<T>>,
}

impl<T: Item> Flow<T> {
    pub(super) fn new(options: &Options<T>) -> Self {
        Self {
            schedule: Schedule::default(),
            groups: Groups::new(options.batch_size),
            ungrouped: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.schedule.is_empty() && self.ungrouped.is_empty() && self.groups.is_empty()
    }

    /// Makes requests of what is not grouped, until `ready` are ready. Groups with a lease below `force_before` go although
    /// they are not full, once nothing more can join them.
    pub(super) fn load(
        &mut self,
        ready: usize,
        options: &Options<T>,
        force_before: u64,
        may_others_join: bool,
    ) {
        while self.schedule.ready() < ready
            && let Some(part) = self.ungrouped.pop_front()
        {
            if let Some(group) = self.groups.add(part) {
                self.make_ready(group, options);
            }
        }
        if self.ungrouped.is_empty() && !may_others_join {
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

    /// Takes over everything that another has. It stands behind what is here.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        self.schedule.absorb(&mut other.schedule);
        self.ungrouped.extend(other.groups.seal_before(u64::MAX).into_iter().flatten());
        self.ungrouped.append(&mut other.ungrouped);
    }

    /// Lets go of what is not to be kept.
    pub(super) fn retain(&mut self, keep: &mut impl FnMut(&Part<T>) -> bool, options: &Options<T>) {
        self.ungrouped.retain(&mut *keep);
        self.groups.retain(&mut *keep);
        self.schedule.retain(&mut *keep, options.end_point.as_ref());
    }

    /// Events that are in no request yet.
    pub(super) fn events_unsent(&self) -> usize {
        self.ungrouped.iter().chain(self.groups.parts()).map(|part| part.item.events()).sum()
    }
}
