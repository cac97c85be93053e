//! Events that come again: a client that got no answer sends them once more.
//!
//! The Event API drops repeats by (entity, uuid, time), so they do no harm; how many there are tells of clients in
//! trouble. Where they are left out, whole visitors are, so that those that are sent stay byte for byte as they came.
//!
//! Invariant: an event is remembered only once it is safe, and while it is queued or delivered. A repeat of one that
//! was refused, or that has become a dead letter, is no repeat: whoever sends it again wants it to arrive.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste::RawBatch;
use rustc_hash::FxHashSet;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::Repeats;

/// The events that came last: at least as many as the window, at most twice as many.
#[derive(Debug)]
pub(crate) struct Window {
    options: Repeats,
    /// Keyed by chance, so that nobody can make two events look like one.
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    newer: FxHashSet<u64>,
    older: FxHashSet<u64>,
    /// Those that came to a bad end before anybody had remembered them: delivery may be that quick.
    ended: FxHashSet<u64>,
}

/// What a look at a body found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    keys: Vec<u64>,
    /// How many events there are; `None`: some cannot be told apart.
    events: Option<usize>,
    repeats: u64,
    left_out: u64,
    /// Which visitors stay; `None`: all.
    kept: Option<Vec<bool>>,
}

impl Window {
    pub(crate) fn new(options: Repeats) -> Self {
        Self { options, hasher: RandomState::new(), known: Mutex::default() }
    }

    /// Looks for events in this body that have come before.
    pub(crate) fn look(&self, batch: &RawBatch<'_>) -> Seen {
        if self.options.window == 0 {
            return Seen::default();
        }
        let mut seen = Seen { events: Some(0), ..Seen::default() };
        // Where each visitor's keys end: they are made before anybody is kept from the window.
        let mut ends = Vec::with_capacity(batch.visitors().len());
        let owner = owner(batch);
        for visitor in batch.visitors() {
            let events = self.add_keys(owner, visitor, &mut seen.keys);
            // A visitor without events counts as one, as delivery counts it.
            seen.events = seen.events.zip(events).map(|(all, events)| all + events.max(1));
            ends.push(seen.keys.len());
        }
        let repeated = self.repeated(&seen.keys);
        seen.repeats = repeated.iter().filter(|is_repeated| **is_repeated).count() as u64;
        if self.options.leave_out && seen.repeats > 0 {
            seen.leave_out(&repeated, &ends);
        }
        seen
    }

    /// Which of these have come before.
    fn repeated(&self, keys: &[u64]) -> Vec<bool> {
        let known = self.known.lock();
        keys.iter().map(|key| known.has(*key)).collect()
    }

    /// These events are safe.
    pub(crate) fn remember(&self, seen: Seen) {
        if seen.keys.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        for key in seen.keys {
            if known.ended.remove(&key) {
                continue;
            }
            known.newer.insert(key);
            if known.newer.len() >= self.options.window {
                known.older = std::mem::take(&mut known.newer);
            }
        }
    }

    /// These events will not be delivered.
    pub(crate) fn forget(&self, body: &Bytes) {
        if self.options.window == 0 {
            return;
        }
        let Ok(batch) = RawBatch::parse(body) else { return };
        let (owner, mut keys) = (owner(&batch), Vec::new());
        for visitor in batch.visitors() {
            self.add_keys(owner, visitor, &mut keys);
        }
        let mut known = self.known.lock();
        for key in keys {
            if known.take(key) {
                continue;
            }
            if known.ended.len() >= self.options.window {
                known.ended.clear();
            }
            known.ended.insert(key);
        }
    }

    /// How many events the visitor has; `None`: that cannot be read.
    fn add_keys(&self, owner: [Option<&str>; 2], visitor: &RawValue, keys: &mut Vec<u64>) -> Option<usize> {
        let visitor = serde_json::from_str::<Visitor<'_>>(visitor.get()).ok()?;
        let mut events = 0;
        for event in visitor.snapshots.iter().flat_map(|snapshot| &snapshot.events) {
            events += 1;
            let Event { entity_id, uuid, timestamp } = event;
            // Without a uuid nobody can tell whether it is the same.
            if uuid.is_none_or(|uuid| uuid.get() == r#""""#) {
                continue;
            }
            let mut hasher = self.hasher.build_hasher();
            owner.hash(&mut hasher);
            for part in [&visitor.visitor_id, entity_id, uuid, timestamp] {
                part.map(RawValue::get).hash(&mut hasher);
            }
            keys.push(hasher.finish());
        }
        Some(events)
    }
}

impl Known {
    fn has(&self, key: u64) -> bool {
        self.newer.contains(&key) || self.older.contains(&key)
    }

    /// Whether it was there.
    fn take(&mut self, key: u64) -> bool {
        self.newer.remove(&key) | self.older.remove(&key)
    }
}

/// Whose events a body has.
fn owner<'a>(batch: &RawBatch<'a>) -> [Option<&'a str>; 2] {
    ["account_id", "project_id"].map(|name| batch.field(name).map(RawValue::get))
}

impl Seen {
    /// Visitors all of whose events have come before are left out.
    fn leave_out(&mut self, repeated: &[bool], ends: &[usize]) {
        let mut from = 0;
        let is_kept = |end: &usize| {
            let events = repeated.get(from..*end).unwrap_or_default();
            from = *end;
            let is_left_out = !events.is_empty() && events.iter().all(|is_repeated| *is_repeated);
            self.left_out += if is_left_out { events.len() as u64 } else { 0 };
            !is_left_out
        };
        let kept: Vec<bool> = ends.iter().map(is_kept).collect();
        self.kept = kept.contains(&false).then_some(kept);
    }

