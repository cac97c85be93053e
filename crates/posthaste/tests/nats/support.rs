//! What several tests need.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use posthaste::{
    JetStreamQueue, LogEvent, Queue,
    queue::{
        DeliveryQueue, Leased,
        jetstream::{JetStream, JetStreamOptions, Role},
    },
};

use crate::servers::Servers;

pub(crate) const STREAM: &str = "events";

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A request of one event, which is known by its number.
pub(crate) fn request(number: usize) -> LogEvent {
    LogEvent::from_body("http://127.0.0.1:9/v1/events", body(number)).unwrap()
}

pub(crate) fn body(number: usize) -> String {
    format!(
        r#"{{"account_id":"1","visitors":[{{"visitor_id":"v{number}","snapshots":[{{"events":[{{"uuid":"u{number}"}}]}}]}}]}}"#
    )
}

pub(crate) fn number_of(text: &str) -> usize {
    let from = text.find(r#""uuid":"u"#).unwrap() + 9;
    text[from..].split('"').next().unwrap().parse().unwrap()
}

pub(crate) fn numbers(leases: &[Leased<LogEvent>]) -> Vec<usize> {
    let number = |lease: &Leased<LogEvent>| number_of(std::str::from_utf8(lease.item.body()).unwrap());
    let mut numbers: Vec<usize> = leases.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

pub(crate) fn options(servers: &Servers) -> JetStreamOptions {
    JetStreamOptions::at(&servers.address(STREAM)).unwrap().connect_timeout(SECOND * 30)
}

/// With one replica, as one server can have it, and leases that are soon over.
pub(crate) fn small(servers: &Servers) -> JetStreamOptions {
    options(servers).replicas(1).ack_wait(SECOND * 2).publish_timeout(SECOND)
}

pub(crate) fn open(options: JetStreamOptions) -> JetStream {
    JetStream::open(options).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn queue(stream: &JetStream, role: Role) -> JetStreamQueue {
    stream.queue("shop", role).unwrap()
}

/// Adds them, and waits until the stream has them.
pub(crate) fn add(queue: &JetStreamQueue, numbers: impl IntoIterator<Item = usize>) {
    let receipts: Vec<_> = numbers.into_iter().map(|number| queue.add(request(number)).unwrap()).collect();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
}

/// Leases until there are so many, within this time; fewer where there are no more.
pub(crate) fn lease(queue: &JetStreamQueue, count: usize, within: Duration) -> Vec<Leased<LogEvent>> {
    let (until, mut leases) = (Instant::now() + within, Vec::new());
    while leases.len() < count && Instant::now() < until {
        match queue.lease(count - leases.len()).wait() {
            Ok(more) => leases.extend(more),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
    leases
}

pub(crate) fn ids(leases: &[Leased<LogEvent>]) -> Vec<u64> {
    leases.iter().map(|lease| lease.id).collect()
}

/// Waits for something that others bring about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + SECOND * 60;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether what a process has taken is accounted for.
pub(crate) fn balances(queue: &JetStreamQueue, ended: u64) {
    let counts = queue.counts();
    assert_eq!(counts.taken, counts.held + counts.handed_over + counts.unreadable + ended, "{counts:?}");
}

pub(crate) fn all(numbers: std::ops::Range<usize>) -> Vec<usize> {
    numbers.collect()
}

/// Each number once.
pub(crate) fn once(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<String, usize> {
    numbers.into_iter().map(|number| (body(number), 1)).collect()
}
