//! What has arrived, oldest first, within bounds that are true: in bytes of memory, in events, by age.
//!
//! ```text
//! a body's events as bytes ─▶ repeats? ─▶ open segment ─▶ full: a closed one ─▶ … ─▶ the oldest makes room
//! ```
//!
//! Events are a log of [`Segment`]s. Readers take the closed ones as they are (they are shared) and a copy of what they
//! want of the open one, and let go of the lock before they look at a single event.
//!
//! Invariants: `events = good + bad + duplicates`, in all and in each session; there are never more events than allowed,
//! and no more bytes, except that a single event is kept whatever its size; repeats are told by identities of kept
//! events only, so these are bounded too. Ids grow by one with each event that is kept, and are never given again.

mod forgetting;
pub(crate) mod layout;
mod segment;
mod sessions;
mod shape;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod variations;
mod visits;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

pub(crate) use segment::{Request, Segment, View};
pub(crate) use sessions::SessionLedger;
pub use sessions::{OTHER_SESSIONS, SESSIONS_MAX};
pub(crate) use shape::{Envelope, Shape};
pub(crate) use snapshot::Snapshot;

use posthaste::judge::{conversion_before_decision, decision_after_conversion, two_variations};

use self::{
    layout::Field,
    sessions::Sessions,
    shape::Shapes,
    variations::{Mixed, Variations},
    visits::{Noted, Order},
};
use crate::{
    CollectorLedger, Verdict,
    taken::{Draft, Hashes, Visit},
};

/// The largest piece that is forgotten at once, in bytes.
const SEGMENT_BYTES_MAX: usize = 1 << 18;
/// Pieces that the memory is divided into at least.
const SEGMENTS_MIN: usize = 32;
/// The part of the memory that the order of visitors' events may take, and so may their variations: a 16th.
const ORDER_SHARE: usize = 16;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "each is the most that may be")]
pub(crate) struct Bounds {
    pub(crate) events_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) age_max: Option<Duration>,
}

/// Kept events and the counts of all.
#[derive(Debug)]
pub(crate) struct Store {
    bounds: Bounds,
    hashes: Hashes,
    closed: VecDeque<Closed>,
    open: Segment,
    open_live: usize,
    closed_bytes: usize,
    /// Events that are kept.
    live: usize,
    /// What is older is forgotten.
    oldest: u64,
    newest: u64,
    requests: u64,
    /// The newest event of each identity, or the good one.
    seen: FxHashMap<u64, u64>,
    shapes: Shapes,
    order: Order,
    variations: Variations,
    sessions: Sessions,
    resets: u64,
    /// Bad events and refused requests, those before a reset included.
    bad_ever: u64,
    /// The newest id when everything was forgotten last.
    reset_at: u64,
}

#[derive(Debug)]
struct Closed {
    segment: Arc<Segment>,
    live: usize,
    bytes: usize,
}

/// A body's events, and where they come from.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) shape: Shape,
    pub(crate) bytes: &'a [u8],
    pub(crate) drafts: Vec<Draft>,
    /// Its id is given by the store.
    pub(crate) request: Request,
    /// Halves of surrogate pairs in it.
    pub(crate) repaired: u64,
}

/// What became of a body's events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    pub(crate) request: u64,
    pub(crate) good: usize,
    pub(crate) bad: usize,
    pub(crate) duplicates: usize,
}

impl Store {
    pub(crate) fn new(bounds: Bounds, hashes: Hashes) -> Self {
        Self {
            bounds,
            hashes,
            closed: VecDeque::new(),
            open: Segment::default(),
            open_live: 0,
            closed_bytes: 0,
            live: 0,
            oldest: 1,
            newest: 0,
            requests: 0,
            seen: FxHashMap::default(),
            shapes: Shapes::default(),
            order: Order::within(bounds.bytes_max / ORDER_SHARE),
            variations: Variations::within(bounds.bytes_max / ORDER_SHARE),
            sessions: Sessions::default(),
            resets: 0,
            bad_ever: 0,
            reset_at: 0,
        }
    }

