//! Queues of your own. The seed's four methods are enough: `Sequential` makes a queue for delivery of them. A queue
//! that implements `DeliveryQueue` itself lets requests end in any order without keeping the places of those behind
//! them.
//!
//! ```sh
//! cargo run -p posthaste --example custom_queue
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Queue, Receipt, Refused, UserContext, UserEvent,
    outcome::Refusal,
    queue::{Counts, DeliveryQueue, Eventually, Leased, QueueError, Sequential},
};

/// Items that either queue holds, at most.
const CAPACITY: usize = 100;

/// Four methods: a queue behind a lock. What it hands out, it hands out from its front.
#[derive(Debug, Default)]
struct Line(Mutex<VecDeque<UserEvent>>);

impl Line {
    fn items(&self) -> MutexGuard<'_, VecDeque<UserEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue<UserEvent> for Line {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        let mut items = self.items();
        if items.len() >= CAPACITY {
            return Err(Refused::new(item, Refusal::QueueFull { capacity: CAPACITY }));
        }
        items.push_back(item);
        // A queue that stores its items elsewhere returns `Receipt::pending` with a future.
        Ok(Receipt::stored())
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.items().iter().take(count).cloned().collect()
    }

    fn remove(&self, count: usize) -> Vec<UserEvent> {
        let mut items = self.items();
        let count = count.min(items.len());
        items.drain(..count).collect()
    }

    fn size(&self) -> usize {
        self.items().len()
    }
}

/// A queue for delivery: each item has a number, and leaves whenever it is settled.
///
/// A queue on another machine would answer `lease` and `settle` with `Eventually::later`, tell how long its leases last
/// (`lease_time`, `renew`), and tell the watcher that it is given (`watch`) when items have come.
#[derive(Debug, Default)]
struct Shelf(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    items: BTreeMap<u64, UserEvent>,
    /// The number of the next item: how many have been taken.
    next: u64,
    /// Items below this number are leased, or gone.
    leased_to: u64,
    is_closed: bool,
}

impl Shelf {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue<UserEvent> for Shelf {
    fn add(&self, item: UserEvent) -> Result<Receipt, Refused<UserEvent>> {
        let mut places = self.places();
        // Closed comes first: whoever waits for room would wait in vain.
        if places.is_closed {
            return Err(Refused::new(item, Refusal::Closed));
        }
        if places.items.len() >= CAPACITY {
            return Err(Refused::new(item, Refusal::QueueFull { capacity: CAPACITY }));
        }
        let number = places.next;
        places.items.insert(number, item);
        places.next += 1;
        Ok(Receipt::stored())
    }

    fn get(&self, count: usize) -> Vec<UserEvent> {
        self.places().items.values().take(count).cloned().collect()
    }

    /// Never what is leased: a request with it may be under way.
    fn remove(&self, count: usize) -> Vec<UserEvent> {
        let mut places = self.places();
        let numbers: Vec<u64> =
            places.items.range(places.leased_to..).take(count).map(|(at, _)| *at).collect();
        numbers.iter().filter_map(|number| places.items.remove(number)).collect()
    }

    fn size(&self) -> usize {
        self.places().items.len()
    }
}

impl DeliveryQueue<UserEvent> for Shelf {
    fn capacity(&self) -> usize {
        CAPACITY
    }

    /// In events, of which each item here is one. Both numbers are of one moment.
    fn counts(&self) -> Counts {
        let places = self.places();
        Counts::new(places.next, places.items.len() as u64)
    }

    fn lease(&self, count: usize) -> Eventually<Result<Vec<Leased<UserEvent>>, QueueError>> {
        let mut places = self.places();
        let waiting = places.items.range(places.leased_to..).take(count);
        let leased: Vec<_> = waiting.map(|(number, item)| Leased::new(*number, item.clone())).collect();
        places.leased_to = leased.last().map_or(places.leased_to, |last| last.id + 1);
        Eventually::Now(Ok(leased))
    }

    fn settle(&self, ids: &[u64]) -> Eventually<Result<(), QueueError>> {
        let mut places = self.places();
        for id in ids {
            places.items.remove(id);
        }
        Eventually::Now(Ok(()))
    }

    /// Delivery has ended early: what it had leased waits again.
    fn release(&self) {
        self.places().leased_to = 0;
    }

    fn close(&self) {
        self.places().is_closed = true;
    }
}

fn main() -> support::Ended {
    let api = support::LocalApi::start()?;
    println!("four methods: {}", report_80_events(Sequential::over(Line::default(), CAPACITY), &api)?);
    println!("all of them: {}", report_80_events(Shelf::default(), &api)?);
    assert_eq!(api.stop()?.len(), 160);
    Ok(())
}

fn report_80_events(
    queue: impl DeliveryQueue<UserEvent> + 'static,
    api: &support::LocalApi,
) -> Result<String, Box<dyn std::error::Error>> {
    let config = support::larkspur()?;
    let processor = BatchEventProcessor::builder().queue(queue).event_end_point(api.end_point()).build()?;
    for n in 0..80 {
        let user = UserContext::new(format!("visitor-{n}"));
        processor.process_event(config.impression("checkout_button", "control", &user)?)?.forget();
    }
    let report = processor.close(Duration::from_secs(10)).wait();
    // The ledger is the queue's count against delivery's: a queue that counts wrongly shows here.
    assert!(report.ledger.balances(), "{:?}", report.ledger);
    if report.is_complete() { Ok(report.to_string()) } else { Err(report.to_string().into()) }
}
