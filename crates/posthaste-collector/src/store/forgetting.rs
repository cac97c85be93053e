//! What makes room, and what is taken out: the oldest beyond the bounds, a session, everything.
//!
//! Invariant: whatever goes is counted as forgotten, unless somebody asked for it to go; its identity goes with it.

use std::sync::Arc;

use super::{Closed, Segment, Store, View, layout::Field};
use crate::taken::Hashes;

impl Store {
    pub(super) fn keep_bounds(&mut self) {
        while self.live > self.bounds.events_max.max(1) {
            self.forget_one();
        }
        while self.memory() > self.bounds.bytes_max && self.live > 1 && !self.closed.is_empty() {
            self.forget_segment();
        }
    }

    /// Forgets what is older than it may be at this time (milliseconds since 1970, UTC).
    pub(crate) fn forget_old(&mut self, now_ms: i64) {
        let Some(age_max) = self.bounds.age_max else { return };
        let limit = now_ms.saturating_sub(i64::try_from(age_max.as_millis()).unwrap_or(i64::MAX));
        while let Some(view) = self.oldest_view()
            && view.request().received_ms < limit
        {
            self.forget_one();
        }
    }

    fn oldest_view(&self) -> Option<View<'_>> {
        let segments = self.closed.iter().map(|closed| &*closed.segment).chain([&self.open]);
        let before = self.oldest.saturating_sub(1);
        segments.flat_map(|segment| segment.live_after(before)).next()
    }

    fn forget_one(&mut self) {
        let Some(view) = self.oldest_view() else { return };
        let (id, identity) = (view.id(), identity_of(&view, &self.hashes));
        let session = view.session().map(str::to_owned);
        // It is not marked as gone: whoever took it before still sees it, and so nobody misses it uncounted.
        self.forget(id, identity, session.as_deref());
        self.oldest = id + 1;
        self.live -= 1;
        match self.closed.front_mut() {
            Some(front) if front.segment.last_id().is_some_and(|last| last >= id) => {
                front.live -= 1;
                if front.live == 0 {
                    self.closed_bytes -= front.bytes;
                    self.closed.pop_front();
                }
            }
            _ => {
                self.open_live -= 1;
                if self.open_live == 0 {
                    self.open = Segment::default();
                }
            }
        }
    }

    fn forget_segment(&mut self) {
        let Some(Closed { segment, live, bytes }) = self.closed.pop_front() else { return };
        self.closed_bytes -= bytes;
        self.live -= live;
        for view in segment.live_after(self.oldest.saturating_sub(1)) {
            self.forget(view.id(), identity_of(&view, &self.hashes), view.session());
        }
        self.oldest = segment.last_id().map_or(self.oldest, |last| last + 1);
    }

    fn forget(&mut self, id: u64, identity: Option<u64>, session: Option<&str>) {
        self.sessions.count(session, |ledger| ledger.forgotten += 1);
        self.forget_identity(id, identity);
    }

    fn forget_identity(&mut self, id: u64, identity: Option<u64>) {
        if let Some(identity) = identity
            && self.seen.get(&identity) == Some(&id)
        {
            self.seen.remove(&identity);
        }
    }

    /// Forgets everything; every count is zero. Ids go on, and what says that something bad was there.
    pub(crate) fn clear(&mut self) {
        let (newest, requests) = (self.newest, self.requests);
        let (resets, bad_ever) = (self.resets + 1, self.bad_ever);
        *self = Self::new(self.bounds, self.hashes.clone());
        (self.newest, self.oldest, self.reset_at) = (newest, newest + 1, newest);
        (self.requests, self.resets, self.bad_ever) = (requests, resets, bad_ever);
    }

    /// Forgets a session: its events and its counts.
    pub(crate) fn clear_session(&mut self, session: &str) {
        self.resets += 1;
        self.close();
        let segments: Vec<_> = self.closed.iter().map(|closed| Arc::clone(&closed.segment)).collect();
        let before = self.oldest.saturating_sub(1);
        for (at, segment) in segments.iter().enumerate() {
            let mut removed = 0;
            for view in segment.live_after(before).filter(|view| view.session() == Some(session)) {
                view.entry.remove();
                self.forget_identity(view.id(), identity_of(&view, &self.hashes));
                removed += 1;
            }
            self.live -= removed;
            if let Some(closed) = self.closed.get_mut(at) {
                closed.live -= removed;
            }
        }
        self.closed.retain(|closed| closed.live > 0);
        self.closed_bytes = self.closed.iter().map(|closed| closed.bytes).sum();
        self.sessions.remove(session);
    }
}

fn identity_of(view: &View<'_>, hashes: &Hashes) -> Option<u64> {
    let (head, bytes) = (view.head(), view.bytes());
    let text = |field| head.text(field, bytes);
    let uuid = Some(text(Field::Uuid)).filter(|uuid| !uuid.is_empty())?;
    Some(hashes.identity(view.session(), text(Field::Entity), uuid, head.timestamp?))
}
