//! Somebody else's requests, of every shape that a batch may have: each event that the API refuses is a dead letter once,
//! every other is delivered once, and the counts are those that the test counts itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use posthaste::{
    Batch, Decision, LogEvent, QueueEventDispatcher, Snapshot, SnapshotEvent, Visitor,
    dispatch::{Answer, Response},
};

use crate::{
    house::{after, ok},
    support::HOUR,
};

/// How often each event has arrived, by its uuid.
type Arrived = Arc<Mutex<BTreeMap<String, usize>>>;

/// What a request carries, by name: its events, and each visitor that has none, which counts as one.
fn names_in(visitors: Vec<Visitor>) -> Vec<String> {
    let names_of = |visitor: Visitor| {
        let events: Vec<String> = visitor
            .snapshots
            .into_iter()
            .flat_map(|snapshot| snapshot.events)
            .map(|event| event.uuid)
            .collect();
        if events.is_empty() { vec![visitor.visitor_id] } else { events }
    };
    visitors.into_iter().flat_map(names_of).collect()
}

fn names_of(request: &LogEvent) -> Vec<String> {
    names_in(request.event().unwrap().visitors)
}

/// Refuses bad events, and requests of more events than it likes.
fn api(arrived: &Arrived, most: usize, request: &LogEvent) -> Answer {
    let events = names_of(request);
    assert!(!events.is_empty(), "a request that carries nothing says nothing");
    if events.len() > most {
        return Ok(Response::status(413));
    }
    if events.iter().any(|event| event.starts_with("bad")) {
        return Ok(Response::status(400));
    }
    let mut arrived = arrived.lock().unwrap();
    for event in events {
        *arrived.entry(event).or_default() += 1;
    }
    ok()
}

/// A batch of any shape, whose names are all new.
fn batch(random: &mut fastrand::Rng, bad_in_100: u8, named: &mut usize) -> Batch {
    let mut name = |random: &mut fastrand::Rng| {
        let kind = if random.u8(0..100) < bad_in_100 { "bad" } else { "good" };
        *named += 1;
        format!("{kind}-{named:04}")
    };
    let visitor_names: Vec<String> = (0..random.usize(0..6)).map(|_| name(random)).collect();
    let mut event =
        |random: &mut fastrand::Rng| SnapshotEvent::new("1", "key", 1_795_500_000_000, &name(random));
    let mut snapshot = |random: &mut fastrand::Rng| {
        let decision = Decision::new("1", "2", Some("3"));
        let events: Vec<_> =
            (0..random.choice([0, 0, 1, 1, 2, 3, 8]).unwrap()).map(|_| event(random)).collect();
        Snapshot::new(random.bool().then_some(decision), events)
    };
    let mut visitor = |random: &mut fastrand::Rng, name: &String| {
        let snapshots: Vec<_> =
            (0..random.choice([0, 1, 1, 2, 3, 5]).unwrap()).map(|_| snapshot(random)).collect();
        Visitor::new(name, [], snapshots)
    };
    let visitors = visitor_names.iter().map(|name| visitor(random, name)).collect();
    let mut batch = Batch::default();
    "1".clone_into(&mut batch.account_id);
    batch.visitors = visitors;
    batch
}

#[tokio::test(start_paused = true)]
async fn each_event_of_a_batch_of_any_shape_comes_to_one_end() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let arrived = Arrived::default();
        let (at_api, most) = (Arc::clone(&arrived), random.choice([1, 3, 1_000]).unwrap());
        let dead = Arc::new(Mutex::new(Vec::new()));
        let letters = Arc::clone(&dead);
        let upstream =
            after(move |request| (std::time::Duration::from_millis(5), api(&at_api, most, request)));
        let (dispatcher, driver) = QueueEventDispatcher::builder(upstream)
            .batch_size(random.choice([1, 10]).unwrap())
            .on_dead_letter(move |letter| letters.lock().unwrap().extend(names_of(&letter.item)))
            .seed(seed)
            .build_with_driver()
            .unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(driver);

        let (mut named, bad_in_100) = (0, random.choice([0, 5, 50, 100]).unwrap());
        let mut accepted = Vec::new();
        for _ in 0..random.usize(1..6) {
            let batch = batch(&mut random, bad_in_100, &mut named);
            let names = names_in(batch.visitors.clone());
            match dispatcher.add(LogEvent::new("http://x/v1/events", &batch)) {
                Ok(receipt) => receipt.forget(),
                Err(refused) => assert!(names.is_empty(), "seed {seed}: {refused}"),
            }
            accepted.extend(names);
        }
        let report = dispatcher.close(HOUR).await;
        let numbers = (report.delivered, report.dead_lettered, report.left, report.ledger.accepted);
        let all = accepted.len() as u64;
        let (good, mut bad): (Vec<_>, Vec<_>) =
            accepted.into_iter().partition(|name| name.starts_with("good"));
        assert_eq!(numbers, (good.len() as u64, bad.len() as u64, 0, all), "seed {seed}");
        let counted: BTreeMap<String, usize> = good.into_iter().map(|name| (name, 1)).collect();
        assert_eq!(*arrived.lock().unwrap(), counted, "seed {seed}");
        let mut buried = dead.lock().unwrap().clone();
        buried.sort_unstable();
        bad.sort_unstable();
        assert_eq!(buried, bad, "seed {seed}");
        assert_eq!(dispatcher.dead_letters().len(), bad.len(), "seed {seed}");
    }
}
