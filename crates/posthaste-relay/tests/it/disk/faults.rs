//! Calls that fail: each kind of call, with each error, at each moment.

use fastrand::Rng;
use posthaste_spool::{Fault, FaultyFilesystem, Operation};
use tokio::task::JoinSet;

use super::{Disk, Load, Scene, assert_answers, assert_arrived, config, over};
use crate::support::{Running, Sink, seed, until};

const OPERATIONS: [Operation; 16] = [
    Operation::OpenFolder,
    Operation::List,
    Operation::Open,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncFolder,
    Operation::Lock,
    Operation::IsLocked,
    Operation::IsAt,
    Operation::Space,
    Operation::Read,
    Operation::Write,
    Operation::Allocate,
    Operation::Size,
    Operation::Sync,
    Operation::Identity,
];
const FAULTS: [(&str, Fault); 4] =
    [("ENOSPC", Fault::ENOSPC), ("EIO", Fault::EIO), ("EROFS", Fault::EROFS), ("EDQUOT", Fault::EDQUOT)];

/// Of 256 cases; `POSTHASTE_CASES` says how many.
const CASES: usize = 32;
/// Cases at the same time.
const AT_ONCE: usize = 4;

/// When it begins to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the relay is opened.
    Opening,
    /// Once it takes events; the upstream takes nothing.
    Load,
    /// The same, while it delivers.
    Delivery,
    /// Only the call of a number of its own: the next ones work.
    Once,
}

#[derive(Debug, Clone)]
struct Case {
    operation: Operation,
    fault: (&'static str, Fault),
    moment: Moment,
    seed: u64,
}

fn cases() -> Vec<Case> {
    let mut rng = Rng::with_seed(seed());
    let mut cases = Vec::new();
    for operation in OPERATIONS {
        for fault in FAULTS {
            for moment in [Moment::Opening, Moment::Load, Moment::Delivery, Moment::Once] {
                cases.push(Case { operation, fault, moment, seed: rng.u64(..) });
            }
        }
    }
    // As many as there is time for, others each time.
    rng.shuffle(&mut cases);
    cases.truncate(std::env::var("POSTHASTE_CASES").map_or(CASES, |count| count.parse().unwrap()));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_that_was_taken_is_lost_and_events_are_taken_again() {
    let (mut running, mut refused) = (JoinSet::new(), 0);
    for case in cases() {
        if running.len() == AT_ONCE {
            refused += running.join_next().await.unwrap().unwrap();
        }
        running.spawn(async move {
            match case.moment {
                Moment::Opening => opening(case).await,
                _ => load(case).await,
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        refused += ended.unwrap();
    }
    assert!(refused > 20, "faults were felt: {refused} answers were 503");
}

/// It says why it does not start, or starts; and starts once the disk works.
async fn opening(case: Case) -> usize {
    let (folder, sink, disk) = (tempfile::tempdir().unwrap(), Sink::taking().await, Disk::new());
    let config = config(&sink, &folder);
    disk.faulty.fail_always(case.operation, case.fault.1);
    let relay = match disk.open(&config) {
        Ok(relay) => relay,
        Err(error) => {
            let told =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            assert!(!told.is_empty(), "{case:?}");
            disk.faulty.heal();
            disk.memory.kill();
            disk.open(&config).unwrap_or_else(|error| panic!("{case:?}: {error}"))
        }
    };
    let relay = Running::of(relay).await;
    disk.faulty.heal();
    let load = Load::start(relay.address, 2);
    until(|| load.count(0, 204) > 5).await;
    let answers = load.stop().await;
    assert_answers(&answers, &format!("{case:?}"));
    relay.delivered().await;
    assert_arrived(&sink, &super::taken(&answers), &answers, &format!("{case:?}"));
    relay.end().await;
    0
}

async fn load(case: Case) -> usize {
    let about = format!("{case:?}");
    let mut rng = Rng::with_seed(case.seed);
    let folder = tempfile::tempdir().unwrap();
    let delivers = case.moment == Moment::Delivery;
    let sink = Sink::start(move |_| if delivers { 204 } else { 503 }).await;
    let config = config(&sink, &folder);
    let disk = Disk::new();
    let relay = Running::of(disk.open(&config).unwrap()).await;
    let load = Load::start(relay.address, 4);
    until(|| load.count(0, 204) >= 10).await;

    if case.moment == Moment::Once {
        for _ in 0..20 {
            disk.faulty.fail_at(disk.faulty.operations() + rng.u64(..40), case.fault.1);
        }
    } else {
        disk.faulty.fail_always(case.operation, case.fault.1);
    }
    let from = load.answers().len();
    // Enough to fill a segment, or refused.
    let felt = 60 + rng.usize(..60);
    until(|| load.count(from, 503) >= 12 || load.count(from, 204) >= felt).await;
    let scene = Scene { sink: &sink, disk: &disk, config: &config, relay, load };
    let answers = scene.everything_arrives(&mut rng, FaultyFilesystem::heal, &about).await;
    answers.iter().filter(|answered| answered.status == 503).count()
}

/// A disk that fills up, and has room again: no call is told to fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_refuses_and_takes_events_again() {
    let (folder, sink, disk) = (tempfile::tempdir().unwrap(), Sink::start(|_| 503).await, Disk::new());
    let config = config(&sink, &folder);
    let relay = Running::of(disk.open(&config).unwrap()).await;
    let load = Load::start(relay.address, 4);
    for _ in 0..3 {
        let from = load.answers().len();
        until(|| load.count(from, 204) >= 20).await;
        disk.faulty.set_space(Some(100_000));
        let from = load.answers().len();
        until(|| load.count(from, 503) >= 12).await;
        // Nothing is taken any more, but answered all the same.
        let full = load.answers().len();
        until(|| load.count(full, 503) >= 12).await;
        disk.faulty.set_space(None);
    }
    let from = load.answers().len();
    until(|| load.count(from, 204) >= 20).await;
    let answers = load.stop().await;
    assert_answers(&answers, "full");
    // Without a warning: the process is gone, and its disk is as it is.
    let left = disk.memory.fork();
    relay.abandon();
    sink.answers(|_| 204);
    let again = Running::of(over(left, &config).unwrap()).await;
    again.delivered().await;
    assert_arrived(&sink, &super::taken(&answers), &answers, "full");
    again.end().await;
}
