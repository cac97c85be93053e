//! When the oldest event of each pipeline was taken, as it was read last. Reading it may have to wait for a disk; whoever
//! scrapes does not wait for long, and is told what was known before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::PATIENCE;
use crate::relay::Relay;

/// Each pipeline's.
#[derive(Debug)]
pub(in crate::admin) struct Ages(Vec<Arc<Oldest>>);

#[derive(Debug, Default)]
struct Oldest {
    /// Somebody reads it: a disk that stalls costs one thread, however often it is looked at.
    is_read: AtomicBool,
    taken_ms: Mutex<Option<i64>>,
}

impl Ages {
    pub(in crate::admin) fn new(relay: &Relay) -> Self {
        Self(relay.tenants().stages().map(|_| Arc::default()).collect())
    }

    /// When each pipeline's oldest event was taken, in their order; none: there is none, or nobody knows.
    pub(super) async fn look(&self, relay: &Relay) -> Vec<Option<i64>> {
        let reading = self.0.iter().enumerate().filter(|(_, oldest)| !oldest.is_read.swap(true, SeqCst));
        let reading = reading.map(|(at, oldest)| {
            let (relay, oldest) = (relay.clone(), Arc::clone(oldest));
            tokio::task::spawn_blocking(move || {
                let stage = relay.tenants().stages().nth(at);
                let taken_ms = stage.and_then(|(_, stage)| stage.dispatcher().oldest_ms());
                *oldest.taken_ms.lock() = taken_ms;
                oldest.is_read.store(false, SeqCst);
            })
        });
        drop(tokio::time::timeout(PATIENCE, join_all(reading)).await);
        self.0.iter().map(|oldest| *oldest.taken_ms.lock()).collect()
    }
}
