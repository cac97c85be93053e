//! One rule as it is written: which requests, and what is done to them. Nothing is checked here; [`Faults`] does that.
//!
//! [`Faults`]: super::Faults

use std::{ops::RangeInclusive, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// A rule of a script. All of its conditions must hold; a rule without conditions is for every request.
///
/// | in JSON | here | for which requests |
/// |---|---|---|
/// | `"n": 3` | [`nth`](Self::nth) | the third |
/// | `"from": 2, "to": 5` | [`requests`](Self::requests) | the second to the fifth; one end may be left out |
/// | `"every": 3` | [`every`](Self::every) | each third, counted from `from` on: 3, 6, 9 without it |
/// | `"share": 0.1` | [`share`](Self::share) | each with this probability |
/// | `"path": "/eu/*"` | [`path`](Self::path) | of this path, letter for letter, or with this beginning where it ends with `*` |
/// | `"session": "ann"` | [`session`](Self::session) | of this test session, by path or by header |
/// | `"body_contains": "ann"` | [`body_contains`](Self::body_contains) | whose body, unpacked, has these bytes; a list of numbers for bytes that are no text |
/// | `"times": 2` | [`times`](Self::times) | at most so many, then never again |
///
/// A rule counts the requests of its path and session and with its bytes, also those that an earlier rule decides: `n` is a number
/// among these, from 1 on.
///
/// | in JSON | here | what is done | are the events taken? |
/// |---|---|---|---|
/// | `"status": 503` | [`status`](Self::status) | this answer, 100 to 599 | with 2xx; no others |
/// | `"headers": {"retry-after": "1"}`, `"body": "busy"` | [`header`](Self::header), [`body`](Self::body) | go with it; a list of texts is a header that comes several times | |
/// | `"delay_ms": 500` | [`delay`](Self::delay) | what is done comes so much later; by itself, the collector's own answer does | as without it |
/// | `"end": "reset"` | [`reset`](Self::reset) | no answer: the connection is reset (TCP RST) | yes |
/// | `"end": "hang"` | [`hang`](Self::hang) | no answer until the client leaves or [`hang_max`] has passed; then a reset | yes |
/// | `"end": "half"` | [`half`](Self::half) | the head of an answer, the first half of its body, then the connection closes; 200 and a body of its own untold | as for its status |
/// | `"end": "answer_then_reset"` | [`answer_then_reset`](Self::answer_then_reset) | a whole answer, 204 untold, then a reset, which may overtake the end of a long body | as for its status |
/// | `"take": false` | [`take`](Self::take) | | as it says |
/// | `"name": "busy"` | [`named`](Self::named) | it is called so; `rule 1` by its place untold | |
///
/// Events are taken when they are received, before a delay and before the answer. At a path other than `/v1/events`
/// none are, unless `take` says so: `{"path": "/eu/v1/events", "status": 204, "take": true}` is one more end point.
///
/// A status of 1xx is no answer yet: its head goes out, and then the connection closes. HTTP/2 has one connection for
/// many requests, and a reset or a close ends them all; a 1xx is a close there.
///
/// [`hang_max`]: crate::CollectorOptions::hang_max
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[must_use]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,

    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_or_bytes")]
    pub(super) body_contains: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<u64>,

    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "by_name")]
    pub(super) headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    #[serde(rename = "delay_ms", skip_serializing_if = "Option::is_none", serialize_with = "millis")]
    pub(super) delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) take: Option<bool>,
}

/// How a connection ends, where it does not just go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Reset before any answer.
    Reset,
    /// Silence, and then a reset.
    Hang,
    /// Closed after half of an answer's body.
    Half,
    /// Reset after a whole answer.
    AnswerThenReset,
}

impl End {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("reset", Self::Reset),
        ("hang", Self::Hang),
        ("half", Self::Half),
        ("answer_then_reset", Self::AnswerThenReset),
    ];
}

/// What is done.
impl Rule {
    /// Answers with this status.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Resets the connection before any answer.
    pub fn reset() -> Self {
        Self { end: Some(End::Reset), ..Self::default() }
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self { end: Some(End::Hang), ..Self::default() }
    }

    /// Answers with half of this body, and closes.
    pub fn half(body: impl Into<String>) -> Self {
        Self { end: Some(End::Half), body: Some(body.into()), ..Self::default() }
    }

    /// Answers with this status, and then resets the connection.
    pub fn answer_then_reset(status: u16) -> Self {
        Self { end: Some(End::AnswerThenReset), ..Self::status(status) }
    }

    /// Lets what is done come later. As a rule by itself: `Rule::default().delay(…)`.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay: Some(delay), ..self }
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The answer's body.
    pub fn body(self, text: impl Into<String>) -> Self {
        Self { body: Some(text.into()), ..self }
    }

    /// Whether the events of the request are taken, as a server that did not lose them, or did.
    pub fn take(self, take: bool) -> Self {
        Self { take: Some(take), ..self }
    }

    /// What it is called in the ledger and with the events.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// For which requests.
impl Rule {
    /// For the request of this number; the first is 1.
    pub fn nth(self, n: u64) -> Self {
        self.requests(n..=n)
    }

    /// For the requests of these numbers.
    pub fn requests(self, numbers: RangeInclusive<u64>) -> Self {
        Self { from: Some(*numbers.start()), to: Some(*numbers.end()), ..self }
    }

    /// For one request in so many: of 3, the third, the sixth and so on.
    pub fn every(self, every: u64) -> Self {
        Self { every: Some(every), ..self }
    }

    /// For each request with this probability.
    pub fn share(self, share: f64) -> Self {
        Self { share: Some(share), ..self }
    }

    /// For requests to this path, or to all that begin so where it ends with `*`.
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// For requests of this test session.
    pub fn session(self, name: impl Into<String>) -> Self {
        Self { session: Some(name.into()), ..self }
    }

    /// For requests with these bytes in their body.
    pub fn body_contains(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { body_contains: Some(bytes.into()), ..self }
    }

    /// For so many requests at most.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn text_or_bytes<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = bytes.as_deref().unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => bytes.serialize(serializer),
    }
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}

/// As the reader takes them: a text, or a list of texts where the name comes several times.
fn by_name<S: Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in headers {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut map = serializer.serialize_map(Some(names.len()))?;
    for name in names {
        let values: Vec<&str> = headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        match *values {
            [value] => map.serialize_entry(name, value)?,
            _ => map.serialize_entry(name, &values)?,
        }
    }
    map.end()
}
