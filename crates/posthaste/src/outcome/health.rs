//! How a pipeline stands, and why something is left: in words, for people who see no log.

use std::{fmt, time::Duration};

use crate::words::counted;

/// Whether events get through, and if not, why. A copy of what delivery saw last, cheap to ask for.
///
/// ```
/// use posthaste::{Health, Processor, outcome::UpstreamState, processor::NullProcessor};
///
/// let health: Health = NullProcessor.health();
/// let is_address_wrong = health.upstreams.iter().any(|upstream| upstream.state == UpstreamState::Held);
/// if is_address_wrong {
///     for trouble in health.troubles() {
///         eprintln!("{trouble}");
///     }
/// }
/// assert!(health.is_working());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Health {
    /// The end points that requests go to: those with trouble first, then those in use. Bounded; the least used are
    /// forgotten.
    pub upstreams: Vec<UpstreamHealth>,
    /// What is wrong with the queue or the dead letters, where something is.
    pub queue: Option<Trouble>,
    /// Why delivery has ended before it was closed: a queue or clock of your own panicked. Nothing is taken any more.
    pub ended: Option<Trouble>,
    /// About how many events of a backlog are left, which go at the drain rate. 0 where none is set.
    pub backlog: u64,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_working(&self) -> bool {
        let works = |upstream: &UpstreamHealth| upstream.state == UpstreamState::Working;
        self.ended.is_none() && self.queue.is_none() && self.upstreams.iter().all(works)
    }

    /// Everything that is wrong, the gravest first.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        let of_upstreams = self.upstreams.iter().filter(|upstream| upstream.state != UpstreamState::Working);
        let of_upstreams = of_upstreams.filter_map(|upstream| upstream.trouble.as_ref());
        self.ended.iter().chain(&self.queue).chain(of_upstreams)
    }
}

/// `working`, or what is wrong, separated by semicolons.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_working() {
            return f.write_str("working");
        }
        fmt_list(self.troubles(), f)
    }
}

/// How one end point stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamHealth {
    /// Its URL.
    pub end_point: String,
    /// Whether requests go to it.
    pub state: UpstreamState,
    /// What has gone wrong since it last answered as one that works. Its state may be
    /// [`Working`](UpstreamState::Working) all the same: then only some requests fail.
    pub trouble: Option<Trouble>,
}

impl UpstreamHealth {
    pub(crate) fn new(end_point: &str, state: UpstreamState, trouble: Option<Trouble>) -> Self {
        Self { end_point: end_point.to_owned(), state, trouble }
    }
}

/// Whether requests go to an end point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamState {
    /// They do.
    Working,
    /// It fails: one request at a time tries whether it is back.
    Failing,
    /// It refuses everything: its address or a credential is wrong. One request at a time tries, slowly.
    Held,
}

/// Something that goes wrong, since when, and how often. As text, it is one line for an operator.
///
/// ```
/// use posthaste::outcome::Trouble;
///
/// /// A line for an operator. `to_string` says all of it in one line, with the date.
/// fn line(trouble: &Trouble) -> String {
///     let place = trouble.end_point.as_deref().unwrap_or("the queue");
///     format!("{place}: {} ({} times, {} events wait)", trouble.what, trouble.times, trouble.events)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// The URL that it is about; `None` where it is about none.
    pub end_point: Option<String>,
    /// What happened last: a status and what the server said, or an error.
    pub what: String,
    /// The status of the last answer, where there was one.
    pub status: Option<u16>,
    /// When it began: milliseconds since 1970, UTC.
    pub since_ms: i64,
    /// When it last happened, likewise.
    pub last_ms: i64,
    /// How often it has happened.
    pub times: u64,
    /// In a report: how many events are left because of it.
    pub events: u64,
}

impl Trouble {
    /// About no end point.
    pub(crate) fn new(what: impl Into<String>, now_ms: i64) -> Self {
        Self {
            end_point: None,
            what: what.into(),
            status: None,
            since_ms: now_ms,
            last_ms: now_ms,
            times: 1,
            events: 0,
        }
    }

    pub(crate) fn at(end_point: &str, what: impl Into<String>, now_ms: i64) -> Self {
        Self { end_point: Some(end_point.to_owned()), ..Self::new(what, now_ms) }
    }

    /// It has happened again, in these words.
    pub(crate) fn again(&mut self, status: Option<u16>, what: String, now_ms: i64) {
        (self.status, self.what, self.last_ms) = (status, what, now_ms);
        self.times += 1;
    }

    /// The same, with this status.
    pub(crate) fn with_status(self, status: Option<u16>) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn with_events(mut self, events: u64) -> Self {
        self.events = events;
        self
    }

    /// Whether the two are the same trouble of several requests.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.end_point, self.status, &self.what) == (&other.end_point, other.status, &other.what)
    }

    /// The same trouble met by more.
    pub(crate) fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.times += other.times;
        self.since_ms = self.since_ms.min(other.since_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// `http://127.0.0.1/v1/events: status 503: busy (12 times since Wed, 25 Nov 2026 21:26:42 GMT)`
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events > 0 {
            write!(f, "{}: ", counted(self.events, "event", "events"))?;
        }
        if let Some(end_point) = &self.end_point {
            write!(f, "{end_point}: ")?;
        }
        let since = std::time::UNIX_EPOCH
            .checked_add(Duration::from_millis(u64::try_from(self.since_ms).unwrap_or_default()))
            .filter(|_| (0..=YEAR_9999_MS).contains(&self.since_ms));
        write!(f, "{} ({}", self.what, counted(self.times, "time", "times"))?;
        if let Some(since) = since {
            write!(f, " since {}", httpdate::fmt_http_date(since))?;
        }
        f.write_str(")")
    }
}

