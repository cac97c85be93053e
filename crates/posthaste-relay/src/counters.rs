//! What the relay has counted. Every count is there from the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::answer::Reason;

/// What was mended in bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Repair {
    /// Was packed with gzip.
    Gzip,
    /// Had a byte order mark.
    ByteOrderMark,
    /// Was in Latin-1.
    Latin1,
    /// Had bare `NaN` or `Infinity`.
    NotANumber,
    /// Had halves of surrogate pairs.
    Surrogate,
    /// Came as another type than JSON, or as none.
    ContentType,
}

impl Repair {
    pub(crate) const ALL: [Self; 6] =
        [Self::Gzip, Self::ByteOrderMark, Self::Latin1, Self::NotANumber, Self::Surrogate, Self::ContentType];

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Latin1 => "latin1",
            Self::NotANumber => "not_a_number",
            Self::Surrogate => "surrogate",
            Self::ContentType => "content_type",
        }
    }
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TurnedAway {
    /// There were as many as there may be.
    TooMany,
    /// There were as many from its address as there may be.
    TooManyOfOne,
}

impl TurnedAway {
    pub(crate) const ALL: [Self; 2] = [Self::TooMany, Self::TooManyOfOne];

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyOfOne => "too_many_of_one_address",
        }
    }
}

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; Reason::ALL.len()],
    repairs: [AtomicU64; Repair::ALL.len()],
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
    repeats: AtomicU64,
    left_out: AtomicU64,
    body_bytes: AtomicU64,
    connections: AtomicU64,
    disconnected: AtomicU64,
    broken_heads: AtomicU64,
}

/// A copy of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests by what they were answered.
    pub(crate) requests: Vec<(Reason, u64)>,
    /// Bodies by what was mended in them.
    pub(crate) repairs: Vec<(Repair, u64)>,
    /// Connections that were turned away.
    pub(crate) turned_away: Vec<(TurnedAway, u64)>,
    /// Events that had come before.
    pub(crate) repeats: u64,
    /// Of these, events that were left out.
    pub(crate) left_out: u64,
    /// Bytes of bodies, as they came.
    pub(crate) body_bytes: u64,
    /// Connections that were taken.
    pub(crate) connections: u64,
    /// Of these, connections that are open now.
    pub(crate) open: u64,
    /// Connections that ended because of a head that was none, or too large, or did not come.
    pub(crate) broken_heads: u64,
}

impl Counters {
    pub(crate) fn answered(&self, reason: Reason) {
        add(&self.requests, &Reason::ALL, reason);
    }

    pub(crate) fn repaired(&self, repair: Repair) {
        add(&self.repairs, &Repair::ALL, repair);
    }

    pub(crate) fn turned_away(&self, why: TurnedAway) {
        add(&self.turned_away, &TurnedAway::ALL, why);
    }

    /// Events that had come before, and how many of them were left out.
    pub(crate) fn repeated(&self, events: u64, left_out: u64) {
        self.repeats.fetch_add(events, Relaxed);
        self.left_out.fetch_add(left_out, Relaxed);
    }

    pub(crate) fn body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.disconnected.fetch_add(1, Relaxed);
    }

    pub(crate) fn broken_head(&self) {
        self.broken_heads.fetch_add(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        // Read first: more have begun than ended.
        let disconnected = self.disconnected.load(Relaxed);
        let connections = self.connections.load(Relaxed);
        Counts {
            requests: read(&self.requests, &Reason::ALL),
            repairs: read(&self.repairs, &Repair::ALL),
            turned_away: read(&self.turned_away, &TurnedAway::ALL),
            repeats: self.repeats.load(Relaxed),
            left_out: self.left_out.load(Relaxed),
            body_bytes: self.body_bytes.load(Relaxed),
            connections,
            open: connections.saturating_sub(disconnected),
            broken_heads: self.broken_heads.load(Relaxed),
        }
    }
}

fn add<K: Copy + PartialEq>(counts: &[AtomicU64], keys: &[K], key: K) {
    let at = keys.iter().position(|one| *one == key);
    if let Some(count) = at.and_then(|at| counts.get(at)) {
        count.fetch_add(1, Relaxed);
    }
}

fn read<K: Copy>(counts: &[AtomicU64], keys: &[K]) -> Vec<(K, u64)> {
    keys.iter().copied().zip(counts.iter().map(|count| count.load(Relaxed))).collect()
}
