//! What a queue has to know of the things in it.

use crate::{batch::LogEvent, event::UserEvent};

/// Something that waits in a queue: [`UserEvent`] or [`LogEvent`]. It says how much it counts for, and how much room it
/// takes.
///
/// ```
/// use posthaste::{LogEvent, queue::QueueItem};
///
/// let body = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{},{}]}]}]}"#;
/// let request = LogEvent::from_body("http://127.0.0.1:8080/v1/events", body)?;
/// assert_eq!(QueueItem::events(&request), 2, "what the ledger counts");
/// assert!(request.bytes() >= body.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait QueueItem: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// How many events each item carries, where that is the same for all.
    const EVENTS: Option<u64>;

    /// How many events it carries: what the ledger counts.
    fn events(&self) -> usize;

    /// About how many bytes of memory it takes, for queues that are bounded in bytes.
    fn bytes(&self) -> usize;
}

impl QueueItem for UserEvent {
    const EVENTS: Option<u64> = Some(1);

    fn events(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        self.memory_bytes()
    }
}

impl QueueItem for LogEvent {
    const EVENTS: Option<u64> = None;

    fn events(&self) -> usize {
        LogEvent::events(self)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.body().len()
    }
}
