//! What arrives, one by one, for whoever runs a collector in a process of their own: a line for each, a file of all.
//!
//! Invariant: events come in the order of their ids, each once; what was forgotten before its turn is counted.

use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::{
    Collector, Record,
    origin::{Dealt, Origin, SessionName},
    told::Told,
};

/// Hands out what arrives. It holds nothing back: whoever does not keep up misses what the collector has forgotten.
#[derive(Debug)]
pub struct Follower {
    collector: Collector,
    news: watch::Receiver<u64>,
    after: u64,
}

/// An event that has arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// It, and its verdict.
    pub record: Record,
    /// A request body that carries it alone; a JSON string with its beginning where it could not be read.
    pub raw: Box<RawValue>,
}

/// What has arrived since the last time, or the first part of it.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// Oldest first. Some at least, unless everything has been handed out.
    pub events: Vec<Arrival>,
    /// Events before them that made room for others before their turn.
    pub missed: u64,
}

impl Collector {
    /// Follows what arrives, from the oldest event that is kept.
    pub fn follow(&self) -> Follower {
        Follower { news: self.news(), collector: self.clone(), after: 0 }
    }

    /// Takes a body again that a file has kept, in the test session that it had.
    pub fn receive_again(&self, body: &[u8], session: Option<&str>) -> crate::Received {
        let origin = Origin { session: session.and_then(SessionName::new), ..Origin::default() };
        self.receive_from(origin, body.len(), body, Dealt::default())
    }
}

impl Follower {
    /// Waits until something has changed since the last call of [`take`](Self::take).
    pub async fn changed(&mut self) {
        // The collector is here, and so is who tells of changes.
        drop(self.news.changed().await);
    }

    /// The next piece of what has arrived; empty where there is nothing more.
    pub fn take(&mut self) -> Arrivals {
        self.news.borrow_and_update();
        let mut arrivals = Arrivals::default();
        loop {
            let (piece, reset_at) = {
                let store = self.collector.store();
                (store.piece_after(self.after), store.reset_at())
            };
            let gone = piece.oldest.saturating_sub(1);
            arrivals.missed += gone.saturating_sub(self.after.max(reset_at));
            let Some(last) = piece.last_id().filter(|last| *last > self.after) else {
                self.after = self.after.max(gone);
                return arrivals;
            };
            self.after = last;
            let told = piece.views().map(|view| Told::new(view, self.collector.config()));
            arrivals.events = told.filter_map(|told| arrival(&told)).collect();
            if !arrivals.events.is_empty() {
                return arrivals;
            }
        }
    }
}

fn arrival(told: &Told<'_>) -> Option<Arrival> {
    // What is kept is JSON.
    Some(Arrival { record: told.record(), raw: RawValue::from_string(told.raw()).ok()? })
}