    /// Takes a body's events in, all at once.
    pub(crate) fn add(&mut self, arrival: Arrival<'_>) -> Kept {
        let Arrival { shape, bytes, drafts, mut request, repaired } = arrival;
        self.forget_old(request.received_ms);
        self.requests += 1;
        request.id = self.requests;
        let (shape, shape_bytes) = self.shapes.share(shape);
        let mut shape_bytes = shape_bytes;
        let session = shape.session();
        self.sessions.count(session, |ledger| {
            ledger.requests += 1;
            ledger.repaired += repaired;
        });
        let mut kept = Kept { request: request.id, ..Kept::default() };
        for mut draft in drafts {
            let bytes = bytes.get(draft.place.clone()).unwrap_or_default();
            if self.is_repeat(&draft, bytes, session) {
                kept.duplicates += 1;
                continue;
            }
            self.judge_across(&mut draft, bytes, session);
            self.count(&draft, session, &mut kept);
            self.make_room_for(bytes.len());
            if self.open.current_request() != Some(request.id) {
                self.open.begin(request.copy(), &shape, std::mem::take(&mut shape_bytes));
            }
            self.newest += 1;
            self.open.push(self.newest, bytes, draft.verdict, draft.problems);
            self.open_live += 1;
            self.live += 1;
            self.keep_bounds();
        }
        kept
    }

    /// Whether the API would drop it as a repeat; remembers it if not.
    fn is_repeat(&mut self, draft: &Draft, bytes: &[u8], session: Option<&str>) -> bool {
        let Some(identity) = draft.identity else {
            self.sessions.count(session, |ledger| ledger.events += 1);
            return false;
        };
        let id = self.newest + 1;
        let is_good = draft.verdict != Verdict::Bad;
        let known = self.seen.get(&identity).copied();
        let known_good = known.filter(|known| self.is_same_and_good(*known, bytes, session));
        if let Some(known) = known_good.filter(|_| is_good) {
            if let Some(view) = self.find(known) {
                view.entry.count_repeat();
            }
            self.sessions.count(session, |ledger| {
                ledger.events += 1;
                ledger.duplicates += 1;
            });
            return true;
        }
        if known_good.is_none() {
            self.seen.insert(identity, id);
        }
        self.sessions.count(session, |ledger| {
            ledger.events += 1;
            ledger.unique += u64::from(known.is_none());
        });
        false
    }

    /// Numbers may meet by chance; events are the same where their texts are.
    fn is_same_and_good(&self, id: u64, bytes: &[u8], session: Option<&str>) -> bool {
        let Some(view) = self.find(id) else { return false };
        let (one, other) = (view.head(), layout::Head::read(bytes));
        view.verdict() != Verdict::Bad
            && view.session() == session
            && one.timestamp == other.timestamp
            && [Field::Entity, Field::Uuid]
                .into_iter()
                .all(|field| one.field(field, view.bytes()) == other.field(field, bytes))
    }

    /// What only shows beside the events that came before.
    fn judge_across(&mut self, draft: &mut Draft, bytes: &[u8], session: Option<&str>) {
        if draft.verdict == Verdict::Bad {
            return;
        }
        self.judge_order(draft, bytes, session);
        let Some((place, variation)) = draft.visit.assigned else { return };
        let place = self.sessions.own(session, place);
        let Some(mixed) = self.variations.note(place, variation) else { return };
        let is_new = u64::from(mixed == Mixed::ForTheFirstTime);
        self.sessions.count(session, |ledger| ledger.mixed += is_new);
        let head = layout::Head::read(bytes);
        let [visitor, experiment, variation] =
            [Field::Visitor, Field::Experiment, Field::Variation].map(|field| head.text(field, bytes));
        draft.warn(two_variations(visitor, experiment, variation));
    }

    /// A conversion belongs behind the decision that explains it.
    fn judge_order(&mut self, draft: &mut Draft, bytes: &[u8], session: Option<&str>) {
        let Visit { visitor, timestamp, is_impression, .. } = draft.visit;
        let visitor = self.sessions.own(session, visitor);
        let Noted { more, fewer, odd_beside } = self.order.note(visitor, timestamp, is_impression);
        if (more, fewer) != (0, 0) {
            self.sessions
                .count(session, |ledger| ledger.too_early = (ledger.too_early + more).saturating_sub(fewer));
        }
        let Some(other) = odd_beside else { return };
        let head = layout::Head::read(bytes);
        let visitor = head.text(Field::Visitor, bytes);
        draft.warn(if is_impression {
            decision_after_conversion(visitor, timestamp, other)
        } else {
            conversion_before_decision(visitor, timestamp, other)
        });
    }

    fn count(&mut self, draft: &Draft, session: Option<&str>, kept: &mut Kept) {
        if draft.verdict == Verdict::Bad {
            kept.bad += 1;
            self.bad_ever += 1;
            self.sessions.count(session, |ledger| ledger.bad += 1);
            return;
        }
        kept.good += 1;
        let warned = u64::from(draft.verdict == Verdict::Warned);
        self.sessions.count(session, |ledger| {
            ledger.good += 1;
            ledger.warned += warned;
        });
    }

