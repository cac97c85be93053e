//! One request: a body and where it goes.

use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    depth::{LEVELS_MAX, is_deeper_than},
    json::write_value,
    raw::{DecodeError, RawBatch},
    spare,
    taken::Taken,
    wire::Batch,
};

/// A request to the Event API, encoded once. Cheap to clone.
///
/// The seed's holds the batch as a struct and encodes it again at every attempt; [`event`](Self::event) reads it back
/// for whoever wants to look inside.
///
/// ```
/// use posthaste::LogEvent;
///
/// let body = r#"{"account_id":"1","visitors":[{"visitor_id":"a","snapshots":[{"events":[{},{}]}]}]}"#;
/// let request = LogEvent::from_body("https://logx.optimizely.com/v1/events", body)?;
/// assert_eq!((request.events(), request.event()?.account_id.as_str()), (2, "1"));
/// assert_eq!(request.body(), body, "what is sent is what came");
/// # Ok::<(), posthaste::DecodeError>(())
/// ```
#[doc(alias = "event.LogEvent")]
#[derive(Debug, Clone)]
pub struct LogEvent {
    pub(super) end_point: Arc<str>,
    pub(super) body: Bytes,
    pub(super) events: usize,
    /// Where in the body the visitors stand; empty where there are none.
    pub(super) visitors: Range<usize>,
    /// Stands for what is outside the visitors, whatever the order of its fields; `None` where it is not known, or a
    /// field is there twice. It follows from the body.
    pub(super) head: Option<NonZeroU32>,
    pub(super) taken: Option<Taken>,
    /// Only where it says when it was taken.
    pub(super) put_back: Option<Taken>,
    /// Nobody has looked into the body.
    pub(super) is_opaque: bool,
    /// Readers may give up on the body, and on whatever else is in one with it. It follows from the body.
    pub(super) is_too_deep: bool,
}

impl PartialEq for LogEvent {
    fn eq(&self, other: &Self) -> bool {
        let Self { end_point, body, events, visitors, head: _, taken, put_back, is_opaque, is_too_deep: _ } =
            self;
        (end_point, body) == (&other.end_point, &other.body)
            && (events, visitors) == (&other.events, &other.visitors)
            && (taken, put_back, is_opaque) == (&other.taken, &other.put_back, &other.is_opaque)
    }
}

impl Eq for LogEvent {}

impl LogEvent {
    /// A request with this body, to this URL.
    ///
    /// ```
    /// use posthaste::{Batch, LogEvent, Visitor};
    ///
    /// let mut batch = Batch::default();
    /// batch.account_id = "10000001".to_owned();
    /// batch.visitors.push(Visitor::new("visitor-1", [], []));
    /// let request = LogEvent::new("http://127.0.0.1:8080/v1/events", &batch);
    /// assert_eq!(request.event()?, batch);
    /// # Ok::<(), posthaste::DecodeError>(())
    /// ```
    pub fn new(end_point: impl Into<Arc<str>>, batch: &Batch) -> Self {
        let mut body = Vec::new();
        write_value(&mut body, batch);
        Self::from_body(end_point, body).expect("what Batch writes can be taken apart")
    }

    /// A request with a body that somebody else made; it is sent as it is, byte for byte.
    pub fn from_body(end_point: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let body = body.into();
        let batch = RawBatch::parse(&body)?;
        Ok(Self::from_batch(end_point, &body, &batch, None))
    }

    /// The same with a body that has been taken apart already: `batch` borrows from it. `events`: how many it carries,
    /// where somebody has counted them as [`events`](Self::events) does.
    ///
    /// ```
    /// use posthaste::{LogEvent, RawBatch};
    ///
    /// let body = bytes::Bytes::from(r#"{"account_id":"1","visitors":[{"snapshots":[{"events":[{},{}]}]}]}"#);
    /// let batch = RawBatch::parse(&body)?;
    /// let request = LogEvent::from_batch("http://127.0.0.1:8080/v1/events", &body, &batch, None);
    /// assert_eq!(request, LogEvent::from_body("http://127.0.0.1:8080/v1/events", body.clone())?);
    /// # Ok::<(), posthaste::DecodeError>(())
    /// ```
    pub fn from_batch(
        end_point: impl Into<Arc<str>>,
        body: &Bytes,
        batch: &RawBatch<'_>,
        events: Option<usize>,
    ) -> Self {
        let events = events.unwrap_or_else(|| count(batch));
        debug_assert_eq!(events, count(batch), "counted as posthaste does");
        let (visitors, head) = (batch.visitors_range(body), batch.head_key());
        let is_too_deep = is_deeper_than(LEVELS_MAX, body);
        Self { head, is_too_deep, ..Self::plain(end_point, body.clone(), events, visitors) }
    }

