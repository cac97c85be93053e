//! What is kept of an event that will not be delivered.

use super::DeadReason;

/// An accepted event that will not be delivered, and why.
///
/// ```
/// use posthaste::{DeadLetter, DeadReason};
///
/// // Delivery makes them; a store of your own, or a test, makes them like this.
/// let letter = DeadLetter::new("the event", DeadReason::Rejected, 1_795_500_003_394).answered(Some(400), "bad");
/// assert_eq!((letter.item, letter.reason.name(), letter.status), ("the event", "rejected", Some(400)));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// The event, or the request of a single event.
    pub item: T,
    /// Why it is here.
    pub reason: DeadReason,
    /// The status of the API's last answer, where there was one.
    pub status: Option<u16>,
    /// The beginning of the API's last answer; empty where there was none.
    pub text: String,
    /// When it came here: milliseconds since 1970, UTC.
    pub time_ms: i64,
}

impl<T> DeadLetter<T> {
    /// This item, which came here for this reason at that time: milliseconds since 1970, UTC.
    pub fn new(item: T, reason: DeadReason, time_ms: i64) -> Self {
        Self { item, reason, status: None, text: String::new(), time_ms }
    }

    /// The same, after this answer.
    #[must_use]
    pub fn answered(self, status: Option<u16>, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), ..self }
    }
}
