//! The public listener: connections are taken, bounded, served, and ended in an order that loses nothing.
//!
//! HTTP/1.1 alone: every official SDK speaks it, and a flood of another protocol's frames cannot reach what is not there.

mod connection;
mod crowd;
mod patience;
mod rest;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use self::crowd::Crowd;
use crate::{
    refusals::Refused,
    relay::{Phase, Relay, Stop},
};

/// How long to wait where a connection cannot be taken, as when there are no descriptors left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is told to stop, and every request under way has its answer, or this time for that is over.
/// Returns when that time began.
pub(crate) async fn serve(
    relay: &Relay,
    public: Option<TcpListener>,
    stop: &Stop,
    within: Duration,
) -> Instant {
    let vitals = relay.vitals();
    let Some(public) = public else { return serve_nobody(relay, stop).await };
    let mut connections = Connections {
        relay: relay.clone(),
        crowd: Arc::new(Crowd::new(&relay.config().limits)),
        phase: vitals.watch_phase(),
        tasks: JoinSet::new(),
    };
    tokio::select! {
        () = connections.accept(&public) => {}
        () = stop.told() => {}
    }
    vitals.enter(Phase::LameDuck);
    let over = tokio::time::sleep(relay.config().drain_delay);
    tokio::select! {
        () = connections.accept(&public) => {}
        () = over => {}
    }
    connections.accept_waiting(public);
    let closing = Instant::now();
    vitals.enter(Phase::Closing);
    connections.end(within).await;
    closing
}

/// For one that only delivers: nobody has to notice that it goes.
async fn serve_nobody(relay: &Relay, stop: &Stop) -> Instant {
    let vitals = relay.vitals();
    let answering = async {
        loop {
            vitals.asked().await;
            vitals.beat();
        }
    };
    tokio::select! {
        () = stop.told() => {}
        never = answering => match never {},
    }
    vitals.enter(Phase::Closing);
    Instant::now()
}

/// The connections that there are.
struct Connections {
    relay: Relay,
    crowd: Arc<Crowd>,
    phase: watch::Receiver<Phase>,
    tasks: JoinSet<()>,
}

impl Connections {
    /// Takes connections for ever.
    async fn accept(&mut self, listener: &TcpListener) {
        let relay = self.relay.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.begin(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot take a connection; trying again");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = relay.vitals().asked() => relay.vitals().beat(),
                // So that what has ended is not kept.
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Takes what has been connecting already: a listener that closes resets what waits in its queue. The system is
    /// asked itself: Tokio may not have heard of the last ones yet, and makes a task that takes many pause.
    fn accept_waiting(&mut self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        // Where somebody else holds the socket too, more may come for ever.
        for _ in 0..self.relay.config().limits.connections_max {
            let accepted = match listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                accepted => accepted,
            };
            let taken = accepted.and_then(|(stream, peer)| {
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream)?, peer))
            });
            // One that was given up meanwhile, or that the system has no room for, says nothing of the next.
            if let Ok((stream, peer)) = taken {
                self.begin(stream, peer);
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, peer: SocketAddr) {
        let relay = self.relay.clone();
        match self.crowd.enter(peer.ip()) {
            Ok(place) => {
                relay.counters().connected();
                let phase = self.phase.clone();
                self.tasks.spawn(async move {
                    connection::serve(relay.clone(), stream, place, phase).await;
                    relay.counters().disconnected();
                });
            }
            Err(why) => {
                relay.counters().turned_away(why);
                relay.refusals().note_of(Refused::Connection(why), relay.clock().elapsed());
                self.tasks
                    .spawn(async move { crowd::turn_away(stream, relay.config().limits.retry_after).await });
            }
        }
    }

    /// Waits for every connection to end, for this long at most.
    async fn end(mut self, within: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("some requests have not ended in time");
        }
    }
}