    /// Closes the open segment where it has no room for so many bytes more.
    fn make_room_for(&mut self, bytes: usize) {
        if self.open.has_room_for(bytes) && !self.open.is_empty() {
            return;
        }
        self.close();
        let room = (self.bounds.bytes_max / SEGMENTS_MIN).min(SEGMENT_BYTES_MAX);
        self.open = Segment::with_room(room.max(bytes));
    }

    fn close(&mut self) {
        let mut segment = std::mem::take(&mut self.open);
        if segment.is_empty() {
            return;
        }
        segment.close();
        let bytes = segment.memory();
        self.closed_bytes += bytes;
        self.closed.push_back(Closed {
            segment: Arc::new(segment),
            live: std::mem::take(&mut self.open_live),
            bytes,
        });
    }

    /// Bytes of memory that all of it takes.
    pub(crate) fn memory(&self) -> usize {
        let list = self.closed.capacity() * size_of::<Closed>();
        self.closed_bytes
            + self.open.memory()
            + table::memory(&self.seen)
            + list
            + self.order.memory()
            + self.variations.memory()
            + self.sessions.memory()
    }

    /// A kept event.
    fn find(&self, id: u64) -> Option<View<'_>> {
        if id < self.oldest {
            return None;
        }
        let closed = self.closed.get(self.closed_after(id.saturating_sub(1)));
        closed.map_or(&self.open, |closed| &*closed.segment).find(id)
    }

    /// The number of the first closed segment with anything newer than this event.
    fn closed_after(&self, id: u64) -> usize {
        self.closed.partition_point(|closed| closed.segment.last_id().is_some_and(|last| last <= id))
    }

    /// What is kept and newer than this event.
    pub(crate) fn after(&self, id: u64) -> Snapshot {
        let closed = self.closed.range(self.closed_after(id)..).map(|closed| Arc::clone(&closed.segment));
        let open = Some(self.open.copy_after(id)).filter(|open| !open.is_empty()).map(Arc::new);
        self.snapshot(id, closed.chain(open).collect())
    }

    /// The first piece of what is newer than this event.
    pub(crate) fn piece_after(&self, id: u64) -> Snapshot {
        let closed = self.closed.get(self.closed_after(id)).map(|closed| Arc::clone(&closed.segment));
        let piece = closed.unwrap_or_else(|| Arc::new(self.open.copy_after(id)));
        self.snapshot(id, vec![piece])
    }

    fn snapshot(&self, after: u64, segments: Vec<Arc<Segment>>) -> Snapshot {
        Snapshot {
            segments,
            after: after.max(self.oldest.saturating_sub(1)),
            oldest: self.oldest,
            newest: self.newest,
            resets: self.resets,
        }
    }

    /// How much has arrived, in all or in a session.
    pub(crate) fn ledger(&self, session: Option<&str>) -> CollectorLedger {
        self.sessions.ledger(session)
    }

    /// How much was forgotten, likewise.
    pub(crate) fn forgotten(&self, session: Option<&str>) -> u64 {
        self.sessions.forgotten(session)
    }

    /// How many bad events came, likewise.
    pub(crate) fn bad(&self, session: Option<&str>) -> u64 {
        self.sessions.bad(session)
    }

    pub(crate) fn sessions(&self) -> Vec<SessionLedger> {
        self.sessions.list()
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    pub(crate) fn reset_at(&self) -> u64 {
        self.reset_at
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn count_refused(&mut self, session: Option<&str>) {
        self.bad_ever += 1;
        self.sessions.count(session, |ledger| ledger.refused += 1);
    }

    pub(crate) fn bad_ever(&self) -> u64 {
        self.bad_ever
    }

    pub(crate) fn count_fault(&mut self, rule: &str, taken: bool, session: Option<&str>) {
        self.sessions.count(session, |ledger| ledger.count_fault(rule, taken));
    }

    /// What a request was answered with after all.
    pub(crate) fn set_status(&self, request: u64, status: u16) {
        let segments =
            [&self.open].into_iter().chain(self.closed.iter().rev().map(|closed| &*closed.segment));
        for segment in segments {
            let Ok(at) = segment.requests.binary_search_by_key(&request, |request| request.id) else {
                if segment.requests.first().is_some_and(|first| first.id < request) {
                    return;
                }
                continue;
            };
            if let Some(found) = segment.requests.get(at) {
                found.set_status(status);
            }
        }
    }
}
