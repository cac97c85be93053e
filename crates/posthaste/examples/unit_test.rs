//! Testing a program that reports events: nothing is sent, time stands still, and outages follow a script. The tests
//! are at the end of this file; `main` runs the same code against a real API.
//!
//! ```sh
//! cargo test -p posthaste --example unit_test
//! cargo run -p posthaste --example unit_test
//! ```
//!
//! The doubles need the feature `test-util`: `posthaste = { version = "…", features = ["test-util"] }` under
//! `[dev-dependencies]`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::{error::Error, time::Duration};

use posthaste::{BatchEventProcessor, Processor, ProjectConfig, UserContext};

/// What is tested: it reports a purchase, and knows nothing of queues and requests.
struct Checkout<P> {
    config: ProjectConfig,
    events: P,
}

impl<P: Processor> Checkout<P> {
    fn buy(&self, visitor: &str, cents: u64) -> Result<(), Box<dyn Error>> {
        let user = UserContext::new(visitor).attribute("plan", "pro");
        self.events.process_event(self.config.conversion("purchase", &user, [("revenue", cents)])?)?.forget();
        Ok(())
    }
}

fn main() -> support::Ended {
    let api = support::LocalApi::start()?;
    let events = BatchEventProcessor::builder().event_end_point(api.end_point()).build()?;
    let checkout = Checkout { config: support::larkspur()?, events };
    checkout.buy("visitor-1", 4_200)?;
    checkout.buy("visitor-2", 800)?;
    let report = checkout.events.close(Duration::from_secs(10)).wait();
    println!("{report}");

    let good = api.stop()?;
    let revenue: i64 = good.iter().filter_map(|event| event.revenue).sum();
    assert_eq!((report.is_complete(), good.len(), revenue), (true, 2, 5_000));
    Ok(())
}

#[cfg(test)]
mod tests {
    use posthaste::{
        BatchEventProcessorBuilder,
        testing::{ManualClock, RecordingDispatcher, ScriptedDispatcher},
    };

    use super::*;

    const NOON_MS: i64 = 1_795_608_000_000;
    const MINUTE: Duration = Duration::from_secs(60);

    fn checkout(clock: &ManualClock, builder: BatchEventProcessorBuilder) -> Checkout<BatchEventProcessor> {
        let config = support::larkspur().unwrap().with_clock(clock.clone());
        let events = builder.clock(clock.clone()).seed(7).build().unwrap();
        Checkout { config, events }
    }

    #[test]
    fn a_purchase_is_reported_with_its_revenue_and_its_time() {
        let (clock, api) = (ManualClock::at_ms(NOON_MS), RecordingDispatcher::new());
        let checkout = checkout(&clock, BatchEventProcessor::builder().event_dispatcher(api.clone()));
        checkout.buy("visitor-1", 4_200).unwrap();
        assert!(checkout.events.flush(MINUTE).wait().is_complete());

        let [event] = &api.events()[..] else { panic!("{:?}", api.events()) };
        assert_eq!((event.key.as_str(), event.timestamp), ("purchase", NOON_MS));
        assert_eq!(event.revenue, Some(4_200.into()));
    }

    #[test]
    fn a_single_event_waits_for_the_flush_interval() {
        let (clock, api) = (ManualClock::at_ms(NOON_MS), RecordingDispatcher::new());
        let builder = BatchEventProcessor::builder().event_dispatcher(api.clone()).flush_interval(MINUTE);
        let checkout = checkout(&clock, builder);
        checkout.buy("visitor-1", 4_200).unwrap();
        until(|| clock.sleepers() > 0); // The delivery thread has seen it, and waits.
        assert_eq!(api.requests(), []);

        clock.advance(MINUTE);
        until(|| checkout.events.ledger().delivered == 1);
        assert_eq!(api.requests().len(), 1);
    }

    #[test]
    fn an_outage_delays_events_and_loses_none() {
        let (clock, api) = (ManualClock::at_ms(NOON_MS), ScriptedDispatcher::statuses([503, 503, 503]));
        let checkout = checkout(&clock, BatchEventProcessor::builder().event_dispatcher(api.clone()));
        checkout.buy("visitor-1", 4_200).unwrap();
        let flush = checkout.events.flush(MINUTE * 60);
        until(|| {
            clock.advance(Duration::from_secs(1));
            checkout.events.ledger().delivered == 1
        });

        assert!(flush.wait().is_complete());
        let bodies: Vec<_> = api.requests().iter().map(|request| request.body().clone()).collect();
        assert_eq!(bodies, [&bodies[0]; 4], "every attempt sends the same bytes");
    }

    #[test]
    fn the_same_code_reports_to_a_real_api() {
        main().unwrap();
    }

    /// The delivery thread takes its turn meanwhile. Nothing here waits for time to pass.
    fn until(mut holds: impl FnMut() -> bool) {
        while !holds() {
            std::thread::yield_now();
        }
    }
}
