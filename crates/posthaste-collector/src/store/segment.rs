//! A piece of the log: events as bytes, with what is needed to find them, in few allocations.
//!
//! Invariants: entries and requests are in the order of their ids; an entry's bytes end where the next one's begin; once
//! a segment is full nothing of it changes but marks: that an event came again, that it is gone, that its request was
//! answered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering},
};

use posthaste::judge::Problem;

use super::{layout::Head, shape::Shape};
use crate::{Fault, Verdict, taken::problems_bytes};

/// What a segment has beside its events' bytes, however small they may be.
const BESIDE_MIN: usize = 4 << 10;

/// Late shapes among which a request's own is looked for before it is listed once more.
const SHAPES_TRIED_MAX: usize = 16;

/// Events, and the requests that they came in.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    pub(super) requests: Vec<Request>,
    shapes: Vec<Arc<Shape>>,
    /// By the entry's number, in order.
    problems: Vec<(u32, Arc<[Problem]>)>,
    /// Bytes beside the vectors.
    more_bytes: usize,
}

/// An event's place.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    start: u32,
    request: u32,
    repeats: AtomicU32,
    is_gone: AtomicBool,
    pub(crate) verdict: Verdict,
}

/// A request whose events are kept.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    /// Milliseconds since 1970, UTC.
    pub(crate) received_ms: i64,
    /// Bytes of its body as it came.
    pub(crate) bytes: u32,
    /// Events that it held, kept or not.
    pub(crate) events: u32,
    pub(crate) fault: Option<Box<Fault>>,
    status: AtomicU16,
    shape: u32,
}

/// No answer, or none yet.
const NO_STATUS: u16 = 0;

impl Entry {
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    pub(crate) fn repeats(&self) -> u32 {
        self.repeats.load(Ordering::Relaxed)
    }

    pub(super) fn count_repeat(&self) {
        // Whoever counts holds the store's lock.
        self.repeats.store(self.repeats().saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn remove(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    fn copy(&self, base: Base) -> Self {
        Self {
            id: self.id,
            start: self.start - base.start,
            request: self.request - base.request,
            repeats: AtomicU32::new(self.repeats()),
            is_gone: AtomicBool::new(self.is_gone()),
            verdict: self.verdict,
        }
    }
}

impl Request {
    /// One that has no number yet.
    pub(crate) fn new(
        received_ms: i64,
        bytes: usize,
        events: usize,
        status: Option<u16>,
        fault: Option<&Fault>,
    ) -> Self {
        let bounded = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            id: 0,
            received_ms,
            bytes: bounded(bytes),
            events: bounded(events),
            fault: fault.cloned().map(Box::new),
            status: AtomicU16::new(status.unwrap_or(NO_STATUS)),
            shape: 0,
        }
    }

    /// What it was answered with; `None`: nothing.
    pub(crate) fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Relaxed)).filter(|status| *status != NO_STATUS)
    }

    pub(super) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(super) fn copy(&self) -> Self {
        Self {
            fault: self.fault.clone(),
            status: AtomicU16::new(self.status().unwrap_or(NO_STATUS)),
            ..*self
        }
    }
}

/// From where on a segment is copied.
#[derive(Debug, Clone, Copy)]
struct Base {
    start: u32,
    request: u32,
}

impl Segment {
    /// One with room for this many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// What is kept beside the bytes of many small events may take as much as those.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        let room = self.bytes.capacity();
        self.bytes.len() + bytes <= room && self.memory() - room <= room.max(BESIDE_MIN)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The request whose events come next.
    pub(super) fn begin(&mut self, request: Request, shape: &Arc<Shape>, shape_bytes: usize) {
        if self.shapes.last().is_none_or(|last| !Arc::ptr_eq(last, shape)) {
            let late = self.shapes.iter().enumerate().rev().take(SHAPES_TRIED_MAX);
            let known = late.filter(|(_, known)| Arc::ptr_eq(known, shape)).map(|(at, _)| at).next();
            let at = known.unwrap_or(self.shapes.len());
            if known.is_none() {
                self.shapes.push(Arc::clone(shape));
            }
            self.push_request(request, at);
        } else {
            self.push_request(request, self.shapes.len() - 1);
        }
        self.more_bytes += shape_bytes;
    }

    fn push_request(&mut self, request: Request, shape: usize) {
        self.more_bytes += if request.fault.is_some() { size_of::<Fault>() + 16 } else { 0 };
        self.requests.push(Request { shape: u32::try_from(shape).unwrap_or_default(), ..request });
    }

    /// The id of the request that events are put to.
    pub(super) fn current_request(&self) -> Option<u64> {
        self.requests.last().map(|request| request.id)
    }

