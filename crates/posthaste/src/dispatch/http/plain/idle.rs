//! Connections that wait for the next request to their host and port.
//!
//! The last used goes first, so that a lull lets the others go. Invariants: none waits longer than [`IDLE_TIMEOUT`], and no
//! more than [`IDLE_MAX`] wait.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::connection::Connection;

/// Shorter than the minute after which load balancers drop a connection without a word.
pub(in super::super) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Idle connections kept for each host and port. Each was under way: a pipeline that may have so many under way has all of
/// them idle for a moment when their answers come together.
pub(in super::super) const IDLE_MAX: usize = 2_048;

/// Those to one host and port.
#[derive(Debug, Default)]
pub(super) struct Idle {
    kept: Mutex<Kept>,
    /// The task that lets go of those that have waited too long; it ends with this.
    reaper: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last used is the last.
    connections: Vec<(Instant, Box<Connection>)>,
    is_reaped: bool,
}

impl Idle {
    /// One that is open and young enough.
    pub(super) fn take(&self, now: Instant, age_max: Option<Duration>) -> Option<Box<Connection>> {
        let mut kept = self.kept.lock();
        while let Some((since, mut connection)) = kept.connections.pop() {
            if now < since + IDLE_TIMEOUT && connection.is_younger(age_max, now) && connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// One more, for the next request.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>, now: Instant) {
        let mut kept = self.kept.lock();
        if kept.connections.len() >= IDLE_MAX {
            return;
        }
        kept.connections.push((now, connection));
        if !std::mem::replace(&mut kept.is_reaped, true) {
            let mut reaper = self.reaper.lock();
            while reaper.try_join_next().is_some() {}
            reaper.spawn(reap(Reaping(Arc::downgrade(self))));
        }
    }

    /// Lets go of those that have waited too long. When the next will have; `None`: there is none.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut kept = self.kept.lock();
        let over = kept.connections.iter().take_while(|(since, _)| *since + IDLE_TIMEOUT <= now).count();
        drop(kept.connections.drain(..over));
        let next = kept.connections.first().map(|(since, _)| *since + IDLE_TIMEOUT);
        kept.is_reaped = next.is_some();
        next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.lock().connections.is_empty()
    }
}

/// Whatever ends the task, its runtime's end too: the next connection starts another.
struct Reaping(Weak<Idle>);

impl Drop for Reaping {
    fn drop(&mut self) {
        if let Some(idle) = self.0.upgrade() {
            idle.kept.lock().is_reaped = false;
        }
    }
}

async fn reap(reaping: Reaping) {
    while let Some(next) = reaping.0.upgrade().and_then(|idle| idle.expire(Instant::now())) {
        sleep_until(next).await;
    }
}
