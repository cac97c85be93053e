//! The id of a request's message: what the stream knows it by, so that it is not stored twice where it goes twice.
//!
//! It is made of what the spool keeps, and so survives the relay: where a request goes, its body, and when it was taken.
//! The time is in it so that equal bodies that came one after the other are not taken for one.

use posthaste::{LogEvent, queue::jetstream};

/// The request's id; none where nobody has said when it was taken: then it has one of its own each time.
pub(super) fn message_id(request: &LogEvent) -> Option<String> {
    let (taken, put_back) = (request.taken_ms()?, request.put_back_ms().unwrap_or_default());
    Some(format!("{}-{taken}-{put_back}", jetstream::message_id(request)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(to: &str, body: &str, taken_ms: i64) -> LogEvent {
        LogEvent::opaque(to, body.to_owned()).with_taken_ms(taken_ms)
    }

    #[test]
    fn what_goes_again_has_its_id_and_whatever_differs_has_another() {
        let one = request("http://a/", "{}", 5);
        assert_eq!(message_id(&one), message_id(&one.clone()));
        for other in [
            request("http://b/", "{}", 5),
            request("http://a/", "{} ", 5),
            request("http://a/", "{}", 6),
            request("http://a/{", "}", 5),
            one.clone().with_put_back_ms(7),
        ] {
            assert_ne!(message_id(&one), message_id(&other), "{other:?}");
        }
        assert_eq!(message_id(&LogEvent::opaque("http://a/", "{}")), None);
    }
}
