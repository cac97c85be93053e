//! Servers that are killed and started again, and servers that are not there at all.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use posthaste::{
    JetStreamQueue, Queue, Refusal,
    queue::{
        DeliveryQueue,
        jetstream::{JetStream, JetStreamError, Role},
    },
};

use crate::{
    oracle::Oracle,
    servers::{Config, Servers},
    support::{
        SECOND, STREAM, add, balances, ids, lease, numbers, once, open, options, queue, request, small, until,
    },
};

/// Adds one after the other until told to stop, whatever happens meanwhile, and waits for every receipt. Returns how many.
fn add_until(queue: &JetStreamQueue, is_over: &AtomicBool, added: &AtomicUsize) -> usize {
    let mut receipts = Vec::new();
    while !is_over.load(SeqCst) {
        match queue.add(request(receipts.len())) {
            Ok(receipt) => receipts.push(receipt),
            Err(refused) => {
                assert!(refused.reason.is_full(), "{}", refused.reason);
                thread::sleep(Duration::from_millis(1));
            }
        }
        added.store(receipts.len(), SeqCst);
        if receipts.len() % 64 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let count = receipts.len();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    count
}

#[test]
fn a_server_that_is_killed_loses_and_doubles_nothing_that_was_on_its_way() {
    let mut servers = Servers::one();
    let (stream, oracle) = (open(small(&servers)), Oracle::at(&servers.urls()));
    let queue = queue(&stream, Role::Accept);
    let (is_over, added) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = thread::scope(|scope| {
        let adding = scope.spawn(|| add_until(&queue, &is_over, &added));
        for round in 1..=3 {
            let from = added.load(SeqCst);
            until("some are added", || added.load(SeqCst) > from + 200);
            servers.kill(0);
            thread::sleep(Duration::from_millis(50 * round));
            servers.restart(0);
        }
        is_over.store(true, SeqCst);
        adding.join().unwrap()
    });
    assert!(count > 600, "{count}");
    assert_eq!(oracle.bodies(STREAM), once(0..count), "each is there once");
    assert_eq!(stream.maybe_repeated(), 0);
    balances(&queue, 0);
}

#[test]
fn a_cluster_goes_on_without_one_of_its_servers_and_loses_nothing_when_all_are_killed() {
    let mut servers = Servers::three();
    let (stream, oracle) = (open(options(&servers).publish_timeout(SECOND)), Oracle::at(&servers.urls()));
    until("all replicas are in step", || stream.check().is_ok_and(|report| report.replicas_current == 3));
    let report = stream.check().unwrap();
    assert_eq!(report.replicas, 3);
    assert!(report.is_fine(), "{report}");
    let queue = queue(&stream, Role::Accept);
    let (is_over, added) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = thread::scope(|scope| {
        let adding = scope.spawn(|| add_until(&queue, &is_over, &added));
        for _ in 0..2 {
            // The one that leads: the others have to elect.
            let leader = oracle.info(STREAM).cluster.unwrap().leader.unwrap();
            let leader = servers.leader_named(&leader).unwrap();
            servers.kill(leader);
            let (published, room) = (queue.traffic().published, 500);
            until("it goes on without its leader", || queue.traffic().published > published + room);
            servers.restart(leader);
        }
        servers.kill_all();
        servers.restart_all();
        let published = queue.traffic().published;
        until("it goes on", || queue.traffic().published > published + 100);
        is_over.store(true, SeqCst);
        adding.join().unwrap()
    });
    assert_eq!(oracle.count(STREAM), count as u64);
    let leases = {
        let sender = stream.queue("shop", Role::Deliver).unwrap();
        let leases = lease(&sender, count, SECOND * 60);
        sender.settle(&ids(&leases)).wait().unwrap();
        leases
    };
    assert_eq!(numbers(&leases), crate::support::all(0..count), "each once");
    until("all are settled", || oracle.count(STREAM) == 0);
}

#[test]
fn leases_are_settled_and_renewed_through_a_restart() {
    let mut servers = Servers::one();
    let (stream, oracle) = (open(small(&servers).ack_wait(SECOND * 30)), Oracle::at(&servers.urls()));
    let queue = queue(&stream, Role::Both);
    add(&queue, 0..20);
    let leases = lease(&queue, 20, SECOND * 10);
    servers.kill(0);
    until("it has noticed", || !stream.is_usable());
    let error = queue.settle(&ids(&leases[..10])).wait().unwrap_err();
    assert!(error.to_string().contains("does not confirm"), "{error}");
    assert_eq!(queue.counts().held, 10, "what has ended is not held, whatever the answer");
    assert_eq!(queue.renew(&ids(&leases[10..])).wait(), Ok(vec![]), "they may last all the same");
    let error = queue.lease(1).wait().unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    servers.restart(0);
    until("it is back", || stream.is_usable());
    until("settling is confirmed", || queue.settle(&ids(&leases[..10])).wait().is_ok());
    queue.settle(&ids(&leases[10..])).wait().unwrap();
    assert_eq!(oracle.count(STREAM), 0);
    balances(&queue, 20);
}

#[test]
fn while_nats_is_away_a_window_is_taken_and_then_refused_until_it_is_back() {
    let mut servers = Servers::one();
    let (stream, oracle) = (open(small(&servers).publish_window(100)), Oracle::at(&servers.urls()));
    let queue = queue(&stream, Role::Accept);
    servers.kill(0);
    until("it has noticed", || !stream.is_usable());
    let mut receipts: Vec<_> = (0..100).map(|number| queue.add(request(number)).unwrap()).collect();
    let refused = queue.add(request(100)).unwrap_err();
    assert_eq!(refused.reason, Refusal::QueueFull { capacity: 100 });
    assert_eq!(receipts[0].wait_within(Duration::from_millis(200)), None, "nobody has acknowledged it");
    assert!(queue.publish_trouble().unwrap().contains("127.0.0.1"), "{:?}", queue.publish_trouble());
    assert_eq!((queue.counts().held, queue.size()), (100, 100));
    servers.restart(0);
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    assert_eq!(oracle.bodies(STREAM), once(0..100));
    assert_eq!((queue.counts().held, queue.publish_trouble()), (0, None));
    balances(&queue, 0);
}

#[test]
fn a_stream_that_is_full_says_so_and_takes_more_once_there_is_room() {
    let servers = Servers::one();
    let stream = open(small(&servers).max_bytes(20_000).publish_window(10));
    let queue = queue(&stream, Role::Both);
    let mut receipts = Vec::new();
    let refused = loop {
        match queue.add(request(receipts.len())) {
            Ok(receipt) => receipts.push(receipt),
            Err(refused) if matches!(refused.reason, Refusal::StorageFull(_)) => break refused,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(refused.reason.to_string().contains("maximum bytes"), "{}", refused.reason);
    assert!(refused.reason.is_full());
    // As it is delivered, everything that was taken goes in.
    let mut seen = Vec::new();
    until("all have come out", || {
        let leases = lease(&queue, 50, Duration::from_millis(500));
        queue.settle(&ids(&leases)).wait().unwrap();
        seen.extend(numbers(&leases));
        seen.len() >= receipts.len()
    });
    seen.sort_unstable();
    assert_eq!(seen, crate::support::all(0..receipts.len()));
    for receipt in receipts {
        receipt.wait().unwrap();
    }
}

#[test]
fn what_is_started_before_the_servers_waits_for_them() {
    let config = Config { count: 1, ..Config::default() };
    let mut servers = Servers::prepared(&config);
    let error = JetStream::open(small(&servers).connect_timeout(SECOND)).unwrap_err();
    assert!(matches!(error, JetStreamError::NotConnected { .. }), "{error}");
    let stream = JetStream::start(small(&servers)).unwrap();
    assert!(stream.report().is_none() && stream.trouble().is_some());
    let queue = queue(&stream, Role::Both);
    let receipt = queue.add(request(7)).unwrap();
    servers.restart(0);
    receipt.wait().unwrap();
    assert!(stream.wait_until_usable(SECOND * 10) && stream.report().is_some());
    assert_eq!(numbers(&lease(&queue, 1, SECOND * 10)), [7]);
}

#[test]
fn closing_ends_in_time_though_nats_is_away_and_gives_back_what_it_does_not_have() {
    let mut servers = Servers::one();
    let stream = open(small(&servers));
    let queue = queue(&stream, Role::Both);
    add(&queue, 0..5);
    let leases = lease(&queue, 5, SECOND * 10);
    servers.kill(0);
    until("it has noticed", || !stream.is_usable());
    let receipt = queue.add(request(5)).unwrap();
    let begun = Instant::now();
    queue.close();
    assert_eq!(queue.add(request(6)).unwrap_err().reason, Refusal::Closed);
    queue.release();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(queue.finish(SECOND));
    let given_up = queue.give_up();
    assert!(begun.elapsed() < SECOND * 3, "{:?}", begun.elapsed());
    assert_eq!(numbers(&given_up), [5]);
    assert_eq!(receipt.wait(), Err(Refusal::Closed));
    assert_eq!((leases.len(), queue.counts().held), (5, 0));
    balances(&queue, 1);
    drop((queue, stream));
    assert!(begun.elapsed() < SECOND * 4, "{:?}", begun.elapsed());
}
