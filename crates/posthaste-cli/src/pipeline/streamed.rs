//! `--deliver`: what is in a stream goes to the Event API, until nothing is left in it. What is left at the end stays there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use posthaste::{
    Clock, Ledger, QueueEventDispatcher, SystemClock,
    outcome::{Health, Trouble},
    queue::jetstream::{JetStream, JetStreamQueue, Role},
};

use super::{
    args::DeliveryArgs,
    books::{Books, SpooledBooks},
    dead::DeadLetterOffice,
    to::To,
};
use crate::common::exit::Failure;

/// How often it is looked whether the stream is empty.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Streamed {
    stream: JetStream,
    /// One for each tenant: one whose end point is dead holds back nobody else's events.
    ways: Vec<Way>,
    /// Messages in the stream, when it was looked at last.
    left: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Way {
    tenant: String,
    queue: JetStreamQueue,
    dispatcher: QueueEventDispatcher,
}

impl Streamed {
    /// Delivers what these tenants have in the stream.
    pub(crate) fn start(
        args: &DeliveryArgs,
        stream: JetStream,
        tenants: Vec<String>,
        office: &Arc<DeadLetterOffice>,
    ) -> Result<Self, Failure> {
        let ways = tenants.into_iter().map(|tenant| Way::start(args, &stream, tenant, office));
        Ok(Self { ways: ways.collect::<Result<_, _>>()?, stream, left: Arc::default() })
    }

    pub(crate) fn books(&self) -> Books {
        let mut total =
            self.ways.iter().map(|way| way.dispatcher.ledger()).fold(Ledger::default(), |a, b| a + b);
        // What was given back is left, as what nobody here has leased is.
        let left = self.left.load(SeqCst).max(total.queued + total.handed_over);
        total.accepted = total.delivered + total.dead_lettered + left;
        (total.queued, total.handed_over) = (left, 0);
        let unreadable = self.ways.iter().map(|way| way.queue.traffic().unreadable).sum();
        let spooled = SpooledBooks { recovered: total.accepted, lost: 0, unreadable };
        Books { by_kind: None, total, spooled: Some(spooled) }
    }

    pub(crate) fn health(&self) -> Vec<Health> {
        self.ways.iter().map(|way| way.dispatcher.health()).collect()
    }

    /// Until nothing is in the stream: what others have leased is.
    pub(crate) async fn flush(&self, within: Duration) {
        let until = SystemClock.elapsed().saturating_add(within);
        loop {
            let now = SystemClock.elapsed();
            let pause = until.saturating_sub(now).min(LOOK_EVERY);
            join_all(self.ways.iter().map(|way| way.dispatcher.flush(pause))).await;
            let has_ended = self.ways.iter().any(|way| way.dispatcher.health().ended.is_some());
            if look(&self.looking()).await == Some(0) || has_ended || pause.is_zero() {
                return;
            }
            tokio::time::sleep(LOOK_EVERY.saturating_sub(SystemClock.elapsed().saturating_sub(now))).await;
        }
    }

    pub(crate) fn close(&self, within: Duration) -> impl Future<Output = Vec<Trouble>> + use<> {
        let closing: Vec<_> = self.ways.iter().map(|way| way.dispatcher.close(within)).collect();
        let looking = self.looking();
        async move {
            let reasons = join_all(closing).await.into_iter().flat_map(|report| report.reasons).collect();
            look(&looking).await;
            reasons
        }
    }

    fn looking(&self) -> Looking {
        let tenants = self.ways.iter().map(|way| way.tenant.clone()).collect();
        Looking { stream: self.stream.clone(), tenants, left: Arc::clone(&self.left) }
    }
}

impl Way {
    fn start(
        args: &DeliveryArgs,
        stream: &JetStream,
        tenant: String,
        office: &Arc<DeadLetterOffice>,
    ) -> Result<Self, Failure> {
        let queue =
            stream.queue(&tenant, Role::Deliver).map_err(|error| Failure::Refused(error.to_string()))?;
        let dispatcher = To::EndPoints.pipeline(args, queue.clone(), office)?;
        Ok(Self { tenant, queue, dispatcher })
    }
}

/// What it takes to look how much is in the stream.
#[derive(Debug, Clone)]
struct Looking {
    stream: JetStream,
    tenants: Vec<String>,
    left: Arc<AtomicU64>,
}

/// How many messages are in the stream; none: nobody can say now.
async fn look(looking: &Looking) -> Option<u64> {
    let Looking { stream, tenants, left } = looking.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let counts = stream.tenants().ok()?;
        let of = |tenant: &String| counts.get(tenant).copied().unwrap_or_default() as u64;
        let count = tenants.iter().map(of).sum();
        left.store(count, SeqCst);
        Some(count)
    });
    asked.await.ok().flatten()
}
