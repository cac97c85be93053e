//! What came back for a request.

use std::time::Duration;

/// What came back: the API's answer, or why there was none. [`verdict`](super::verdict()) says what follows from it.
pub type Answer = Result<Response, DispatchError>;

/// How many bytes of an answer's text are kept, for dead letters and logs.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// The parts of an answer that decide what happens next.
///
/// A dispatcher of one's own makes it from the status, and adds what else it knows:
///
/// ```
/// use std::time::Duration;
/// use posthaste::dispatch::{Response, RetryAfter};
///
/// let busy = Response::status(429).with_text("slow down").with_retry_after(RetryAfter::Delay(Duration::from_secs(7)));
/// assert_eq!((busy.status, &*busy.text), (429, "slow down"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status. It alone decides whether events have arrived.
    pub status: u16,
    /// The `Retry-After` header, where it could be read.
    pub retry_after: Option<RetryAfter>,
    /// The beginning of the body, at most [`TEXT_BYTES_MAX`] bytes: what is wrong, in the server's words.
    pub text: String,
}

/// When to try again, in either form of the `Retry-After` header (RFC 9110, section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After this time.
    Delay(Duration),
    /// At this time: milliseconds since 1970, UTC.
    At(i64),
}

/// Why there was no answer. The event may have arrived all the same.
///
/// A dispatcher of one's own may make any of them. `HttpEventDispatcher` begins its texts
/// with host and port, and never shows a credential.
///
/// ```
/// use posthaste::dispatch::{Answer, DispatchError, EndPoint, Response, Verdict, verdict};
///
/// /// What a dispatcher of your own makes of its client's errors.
/// fn answer(url: &str, sent: std::io::Result<u16>) -> Answer {
///     let address = EndPoint::check(url)?.address();
///     sent.map(Response::status).map_err(|error| DispatchError::Lost(format!("{address}: {error}")))
/// }
/// let broken = answer("http://127.0.0.1/", Err(std::io::ErrorKind::ConnectionReset.into()));
/// assert!(matches!(verdict(&broken, 0), Verdict::Retry { .. }), "it is sent again");
/// assert_eq!(verdict(&answer("nowhere", Ok(204)), 0), Verdict::Hold);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// No connection: refused, no such host, TLS, proxy. The text says where, and why.
    #[error("failed to connect: {0}")]
    Connect(String),
    /// No status came within this time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke before the status of an answer had come. The text says where, and how.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The address is not one that requests can be sent to. [`EndPointError`](super::EndPointError) becomes one by `?`.
    #[error("{url:?} is no address for events: {message}")]
    BadEndPoint {
        /// The address as it may be shown.
        url: String,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// The dispatcher panicked.
    #[error("the dispatcher panicked")]
    Panicked,
    /// A dispatcher with a queue of its own could not take the request.
    #[error("not queued: {0}")]
    NotQueued(crate::outcome::Refusal),
}

impl Response {
    /// An answer of this status with nothing else to say.
    pub fn status(status: u16) -> Self {
        Self { status, retry_after: None, text: String::new() }
    }

    /// The same answer with this text, cut to [`TEXT_BYTES_MAX`].
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        text[..text.floor_char_boundary(TEXT_BYTES_MAX)].clone_into(&mut self.text);
        self
    }

    /// The same answer, asking to wait.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

impl RetryAfter {
    /// Reads the header's value: seconds, or a date in one of the three forms of RFC 9110, section 5.6.7. Anything else
    /// is as if there were none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use posthaste::dispatch::RetryAfter;
    ///
    /// assert_eq!(RetryAfter::parse("120"), Some(RetryAfter::Delay(Duration::from_secs(120))));
    /// assert_eq!(RetryAfter::parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(RetryAfter::At(784_111_777_000)));
    /// assert_eq!(RetryAfter::parse("soon"), None);
    /// ```
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
            return Some(Self::Delay(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        let since_1970 = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
        Some(Self::At(i64::try_from(since_1970.as_millis()).ok()?))
    }

    /// How long that is from `now_ms`, milliseconds since 1970: nothing, where the time has passed.
    pub fn from_now(self, now_ms: i64) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(at_ms) => {
                Duration::from_millis(u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The date and its three forms are the example of RFC 9110, section 5.6.7: 784,111,777 s after 1970.
    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        for (value, expected) in [
            ("120", Some(RetryAfter::Delay(Duration::from_secs(120)))),
            (" 0 ", Some(RetryAfter::Delay(Duration::ZERO))),
            ("99999999999999999999999", Some(RetryAfter::Delay(Duration::from_secs(u64::MAX)))),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(RetryAfter::At(784_111_777_000))),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(RetryAfter::At(784_111_777_000))),
            ("Sun Nov  6 08:49:37 1994", Some(RetryAfter::At(784_111_777_000))),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(RetryAfter::parse(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_date_that_has_passed_means_now() {
        assert_eq!(RetryAfter::At(1_000).from_now(2_000), Duration::ZERO);
        assert_eq!(RetryAfter::At(2_500).from_now(1_000), Duration::from_millis(1_500));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let response = Response::status(400).with_text(&"é".repeat(TEXT_BYTES_MAX));
        assert_eq!(response.text.len(), TEXT_BYTES_MAX);
        let response = Response::status(400).with_text(&format!("x{}", "é".repeat(TEXT_BYTES_MAX)));
        assert_eq!(response.text.len(), TEXT_BYTES_MAX - 1);
    }
}
