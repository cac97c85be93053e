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
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::connection::Connection;
use crate::dispatch::http::pool::IDLE_TIMEOUT;

/// Idle connections kept for each host and port. Each was under way: a pipeline that may have so many under way has all of
/// them idle for a moment when their answers come together.
const IDLE_MAX: usize = 2_048;

/// Those to one host and port.
#[derive(Debug)]
pub(super) struct Idle {
    max: usize,
    kept: Mutex<Kept>,
    more: Notify,
    /// The task that lets go of those that have waited too long; it ends with this.
    reaper: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last used is the last.
    connections: Vec<(Instant, Box<Connection>)>,
    is_reaped: bool,
}

impl Default for Idle {
    fn default() -> Self {
        Self { max: IDLE_MAX, kept: Mutex::default(), more: Notify::new(), reaper: Mutex::default() }
    }
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

    /// Waits for one that is open and young enough. Of several that wait, each that is kept wakes one.
    pub(super) async fn taken(&self, age_max: Option<Duration>) -> Box<Connection> {
        loop {
            self.more.notified().await;
            if let Some(connection) = self.take(Instant::now(), age_max) {
                return connection;
            }
        }
    }

    /// One more, for the next request.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>, now: Instant) {
        let mut kept = self.kept.lock();
        if kept.connections.len() >= self.max {
            return;
        }
        kept.connections.push((now, connection));
        self.more.notify_one();
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

#[cfg(test)]
mod tests {
    use hyper_rustls::MaybeHttpsStream;
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        time::advance,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, and the server's end of it.
    async fn connection() -> (Box<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let link = MaybeHttpsStream::Http(MaybeHttpsStream::Http(TokioIo::new(stream)));
        let (server, _) = listener.accept().await.unwrap();
        (Box::new(Connection::new(link, Instant::now())), server)
    }

    /// Whether the client has closed it.
    async fn is_closed(server: &mut TcpStream) -> bool {
        tokio::time::timeout(SECOND / 10, server.read(&mut [0])).await.is_ok_and(|read| read.unwrap() == 0)
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_too_long_is_closed_whether_or_not_somebody_asks() {
        let idle = Arc::new(Idle::default());
        let ((old, mut old_end), (new, mut new_end)) = (connection().await, connection().await);
        idle.put(old, Instant::now());
        advance(SECOND * 15).await;
        idle.put(new, Instant::now());
        assert!(!is_closed(&mut old_end).await);
        advance(SECOND * 5).await;
        assert!(is_closed(&mut old_end).await && !is_closed(&mut new_end).await);
        assert!(idle.take(Instant::now() + IDLE_TIMEOUT, None).is_none(), "the task may be late");
        assert!(is_closed(&mut new_end).await);
    }

    /// A runtime that ends takes the task with it.
    #[test]
    fn connections_of_a_later_runtime_are_let_go_too() {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let idle = Arc::new(Idle::default());
        runtime().block_on(async { idle.put(connection().await.0, Instant::now()) });
        runtime().block_on(async {
            assert!(idle.take(Instant::now(), None).is_none(), "its runtime has ended");
            let (later, mut end) = connection().await;
            idle.put(later, Instant::now());
            assert!(!is_closed(&mut end).await);
            advance(IDLE_TIMEOUT).await;
            assert!(is_closed(&mut end).await);
        });
    }

    #[tokio::test]
    async fn the_last_used_goes_first_and_no_more_are_kept_than_may_be() {
        let idle = Arc::new(Idle { max: 2, ..Idle::default() });
        let now = Instant::now();
        let mut ends = Vec::new();
        for _ in 0..3 {
            let (connection, end) = connection().await;
            idle.put(connection, now);
            ends.push(end);
        }
        assert!(is_closed(&mut ends[2]).await && !is_closed(&mut ends[1]).await);
        drop(idle.take(now, None).unwrap());
        assert!(is_closed(&mut ends[1]).await && !is_closed(&mut ends[0]).await);
        assert!(idle.take(now, Some(Duration::ZERO)).is_none(), "too old");
        assert!(idle.is_empty() && is_closed(&mut ends[0]).await);
    }
}
