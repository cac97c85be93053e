//! A forked child has no delivery thread: calls there answer "closed", in time, and its parent delivers everything once.
//!
//! A process of its own: threads of other tests would not be there in the child, and the locks they hold would.

#![expect(clippy::unwrap_used, reason = "a test says what it expects; where it is not so, it is to fail")]

use std::{thread, time::Duration};

use fork::Fork;
use posthaste::{
    BatchEventProcessor, Clock, ProjectConfig, SystemClock, UserContext, dispatch::Response,
    testing::ScriptedDispatcher,
};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

const SOON: Duration = Duration::from_millis(50);
/// Longer than the calls may take together, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the child ends by: handlers that run at exit are the parent's.
const FINE: Signal = Signal::USR1;
const WRONG: Signal = Signal::USR2;

/// Whether flush and close say that delivery is elsewhere, and leave nothing to the child.
fn is_told(processor: &BatchEventProcessor) -> bool {
    let flushed = processor.flush(SOON).wait();
    let closed = processor.close(SOON).wait();
    [(flushed.left, flushed.reasons), (closed.left, closed.reasons)]
        .into_iter()
        .all(|(left, reasons)| left == 0 && reasons.iter().any(|reason| reason.what.contains("forked child")))
}

/// The signal that ended the child; `None`: it hung, and was killed.
fn end_of(child: Pid) -> Option<i32> {
    let until = SystemClock.elapsed() + PATIENCE;
    while SystemClock.elapsed() < until {
        if let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG).unwrap() {
            return status.terminating_signal();
        }
        thread::sleep(Duration::from_millis(2));
    }
    kill_process(child, Signal::KILL).unwrap();
    waitpid(Some(child), WaitOptions::empty()).unwrap();
    None
}

#[test]
fn a_forked_child_is_told_and_its_parent_delivers_everything_once() {
    let config = ProjectConfig::from_datafile(include_str!("vectors/larkspur.json")).unwrap();
    let upstream = ScriptedDispatcher::by(|_| Ok(Response::status(204)));
    let builder = BatchEventProcessor::builder().event_dispatcher(upstream.clone());
    let processor = builder.flush_interval(Duration::from_hours(1)).batch_size(1_000).build().unwrap();
    let mut taken = Vec::new();
    for visitor in 0..60 {
        let user = UserContext::new(format!("visitor-{visitor}"));
        let event = config.impression("checkout_button", "control", &user).unwrap();
        taken.push(event.uuid().to_string());
        processor.process_event(event).unwrap().forget();
        match fork::fork().unwrap() {
            Fork::Child => {
                let how = if is_told(&processor) { FINE } else { WRONG };
                kill_process(getpid(), how).unwrap();
                unreachable!("the signal ends this process");
            }
            Fork::Parent(child) => {
                let child = Pid::from_raw(child).unwrap();
                assert_eq!(end_of(child), Some(FINE.as_raw()), "not told, or hung");
            }
        }
    }
    assert!(processor.close(Duration::from_secs(10)).wait().is_complete());
    let mut delivered: Vec<String> = upstream.delivered().into_iter().map(|event| event.uuid).collect();
    taken.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(delivered, taken);
}
