//! After an outage: what it has left behind goes at the drain rate, what is new passes it, and nothing is lost. In paused
//! time, over queues in memory, on disk and of one line.

mod api;
mod long_outage;

use std::{num::NonZeroU32, time::Duration};

use posthaste::{
    Batch, BatchEventProcessor, BatchEventProcessorBuilder, InMemoryQueue, LogEvent, Queue,
    QueueEventDispatcher, Refusal, UserEvent, WhenFull,
    dispatch::Response,
    queue::{DeliveryQueue, Sequential, SpoolOptions},
    testing::ScriptedDispatcher,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use self::api::Api;
use crate::{
    house::spool,
    support::{Driven, HOUR, SECOND, impression, impressions, larkspur},
};

const RATE: u32 = 100;
const BATCH: usize = 10;

fn rate(events: u32) -> NonZeroU32 {
    NonZeroU32::new(events).unwrap()
}

fn builder(api: &Api) -> BatchEventProcessorBuilder {
    BatchEventProcessor::builder()
        .event_dispatcher(api.clone())
        .batch_size(BATCH)
        .flush_interval(SECOND)
        .drain_rate(rate(RATE))
        .seed(7)
}

/// Waits until the API has answered the first request again.
async fn recovery(api: &Api) -> Instant {
    loop {
        if let Some(at) = api.recovered() {
            return at;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// One new event each 50 ms, for so long. Those that are refused are tried again.
async fn trickle(driven: &Driven, api: &Api, seconds: u64) -> usize {
    let mut refused = 0;
    for n in 0..seconds * 20 {
        let event = impression(&larkspur(), &format!("new-{n}"));
        while let Err(full) = driven.processor.process_event(event.clone()) {
            assert!(full.reason.is_full(), "{:?}", full.reason);
            refused += 1;
            sleep(Duration::from_millis(50)).await;
        }
        api.accepted(&event);
        sleep(Duration::from_millis(50)).await;
    }
    refused
}

fn offer(driven: &Driven, api: &Api, events: &[UserEvent]) {
    for event in events {
        driven.take([event.clone()]);
        api.accepted(event);
    }
}

async fn drains(queue: impl DeliveryQueue<UserEvent> + 'static) {
    let api = Api::down();
    let mut driven = Driven::new(builder(&api).queue(queue));
    let old = impressions(&larkspur(), 2_000);
    offer(&driven, &api, &old[..1_000]);
    sleep(HOUR).await;
    offer(&driven, &api, &old[1_000..]);
    api.mend();
    let up = Instant::now();
    let recovered = recovery(&api).await;
    assert!(recovered - up <= SECOND * 35, "{:?}", recovered - up);
    trickle(&driven, &api, 10).await;
    let left = driven.processor.health().backlog;
    assert!((500..1_100).contains(&left), "{left} of the backlog after ten seconds");
    let report = driven.processor.flush(HOUR).await;
    assert!(report.is_complete() && report.ledger.balances(), "{report:?}");
    assert_eq!(driven.processor.health().backlog, 0);
    api.is_paced(RATE, BATCH);
    let took = Instant::now() - recovered;
    assert!(took >= SECOND * 19 && took <= SECOND * 22, "{took:?} for the backlog");
    let slowest = api.delays_after(recovered).into_iter().max().unwrap();
    assert!(slowest <= SECOND * 2, "a new event took {slowest:?}");
    assert_eq!(api.arrived(), 2_000 + 200);
    driven.driver.abort_all();
}

#[tokio::test(start_paused = true)]
async fn a_backlog_in_memory_goes_at_its_rate_and_new_events_pass_it() {
    drains(InMemoryQueue::new(10_000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_on_disk_goes_at_its_rate_and_new_events_pass_it() {
    let (queue, disk) = spool(SpoolOptions::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(disk);
    drains(queue).await;
}

/// A queue of one line has no way past the backlog: everything is paced until all that is in it has been leased.
#[tokio::test(start_paused = true)]
async fn a_queue_of_one_line_is_paced_until_all_of_it_is_leased() {
    let api = Api::up();
    let queue = Sequential::over(InMemoryQueue::new(20_000), 20_000);
    for event in impressions(&larkspur(), 8_000) {
        Queue::add(&queue, event).unwrap().forget();
    }
    let driven = Driven::new(builder(&api).drain_rate(rate(1_000)).queue(queue));
    let started = Instant::now();
    sleep(SECOND).await;
    offer(&driven, &api, &impressions(&larkspur(), 500));
    sleep(SECOND).await;
    let left = driven.processor.health().backlog;
    assert!((6_000..8_000).contains(&left), "{left} left");
    assert!(driven.processor.flush(HOUR).await.is_complete());
    assert!(started.elapsed() >= SECOND * 8, "{:?}", started.elapsed());
    assert_eq!(driven.processor.health().backlog, 0);
    let later = Instant::now();
    sleep(SECOND).await;
    offer(&driven, &api, &impressions(&larkspur(), 500));
    assert!(driven.processor.flush(HOUR).await.is_complete());
    let slowest = api.delays_after(later).into_iter().max().unwrap();
    assert!(slowest <= SECOND * 2, "what is new is not paced: {slowest:?}");
}

/// What an earlier process has left is a backlog from the start.
#[tokio::test(start_paused = true)]
async fn what_was_there_at_the_start_is_paced() {
    let api = Api::up();
    let queue = InMemoryQueue::new(10_000);
    for event in impressions(&larkspur(), 1_000) {
        Queue::add(&queue, event).unwrap().forget();
    }
    let driven = Driven::new(builder(&api).queue(queue));
    sleep(SECOND * 5).await;
    let arrived = api.arrived();
    assert!((450..=510).contains(&arrived), "{arrived} in five seconds");
    assert!(driven.processor.flush(HOUR).await.is_complete());
    assert_eq!(api.arrived(), 1_000);
}

/// Without a drain rate nothing is paced, and health knows of no backlog.
#[tokio::test(start_paused = true)]
async fn without_a_rate_everything_goes_at_once() {
    let api = Api::down();
    let plain = BatchEventProcessor::builder().event_dispatcher(api.clone()).flush_interval(SECOND).seed(7);
    let driven = Driven::new(plain.queue_size(10_000));
    offer(&driven, &api, &impressions(&larkspur(), 2_000));
    sleep(HOUR).await;
    api.mend();
    let recovered = recovery(&api).await;
    assert!(driven.processor.flush(HOUR).await.is_complete());
    assert!(recovered.elapsed() <= SECOND * 5, "{:?}", recovered.elapsed());
    assert_eq!(driven.processor.health().backlog, 0);
}

/// Full of a backlog, a queue takes events again by itself while that goes, and they are not held up.
#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_events_again_while_it_drains() {
    let (disk_queue, disk) =
        spool(SpoolOptions::default().segment_bytes(16_384).record_bytes_max(6_000).size_bytes_max(65_536));
    let mut tasks = JoinSet::new();
    tasks.spawn(disk);
    let queues: [Box<dyn FnOnce(BatchEventProcessorBuilder) -> BatchEventProcessorBuilder>; 2] =
        [Box::new(|builder| builder.queue_size(500)), Box::new(|builder| builder.queue(disk_queue))];
    for over in queues {
        let api = Api::down();
        let driven = Driven::new(over(builder(&api).when_full(WhenFull::Reject)));
        let mut n = 0;
        let refused = loop {
            let event = impression(&larkspur(), &format!("old-{n}"));
            n += 1;
            match driven.processor.process_event(event.clone()) {
                Ok(_) => api.accepted(&event),
                Err(refused) => break refused.reason,
            }
            sleep(Duration::from_millis(1)).await;
        };
        assert!(matches!(refused, Refusal::QueueFull { .. } | Refusal::StorageFull(_)), "{refused:?}");
        sleep(HOUR).await;
        api.mend();
        let recovered = recovery(&api).await;
        trickle(&driven, &api, 2).await;
        let waited = recovered.elapsed();
        assert!(waited <= SECOND * 12, "{n} events; forty more were taken after {waited:?}");
        assert!(driven.processor.flush(HOUR).await.is_complete());
        api.is_paced(RATE, BATCH);
        assert_eq!(api.arrived(), n - 1 + 40);
        assert!(driven.processor.ledger().balances());
    }
}

/// A flush in the middle of a drain waits for the backlog, and for nothing that comes after it; closing hurries nothing.
#[tokio::test(start_paused = true)]
async fn flush_and_close_keep_the_pace() {
    let api = Api::down();
    let driven = Driven::new(builder(&api).queue(InMemoryQueue::new(10_000)));
    offer(&driven, &api, &impressions(&larkspur(), 1_000));
    sleep(HOUR).await;
    api.mend();
    let recovered = recovery(&api).await;
    let short = driven.processor.flush(SECOND * 2);
    let long = driven.processor.flush(HOUR);
    let ((), short) = tokio::join!(
        async {
            trickle(&driven, &api, 4).await;
        },
        short
    );
    assert!((700..900).contains(&short.left), "{} left", short.left);
    assert!(short.reasons.iter().any(|reason| reason.what.contains("drain_rate")), "{:?}", short.reasons);
    assert!(long.await.is_complete());
    assert!(
        recovered.elapsed() >= SECOND * 9 && recovered.elapsed() <= SECOND * 12,
        "{:?}",
        recovered.elapsed()
    );

    api.fail();
    offer(&driven, &api, &impressions(&larkspur(), 1_000));
    sleep(HOUR).await;
    api.mend();
    recovery(&api).await;
    let report = driven.processor.close(SECOND * 5).await;
    assert!((450..=550).contains(&report.left), "{} left", report.left);
    assert!(report.ledger.balances());
    api.is_paced(RATE, BATCH);
}

/// A second outage amid the drain: what came between the two is of the backlog then, behind what was left of the first.
#[tokio::test(start_paused = true)]
async fn an_outage_amid_the_drain_makes_one_backlog_of_both() {
    let api = Api::down();
    let driven = Driven::new(builder(&api).queue(InMemoryQueue::new(10_000)));
    offer(&driven, &api, &impressions(&larkspur(), 1_000));
    sleep(HOUR).await;
    api.mend();
    recovery(&api).await;
    trickle(&driven, &api, 3).await;
    api.fail();
    trickle(&driven, &api, 30).await;
    sleep(HOUR).await;
    assert!(!api.has_recovered());
    api.mend();
    let recovered = recovery(&api).await;
    trickle(&driven, &api, 3).await;
    assert!(driven.processor.flush(HOUR).await.is_complete());
    api.is_paced(RATE, BATCH);
    let slowest = api.delays_after(recovered).into_iter().max().unwrap();
    assert!(slowest <= SECOND * 2, "a new event took {slowest:?}");
    assert_eq!(api.arrived(), 1_000 + 60 + 600 + 60);
}

/// Requests of one dead end point and of one that works: each is paced by itself.
#[tokio::test(start_paused = true)]
async fn each_end_point_has_its_own_pace() {
    let api = Api::down();
    let (dispatcher, driver) = QueueEventDispatcher::builder(api.clone())
        .queue_size(10_000)
        .drain_rate(rate(50))
        .seed(7)
        .build_with_driver()
        .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    let request = |to: &str, event: &UserEvent| {
        let batch = Batch::from_user_events(std::slice::from_ref(event));
        LogEvent::new(format!("http://{to}/v1/events"), &batch)
    };
    for event in impressions(&larkspur(), 500) {
        for to in ["dead", "well"] {
            dispatcher.add(request(to, &event)).unwrap().forget();
        }
    }
    sleep(HOUR).await;
    api.mend();
    recovery(&api).await;
    let started = Instant::now();
    assert!(dispatcher.flush(HOUR).await.is_complete());
    let took = started.elapsed();
    assert!(took >= SECOND * 9 && took <= SECOND * 40, "{took:?} for five hundred each");
}

/// A request of the backlog that is bad is bisected as any other, and what is left of it keeps the pace.
#[tokio::test(start_paused = true)]
async fn a_bad_event_of_a_backlog_becomes_a_dead_letter() {
    let api = ScriptedDispatcher::by(crate::support::refuses_bad_visitors)
        .after((0..5).map(|_| Ok(Response::status(503))));
    let plain = BatchEventProcessor::builder().event_dispatcher(api.clone()).drain_rate(rate(20)).seed(7);
    let driven = Driven::new(plain.batch_size(BATCH).flush_interval(SECOND));
    let mut events = impressions(&larkspur(), 60);
    events[33] = impression(&larkspur(), "bad-1");
    driven.take(events);
    let report = driven.processor.flush(HOUR).await;
    assert!(report.is_complete() && report.ledger.balances());
    assert_eq!((report.ledger.delivered, report.ledger.dead_lettered), (59, 1));
}
