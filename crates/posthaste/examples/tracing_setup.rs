//! Logs. posthaste speaks through `tracing`: once when something begins to go wrong, once when it works again, and
//! never once for each event.
//!
//! ```sh
//! cargo run -p posthaste --example tracing_setup
//! RUST_LOG=posthaste=debug cargo run -p posthaste --example tracing_setup
//! ```
//!
//! | level | what is said |
//! |---|---|
//! | `error` | somebody has to act: a wrong address or credential, a disk that fails, a callback that panics |
//! | `warn` | events are dead-lettered, the API fails, a processor is dropped with events left |
//! | `info` | the API works again |
//! | `debug` | a span `request` around each dispatch: how many events, how many failures before |

mod support;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{BatchEventProcessor, DeadReason, UserContext};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Standard error, and a copy for the check below. A program needs no more than `with_writer(io::stderr)`.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut copy) = self.0.lock() {
            copy.extend_from_slice(bytes);
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn main() -> support::Ended {
    let log = Log::default();
    let writer = log.clone();
    // `RUST_LOG` decides; without it, everything from `info` on.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let api = support::LocalApi::start()?;
    let config = support::larkspur()?;
    let processor = BatchEventProcessor::builder().event_end_point(api.end_point()).build()?;
    for n in 0..10 {
        let user = UserContext::new(format!("visitor-{n}"));
        let event = config.impression("checkout_button", "control", &user)?;
        // One event claims to be from 1970, and this API refuses what it does not believe.
        let event = if n == 7 { event.with_timestamp_ms(7) } else { event };
        processor.process_event(event)?.forget();
    }
    let report = processor.close(Duration::from_secs(10)).wait();
    tracing::info!(%report, "closed");

    let [letter] = &processor.dead_letters()[..] else { return Err("there is one dead letter".into()) };
    assert_eq!((letter.reason, letter.item.visitor_id()), (DeadReason::Rejected, "visitor-7"));
    let said = String::from_utf8(log.0.lock().map_err(|_| "the log is poisoned")?.clone())?;
    if std::env::var_os("RUST_LOG").is_none() {
        assert!(said.contains("events were dead-lettered") && said.contains("9 delivered"), "{said}");
    }
    assert_eq!(api.stop()?.len(), 9);
    Ok(())
}
