//! Ids of messages, by which a publish that is tried again is not stored twice.

use ring::digest::{Context, SHA256};

use crate::{batch::LogEvent, event::EventUuid};

/// One that nobody has had.
pub(super) fn random() -> String {
    EventUuid::random().to_string()
}

/// The id that follows from what a request is: where it goes, and its body. For whoever keeps requests elsewhere and
/// puts them into a stream from there, over restarts: within the stream's duplicate window, a request that is put in
/// again is there once. To the Event API, equal bodies are repeats anyway.
///
/// ```
/// use posthaste::{Batch, LogEvent, queue::jetstream::message_id};
///
/// let request = LogEvent::new("http://127.0.0.1/v1/events", &Batch::default());
/// assert_eq!(message_id(&request), message_id(&request.clone().with_taken_ms(7)));
/// assert_ne!(message_id(&request), message_id(&request.with_end_point("http://127.0.0.1/other")));
/// ```
pub fn message_id(request: &LogEvent) -> String {
    of_parts(&[request.end_point().as_bytes(), request.body()])
}

/// 128 bits of a hash over the parts and their lengths, in hexadecimal.
pub(super) fn of_parts(parts: &[&[u8]]) -> String {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hex = |byte: &u8| format!("{byte:02x}");
    hash.finish().as_ref().iter().take(16).map(hex).collect()
}
