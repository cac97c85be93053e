//! Whether the API could take an event, told by its head: a few instructions for each event that is in order.

use super::{packed::flag, tags::TOO_DEEP, user_event::UserEvent};
use crate::project::{EventIds, ReportedDecision};

impl UserEvent {
    /// Whether a request of this event alone would have more bytes than this: then, how many. A processor refuses such an
    /// event.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let event = config.conversion("purchase", &posthaste::UserContext::new("ann"), [("note", "x".repeat(500))])?;
    /// assert_eq!(event.too_large_for(3_500_000), None);
    /// assert!(event.too_large_for(500).is_some_and(|bytes| bytes > 500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn too_large_for(&self, request_bytes: usize) -> Option<usize> {
        // The exact size is worked out only where the estimate leaves it open.
        if self.wire_bytes_max() <= request_bytes {
            return None;
        }
        let bytes = super::encode_events(std::iter::once(self)).0.len();
        (bytes > request_bytes).then_some(bytes)
    }

    /// Why the Event API would throw the event away, and perhaps what shares a request with it: `None`, it would not. A
    /// processor refuses such an event.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let event = config.conversion("purchase", &posthaste::UserContext::new("ann"), posthaste::NO_TAGS)?;
    /// assert_eq!(event.why_invalid(), None);
    /// let why = event.with_timestamp_ms(0).why_invalid();
    /// assert_eq!(why, Some("timestamp: not milliseconds since 1970; send the time of the event, UTC"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn why_invalid(&self) -> Option<&'static str> {
        if self.timestamp_ms() > 0 && !self.0.has(flag::UUID_TEXT | flag::TOO_DEEP | flag::NAMELESS) {
            return None;
        }
        if self.uuid().is_empty() {
            Some("uuid: empty, and the API requires one; leave it out to get a new one")
        } else if self.timestamp_ms() <= 0 {
            Some("timestamp: not milliseconds since 1970; send the time of the event, UTC")
        } else if self.0.has(flag::TOO_DEEP) {
            Some(TOO_DEEP)
        } else {
            // The datafile was taken all the same: the rest of it may be in order.
            let has_no_id = self.0.has(flag::NAMELESS);
            has_no_id
                .then_some("event: its id in the datafile (events[].id) is empty; copy the datafile again")
        }
    }

    /// About how many bytes the event takes in a request where nothing must be escaped.
    pub(crate) fn wire_bytes_typical(&self) -> usize {
        /// What is written for each, its ids left out.
        const FIXED: usize = 320;
        FIXED + self.shared_bytes() + self.0.len() + self.names_bytes_max()
    }

    /// At most how many bytes the event takes in a request, whatever must be escaped in it. Cheap.
    pub(crate) fn wire_bytes_max(&self) -> usize {
        /// Field names, punctuation, numbers, `$opt_bot_filtering`, the head of a request less its strings.
        const FIXED: usize = 1_000;
        /// A byte becomes at most six: `\u0000`.
        const ESCAPED: usize = 6;
        // The campaign's id is written twice.
        let texts = 2 * self.0.len() + self.shared_bytes() + self.context().text_bytes();
        FIXED + texts * ESCAPED + self.names_bytes_max()
    }

    /// Bytes of the ids that the context has, each as often as it is written, and of what goes with them.
    fn shared_bytes(&self) -> usize {
        let of_impression = self.0.decision().map(ReportedDecision::text_bytes);
        of_impression.or_else(|| self.0.event_ids().map(EventIds::text_bytes)).unwrap_or_default()
    }

    /// At most how many bytes the names of the context add to a request.
    fn names_bytes_max(&self) -> usize {
        self.0.attributes_max() * self.context().names().tail_bytes_max()
    }
}
