//! What the machine can deliver: single events, which share requests, and requests that somebody else put together.

use std::sync::Arc;

use crate::{batch::LogEvent, event::UserEvent, queue::QueueItem};

/// Something that a queue holds and the machine delivers.
pub(crate) trait Item: QueueItem {
    /// Whether it may go anywhere, and not only to the Event API of its region.
    const GOES_ANYWHERE: bool;

    /// Where it goes, as a URL: to the fixed end point, where there is one.
    fn end_point<'a>(&'a self, fixed: Option<&'a Arc<str>>) -> &'a str;

    /// Whether the two may travel in one request.
    fn can_share(&self, other: &Self) -> bool;

    /// The request for these, which share it; there is at least one.
    fn request<'a>(
        items: impl ExactSizeIterator<Item = &'a Self> + Clone,
        end_point: Option<&Arc<str>>,
    ) -> LogEvent
    where
        Self: 'a;

    /// Two that carry half of the events each, the smaller half first; `None` where there is only one event.
    fn split(&self) -> Option<(Self, Self)>;

    /// Whether it could not be in any request of this many bytes: then, how many it takes.
    fn too_large(&self, bytes_max: usize) -> Option<usize>;

    /// From when on its age counts, if that is known: since it was taken, or put back. Milliseconds since 1970.
    fn ages_from_ms(&self) -> Option<i64>;

    /// The same, put back into a queue at this time.
    #[must_use]
    fn put_back_at(self, now_ms: i64) -> Self;

    /// Why the API would throw it away, if it would.
    fn invalid(&self) -> Option<&'static str>;
}

impl Item for UserEvent {
    const GOES_ANYWHERE: bool = false;

    fn end_point<'a>(&'a self, fixed: Option<&'a Arc<str>>) -> &'a str {
        fixed.map_or_else(|| self.context().region().event_end_point(), |fixed| &**fixed)
    }

    fn can_share(&self, other: &Self) -> bool {
        self.context().can_batch(other.context())
    }

    fn request<'a>(
        items: impl ExactSizeIterator<Item = &'a Self> + Clone,
        end_point: Option<&Arc<str>>,
    ) -> LogEvent {
        let end_point = end_point.cloned().unwrap_or_else(|| {
            let region = items.clone().next().map(|event| event.context().region()).unwrap_or_default();
            Arc::from(region.event_end_point())
        });
        LogEvent::of_events(end_point, items)
    }

    fn split(&self) -> Option<(Self, Self)> {
        None
    }

    fn too_large(&self, bytes_max: usize) -> Option<usize> {
        self.too_large_for(bytes_max)
    }

    fn ages_from_ms(&self) -> Option<i64> {
        None
    }

    fn put_back_at(self, _now_ms: i64) -> Self {
        self
    }

    fn invalid(&self) -> Option<&'static str> {
        self.why_invalid()
    }
}

impl Item for LogEvent {
    const GOES_ANYWHERE: bool = true;

    fn end_point<'a>(&'a self, fixed: Option<&'a Arc<str>>) -> &'a str {
        fixed.map_or_else(|| LogEvent::end_point(self), |fixed| &**fixed)
    }

    fn can_share(&self, other: &Self) -> bool {
        self.can_merge(other)
    }

    fn request<'a>(
        items: impl ExactSizeIterator<Item = &'a Self> + Clone,
        end_point: Option<&Arc<str>>,
    ) -> LogEvent {
        let request = LogEvent::merged(items);
        match end_point {
            Some(end_point) => request.with_end_point(Arc::clone(end_point)),
            None => request,
        }
    }

    fn split(&self) -> Option<(Self, Self)> {
        LogEvent::split(self)
    }

    /// Somebody else made it, so it is sent as it is: the API says what is too large.
    fn too_large(&self, _bytes_max: usize) -> Option<usize> {
        None
    }

    fn ages_from_ms(&self) -> Option<i64> {
        self.put_back_ms().or(self.taken_ms())
    }

    fn put_back_at(self, now_ms: i64) -> Self {
        self.with_put_back_ms(now_ms)
    }

    fn invalid(&self) -> Option<&'static str> {
        (LogEvent::events(self) == 0).then_some("the request carries no events")
    }
}
