//! Metrics for Prometheus. posthaste counts through the facade `metrics`, so any recorder will do; docs/metrics.md says
//! what each name means.
//!
//! ```sh
//! cargo run -p posthaste --example prometheus
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use posthaste::{BatchEventProcessor, UserContext, metrics};

fn main() -> support::Ended {
    // Before the first processor: what is counted without a recorder is counted nowhere. A service serves
    // `recorder.render()` at `GET /metrics`.
    let recorder = PrometheusBuilder::new().install_recorder()?;

    let api = support::LocalApi::start()?;
    let config = support::larkspur()?;
    // The name tells this pipeline's series from others' in the same process.
    let processor = BatchEventProcessor::builder().name("shop").event_end_point(api.end_point()).build()?;
    for n in 0..25 {
        let user = UserContext::new(format!("visitor-{n}")).attribute("shoe_size", 42);
        processor.process_event(config.impression("checkout_button", "control", &user)?)?.forget();
    }
    let report = processor.close(Duration::from_secs(10)).wait();

    // Every counter is up to date once the report is there.
    let page = recorder.render();
    println!("{page}");
    let pipeline = r#"{pipeline="shop"}"#;
    for line in [
        format!("{}{pipeline} 25", metrics::ACCEPTED),
        format!("{}{pipeline} 25", metrics::DELIVERED),
        format!("{}{pipeline} 0", metrics::QUEUED),
        format!("{}{pipeline} 0", metrics::BREAKER),
    ] {
        assert!(page.lines().any(|found| found == line), "no {line}");
    }
    // Misspelt attributes show up, too: the project has no `shoe_size`.
    assert_eq!((config.dropped_attributes().unknown, report.is_complete()), (25, true));
    assert_eq!(api.stop()?.len(), 25);
    Ok(())
}
