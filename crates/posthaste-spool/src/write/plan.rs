//! Where everything that was taken will stand on disk, worked out before it is taken. Pure arithmetic.
//!
//! The plan follows the writer's own rule: a batch goes to the segment at hand if it fits, else to the first empty
//! segment that it fits into. So whatever the plan took, the writer finds room for, and nothing is taken without.

use std::collections::VecDeque;

use crate::{
    batch::META_BYTES_MAX,
    format::{
        frame,
        segment::{DATA_START, MIN_SEGMENT_BYTES},
    },
};

/// Bytes of a segment of this length that batches can have: it begins with a header and the current metadata.
pub(crate) fn capacity(segment_bytes: u64) -> u64 {
    segment_bytes.saturating_sub(DATA_START + frame::size(META_BYTES_MAX) as u64)
}

/// How long a segment has to be for a batch of this size.
pub(crate) fn length_for(bytes: u64) -> u64 {
    let length = bytes.saturating_add(MIN_SEGMENT_BYTES - capacity(MIN_SEGMENT_BYTES));
    length.max(MIN_SEGMENT_BYTES).next_multiple_of(4_096)
}

/// Room that is not spoken for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In the segment that the last batch goes to.
    rest: u64,
    /// Capacities of the empty segments behind it, in the order in which they will be used.
    empty: VecDeque<u64>,
}

impl Plan {
    /// Over the rest of the segment at hand, and empty segments of these lengths.
    pub(crate) fn new(rest: u64, empty: impl IntoIterator<Item = u64>) -> Self {
        Self { rest, empty: empty.into_iter().map(capacity).collect() }
    }

    /// Takes room for a batch. False: there is none.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        if bytes <= self.rest {
            self.rest -= bytes;
            return true;
        }
        let Some(at) = self.empty.iter().position(|capacity| bytes <= *capacity) else { return false };
        self.rest = self.empty.remove(at).map_or(0, |capacity| capacity - bytes);
        true
    }

    /// Counts on one more empty segment of this length.
    pub(crate) fn add_empty(&mut self, segment_bytes: u64) {
        self.empty.push_back(capacity(segment_bytes));
    }

    /// Room in all, as far as one knows before the batches are there.
    pub(crate) fn room(&self) -> u64 {
        self.rest + self.empty.iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_to_the_first_segment_that_it_fits_into() {
        let whole = |capacity: u64| capacity + DATA_START + frame::size(META_BYTES_MAX) as u64;
        let mut plan = Plan::new(100, [whole(50), whole(200)]);
        assert!(plan.take(60) && plan.rest == 40);
        assert!(plan.take(150) && plan.rest == 50, "the small one is passed over");
        assert!(!plan.take(51) && plan.rest == 50, "a refusal takes nothing");
        assert!(plan.take(50) && plan.take(50) && plan.room() == 0);
        assert!(!plan.take(1));
    }
}