/// Dates are written with four digits for the year.
const YEAR_9999_MS: i64 = 253_402_300_799_000;

pub(super) fn fmt_list<'a>(
    troubles: impl Iterator<Item = &'a Trouble>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (at, trouble) in troubles.enumerate() {
        if at > 0 {
            f.write_str("; ")?;
        }
        write!(f, "{trouble}")?;
    }
    Ok(())
}

/// Reasons that a report gives, at most: enough to see what is wrong.
const REASONS_MAX: usize = 8;

/// Like troubles as one, those of the most events first among equals.
pub(crate) fn merged(troubles: impl Iterator<Item = Trouble>) -> Vec<Trouble> {
    let mut merged: Vec<Trouble> = Vec::new();
    for trouble in troubles {
        if let Some(known) = merged.iter_mut().find(|known| known.is_like(&trouble)) {
            known.join(&trouble);
        } else if merged.len() < REASONS_MAX {
            merged.push(trouble);
        }
    }
    merged.sort_by_key(|trouble| (trouble.end_point.is_some(), std::cmp::Reverse(trouble.events)));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_troubles_are_one_and_the_gravest_comes_first() {
        let at = |end_point, what, events| Trouble::at(end_point, what, 1_000).with_events(events);
        let troubles = [at("a", "status 503", 2), at("b", "status 503", 9), at("a", "status 503", 5)];
        let all = merged(troubles.into_iter().chain([Trouble::new("the queue panicked", 1_000)]));
        let said: Vec<_> = all.iter().map(|trouble| (trouble.end_point.as_deref(), trouble.events)).collect();
        assert_eq!(said, [(None, 0), (Some("b"), 9), (Some("a"), 7)]);
        let many = (0..100).map(|n| at("a", if n % 2 == 0 { "x" } else { "y" }, 1));
        assert_eq!(merged(many).iter().map(|trouble| trouble.events).collect::<Vec<_>>(), [50, 50]);
    }

    #[test]
    fn at_most_eight_reasons_are_given() {
        let all = merged((0..20).map(|n| Trouble::new(format!("reason {n}"), 1_000)));
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn troubles_that_join_keep_the_first_and_last_moment_and_add_up() {
        let mut trouble = Trouble::at("a", "status 503", 2_000).with_events(2);
        trouble.again(Some(503), "status 503".into(), 3_000);
        trouble.again(Some(503), "status 503".into(), 4_000);
        assert_eq!((trouble.times, trouble.since_ms, trouble.last_ms), (3, 2_000, 4_000));
        let mut other = Trouble::at("a", "status 503", 1_000).with_status(Some(503)).with_events(5);
        other.again(Some(503), "status 503".into(), 3_500);
        assert!(trouble.is_like(&other));
        assert_eq!(Trouble::new("", 0).with_status(Some(404)).status, Some(404));
        trouble.join(&other);
        let sum = (trouble.events, trouble.times, trouble.since_ms, trouble.last_ms);
        assert_eq!(sum, (7, 5, 1_000, 4_000));
    }

    #[test]
    fn a_trouble_is_one_line_with_its_date_where_there_is_one() {
        // The date is the example of RFC 9110, section 5.6.7.
        let trouble = |events, since_ms| Trouble::at("http://a", "no answer", since_ms).with_events(events);
        let dated = "http://a: no answer (1 time since Sun, 06 Nov 1994 08:49:37 GMT)";
        assert_eq!(trouble(0, 784_111_777_000).to_string(), dated);
        assert_eq!(trouble(4, 784_111_777_000).to_string(), format!("4 events: {dated}"));
        assert_eq!(trouble(1, 784_111_777_000).to_string(), format!("1 event: {dated}"));
        assert_eq!(trouble(0, -1).to_string(), "http://a: no answer (1 time)");
        assert_eq!(trouble(0, i64::MAX).to_string(), "http://a: no answer (1 time)");
    }

    #[test]
    fn health_tells_of_what_fails_and_not_of_what_works() {
        let upstream = |end_point: &str, state| {
            UpstreamHealth::new(end_point, state, Some(Trouble::at(end_point, "status 503", -1)))
        };
        let mut health =
            Health { upstreams: vec![upstream("http://a", UpstreamState::Working)], ..Health::default() };
        assert!(health.is_working());
        assert_eq!((health.to_string().as_str(), health.troubles().count()), ("working", 0));
        health.upstreams.push(upstream("http://b", UpstreamState::Failing));
        assert!(!health.is_working());
        assert_eq!(health.to_string(), "http://b: status 503 (1 time)");
        health.queue = Some(Trouble::new("the disk is full", -1));
        assert_eq!(health.to_string(), "the disk is full (1 time); http://b: status 503 (1 time)");
    }
}
