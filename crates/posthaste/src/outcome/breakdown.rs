//! What has become of events, reason by reason.

use super::{DeadReason, Ledger};

/// What has become of events, reason by reason, at one moment. Every reason is there, those of no events too.
///
/// ```
/// use posthaste::{QueueEventDispatcher, testing::RecordingDispatcher};
///
/// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
/// let now = dispatcher.breakdown();
/// let dead: u64 = now.dead_lettered.iter().map(|(_, events)| events).sum();
/// assert_eq!(now.ledger.dead_lettered, dead + now.found - now.replayed);
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breakdown {
    /// All of it in sums.
    pub ledger: Ledger,
    /// Events that came to be dead letters since the start, by reason.
    pub dead_lettered: Vec<(DeadReason, u64)>,
    /// Dead letters that an earlier process left.
    pub found: u64,
    /// Dead letters that were put back into the queue: they are dead letters no more.
    pub replayed: u64,
    /// Events that were never taken, by the [name](super::Refusal::name) of the reason.
    pub refused: Vec<(&'static str, u64)>,
}
