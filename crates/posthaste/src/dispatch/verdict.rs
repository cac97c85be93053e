//! What an answer means for the request it answers. One pure function, tested as a table.

use std::time::Duration;

use super::{Answer, DispatchError};

/// What is to be done with a request, now that it has been answered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Its events have arrived: forget them.
    Delivered,
    /// Send it again later.
    #[non_exhaustive]
    Retry {
        /// Not before this time has passed.
        at_least: Duration,
        /// Whether the server or the way to it is overloaded: fewer requests at once.
        overloaded: bool,
    },
    /// It is too large: send its halves. A single event is dead-lettered.
    Halve,
    /// One of its events is bad: find it by halving. A single event is dead-lettered.
    Bisect,
    /// The address or the credential is wrong, so nothing can arrive: hold everything, and try slowly.
    Hold,
}

impl Verdict {
    pub(crate) const NAMES: [&'static str; 5] = ["delivered", "retry", "halve", "bisect", "hold"];

    /// The verdict's name in metrics.
    pub fn name(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// Its place among [`NAMES`](Self::NAMES).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Delivered => 0,
            Self::Retry { .. } => 1,
            Self::Halve => 2,
            Self::Bisect => 3,
            Self::Hold => 4,
        }
    }
}

/// What an answer means. `now_ms` (milliseconds since 1970) is needed for a `Retry-After` date.
///
/// | answer | verdict |
/// |---|---|
/// | 2xx | [`Delivered`](Verdict::Delivered): the API answers 204, a relay may answer another |
/// | none in time; a queue that is full | [`Retry`](Verdict::Retry), overloaded |
/// | none for another reason | [`Retry`](Verdict::Retry) |
/// | 429 | [`Retry`](Verdict::Retry), overloaded, and not before `Retry-After` |
/// | 408, 425, 5xx; what is no final status | [`Retry`](Verdict::Retry), not before `Retry-After` |
/// | 413 | [`Halve`](Verdict::Halve) |
/// | 400, 422 | [`Bisect`](Verdict::Bisect) |
/// | 3xx, 401, 403, 404, 405, 410, any other 4xx; no address | [`Hold`](Verdict::Hold) |
///
/// The statuses and their meaning are those of RFC 9110, section 15; what the Event API and each official SDK make of
/// them is in the project's `docs/PROTOCOL.md`, section 1.
///
/// ```
/// use posthaste::dispatch::{Response, Verdict, verdict};
///
/// let of = |status| verdict(&Ok(Response::status(status)), 0);
/// assert_eq!((of(204), of(400), of(413), of(403)), (
///     Verdict::Delivered, Verdict::Bisect, Verdict::Halve, Verdict::Hold,
/// ));
/// assert!(matches!(of(503), Verdict::Retry { overloaded: false, .. }));
/// ```
pub fn verdict(answer: &Answer, now_ms: i64) -> Verdict {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return without_answer(error),
    };
    let at_least = response.retry_after.map_or(Duration::ZERO, |wait| wait.from_now(now_ms));
    match response.status {
        200..=299 => Verdict::Delivered,
        429 => Verdict::Retry { at_least, overloaded: true },
        // 1xx is no final answer, and below 100 no answer at all: something on the way is broken.
        0..=199 | 408 | 425 | 500.. => Verdict::Retry { at_least, overloaded: false },
        413 => Verdict::Halve,
        400 | 422 => Verdict::Bisect,
        300..=499 => Verdict::Hold,
    }
}

fn without_answer(error: &DispatchError) -> Verdict {
    match error {
        DispatchError::BadEndPoint { .. } => Verdict::Hold,
        error => Verdict::Retry {
            at_least: Duration::ZERO,
            overloaded: matches!(error, DispatchError::TimedOut(_) | DispatchError::NotQueued(_)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Response, RetryAfter},
        *,
    };
    use crate::outcome::Refusal;

    const RETRY: Verdict = Verdict::Retry { at_least: Duration::ZERO, overloaded: false };
    const SLOW_DOWN: Verdict = Verdict::Retry { at_least: Duration::ZERO, overloaded: true };

    /// The table of the design, section 4, row by row.
    #[test]
    fn every_status_has_its_verdict() {
        let expected = |status: u16| match status {
            200..=299 => Verdict::Delivered,
            408 | 425 | 500..=599 => RETRY,
            429 => SLOW_DOWN,
            413 => Verdict::Halve,
            400 | 422 => Verdict::Bisect,
            // 3xx, 401, 403, 404, 405, 410 and every other 4xx.
            300..=499 => Verdict::Hold,
            _ => RETRY,
        };
        for status in 0..=999 {
            assert_eq!(verdict(&Ok(Response::status(status)), 0), expected(status), "{status}");
        }
    }

    #[test]
    fn no_answer_is_retried() {
        for (error, expected) in [
            (DispatchError::Connect("refused".into()), RETRY),
            (DispatchError::Lost("reset".into()), RETRY),
            (DispatchError::Panicked, RETRY),
            (DispatchError::TimedOut(Duration::from_secs(1)), SLOW_DOWN),
            (DispatchError::NotQueued(Refusal::QueueFull { capacity: 1 }), SLOW_DOWN),
            (DispatchError::BadEndPoint { url: "x".into(), message: "no scheme".into() }, Verdict::Hold),
        ] {
            assert_eq!(verdict(&Err(error.clone()), 0), expected, "{error}");
        }
    }

    #[test]
    fn retry_after_is_a_minimum_wait_in_both_forms() {
        let answer = |status, wait| Ok(Response::status(status).with_retry_after(wait));
        let seven = RetryAfter::Delay(Duration::from_secs(7));
        let date = RetryAfter::At(12_000);
        for (status, overloaded) in [(429, true), (503, false), (500, false), (408, false)] {
            let expected = |seconds| Verdict::Retry { at_least: Duration::from_secs(seconds), overloaded };
            assert_eq!(verdict(&answer(status, seven), 5_000), expected(7));
            assert_eq!(verdict(&answer(status, date), 5_000), expected(7));
            assert_eq!(verdict(&answer(status, date), 50_000), expected(0));
        }
        assert_eq!(verdict(&answer(204, seven), 0), Verdict::Delivered);
    }
}
