//! 36 hours without an API over a queue on disk: 26,000 events stand for 26 million, and a drain rate of 50 events a second
//! for 50,000.

use std::{sync::Arc, time::Duration};

use posthaste::{BatchEventProcessor, SpoolQueue, UserEvent};
use posthaste_spool::{MemoryFilesystem, Spool, SpoolOptions};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{api::Api, builder, rate, recovery};
use crate::support::{Driven, HOUR, SECOND, impression, larkspur, settle};

const EVENTS: usize = 26_000;
const RATE: u32 = 50;
const OUTAGE: Duration = HOUR.saturating_mul(36);
/// New events while it drains, in milliseconds between two of them.
const BETWEEN: u64 = 70;
/// Groups of new events fill sooner. A shorter one would make 36 hours take long.
const INTERVAL: Duration = Duration::from_secs(10);
const NEW: usize = 6_000;

/// A pipeline over a spool in this file system, with what runs its disk.
fn over(disk: &MemoryFilesystem, api: &Api) -> (Driven, JoinSet<()>) {
    // The process's memory holds a part of it only.
    let options =
        SpoolOptions::default().segment_bytes(256 << 10).record_bytes_max(20_000).size_bytes_max(64 << 20);
    let (spool, turns) = Spool::open_by_hand(Arc::new(disk.clone()), "/spool", options).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            turns.turn(posthaste::Clock::elapsed(&posthaste::SystemClock));
            sleep(INTERVAL).await;
        }
    });
    let queue: SpoolQueue<UserEvent> = SpoolQueue::over(spool);
    (Driven::new(builder(api).drain_rate(rate(RATE)).flush_interval(INTERVAL).queue(queue)), tasks)
}

async fn offer(processor: &BatchEventProcessor, api: &Api, count: usize, each: Duration, name: &str) {
    for n in 0..count {
        let event = impression(&larkspur(), &format!("{name}-{n}"));
        processor.process_event(event.clone()).unwrap().forget();
        api.accepted(&event);
        sleep(each).await;
    }
}

fn p99(mut delays: Vec<Duration>) -> Duration {
    delays.sort_unstable();
    delays[delays.len() * 99 / 100]
}

/// The same new events where there was no outage.
async fn usual_p99() -> Duration {
    let (disk, api) = (MemoryFilesystem::new(), Api::up());
    let (driven, _disk) = over(&disk, &api);
    let started = Instant::now();
    sleep(SECOND).await;
    offer(&driven.processor, &api, NEW, Duration::from_millis(BETWEEN), "new").await;
    assert!(driven.processor.flush(HOUR).await.is_complete());
    p99(api.delays_after(started))
}

#[tokio::test(start_paused = true)]
async fn after_36_hours_nothing_is_lost_and_new_events_are_hardly_slower() {
    let usual = usual_p99().await;
    let (disk, api) = (MemoryFilesystem::new(), Api::down());
    let (driven, turns) = over(&disk, &api);
    let each = OUTAGE / u32::try_from(EVENTS).unwrap();
    offer(&driven.processor, &api, EVENTS / 2, each, "first").await;
    // Half-way, the process is replaced.
    let report = driven.processor.close(Duration::ZERO).await;
    assert_eq!(report.left, EVENTS as u64 / 2);
    drop((driven, turns));
    // What was dropped lets go of the folder.
    settle().await;
    let (driven, _turns) = over(&disk, &api);
    offer(&driven.processor, &api, EVENTS / 2, each, "second").await;

    api.mend();
    let up = Instant::now();
    let recovered = recovery(&api).await;
    assert!(recovered - up <= SECOND * 35, "the first came after {:?}", recovered - up);
    assert!(driven.processor.health().backlog > 25_000);
    sleep(Duration::from_millis(1)).await;
    offer(&driven.processor, &api, NEW, Duration::from_millis(BETWEEN), "new").await;
    assert!(driven.processor.health().backlog > 1_000, "it was to be there all the time");
    let report = driven.processor.flush(HOUR).await;
    assert!(report.is_complete() && report.ledger.balances(), "{report:?}");

    assert_eq!(api.arrived(), EVENTS + NEW, "lost");
    api.is_paced(RATE, super::BATCH);
    let took = recovered.elapsed();
    let least = Duration::from_secs(EVENTS as u64 / u64::from(RATE));
    assert!(took >= least.mul_f64(0.98) && took <= least.mul_f64(1.05), "{took:?} for the backlog");
    let paced = p99(api.delays_after(recovered));
    assert!(paced <= usual * 2, "p99 of new events {paced:?}, {usual:?} without a backlog");
}
