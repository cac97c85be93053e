//! What this process has of a tenant's events at one moment, and how many it has had: under one lock, so that the counts
//! balance whenever somebody looks.
//!
//! ```text
//! add ─▶ window ─ acknowledged ─▶ handed over          a message ─▶ buffer ─ lease ─▶ leased ─ settle ─▶ settling ─▶ gone
//!                                     ▲                                                  └─ release, lost ─▶ handed over
//!                                     └──────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: `taken = held + handed over + ended`, in events, where what is held is in the window or leased. What is in
//! the buffer is the stream's: it is counted once it is leased. No message is twice in the buffer and the leases: one that
//! comes again is the same lease, which lasts anew.

mod out;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use async_nats::Subject;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::traffic::Traffic;
use crate::{
    batch::LogEvent,
    outcome::Refusal,
    queue::{Counts, Leased, QueueItem as _},
};

/// A request on its way into the stream.
#[derive(Debug)]
pub(super) struct Publishing {
    pub(super) request: LogEvent,
    pub(super) id: String,
    pub(super) bytes: usize,
    /// The caller gave the id, and may have given it before, in another process.
    pub(super) has_known_id: bool,
    /// Whoever holds the receipt.
    pub(super) told: oneshot::Sender<Result<(), Refusal>>,
}

/// A message that nobody here works on yet.
#[derive(Debug)]
struct Fetched {
    sequence: u64,
    lease: Held,
}

/// A message that is ours for a while.
#[derive(Debug)]
struct Held {
    item: LogEvent,
    /// Where to say what becomes of it.
    reply: Subject,
    /// Until then nobody else gets it.
    until: Duration,
    fetched_at: Duration,
    /// Somebody has had it before.
    is_again: bool,
}

impl Held {
    fn renew(&mut self, now: Duration, until: Duration) {
        if self.until > now {
            self.until = self.until.max(until);
        }
    }
}

#[derive(Debug)]
struct Lease {
    sequence: u64,
    held: Held,
    /// It has come to its end, and the stream has not confirmed that.
    is_settling: bool,
}

/// Where a message of the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Buffer,
    Lease(u64),
    /// It cannot be read, and is on its way to the dead letters.
    Aside,
}

/// What to do about a message that has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// It waits in the buffer.
    Buffered,
    /// It has come before, and still is here.
    Known,
    /// It has come to its end here, and the stream does not know: it is to be told again.
    Settled,
}

/// What came of the removal of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// It was removed here.
    Done,
    /// It was not: the stream refused, or somebody else was first.
    NotHere,
    /// An answer was lost: it may have been removed here.
    Unsure,
}

/// Messages that were published here and not fetched since are counted up to here.
const UNFETCHED_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct State {
    is_closed: bool,
    next_id: u64,
    window: BTreeMap<u64, Publishing>,
    window_bytes: usize,
    /// Why a publish has failed last, and whether that is for want of room.
    publish_trouble: Option<(String, bool)>,
    /// Why nothing can be fetched.
    fetch_trouble: Option<String>,
    /// Somebody was refused for want of room in the window.
    has_refused: bool,
    buffer: VecDeque<Fetched>,
    buffer_bytes: usize,
    leases: BTreeMap<u64, Lease>,
    places: FxHashMap<u64, Place>,
    settling: usize,
    /// Asides and messages of no answer, under way.
    busy: usize,
    traffic: Traffic,
    /// Messages that the stream still had for us when it sent the last one.
    left_in_stream: u64,
    /// Places of messages that were published here and not fetched since, as far as anybody knows.
    unfetched: VecDeque<u64>,
    last_fetched: u64,
    /// Heartbeats of a pull without a message since something was published.
    idle_beats: u32,
    /// Nobody leases: nothing is fetched until somebody does.
    is_resting: bool,
}

/// The window's bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

fn events(request: &LogEvent) -> u64 {
    request.events() as u64
}

/// The way in.
impl State {
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Why no more can be taken, if so.
    pub(super) fn refusal(&mut self, bytes: usize, bounds: Bounds) -> Option<Refusal> {
        if self.is_closed {
            return Some(Refusal::Closed);
        }
        let is_full = self.window.len() >= bounds.items;
        let has_no_bytes = !self.window.is_empty() && self.window_bytes.saturating_add(bytes) > bounds.bytes;
        if !is_full && !has_no_bytes {
            return None;
        }
        self.has_refused = true;
        Some(match &self.publish_trouble {
            Some((why, true)) => Refusal::StorageFull(why.clone()),
            _ if is_full => Refusal::QueueFull { capacity: bounds.items },
            _ => Refusal::QueueBytesFull { bytes_max: bounds.bytes },
        })
    }

    /// Takes one more; returns its key.
    pub(super) fn publish(&mut self, publishing: Publishing) -> u64 {
        let key = self.next_id;
        self.next_id += 1;
        self.window_bytes += publishing.bytes;
        let events = events(&publishing.request);
        self.traffic.accepted += events;
        self.traffic.publishing += events;
        self.traffic.messages.publishing += 1;
        self.window.insert(key, publishing);
        key
    }

    /// What is to be sent, unless it was given up.
    pub(super) fn publishing(&self, key: u64) -> Option<&Publishing> {
        self.window.get(&key)
    }

    /// Says whether that is news.
    pub(super) fn publish_failed(&mut self, why: String, is_full: bool) -> bool {
        let is_news = self.publish_trouble.as_ref().is_none_or(|(before, _)| *before != why);
        self.publish_trouble = Some((why, is_full));
        is_news
    }

    pub(super) fn publish_trouble(&self) -> Option<&str> {
        self.publish_trouble.as_ref().map(|(why, _)| why.as_str())
    }

