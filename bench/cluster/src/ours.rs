//! The library at the same work: its queue in a stream, pipelines over it, and its spool.

use std::{
    io::{Error, Result},
    path::Path,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use posthaste::{
    HttpEventDispatcher, JetStreamQueue, LogEvent, Queue, QueueEventDispatcher, SpoolQueue,
    queue::{
        DeliveryQueue, Eventually, SpoolOptions,
        jetstream::{JetStream, JetStreamOptions, Role},
    },
};

use crate::work::offer;

/// Messages that a lease asks for.
const LEASE: usize = 256;
/// Calls of settle under way at once: a window of messages together.
const SETTLES: usize = 4;

/// How long the last request may take.
const END: Duration = Duration::from_secs(120);

/// The library's stream.
pub(crate) struct Ours(JetStream);

impl Ours {
    /// `servers`: HOST:PORT, with commas between.
    pub(crate) fn open(servers: &str, replicas: usize) -> Result<Self> {
        let options = JetStreamOptions::at(&format!("nats://{servers}/ours")).map_err(Error::other)?;
        let options = options.replicas(replicas).connect_timeout(Duration::from_secs(30));
        JetStream::open(options).map(Self).map_err(Error::other)
    }

    fn queue(&self, role: Role) -> Result<JetStreamQueue> {
        self.0.queue("shop", role).map_err(Error::other)
    }

    /// Adds for a while, until all receipts have resolved.
    pub(crate) async fn add(&self, request: &LogEvent, seconds: f64) -> Result<u64> {
        add(&self.queue(Role::Accept)?, request, seconds).await
    }

    /// Leases and settles so many.
    pub(crate) async fn settle(&self, count: u64) -> Result<u64> {
        let queue = self.queue(Role::Deliver)?;
        let (mut leased, mut settled) = (0, 0);
        let mut settles = FuturesUnordered::new();
        while settled < count {
            if leased < count && settles.len() < SETTLES {
                let leases = answer(queue.lease(LEASE)).await.map_err(Error::other)?;
                leased += leases.len() as u64;
                let ids: Vec<u64> = leases.iter().map(|lease| lease.id).collect();
                let queue = &queue;
                settles.push(async move {
                    answer(queue.settle(&ids)).await.map(|()| ids.len()).map_err(Error::other)
                });
            } else if let Some(done) = settles.next().await {
                settled += done? as u64;
            }
        }
        Ok(settled)
    }

    /// Accepts for a while and delivers meanwhile, until the server has confirmed everything.
    pub(crate) async fn deliver(&self, request: &LogEvent, seconds: f64) -> Result<u64> {
        let api = HttpEventDispatcher::new().map_err(Error::other)?;
        // As many events as a request has: each goes as it came.
        let builder = QueueEventDispatcher::builder(api).batch_size(request.events());
        let dispatcher = builder.queue(self.queue(Role::Both)?).build().map_err(Error::other)?;
        let added = offer(seconds, || async {
            let receipt = dispatcher.add(request.clone()).map_err(Error::other)?;
            receipt.await.map_err(Error::other)
        });
        let added = added.await?;
        dispatcher.flush(END).wait();
        let delivered = dispatcher.ledger().delivered;
        dispatcher.close(END).wait();
        if delivered < added * request.events() as u64 {
            return Err(Error::other(format!("of {added} requests only {delivered} events were delivered")));
        }
        Ok(added)
    }
}

/// Adds to a spool in this folder, until all receipts have resolved.
pub(crate) async fn spool(folder: &Path, request: &LogEvent, seconds: f64) -> Result<u64> {
    let options = SpoolOptions::default().size_bytes_max(1 << 40);
    let queue = SpoolQueue::<LogEvent>::open(folder, options).map_err(Error::other)?;
    add(&queue, request, seconds).await
}

async fn add(queue: &impl Queue<LogEvent>, request: &LogEvent, seconds: f64) -> Result<u64> {
    offer(seconds, || async {
        let receipt = queue.add(request.clone()).map_err(|refused| Error::other(refused.reason))?;
        receipt.await.map_err(Error::other)
    })
    .await
}

async fn answer<T>(eventually: Eventually<T>) -> T {
    match eventually {
        Eventually::Now(answer) => answer,
        Eventually::Later(answer) => answer.await,
    }
}
