//! The admin interface: how the relay is, what it has counted, and what to do about dead letters. On a listener of its own,
//! for operators; nothing of it is on the public one.
//!
//! | what | where |
//! |---|---|
//! | who may ask: hosts, origins, sizes | `guard.rs` |
//! | connections and their bounds | `serve.rs` |
//! | whether loops go round, events are taken, upstreams and the stream answer | `health.rs`, `ready.rs`, `upstream.rs`, `stream.rs` |
//! | counts | `ledger.rs`, `metrics/` |
//! | dead letters | `dead/` |
//! | what happens, as it happens | `follow.rs` |
//!
//! Invariants: a question never waits for a client, an upstream or a disk for longer than a stated time; none changes what
//! delivery does, but for those that say so (`POST`); whatever is asked how often, memory is bounded.

mod dead;
mod follow;
mod guard;
mod health;
mod ledger;
mod metrics;
mod problem;
mod ready;
mod serve;
mod stream;
mod table;
mod upstream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, middleware};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::problem::Problem;
pub(crate) use self::serve::serve;
use crate::relay::Relay;

/// Questions that may ask the disk at the same time: one that hangs holds back no more than these.
const DISK_QUESTIONS_MAX: usize = 4;
/// How long such a question may take.
const DISK_TIMEOUT: Duration = Duration::from_secs(20);

/// What every handler has.
#[derive(Debug, Clone)]
struct Admin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    relay: Relay,
    /// Where this interface listens.
    bound: SocketAddr,
    asking: Arc<Semaphore>,
    /// Held by whoever changes dead letters: two who replay at the same time are not to put a letter back twice.
    changing: Arc<Mutex<()>>,
    last_beats: health::LastBeats,
    disks: ready::Disks,
    ages: metrics::Ages,
    free_bytes: metrics::FreeBytes,
}

/// All of it, for a listener that is bound here.
fn app(relay: &Relay, bound: SocketAddr) -> Router {
    let admin = Admin(Arc::new(Inner {
        relay: relay.clone(),
        bound,
        asking: Arc::new(Semaphore::new(DISK_QUESTIONS_MAX)),
        changing: Arc::default(),
        last_beats: health::LastBeats::new(relay),
        disks: ready::Disks::new(relay),
        ages: metrics::Ages::new(relay),
        free_bytes: metrics::FreeBytes::of(relay),
    }));
    let routes = table::ROUTES.iter();
    let router = routes.fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing is here; GET / says what there is\n") })
        .layer(middleware::from_fn_with_state(admin.clone(), guard::check))
        .with_state(admin)
}

impl Admin {
    fn relay(&self) -> &Relay {
        &self.0.relay
    }

    /// Asks what may have to read a disk, on a thread that may block.
    async fn ask<R: Send + 'static>(
        &self,
        what: impl FnOnce(&Relay) -> R + Send + 'static,
    ) -> Result<R, Problem> {
        let seat = Arc::clone(&self.0.asking).try_acquire_owned().map_err(|_| Problem::Busy)?;
        let relay = self.relay().clone();
        let asked = tokio::task::spawn_blocking(move || {
            // The seat is taken for as long as the thread is.
            let _seat = seat;
            what(&relay)
        });
        match tokio::time::timeout(DISK_TIMEOUT, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(Problem::Busy),
        }
    }
}