    /// What keeps this process from fetching, if anything does. Says whether that is news.
    pub(super) fn set_fetch_trouble(&mut self, why: Option<String>) -> bool {
        let is_news = self.fetch_trouble != why;
        self.fetch_trouble = why;
        is_news
    }

    pub(super) fn fetch_trouble(&self) -> Option<&str> {
        self.fetch_trouble.as_deref()
    }

    /// The stream has it. Returns it, and whether somebody waits for that: room, or the end.
    pub(super) fn published(
        &mut self,
        key: u64,
        sequence: u64,
        is_repeat: bool,
    ) -> Option<(Publishing, bool)> {
        let publishing = self.remove_publishing(key)?;
        self.publish_trouble = None;
        self.traffic.published += events(&publishing.request);
        self.traffic.messages.published += 1;
        self.traffic.repeated += u64::from(is_repeat);
        if !is_repeat && sequence > self.last_fetched && self.unfetched.len() < UNFETCHED_MAX {
            self.unfetched.push_back(sequence);
        }
        self.traffic.messages.known += u64::from(is_repeat && publishing.has_known_id);
        self.idle_beats = 0;
        let is_awaited = std::mem::take(&mut self.has_refused) || self.window.is_empty();
        Some((publishing, is_awaited))
    }

    fn remove_publishing(&mut self, key: u64) -> Option<Publishing> {
        let publishing = self.window.remove(&key)?;
        self.window_bytes -= publishing.bytes;
        self.traffic.publishing -= events(&publishing.request);
        self.traffic.messages.publishing -= 1;
        Some(publishing)
    }

    /// Nobody waits for the stream any longer.
    pub(super) fn give_up(&mut self) -> Vec<(u64, Publishing)> {
        let keys: Vec<u64> = self.window.keys().copied().collect();
        let given_up: Vec<(u64, Publishing)> =
            keys.into_iter().filter_map(|key| Some((key, self.remove_publishing(key)?))).collect();
        self.traffic.messages.given_up += given_up.len() as u64;
        self.traffic.given_up +=
            given_up.iter().map(|(_, publishing)| events(&publishing.request)).sum::<u64>();
        given_up
    }
}

/// What it all comes to.
impl State {
    /// The message that has just come is one that somebody has had before.
    pub(super) fn redelivered(&mut self, sequence: u64) {
        self.traffic.messages.redelivered += 1;
        let held = match self.places.get(&sequence) {
            Some(Place::Lease(id)) => self.leases.get_mut(id).map(|lease| &mut lease.held),
            Some(Place::Buffer) => {
                let mut latest_first = self.buffer.iter_mut().rev();
                latest_first.find(|fetched| fetched.sequence == sequence).map(|fetched| &mut fetched.lease)
            }
            Some(Place::Aside) | None => None,
        };
        if let Some(held) = held {
            held.is_again = true;
        }
    }

    /// A letter with so many events is kept.
    pub(super) fn buried(&mut self, events: u64, was_there: bool) {
        self.traffic.buried += if was_there { 0 } else { events };
        self.traffic.messages.buried += u64::from(!was_there);
        self.traffic.messages.buried_again += u64::from(was_there);
    }

    /// A letter is about to be removed.
    pub(super) fn removing(&mut self) {
        self.traffic.messages.removing += 1;
    }

    /// What came of it.
    pub(super) fn removed(&mut self, removal: Removal) {
        let of = &mut self.traffic.messages;
        of.removing -= 1;
        of.removed += u64::from(removal == Removal::Done);
        of.maybe_removed += u64::from(removal == Removal::Unsure);
    }

    /// A letter with so many events is in the stream again.
    pub(super) fn replayed(&mut self, events: u64) {
        self.traffic.replayed += events;
        self.traffic.messages.replayed += 1;
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(super) fn counts(&self) -> Counts {
        let Traffic { accepted, published, leased, returned, unreadable, publishing, held, .. } =
            self.traffic;
        Counts::new(accepted + leased + unreadable, publishing + held)
            .with_lost(0, unreadable)
            .with_handed_over(published + returned)
    }

    /// Items here, and what the stream probably has for us.
    pub(super) fn size(&self, delivers: bool) -> usize {
        let here = self.window.len() + self.buffer.len() + self.leases.len() - self.settling;
        let there = if delivers && !self.is_closed { self.in_stream() } else { 0 };
        here.saturating_add(usize::try_from(there).unwrap_or(usize::MAX))
    }

    pub(super) fn bytes(&self) -> u64 {
        let leased: usize = self.leases.values().map(|lease| lease.held.item.bytes()).sum();
        (self.window_bytes + self.buffer_bytes + leased) as u64
    }

    /// Copies of what is here: what is leased first.
    pub(super) fn get(&self, count: usize) -> Vec<LogEvent> {
        let leased = self.leases.values().filter(|lease| !lease.is_settling).map(|lease| &lease.held.item);
        let buffered = self.buffer.iter().map(|fetched| &fetched.lease.item);
        let publishing = self.window.values().map(|publishing| &publishing.request);
        leased.chain(buffered).chain(publishing).take(count).cloned().collect()
    }

    /// Something is said to the stream of which nobody waits for the answer.
    pub(super) fn begin_saying(&mut self) {
        self.busy += 1;
    }

    pub(super) fn said(&mut self) {
        self.busy -= 1;
    }

    /// Whether nothing is under way, neither in nor out.
    pub(super) fn is_quiet(&self) -> bool {
        self.window.is_empty() && self.settling == 0 && self.busy == 0
    }

    /// Leases given up at the end, as the pipeline wants them.
    pub(super) fn leased_as(key: u64, publishing: Publishing) -> Leased<LogEvent> {
        Leased::new(key, publishing.request)
    }
}
