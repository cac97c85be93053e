//! Queues and clocks of somebody else's that panic and lie: the process lives, every call ends in time, and where the
//! pipeline has ended, it says why.

mod clocks;
mod odd;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, BatchEventProcessorBuilder, Health, OptionsError,
    dispatch::{Response, RetryAfter},
    outcome::Trouble,
};

use self::odd::{How, Lie, Odd};
use crate::{
    house::{by, for_each, within},
    support::{impressions, larkspur},
};

const SOON: Duration = Duration::from_millis(150);

/// What a processor says after events, a flush and a close, each of which must end in time; and the drop.
struct Told {
    reasons: Vec<Trouble>,
    health: Health,
}

fn use_it(name: &str, builder: BatchEventProcessorBuilder) -> Result<Told, OptionsError> {
    let processor = Arc::new(builder.drop_deadline(SOON).build()?);
    for event in impressions(&larkspur(), EVENTS) {
        let add = AssertUnwindSafe(|| processor.process_event(event).is_ok());
        drop(catch_unwind(add));
    }
    let flushed = Arc::clone(&processor);
    within(&format!("{name}: flush"), SOON, move || flushed.flush(SOON).wait());
    let closed = Arc::clone(&processor);
    let report = within(&format!("{name}: close"), SOON, move || closed.close(SOON).wait());
    let told = Told { reasons: report.reasons, health: processor.health() };
    within(&format!("{name}: drop"), SOON, move || drop(processor));
    Ok(told)
}

const EVENTS: usize = 25;

fn answering(status: u16) -> BatchEventProcessorBuilder {
    BatchEventProcessor::builder().event_dispatcher(by(move |_| {
        let answer = Response::status(status).with_retry_after(RetryAfter::At(i64::MIN));
        Box::pin(async move { Ok(answer) })
    }))
}

const METHODS: [&str; 17] = [
    "add",
    "get",
    "remove",
    "size",
    "capacity",
    "counts",
    "lease",
    "settle",
    "release",
    "close",
    "leases_max",
    "lease_time",
    "renew",
    "displaced",
    "finish",
    "give_up",
    "watch",
];

#[test]
fn a_queue_that_panics_ends_its_pipeline_with_the_reason_and_nothing_else() {
    let cases = METHODS.into_iter().chain(["dead_letters"]);
    let cases = cases.flat_map(|method| [0, 1, 4].map(|from| (method, from)));
    for_each(cases, |(method, from)| {
        let name = format!("panics in {method} from call {from} on");
        let odd = Arc::new(Odd::new(How::Panics(method, from)));
        let told = match catch_unwind(AssertUnwindSafe(|| {
            use_it(&name, answering(204).queue(Arc::clone(&odd)))
        })) {
            Ok(Ok(told)) => told,
            Ok(Err(OptionsError::Panicked(what))) => return assert!(what.contains(method), "{name}: {what}"),
            Ok(Err(error)) => panic!("{name}: {error}"),
            Err(panic) => panic!("{name}: it reached the caller: {panic:?}"),
        };
        let has_panicked = odd.calls.load(SeqCst) > from;
        // What callers call is the callers' to hear; what runs at the very end ends nothing.
        let is_callers = ["add", "get"].contains(&method);
        if has_panicked && !is_callers && told.health.ended.is_none() {
            let is_late =
                ["release", "finish", "give_up", "close", "counts", "remove", "size"].contains(&method);
            assert!(is_late, "{name}: {:?}", told.health);
        }
        if let Some(ended) = told.health.ended {
            assert!(ended.what.contains(&format!("panicked in {method}: on purpose")), "{name}: {ended}");
        }
    });
}

#[test]
fn a_queue_that_panics_later_ends_its_pipeline_with_the_reason() {
    for_each(["lease", "settle", "renew", "finish"], |method| {
        let name = format!("panics later in {method}");
        let told = use_it(&name, answering(503).queue(Odd::new(How::PanicsLater(method)))).unwrap();
        if method != "finish" && method != "settle" {
            let ended = told.health.ended.unwrap_or_else(|| panic!("{name}: {:?}", told.reasons));
            assert!(ended.what.contains("on purpose"), "{name}: {ended}");
        }
        let delivers = use_it(&name, answering(204).queue(Odd::new(How::PanicsLater(method)))).unwrap();
        if method == "settle" {
            let ended = delivers.health.ended.unwrap_or_else(|| panic!("{name}: {:?}", delivers.reasons));
            assert!(ended.what.contains("on purpose"), "{name}: {ended}");
        }
    });
}

#[test]
fn a_queue_that_never_answers_or_always_fails_hangs_nobody() {
    let hangs = ["lease", "settle", "renew", "finish"].map(How::Hangs);
    let fails = ["lease", "settle", "renew"].map(How::Fails);
    for_each(hangs.into_iter().chain(fails), |how| {
        for status in [204, 503] {
            let told = use_it(&format!("{how:?}, {status}"), answering(status).queue(Odd::new(how))).unwrap();
            assert_eq!(told.health.ended, None, "{how:?}");
            if how == How::Fails("lease") {
                assert!(
                    told.reasons.iter().any(|reason| reason.what.contains("on purpose")),
                    "{:?}",
                    told.reasons
                );
            }
        }
    });
}

#[test]
fn a_queue_that_lies_hangs_nobody() {
    for_each(
        Lie::ALL.into_iter().flat_map(|lie| [204, 400, 503].map(|status| (lie, status))),
        |(lie, status)| {
            let name = format!("{lie:?}, {status}");
            match use_it(&name, answering(status).queue(Odd::new(How::Lies(lie)))) {
                Ok(told) => drop(told),
                Err(error) => panic!("{name}: {error}"),
            }
        },
    );
}