    /// One more event of the current request.
    pub(super) fn push(&mut self, id: u64, bytes: &[u8], verdict: Verdict, problems: Option<Arc<[Problem]>>) {
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        if let Some(problems) = problems {
            self.more_bytes += problems_bytes(&problems);
            self.problems.push((number(self.entries.len()), problems));
        }
        self.entries.push(Entry {
            id,
            start: number(self.bytes.len()),
            request: number(self.requests.len().saturating_sub(1)),
            repeats: AtomicU32::new(0),
            is_gone: AtomicBool::new(false),
            verdict,
        });
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing more comes: gives back what was held for more.
    pub(super) fn close(&mut self) {
        self.entries.shrink_to_fit();
        self.requests.shrink_to_fit();
        self.shapes.shrink_to_fit();
        self.problems.shrink_to_fit();
    }

    /// How much memory it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + 5 * 16
            + self.bytes.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.requests.capacity() * size_of::<Request>()
            + self.shapes.capacity() * size_of::<Arc<Shape>>()
            + self.problems.capacity() * size_of::<(u32, Arc<[Problem]>)>()
            + self.more_bytes
    }

    pub(crate) fn last_id(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.id)
    }

    /// The number of the first entry that is newer than this one.
    fn first_after(&self, id: u64) -> usize {
        self.entries.partition_point(|entry| entry.id <= id)
    }

    /// The event of this id, unless it is gone.
    pub(super) fn find(&self, id: u64) -> Option<View<'_>> {
        self.live(self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?)
    }

    /// The events that are newer than this one and not gone, oldest first.
    pub(super) fn live_after(&self, id: u64) -> impl DoubleEndedIterator<Item = View<'_>> {
        (self.first_after(id)..self.entries.len()).filter_map(|at| self.live(at))
    }

    fn live(&self, at: usize) -> Option<View<'_>> {
        let entry = self.entries.get(at).filter(|entry| !entry.is_gone())?;
        Some(View { segment: self, entry, at })
    }

    /// A copy of what is newer than this event.
    pub(super) fn copy_after(&self, id: u64) -> Self {
        let first = self.first_after(id);
        let Some(entry) = self.entries.get(first) else { return Self::default() };
        let base = Base { start: entry.start, request: entry.request };
        let from = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let first_problem = self.problems.partition_point(|(at, _)| from(*at) < first);
        Self {
            bytes: self.bytes.get(from(base.start)..).unwrap_or_default().to_vec(),
            entries: self.entries.iter().skip(first).map(|entry| entry.copy(base)).collect(),
            requests: self.requests.iter().skip(from(base.request)).map(Request::copy).collect(),
            shapes: self.shapes.clone(),
            problems: self
                .problems
                .iter()
                .skip(first_problem)
                .map(|(at, problems)| (*at - number(first), Arc::clone(problems)))
                .collect(),
            more_bytes: 0,
        }
    }
}

/// An event in its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    segment: &'a Segment,
    pub(crate) entry: &'a Entry,
    at: usize,
}

impl<'a> View<'a> {
    pub(crate) fn id(&self) -> u64 {
        self.entry.id
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.entry.verdict
    }

    /// The event's bytes, as [`layout`](super::layout) writes them.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        let place = |entry: &Entry| usize::try_from(entry.start).unwrap_or(usize::MAX);
        let end = self.segment.entries.get(self.at + 1).map_or(self.segment.bytes.len(), place);
        self.segment.bytes.get(place(self.entry)..end).unwrap_or_default()
    }

    pub(crate) fn head(&self) -> Head {
        Head::read(self.bytes())
    }

    pub(crate) fn request(&self) -> &'a Request {
        let at = usize::try_from(self.entry.request).unwrap_or(usize::MAX);
        self.segment.requests.get(at).expect("an entry's request is in its segment")
    }

    pub(crate) fn shape(&self) -> &'a Shape {
        let at = usize::try_from(self.request().shape).unwrap_or(usize::MAX);
        self.segment.shapes.get(at).expect("a request's shape is in its segment")
    }

    pub(crate) fn session(&self) -> Option<&'a str> {
        self.shape().session()
    }

    /// Whether it came in this session; where none is named, it is one of all.
    pub(crate) fn is_of(&self, session: Option<&str>) -> bool {
        session.is_none_or(|session| self.session() == Some(session))
    }

    /// What is wrong with it, or odd where it is good.
    pub(crate) fn problems(&self) -> &'a [Problem] {
        if self.entry.verdict == Verdict::Good {
            return &[];
        }
        let at = u32::try_from(self.at).unwrap_or(u32::MAX);
        let found = self.segment.problems.binary_search_by_key(&at, |(at, _)| *at);
        found.ok().and_then(|found| self.segment.problems.get(found)).map_or(&[], |(_, problems)| problems)
    }
}
