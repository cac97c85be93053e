//! Whether delivery goes on.

/// Whether delivery's loop goes round: what a ping found. It says nothing of whether requests get through;
/// [`Health`](super::Health) does.
///
/// ```
/// use std::time::Duration;
/// use posthaste::{QueueEventDispatcher, outcome::Pulse, testing::RecordingDispatcher};
///
/// let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).build()?;
/// assert_eq!(dispatcher.ping(Duration::from_secs(1)).wait(), Pulse::Beating);
/// # Ok::<(), posthaste::OptionsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pulse {
    /// It has answered.
    Beating,
    /// It has not answered in time: a dispatcher, callback, queue or disk blocks it.
    Silent,
    /// It has ended: it was closed, or [`Health::ended`](super::Health::ended) says why.
    Ended,
}
