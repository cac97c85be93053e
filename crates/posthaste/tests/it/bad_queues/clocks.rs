//! Clocks that lie and panic, and options at their ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{Clock, SystemClock, clock::Sleep};

use super::{answering, use_it};
use crate::{
    house::{for_each, within},
    support::{SECOND, impression, larkspur},
};

#[derive(Debug)]
struct OddClock(&'static str, AtomicU64);

impl Clock for OddClock {
    fn now_ms(&self) -> i64 {
        match self.0 {
            "now_ms min" => i64::MIN,
            "now_ms max" => i64::MAX,
            "now_ms panics" => panic!("on purpose, in now_ms"),
            _ => SystemClock.now_ms(),
        }
    }

    fn elapsed(&self) -> Duration {
        let calls = self.1.fetch_add(1, SeqCst);
        match self.0 {
            "goes back" => Duration::from_millis(1_000_000_u64.saturating_sub(calls * 10)),
            "zero" => Duration::ZERO,
            "max" => Duration::MAX,
            "jumps" => Duration::from_secs(if calls.is_multiple_of(2) { 5 } else { 500_000 }),
            "elapsed panics" if calls > 20 => panic!("on purpose, in elapsed"),
            _ => SystemClock.elapsed(),
        }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        match self.0 {
            "sleeps not" => SystemClock.sleep(Duration::from_millis(1)),
            "sleeps for ever" => Box::pin(std::future::pending()),
            "sleep panics" => panic!("on purpose, in sleep"),
            "sleep panics later" => Box::pin(async { panic!("on purpose, in a sleep") }),
            _ => SystemClock.sleep(duration),
        }
    }
}

#[test]
fn a_clock_that_lies_or_panics_hangs_nobody() {
    let clocks = [
        "goes back",
        "zero",
        "max",
        "jumps",
        "sleeps not",
        "sleeps for ever",
        "now_ms min",
        "now_ms max",
        "now_ms panics",
        "elapsed panics",
        "sleep panics",
        "sleep panics later",
    ];
    let cases = clocks.into_iter().flat_map(|clock| [204, 503].map(|status| (clock, status)));
    for_each(cases, |(clock, status)| {
        let name = format!("{clock}, {status}");
        let told = use_it(&name, answering(status).clock(OddClock(clock, AtomicU64::new(0)))).unwrap();
        match told.health.ended {
            Some(ended) => assert!(ended.what.contains("on purpose"), "{name}: {ended}"),
            None => assert!(clock != "elapsed panics" && !clock.starts_with("sleep panics"), "{name}"),
        }
    });
}

/// Numbers at their ends are no reason to panic, to spin or to hang.
#[test]
fn the_largest_and_smallest_options_are_options() {
    let ends = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
    let cases = ends.into_iter().flat_map(|first| ends.map(|cap| (first, cap)));
    for_each(
        cases.flat_map(|(first, cap)| [404, 503].map(|status| (first, cap, status))),
        |(first, cap, status)| {
            let builder = answering(status).backoff(first, cap).hold_backoff(first, cap).breaker_threshold(0);
            use_it(&format!("{first:?} {cap:?} {status}"), builder.retry_after_max(cap)).unwrap();
        },
    );
    let largest = answering(204)
        .queue_size(usize::MAX)
        .in_flight(usize::MAX)
        .batch_size((1 << 31) - 1)
        .max_batch_bytes(usize::MAX)
        .flush_interval(Duration::MAX)
        .dead_letters_max(usize::MAX)
        .breaker_threshold(u32::MAX);
    assert!(use_it("largest", largest).unwrap().reasons.is_empty());
    let forever = Arc::new(answering(204).build().unwrap());
    forever.process_event(impression(&larkspur(), "v")).unwrap().forget();
    within("no deadline", SECOND, move || assert_eq!(forever.close(Duration::MAX).wait().delivered, 1));
}
