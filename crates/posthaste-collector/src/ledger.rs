//! What has arrived, in numbers.

use serde::Serialize;

/// How much has arrived since the start or the last reset. At every moment `events = good + bad + duplicates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CollectorLedger {
    /// Bodies.
    pub requests: u64,
    /// Events that were judged. A body or a part of one that cannot be read counts as one.
    pub events: u64,
    /// Events without a fault, repeats left out.
    pub good: u64,
    /// Events with a fault, each time they came.
    pub bad: u64,
    /// Different `(entity_id, uuid, timestamp)` among good and bad events.
    pub unique: u64,
    /// Events without a fault that repeat a good one: same `(entity_id, uuid, timestamp)`. The API keeps one of them.
    pub duplicates: u64,
    /// Good and bad events that had to make room. A repeat of one of these is not recognised any more.
    pub forgotten: u64,
    /// Good events that something is odd about, repeats left out.
    pub warned: u64,
    /// Visitors with a conversion that is earlier than all of their decisions
    /// ([`Visits`](posthaste::judge::Visits)).
    pub too_early: u64,
    /// Halves of surrogate pairs that were read as U+FFFD.
    pub repaired: u64,
}