    /// A request with a body that nobody can read: it counts as one event, and is never merged with others nor split. So
    /// it can be [dead-lettered](crate::QueueEventDispatcher::bury) as it came. Where it is sent all the same, the API
    /// says what it thinks of it.
    ///
    /// ```
    /// use posthaste::LogEvent;
    ///
    /// let request = LogEvent::opaque("https://logx.optimizely.com/v1/events", &b"\xff not JSON"[..]);
    /// assert!(request.is_opaque() && request.event().is_err());
    /// assert_eq!((request.events(), &request.body()[..]), (1, &b"\xff not JSON"[..]));
    /// ```
    pub fn opaque(end_point: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Self {
        Self { is_opaque: true, ..Self::plain(end_point, body, 1, 0..0) }
    }

    /// A request with a body that posthaste has just written, of events that are
    /// [valid](crate::UserEvent::why_invalid): how many events are in it, and where its visitors stand.
    pub(crate) fn written(
        end_point: impl Into<Arc<str>>,
        body: Vec<u8>,
        events: usize,
        visitors: Range<usize>,
    ) -> Self {
        // What posthaste writes has its fields in one order: equal heads are equal bytes.
        Self::plain(end_point, body, events, visitors)
    }

    /// One of which nothing more is known, and nothing is special.
    pub(super) fn plain(
        end_point: impl Into<Arc<str>>,
        body: impl Into<Bytes>,
        events: usize,
        visitors: Range<usize>,
    ) -> Self {
        let (end_point, body) = (end_point.into(), body.into());
        let (head, taken, put_back, is_opaque, is_too_deep) = (None, None, None, false, false);
        Self { end_point, body, events, visitors, head, taken, put_back, is_opaque, is_too_deep }
    }

    /// Where it goes, as a URL.
    #[doc(alias = "EndPoint")]
    pub fn end_point(&self) -> &str {
        &self.end_point
    }

    /// Whether nobody can read the body: it was made with [`opaque`](Self::opaque).
    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// The body: JSON, UTF-8, unless it is [opaque](Self::is_opaque).
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How many events the body carries: what the ledger counts. A visitor without readable events counts as one.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The body read into the wire types; what they have no field for is left out.
    #[doc(alias = "Event")]
    pub fn event(&self) -> Result<Batch, DecodeError> {
        serde_json::from_str(std::str::from_utf8(&self.body)?).map_err(DecodeError::json)
    }

    /// The same body for another address.
    ///
    /// ```
    /// use posthaste::{Batch, LogEvent};
    ///
    /// let request = LogEvent::new("https://logx.optimizely.com/v1/events", &Batch::default());
    /// let here = request.with_end_point("http://127.0.0.1:8080/v1/events");
    /// assert_eq!(here.end_point(), "http://127.0.0.1:8080/v1/events");
    /// ```
    #[must_use]
    pub fn with_end_point(mut self, end_point: impl Into<Arc<str>>) -> Self {
        self.end_point = end_point.into();
        self
    }

    /// The same request, taken at this time: milliseconds since 1970, UTC. Queues keep it with the request, on disk too;
    /// it is not sent. Who takes requests from others says it, so that an [age](crate::QueueEventDispatcher::oldest_ms)
    /// can be told and [bounded](crate::processor::QueueEventDispatcherBuilder::age_max).
    ///
    /// ```
    /// use posthaste::{Batch, LogEvent};
    ///
    /// let request = LogEvent::new("https://logx.optimizely.com/v1/events", &Batch::default());
    /// assert_eq!(request.taken_ms(), None);
    /// assert_eq!(request.with_taken_ms(1_795_500_003_394).taken_ms(), Some(1_795_500_003_394));
    /// ```
    #[must_use]
    pub fn with_taken_ms(mut self, taken_ms: i64) -> Self {
        self.taken = Taken::at(taken_ms);
        self
    }

    /// When it was taken, if somebody has [said](Self::with_taken_ms) so. Of requests that were merged, the oldest.
    pub fn taken_ms(&self) -> Option<i64> {
        self.taken.map(Taken::ms)
    }

    /// The same request, put back into a queue at this time, having been a dead letter: its
    /// [age](crate::processor::QueueEventDispatcherBuilder::age_max) counts from then on. [`taken_ms`](Self::taken_ms)
    /// stays. Queues keep it with the request, on disk too. For whoever puts letters back by hand; replaying does it.
    /// Without effect where nobody has said when it was taken.
    ///
    /// ```
    /// use posthaste::{Batch, LogEvent};
    ///
    /// let request = LogEvent::new("https://logx.optimizely.com/v1/events", &Batch::default());
    /// let request = request.with_taken_ms(1_795_500_003_394).with_put_back_ms(1_795_600_000_000);
    /// assert_eq!(request.taken_ms(), Some(1_795_500_003_394));
    /// assert_eq!(request.put_back_ms(), Some(1_795_600_000_000));
    /// ```
    #[must_use]
    pub fn with_put_back_ms(mut self, put_back_ms: i64) -> Self {
        self.put_back = self.taken.and_then(|_| Taken::at(put_back_ms));
        self
    }

    /// When it was put back last, if it [was](Self::with_put_back_ms).
    pub fn put_back_ms(&self) -> Option<i64> {
        self.put_back.map(Taken::ms)
    }

    /// It has been answered, and is done with: its body's memory is for another.
    pub(crate) fn let_go(self) {
        spare::give(self.body);
    }

    /// Two requests that carry half of the events each, the smaller half first; `None` where there is no more than one
    /// event, or the body cannot be taken apart. Everything outside the events is in both.
    pub(crate) fn split(&self) -> Option<(Self, Self)> {
        if self.events < 2 {
            return None;
        }
        let batch = RawBatch::parse(&self.body).ok()?;
        let texts: Vec<String> = match batch.visitors() {
            [only] => split_visitor(only)?.into(),
            many => many.iter().map(|visitor| visitor.get().to_owned()).collect(),
        };
        let (left, right) = texts.split_at_checked(texts.len() / 2)?;
        if left.is_empty() {
            return None;
        }
        let part = |visitors: &[String]| {
            let body = batch.with_visitors(visitors.iter().map(String::as_str));
            Self::from_body(Arc::clone(&self.end_point), body).ok()
        };
        // Together they carry what this one does, however the parts look by themselves.
        let (mut left, mut right) = (part(left)?, part(right)?);
        (left.taken, right.taken) = (self.taken, self.taken);
        (left.put_back, right.put_back) = (self.put_back, self.put_back);
        left.events = left.events.min(self.events);
        right.events = self.events - left.events;
        Some((left, right))
    }
}

/// The parts of a visitor that count; everything else stays text.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    snapshots: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Events<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

/// How many events are in a body.
fn count(batch: &RawBatch<'_>) -> usize {
    batch.visitors().iter().map(|visitor| events_in(visitor)).sum()
}

/// A visitor without readable events still counts as one: it is delivered or dead-lettered like any other.
fn events_in(visitor: &RawValue) -> usize {
    let Ok(parts) = serde_json::from_str::<Parts<'_>>(visitor.get()) else { return 1 };
    parts.snapshots.iter().map(|snapshot| events_of(snapshot)).sum::<usize>().max(1)
}

fn events_of(snapshot: &RawValue) -> usize {
    serde_json::from_str::<Events<'_>>(snapshot.get()).map_or(0, |events| events.events.len())
}

/// One visitor with several events as two: by its snapshots, or by the events of the only one that has some. A snapshot
/// without events is no half; it stays with what comes after it, or before where nothing does.
fn split_visitor(visitor: &RawValue) -> Option<[String; 2]> {
    let parts = serde_json::from_str::<Parts<'_>>(visitor.get()).ok()?;
    let full: Vec<usize> = parts
        .snapshots
        .iter()
        .enumerate()
        .filter(|(_, text)| events_of(text) > 0)
        .map(|(at, _)| at)
        .collect();
    let texts: Vec<&str> = parts.snapshots.iter().map(|snapshot| snapshot.get()).collect();
    let halves = match full[..] {
        [] => return None,
        [only] => split_snapshot(&parts.snapshots, only)?,
        _ => {
            let (left, right) = texts.split_at_checked(full.get(full.len() / 2 - 1)? + 1)?;
            [left.join(","), right.join(",")]
        }
    };
    let fields = fields(visitor)?;
    Some(halves.map(|half| object_text(&fields, "snapshots", &format!("[{half}]"))))
}

/// The snapshots, of which one has events, as two lists with half of these each; all others are in the first.
fn split_snapshot(snapshots: &[&RawValue], full: usize) -> Option<[String; 2]> {
    let [left, right] = split_events(snapshots.get(full)?)?;
    let text = |(at, snapshot): (usize, &&RawValue)| {
        if at == full { left.clone() } else { snapshot.get().to_owned() }
    };
    let first: Vec<String> = snapshots.iter().enumerate().map(text).collect();
    Some([first.join(","), right])
}

/// A snapshot whose events are halved, as two.
fn split_events(snapshot: &RawValue) -> Option<[String; 2]> {
    let fields = fields(snapshot)?;
    let events: Vec<&RawValue> = serde_json::from_str(fields.get("events")?.get()).ok()?;
    let (left, right) = events.split_at_checked(events.len() / 2)?;
    if left.is_empty() {
        return None;
    }
    let with = |half: &[&RawValue]| {
        let texts: Vec<&str> = half.iter().map(|event| event.get()).collect();
        object_text(&fields, "events", &format!("[{}]", texts.join(",")))
    };
    Some([with(left), with(right)])
}

fn fields(object: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(object.get()).ok()
}

/// The object's text, with another value for one of its fields.
fn object_text(fields: &BTreeMap<String, &RawValue>, replaced: &str, value: &str) -> String {
    let field = |(name, old): (&String, &&RawValue)| {
        let value = if name == replaced { value } else { old.get() };
        format!("{}:{value}", serde_json::Value::from(name.as_str()))
    };
    format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
}
