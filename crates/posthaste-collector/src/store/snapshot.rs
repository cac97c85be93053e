//! What was kept at one moment, for readers: they hold no lock while they look at it.

use std::sync::Arc;

use super::{Segment, View};

/// Kept events, and what the store said beside them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(super) segments: Vec<Arc<Segment>>,
    /// The events are newer than this one.
    pub(super) after: u64,
    /// The id from which on anything is kept.
    pub(crate) oldest: u64,
    /// The newest id that was given.
    pub(crate) newest: u64,
    /// How often something was reset.
    pub(crate) resets: u64,
}

impl Snapshot {
    /// The events, oldest first.
    pub(crate) fn views(&self) -> impl DoubleEndedIterator<Item = View<'_>> {
        self.segments.iter().flat_map(|segment| segment.live_after(self.after))
    }

    /// The newest id that is here, its event gone or not.
    pub(crate) fn last_id(&self) -> Option<u64> {
        self.segments.last().and_then(|segment| segment.last_id())
    }

    /// The event of this id, if it is here.
    pub(crate) fn find(&self, id: u64) -> Option<View<'_>> {
        let at = self.segments.partition_point(|segment| segment.last_id().is_some_and(|last| last < id));
        self.segments.get(at)?.find(id).filter(|_| id > self.after)
    }
}
