//! What becomes of events under each kind of answer, in paused time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, DeadReason, LogEvent, QueueEventDispatcher, UserEvent,
    dispatch::{Answer, DispatchError, Response, RetryAfter},
    testing::ScriptedDispatcher,
};

use crate::support::{
    Driven, HOUR, SECOND, impression, impressions, larkspur, read, refuses_bad_visitors, settle, uuids,
    uuids_of,
};

fn driven(dispatcher: &ScriptedDispatcher, batch_size: usize) -> Driven {
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(dispatcher.clone())
        .batch_size(batch_size)
        .queue_size(10_000)
        .seed(1);
    Driven::new(builder)
}

#[tokio::test(start_paused = true)]
async fn every_2xx_delivers() {
    for status in [200, 201, 202, 204, 299] {
        let dispatcher = ScriptedDispatcher::statuses([status]);
        let driven = driven(&dispatcher, 10);
        driven.take(impressions(&larkspur(), 10));
        assert_eq!(driven.processor.close(SECOND).await.delivered, 10);
        assert_eq!(dispatcher.requests().len(), 1);
    }
}

/// Retries send the same bytes, uuids and timestamps included: the seed makes both anew, and so counts twice.
#[tokio::test(start_paused = true)]
async fn failures_are_retried_by_themselves_with_the_same_bytes() {
    let script: Vec<Answer> = vec![
        Err(DispatchError::Connect("refused".into())),
        Err(DispatchError::Lost("reset".into())),
        Err(DispatchError::TimedOut(SECOND)),
        Ok(Response::status(408)),
        Ok(Response::status(425)),
        Ok(Response::status(429)),
        Ok(Response::status(500)),
        Ok(Response::status(503)),
        Ok(Response::status(599)),
    ];
    let attempts = script.len() + 1;
    let dispatcher = ScriptedDispatcher::new(script);
    let driven = driven(&dispatcher, 10);
    driven.take(impressions(&larkspur(), 10));
    // No further event comes: the seed would wait for one.
    tokio::time::sleep(HOUR).await;
    let requests = dispatcher.requests();
    assert_eq!(requests.len(), attempts);
    assert!(requests.iter().all(|request| request.body() == requests[0].body()));
    assert_eq!(driven.processor.ledger().delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    for (wait, at_least, at_most) in [
        (RetryAfter::Delay(SECOND * 100), SECOND * 100, SECOND * 101),
        (RetryAfter::Delay(Duration::from_secs(u64::MAX)), HOUR, HOUR + SECOND),
    ] {
        let dispatcher = ScriptedDispatcher::new([Ok(Response::status(503).with_retry_after(wait))]);
        let driven = driven(&dispatcher, 10);
        driven.take(impressions(&larkspur(), 10));
        tokio::time::sleep(at_least.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(dispatcher.requests().len(), 1, "{wait:?}");
        tokio::time::sleep(at_most.saturating_sub(at_least)).await;
        assert_eq!(driven.processor.ledger().delivered, 10, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_address_holds_everything_and_delivery_resumes_by_itself() {
    for status in [301, 307, 401, 403, 404, 405, 410, 418, 451] {
        let wrong = Arc::new(AtomicBool::new(true));
        let is_wrong = Arc::clone(&wrong);
        let dispatcher = ScriptedDispatcher::by(move |_| {
            Ok(Response::status(if is_wrong.load(Ordering::SeqCst) { status } else { 204 }))
        });
        let driven = driven(&dispatcher, 10);
        driven.take(impressions(&larkspur(), 1_000));
        tokio::time::sleep(SECOND * 300).await;
        // Those under way when the first answer came, and a probe now and then since.
        let sent = dispatcher.requests().len();
        assert!((64 + 3..64 + 20).contains(&sent), "{status}: {sent} requests");
        assert_eq!(driven.processor.ledger().queued, 1_000, "{status}: nothing is lost because of a typo");
        wrong.store(false, Ordering::SeqCst);
        tokio::time::sleep(SECOND * 61).await;
        assert_eq!(driven.processor.ledger().delivered, 1_000, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_upstream_is_spared_and_found_again() {
    let dispatcher = ScriptedDispatcher::statuses(vec![503; 200]);
    let driven = driven(&dispatcher, 1);
    driven.take(impressions(&larkspur(), 1_000));
    tokio::time::sleep(SECOND * 120).await;
    let sent = dispatcher.requests().len();
    assert!(sent < 64 + 25, "{sent} requests to a dead upstream in two minutes");
    tokio::time::sleep(HOUR * 2).await;
    assert_eq!(driven.processor.ledger().delivered, 1_000);
}

#[tokio::test(start_paused = true)]
async fn one_slow_request_holds_back_no_other() {
    let dispatcher = ScriptedDispatcher::by(|_| Ok(Response::status(204)))
        .after([Ok(Response::status(503).with_retry_after(RetryAfter::Delay(SECOND * 600)))]);
    let driven = driven(&dispatcher, 10);
    driven.take(impressions(&larkspur(), 5_000));
    settle().await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(driven.processor.ledger().delivered, 4_990);
    // Delivered events leave the queue though an older one is still there.
    assert_eq!(driven.processor.events_count(), 10);
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!(driven.processor.ledger().delivered, 5_000);
}

/// The seed sends one request after the other: at a round trip of 50 ms that is 200 events a second.
#[tokio::test(start_paused = true)]
async fn as_many_requests_are_under_way_as_are_allowed() {
    #[derive(Debug)]
    struct FiftyMilliseconds;
    impl posthaste::Dispatcher for FiftyMilliseconds {
        fn dispatch_event(&self, _event: LogEvent) -> posthaste::dispatch::DispatchFuture {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(Response::status(204))
            })
        }
    }
    for (in_flight, rounds) in [(1, 64), (16, 4), (64, 1)] {
        let builder = BatchEventProcessor::builder()
            .event_dispatcher(FiftyMilliseconds)
            .queue_size(1_000)
            .in_flight(in_flight);
        let driven = Driven::new(builder);
        driven.take(impressions(&larkspur(), 640));
        let start = tokio::time::Instant::now();
        assert!(driven.processor.flush(HOUR).await.is_complete());
        assert_eq!(start.elapsed().as_millis() / 50, rounds, "{in_flight} in flight");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_event_is_found_and_its_neighbours_are_delivered() {
    for status in [400, 422] {
        let dispatcher = ScriptedDispatcher::by(move |request| {
            refuses_bad_visitors(request).map(|answer| {
                let status = if answer.status == 400 { status } else { answer.status };
                Response::status(status).with_text(&answer.text)
            })
        });
        let driven = driven(&dispatcher, 10);
        let mut events = impressions(&larkspur(), 40);
        events[17] = impression(&larkspur(), "bad-17");
        driven.take(events.clone());
        let report = driven.processor.close(HOUR).await;
        assert_eq!((report.delivered, report.dead_lettered, report.left), (39, 1, 0));
        let [letter] = &driven.processor.dead_letters()[..] else { panic!("one dead letter") };
        assert_eq!(
            (&letter.item, letter.reason, letter.status),
            (&events[17], DeadReason::Rejected, Some(status))
        );
        assert_eq!(letter.text, "visitors[0] is bad");
        events.remove(17);
        assert_eq!(uuids(&dispatcher.delivered()), uuids_of(&events));
    }
}

/// k bad events among n cost at most 2·k·log2(n) + 1 requests: every place of one and of two bad events, and random ones.
#[tokio::test(start_paused = true)]
async fn finding_bad_events_costs_few_requests() {
    let mut random = fastrand::Rng::with_seed(5);
    for n in [2_usize, 3, 5, 7, 10, 13, 16, 50, 64, 100] {
        let mut cases: Vec<Vec<usize>> = (0..n).map(|bad| vec![bad]).collect();
        cases.extend((0..n.min(16)).flat_map(|a| (a + 1..n.min(16)).map(move |b| vec![a, b])));
        cases.extend((0..20).map(|_| (0..n).filter(|_| random.u8(..) < 40).collect::<Vec<_>>()));
        for bad in cases {
            let dispatcher = ScriptedDispatcher::by(refuses_bad_visitors);
            let driven = driven(&dispatcher, n);
            let name = |at: usize| if bad.contains(&at) { format!("bad-{at}") } else { format!("good-{at}") };
            driven.take((0..n).map(|at| impression(&larkspur(), &name(at))));
            let report = driven.processor.close(HOUR).await;
            assert_eq!((report.dead_lettered, report.left), (bad.len() as u64, 0));
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let bound = 2.0 * bad.len() as f64 * (n as f64).log2() + 1.0;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let requests = dispatcher.requests().len() as f64;
            assert!(requests <= bound, "n={n} bad={bad:?}: {requests} requests, {bound} allowed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_too_large_is_halved_down_to_a_single_event() {
    let dispatcher = ScriptedDispatcher::by(|request| {
        let fits = request.events() <= 3
            && !request.event().unwrap().visitors.iter().any(|v| v.visitor_id == "huge");
        Ok(Response::status(if fits { 204 } else { 413 }))
    });
    let driven = driven(&dispatcher, 16);
    let mut events = impressions(&larkspur(), 15);
    events.push(impression(&larkspur(), "huge"));
    driven.take(events);
    let report = driven.processor.close(HOUR).await;
    assert_eq!((report.delivered, report.dead_lettered, report.left), (15, 1, 0));
    let letter = &driven.processor.dead_letters()[0];
    assert_eq!(
        (letter.reason, letter.status, letter.item.visitor_id()),
        (DeadReason::TooLarge, Some(413), "huge")
    );
}

#[tokio::test(start_paused = true)]
async fn dead_letters_can_be_listed_replayed_and_purged() {
    let dispatcher = ScriptedDispatcher::statuses(vec![400; 3]);
    let driven = driven(&dispatcher, 1);
    driven.take(impressions(&larkspur(), 3));
    assert!(driven.processor.flush(SECOND).await.is_complete());
    assert_eq!(driven.processor.dead_letters().len(), 3);
    assert_eq!(driven.processor.ledger().dead_lettered, 3);
    assert_eq!(driven.processor.replay_dead_letters(), 3);
    assert!(driven.processor.dead_letters().is_empty());
    assert!(driven.processor.flush(SECOND).await.is_complete());
    let ledger = driven.processor.ledger();
    assert_eq!((ledger.accepted, ledger.delivered, ledger.dead_lettered), (3, 3, 0));
    assert!(driven.processor.purge_dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dead_letters_in_memory_are_bounded_but_all_counted_and_called_for() {
    let (seen, dead) = std::sync::mpsc::sync_channel(100);
    let builder = BatchEventProcessor::builder()
        .event_dispatcher(ScriptedDispatcher::statuses(vec![400; 20]))
        .batch_size(1)
        .in_flight(1)
        .dead_letters_max(4)
        .on_dead_letter(move |letter| {
            seen.send(letter.item.visitor_id().to_owned()).unwrap();
            assert_ne!(letter.item.visitor_id(), "visitor-3", "a panic here harms nobody");
        });
    let driven = Driven::new(builder);
    driven.take(impressions(&larkspur(), 10));
    assert_eq!(driven.processor.close(SECOND).await.dead_lettered, 10);
    assert_eq!(dead.try_iter().count(), 10);
    let kept: Vec<UserEvent> =
        driven.processor.dead_letters().into_iter().map(|letter| letter.item).collect();
    assert_eq!(
        kept.iter().map(UserEvent::visitor_id).collect::<Vec<_>>(),
        ["visitor-6", "visitor-7", "visitor-8", "visitor-9"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_panicking_dispatcher_counts_as_no_answer() {
    let dispatcher = ScriptedDispatcher::by(|request| {
        static FIRST: std::sync::Once = std::sync::Once::new();
        let mut first = false;
        FIRST.call_once(|| first = true);
        assert!(!first, "once");
        assert!(request.events() > 0);
        Ok(Response::status(204))
    });
    let driven = driven(&dispatcher, 10);
    driven.take(impressions(&larkspur(), 10));
    assert_eq!(driven.processor.close(HOUR).await.delivered, 10);
}

fn queue_dispatcher(upstream: &ScriptedDispatcher) -> (QueueEventDispatcher, tokio::task::JoinSet<()>) {
    let (dispatcher, driver) =
        QueueEventDispatcher::builder(upstream.clone()).queue_size(100).seed(1).build_with_driver().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(driver);
    (dispatcher, tasks)
}

/// Somebody else's batches are taken apart only where they must be, and every byte of their visitors is kept.
#[tokio::test(start_paused = true)]
async fn a_queued_batch_of_somebody_else_is_bisected_too() {
    for line in read("javascript-sdk-6.6.1-node.requests.jsonl").lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        let body = request["body"].as_str().unwrap().replacen("\"visitor-", "\"bad-", 1);
        let event = LogEvent::from_body("http://x/v1/events", body.clone()).unwrap();
        let upstream = ScriptedDispatcher::by(refuses_bad_visitors);
        let (dispatcher, _driver) = queue_dispatcher(&upstream);
        dispatcher.add(event.clone()).unwrap().forget();
        assert_eq!(upstream.requests().len(), 0);
        let report = dispatcher.close(HOUR).await;
        let events = event.events() as u64;
        assert!(events > 0);
        let bad = u64::from(body.contains("\"bad-"));
        assert_eq!((report.delivered, report.dead_lettered, report.left), (events - bad, bad, 0));
        for part in upstream.requests() {
            let whole = std::str::from_utf8(part.body()).unwrap();
            let raw = posthaste::RawBatch::parse(part.body()).unwrap();
            assert!(raw.visitors().iter().all(|visitor| body.contains(visitor.get())), "{whole}");
            assert!(raw.same_head(&posthaste::RawBatch::parse(body.as_bytes()).unwrap()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_visitor_with_many_events_is_split_down_to_the_event() {
    let event =
        |n: u8| format!(r#"{{"uuid":"u{n}","timestamp":1795500003394,"key":"k","entity_id":"1","x":{n}}}"#);
    let snapshot = |numbers: &[u8]| {
        format!(r#"{{"events":[{}]}}"#, numbers.iter().map(|n| event(*n)).collect::<Vec<_>>().join(","))
    };
    let body = format!(
        r#"{{"visitors":[{{"session_id":"s","visitor_id":"v","snapshots":[{},{}]}}],"account_id":"1","later":[1e400]}}"#,
        snapshot(&[1, 2, 3]),
        snapshot(&[4])
    );
    let upstream = ScriptedDispatcher::by(|request| {
        let bad = std::str::from_utf8(request.body()).unwrap().contains("\"u2\"");
        Ok(Response::status(if bad { 400 } else { 204 }))
    });
    let (dispatcher, _driver) = queue_dispatcher(&upstream);
    dispatcher.add(LogEvent::from_body("http://x/", body).unwrap()).unwrap().forget();
    let report = dispatcher.close(HOUR).await;
    assert_eq!((report.delivered, report.dead_lettered, report.left), (3, 1, 0));
    assert_eq!(uuids(&upstream.delivered()), ["u1", "u3", "u4"]);
    let [letter] = &dispatcher.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!(letter.item.events(), 1);
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.body().ends_with(br#""account_id":"1","later":[1e400]}"#))
    );
}

/// The seed's dispatcher says true and may drop the request; this one says what happened.
#[tokio::test(start_paused = true)]
async fn the_queueing_dispatcher_says_when_it_could_not_take_a_request() {
    use posthaste::Dispatcher as _;
    let upstream = ScriptedDispatcher::statuses(vec![503; 1_000]);
    let (dispatcher, _driver) = queue_dispatcher(&upstream);
    let request =
        LogEvent::new("http://x/", &posthaste::Batch::from_user_events(&impressions(&larkspur(), 2)));
    for _ in 0..100 {
        assert_eq!(dispatcher.dispatch_event(request.clone()).await.unwrap().status, 202);
    }
    let answer = dispatcher.dispatch_event(request).await;
    assert!(matches!(answer, Err(DispatchError::NotQueued(posthaste::Refusal::QueueFull { capacity: 100 }))));
    assert_eq!((dispatcher.size(), dispatcher.ledger().accepted), (100, 200));
}

/// A processor over a queueing dispatcher, as in the seed: closing waits for both queues.
#[tokio::test(start_paused = true)]
async fn closing_a_processor_flushes_its_queueing_dispatcher() {
    let upstream = ScriptedDispatcher::statuses(vec![503; 3]);
    let (dispatcher, _driver) = queue_dispatcher(&upstream);
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher));
    driven.take(impressions(&larkspur(), 25));
    let report = driven.processor.close(HOUR).await;
    assert_eq!((report.delivered, report.left), (25, 0));
    assert!(report.dispatcher.unwrap().is_complete());
    assert_eq!(upstream.delivered().len(), 25);
}
