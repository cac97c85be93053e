//! Decides for two hundred visitors, lets half of them buy something, and shows that each event has arrived.
//!
//! ```sh
//! cargo run -p posthaste-optimizely-bridge
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

#[path = "../../../crates/posthaste/examples/support/mod.rs"]
mod support;

use std::{collections::HashMap, sync::Arc, time::Duration};

use optimizely::{AttributeValue, Client};
use posthaste::{HttpEventDispatcher, QueueEventDispatcher};
use posthaste_optimizely_bridge::Bridge;

const DATAFILE: &str = include_str!("../../../crates/posthaste/tests/vectors/larkspur.json");

fn main() -> support::Ended {
    let api = support::LocalApi::start()?;
    // Each request carries one event; ten of them go out as one. `.queue(SpoolQueue::open(…)?)` keeps them on disk.
    let requests = QueueEventDispatcher::builder(HttpEventDispatcher::new()?)
        .event_end_point(api.end_point())
        .batch_size(10)
        .flush_interval(Duration::from_secs(1))
        .build()?;
    let requests = Arc::new(requests);

    let config = support::larkspur()?.with_client("rust-sdk", "0.5.0");
    let bridge = Bridge::new(config, Arc::clone(&requests));
    let client = Client::from_string(DATAFILE)
        .map_err(|report| format!("{report:?}"))?
        .with_event_dispatcher(|_| bridge)
        .initialize();
    let enabled = (0..200).filter(|n| visit(&client, *n)).count();

    let report = requests.close(Duration::from_secs(10)).wait();
    println!("{report}");
    if !report.is_complete() {
        return Err(format!("{} requests are left: {:?}", report.left, report.reasons).into());
    }
    let good = api.stop()?;
    let revenue: i64 = good.iter().filter_map(|event| event.revenue).sum();
    let seen = |key: &str| good.iter().filter(|event| event.variation.as_deref() == Some(key)).count();
    println!("{} saw the green button, {} the old one", seen("green_button"), seen("control"));
    assert_eq!((good.len(), revenue), (300, 100 * 4_200));
    assert_eq!((seen("green_button") + seen("control"), seen("green_button")), (200, enabled));
    Ok(())
}

/// A visitor sees a button; every second one buys. True: it was the new button.
fn visit(client: &Client, n: u32) -> bool {
    let visitor = format!("visitor-{n}");
    let mut user = client.create_user_context(&visitor);
    user.set_attribute("plan", AttributeValue::String("pro".to_owned()));
    let decision = user.decide("one_click_checkout");
    if n.is_multiple_of(2) {
        let tags = HashMap::from([("revenue".to_owned(), "4200".to_owned())]);
        user.track_event_with_properties_and_tags("purchase", HashMap::new(), tags);
    }
    decision.variation_key() == "green_button"
}
