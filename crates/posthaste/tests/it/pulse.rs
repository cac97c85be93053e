//! A ping tells a loop that goes round from one that is stuck, whatever the upstream does, and changes nothing.

use std::time::Duration;

use posthaste::{
    Clock as _, Dispatcher, LogEvent, QueueEventDispatcher, SystemClock,
    dispatch::DispatchFuture,
    outcome::Pulse,
    testing::{ManualClock, RecordingDispatcher, ScriptedDispatcher},
};

use crate::{
    house::Gate,
    support::{HOUR, SECOND},
};

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = SystemClock.elapsed();
    while !is_so() {
        assert!(SystemClock.elapsed() < begun + SECOND * 10, "it never is");
        std::thread::yield_now();
    }
}

fn request() -> LogEvent {
    let body = r#"{"account_id":"1","visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
    LogEvent::from_body("http://127.0.0.1/v1/events", body).unwrap()
}

/// Blocks the thread that it is called on.
#[derive(Debug)]
struct Blocks(Gate);

impl Dispatcher for Blocks {
    fn dispatch_event(&self, _: LogEvent) -> DispatchFuture {
        self.0.pass();
        Box::pin(std::future::pending())
    }
}

#[test]
fn delivery_has_a_pulse_while_its_upstream_is_away_and_none_once_it_is_closed() {
    let api = ScriptedDispatcher::statuses([503; 100]);
    let dispatcher = QueueEventDispatcher::builder(api).backoff(HOUR, HOUR).build().unwrap();
    dispatcher.add(request()).unwrap().forget();
    wait_until(|| dispatcher.health().upstreams.iter().any(|upstream| upstream.trouble.is_some()));
    assert_eq!(dispatcher.ping(SECOND).wait(), Pulse::Beating);
    drop(dispatcher.close(Duration::ZERO).wait());
    assert_eq!(dispatcher.ping(SECOND).wait(), Pulse::Ended);
}

#[test]
fn delivery_that_a_dispatcher_blocks_has_no_pulse_until_it_goes_on() {
    let (open, gate) = Gate::new();
    let dispatcher = QueueEventDispatcher::builder(Blocks(gate)).build().unwrap();
    dispatcher.add(request()).unwrap().forget();
    wait_until(|| dispatcher.ping(Duration::from_millis(50)).wait() == Pulse::Silent);
    drop(open);
    wait_until(|| dispatcher.ping(SECOND).wait() == Pulse::Beating);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_because_of_a_ping() {
    let (api, clock) = (RecordingDispatcher::new(), ManualClock::at_ms(1_795_500_000_000));
    let builder = QueueEventDispatcher::builder(api.clone()).batch_size(10).flush_interval(HOUR);
    let (dispatcher, driver) = builder.clock(clock.clone()).build_with_driver().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(driver);
    for _ in 0..3 {
        dispatcher.add(request()).unwrap().forget();
        assert_eq!(dispatcher.ping(SECOND).await, Pulse::Beating);
    }
    assert_eq!((api.requests().len(), dispatcher.size(), clock.elapsed()), (0, 3, Duration::ZERO));
}