    /// Events that have come before.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Of these, events that are left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many events there are; `None`: nobody has counted them.
    pub(crate) fn events(&self) -> Option<usize> {
        self.events
    }

    /// Whether some visitors are left out.
    pub(crate) fn leaves_out(&self) -> bool {
        self.kept.is_some()
    }

    /// The body without what is left out; `None`: nothing is left.
    pub(crate) fn without_repeats(&self, batch: &RawBatch<'_>) -> Option<Vec<u8>> {
        let kept = self.kept.as_ref().filter(|kept| kept.contains(&true))?;
        let visitors = batch.visitors().iter().zip(kept).filter(|(_, kept)| **kept);
        Some(batch.with_visitors(visitors.map(|(visitor, _)| visitor.get())))
    }
}

/// The parts of a visitor that tell events apart, each as its JSON text.
#[derive(Deserialize)]
struct Visitor<'a> {
    #[serde(borrow, default)]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    snapshots: Vec<Snapshot<'a>>,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    entity_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    uuid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(uuids: &[&str]) -> Bytes {
        let visitor = |uuid: &&str| {
            format!(
                r#"{{"visitor_id":"v","snapshots":[{{"events":[{{"entity_id":"1","uuid":"{uuid}","timestamp":1}}]}}]}}"#
            )
        };
        let visitors: Vec<String> = uuids.iter().map(visitor).collect();
        format!(r#"{{"account_id":"1","visitors":[{}],"new":true}}"#, visitors.join(",")).into()
    }

    fn look(window: &Window, body: &Bytes) -> Seen {
        window.look(&RawBatch::parse(body).unwrap())
    }

    fn without_repeats(seen: &Seen, body: &Bytes) -> Option<Bytes> {
        seen.without_repeats(&RawBatch::parse(body).unwrap()).map(Bytes::from)
    }

    fn window(window: usize, leave_out: bool) -> Window {
        Window::new(Repeats { window, leave_out })
    }

    #[test]
    fn what_is_safe_and_comes_again_is_counted_and_left_out_where_asked() {
        let window = window(100, true);
        let first = look(&window, &body(&["a", "b"]));
        assert_eq!(look(&window, &body(&["a"])).repeats(), 0, "nothing is safe yet");
        window.remember(first);
        let again = look(&window, &body(&["a", "c"]));
        assert_eq!((again.repeats(), again.left_out()), (1, 1));
        assert_eq!(without_repeats(&again, &body(&["a", "c"])), Some(body(&["c"])));
        let all = look(&window, &body(&["b", "a"]));
        assert_eq!((all.repeats(), without_repeats(&all, &body(&["b", "a"]))), (2, None));
    }

    #[test]
    fn what_will_not_be_delivered_is_no_repeat_however_early_that_is_known() {
        let window = window(100, true);
        window.remember(look(&window, &body(&["a", "b"])));
        window.forget(&body(&["a"]));
        assert_eq!(look(&window, &body(&["a", "b"])).repeats(), 1);
        // It ends before it is remembered, once.
        let quick = look(&window, &body(&["c"]));
        window.forget(&body(&["c"]));
        window.remember(quick);
        assert_eq!(look(&window, &body(&["c"])).repeats(), 0);
        window.remember(look(&window, &body(&["c"])));
        assert_eq!(look(&window, &body(&["c"])).repeats(), 1);
        // What was never remembered takes no more room than what was.
        for number in 0..1_000 {
            window.forget(&body(&[&number.to_string()]));
            assert!(window.known.lock().ended.len() <= 100);
        }
    }

    #[test]
    fn the_same_event_of_another_account_or_without_a_uuid_is_no_repeat() {
        let window = window(100, true);
        let of = |account: &str, project: &str, uuid: &str| -> Bytes {
            let text = String::from_utf8(body(&[uuid]).to_vec()).unwrap();
            text.replacen(r#""1""#, &format!(r#""{account}","project_id":"{project}""#), 1).into()
        };
        for event in [of("1", "p", "a"), of("1", "p", "")] {
            window.remember(look(&window, &event));
        }
        for (event, repeats) in
            [(of("1", "p", "a"), 1), (of("2", "p", "a"), 0), (of("1", "q", "a"), 0), (of("1", "p", ""), 0)]
        {
            assert_eq!(look(&window, &event).repeats(), repeats, "{event:?}");
        }
    }

    #[test]
    fn repeats_are_only_counted_unless_asked() {
        let window = window(100, false);
        window.remember(look(&window, &body(&["a"])));
        let again = look(&window, &body(&["a"]));
        assert_eq!((again.repeats(), again.left_out()), (1, 0));
        assert!(!again.leaves_out());
    }

    #[test]
    fn the_window_is_bounded_and_holds_what_came_last() {
        let window = window(3, false);
        for number in 0..100 {
            window.remember(look(&window, &body(&[&number.to_string()])));
            let known = window.known.lock();
            assert!(known.newer.len() + known.older.len() <= 6);
        }
        for number in [97, 98, 99] {
            assert_eq!(look(&window, &body(&[&number.to_string()])).repeats(), 1, "{number}");
        }
        assert_eq!(look(&window, &body(&["1"])).repeats(), 0);
    }
}
