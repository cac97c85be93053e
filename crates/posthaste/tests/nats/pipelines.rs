//! Whole pipelines over a stream: some accept, some deliver, and one is killed.

use std::{collections::BTreeMap, time::Duration};

use posthaste::{
    LogEvent, QueueEventDispatcher,
    dispatch::Response,
    queue::jetstream::{JetStream, Role},
    testing::ScriptedDispatcher,
};

use crate::{
    oracle::Oracle,
    servers::Servers,
    support::{SECOND, STREAM, open, queue, request, small, until},
};

fn takes() -> ScriptedDispatcher {
    ScriptedDispatcher::by(|_| Ok(Response::status(204)))
}

fn pipeline(stream: &JetStream, role: Role, api: &ScriptedDispatcher) -> QueueEventDispatcher {
    let builder = QueueEventDispatcher::builder(api.clone()).flush_interval(Duration::from_millis(50));
    builder.queue(queue(stream, role)).build().unwrap()
}

/// How often each event has arrived, counted from the bodies by themselves.
fn arrived(apis: &[&ScriptedDispatcher]) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for request in apis.iter().flat_map(|api| api.requests()) {
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        for visitor in body["visitors"].as_array().unwrap() {
            for snapshot in visitor["snapshots"].as_array().unwrap() {
                for event in snapshot["events"].as_array().unwrap() {
                    *arrived.entry(event["uuid"].as_str().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
    }
    arrived
}

fn once(numbers: std::ops::Range<usize>) -> BTreeMap<String, usize> {
    numbers.map(|number| (format!("u{number}"), 1)).collect()
}

fn balances(dispatcher: &QueueEventDispatcher) -> posthaste::Ledger {
    let ledger = dispatcher.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    ledger
}

#[test]
fn a_flush_waits_until_everything_has_gone_through_the_stream() {
    let servers = Servers::one();
    let (stream, api, oracle) = (open(small(&servers)), takes(), Oracle::at(&servers.urls()));
    let both = pipeline(&stream, Role::Both, &api);
    for number in 0..500 {
        both.add(request(number)).unwrap().forget();
    }
    let report = both.flush(SECOND * 30).wait();
    assert_eq!((report.left, arrived(&[&api])), (0, once(0..500)), "{report:?}");
    let ledger = balances(&both);
    assert_eq!((ledger.accepted, ledger.delivered, ledger.handed_over), (1_000, 500, 500), "in, and out");
    let report = both.close(SECOND * 5).wait();
    assert_eq!((report.left, oracle.count(STREAM)), (0, 0));
}

#[test]
fn two_accept_and_two_deliver_and_each_event_arrives_once() {
    let servers = Servers::one();
    // So long that no machine is too busy to renew its leases.
    let streams: Vec<JetStream> = (0..4).map(|_| open(small(&servers).ack_wait(SECOND * 60))).collect();
    let (one, other, nobody, oracle) = (takes(), takes(), takes(), Oracle::at(&servers.urls()));
    let accepting =
        [pipeline(&streams[0], Role::Accept, &nobody), pipeline(&streams[1], Role::Accept, &nobody)];
    let delivering =
        [pipeline(&streams[2], Role::Deliver, &one), pipeline(&streams[3], Role::Deliver, &other)];
    for number in 0..2_000 {
        let accepts = &accepting[number % 2];
        while accepts.add(request(number)).map(posthaste::Receipt::forget).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if number % 100 == 0 {
            for pipeline in accepting.iter().chain(&delivering) {
                balances(pipeline);
            }
        }
    }
    until("all have arrived", || {
        delivering.iter().map(|pipeline| balances(pipeline).delivered).sum::<u64>() == 2_000
    });
    until("the stream knows", || oracle.count(STREAM) == 0);
    let arrived = arrived(&[&one, &other]);
    let repeated: Vec<_> = arrived.iter().filter(|(_, times)| **times != 1).take(9).collect();
    assert_eq!((arrived.len(), repeated), (2_000, vec![]));
    assert!(nobody.requests().is_empty());
    let accepted: Vec<_> = accepting.iter().map(balances).collect();
    assert!(accepted.iter().all(|ledger| ledger.handed_over == 1_000 && ledger.queued == 0), "{accepted:?}");
    let delivered: u64 = delivering.iter().map(|pipeline| balances(pipeline).delivered).sum();
    assert_eq!(delivered, 2_000);
}

#[test]
fn an_upstream_that_is_away_keeps_its_leases_and_says_so() {
    let servers = Servers::one();
    let stream = open(small(&servers));
    let away = ScriptedDispatcher::by(|_: &LogEvent| Ok(Response::status(503)));
    let pipeline = pipeline(&stream, Role::Both, &away);
    for number in 0..50 {
        pipeline.add(request(number)).unwrap().wait().unwrap();
    }
    // Longer than leases last: they are renewed.
    until("it has tried", || !away.requests().is_empty());
    std::thread::sleep(SECOND * 5);
    let other = queue(&open(small(&servers)), Role::Deliver);
    let ledger = balances(&pipeline);
    assert_eq!(ledger.queued + ledger.handed_over, ledger.accepted, "{ledger:?}");
    assert!(ledger.queued > 0, "{ledger:?}");
    let report = pipeline.close(SECOND).wait();
    assert_eq!((report.left, report.ledger.handed_over), (0, report.ledger.accepted), "{report:?}");
    let leases = crate::support::lease(&other, 50, SECOND * 10);
    assert_eq!(crate::support::numbers(&leases), crate::support::all(0..50), "closing has given them back");
}

#[test]
fn a_pipeline_closes_in_time_though_nats_is_away() {
    let mut servers = Servers::one();
    let (stream, api) = (open(small(&servers)), takes());
    let pipeline = pipeline(&stream, Role::Both, &api);
    pipeline.add(request(0)).unwrap().wait().unwrap();
    until("it has arrived", || arrived(&[&api]).len() == 1);
    servers.kill(0);
    until("it has noticed", || !stream.is_usable());
    pipeline.add(request(1)).unwrap().forget();
    until("health tells", || pipeline.health().queue.is_some());
    let begun = std::time::Instant::now();
    let report = pipeline.close(SECOND).wait();
    assert!(begun.elapsed() < SECOND * 4, "{:?}", begun.elapsed());
    assert_eq!(report.not_stored.len(), 1, "{report:?}");
    assert!(report.ledger.balances(), "{report:?}");
}
