//! The process' memory stays within what it was told, in a process of its own: another test's would be counted too.
//!
//! A million events in the default 256 MiB, and how many of them a second:
//! `POSTHASTE_FLOOD=1 cargo test --release -p posthaste-collector --test memory -- --nocapture`

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{path::Path, time::Instant};

use posthaste::{Batch, ProjectConfig, UserEvent};
use posthaste_collector::{Collector, CollectorOptions, Filter, Order};
use serde_json::Value;

#[path = "it/larkspur.rs"]
mod larkspur;

const EVENTS_PER_BODY: usize = 50;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../posthaste/tests/vectors").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Bodies of larkspur's events, again and again, each event with a uuid of its own.
struct Bodies {
    bodies: Vec<Vec<u8>>,
    sent: u64,
}

impl Bodies {
    fn new(config: &ProjectConfig) -> Self {
        let lines = read("larkspur.events.jsonl");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events: Vec<_> = lines.map(|line| larkspur::event(config, &line)).collect();
        let whole = events.chunks_exact(EVENTS_PER_BODY);
        let body = |events: &[UserEvent]| serde_json::to_vec(&Batch::from_user_events(events)).unwrap();
        Self { bodies: whole.map(body).collect(), sent: 0 }
    }

    fn next(&mut self) -> &[u8] {
        let at = usize::try_from(self.sent).unwrap() / EVENTS_PER_BODY % self.bodies.len();
        let body = self.bodies.get_mut(at).unwrap();
        let needle = b"\"uuid\":\"";
        let mut from = 0;
        while let Some(found) =
            body.get(from..).unwrap().windows(needle.len()).position(|text| text == needle)
        {
            let start = from + found + needle.len();
            let uuid = format!("{:08x}-1111-4222-8333-{:012x}", self.sent, self.sent);
            body.get_mut(start..start + uuid.len()).unwrap().copy_from_slice(uuid.as_bytes());
            self.sent += 1;
            from = start + uuid.len();
        }
        body
    }
}

/// Sends so many events, looks at them now and then as a page does, and gives the most memory that was seen.
fn flood(collector: &Collector, events: u64) -> usize {
    let config = ProjectConfig::from_datafile(read("larkspur.json")).unwrap();
    let mut bodies = Bodies::new(&config);
    let mut most = 0;
    while bodies.sent < events {
        for _ in 0..200 {
            collector.receive(bodies.next());
        }
        let page = Filter { order: Order::Newest, limit: Some(200), ..Filter::default() };
        assert_eq!(collector.all(&page).len(), 200);
        most = most.max(resident());
    }
    let ledger = collector.ledger();
    assert_eq!((ledger.good, ledger.bad, ledger.duplicates), (bodies.sent, 0, 0));
    let kept = collector.all(&Filter { limit: Some(1), ..Filter::default() }).first().unwrap().id() - 1;
    assert_eq!(ledger.forgotten, kept, "what is missing is counted");
    most
}

fn collector(memory_bytes_max: usize) -> Collector {
    let config = Some(ProjectConfig::from_datafile(read("larkspur.json")).unwrap());
    Collector::new(CollectorOptions { config, memory_bytes_max, ..CollectorOptions::default() })
}

/// A few in little memory, so that it is quick in a debug build, unless asked; what the program takes by itself is left
/// out. One test: another in this process would be counted too.
#[test]
fn a_bound_is_used_and_not_passed_by_more_than_a_fifth() {
    let whole = std::env::var_os("POSTHASTE_FLOOD").is_some();
    let default = CollectorOptions::default().memory_bytes_max;
    let (bound, events) = if whole { (default, 1_000_000) } else { (16 << 20, 60_000) };
    let collector = collector(bound);
    flood(&self::collector(1 << 20), 10_000);
    let before = resident();
    #[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
    let started = Instant::now();
    let most = flood(&collector, events) - before;
    let ledger = collector.ledger();
    println!(
        "{} events in {:?}, {} kept, at most {} MiB more resident",
        ledger.good,
        started.elapsed(),
        ledger.good - ledger.forgotten,
        most >> 20
    );
    assert!(ledger.forgotten > 10_000, "the bound was never reached");
    assert!(most <= bound + bound / 5, "{most} bytes");
    assert!(most >= bound / 2, "{most} bytes: the bound is not used");
}
