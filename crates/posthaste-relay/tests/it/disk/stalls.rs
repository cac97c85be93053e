//! Calls that do not come back, for as long as a test likes.

use std::time::Duration;

use posthaste_relay::{Config, Limits};
use posthaste_spool::{FaultyFilesystem, Operation};
use tokio::task::JoinSet;

use super::{Disk, Load, PENDING_BYTES_MAX, Scene, assert_answers, config, post};
use crate::support::{PATIENCE, Running, Sink, raw, say, until};

/// Cases at the same time.
const AT_ONCE: usize = 3;

/// How late a timer of this machine is at most, while this is asked.
struct Lateness {
    ticks: tokio::task::JoinHandle<()>,
    most: std::sync::Arc<parking_lot::Mutex<Duration>>,
}

impl Lateness {
    fn watch() -> Self {
        const TICK: Duration = Duration::from_millis(5);
        let most = std::sync::Arc::<parking_lot::Mutex<Duration>>::default();
        let told = std::sync::Arc::clone(&most);
        #[expect(clippy::disallowed_methods, reason = "it is ended below")]
        let ticks = tokio::spawn(async move {
            loop {
                let began = tokio::time::Instant::now();
                tokio::time::sleep(TICK).await;
                let late = began.elapsed().saturating_sub(TICK);
                let mut most = told.lock();
                *most = late.max(*most);
            }
        });
        Self { ticks, most }
    }

    fn end(self) -> Duration {
        self.ticks.abort();
        *self.most.lock()
    }
}

/// Each kind of call that the relay may depend on while it takes events.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stalls_is_answered_for_within_a_second_and_loses_nothing() {
    let (mut running, mut slowest, lateness) = (JoinSet::new(), Duration::ZERO, Lateness::watch());
    for operation in [
        Operation::Write,
        Operation::Sync,
        Operation::SyncFolder,
        Operation::Open,
        Operation::Rename,
        Operation::Allocate,
        Operation::Remove,
        Operation::Space,
        Operation::Read,
        Operation::Size,
        Operation::IsAt,
    ] {
        running.spawn(stalled(operation));
        if running.len() == AT_ONCE {
            slowest = slowest.max(running.join_next().await.unwrap().unwrap());
        }
    }
    while let Some(ended) = running.join_next().await {
        slowest = slowest.max(ended.unwrap());
    }
    let late = lateness.end();
    say(&format!("the slowest answer took {slowest:?}; timers were up to {late:?} late"));
    assert!(slowest < Duration::from_secs(1) + late * 4, "{slowest:?}; timers were {late:?} late");
}

/// The slowest answer while the disk stalled.
async fn stalled(operation: Operation) -> Duration {
    let about = format!("{operation:?}");
    let (folder, sink, disk) = (tempfile::tempdir().unwrap(), Sink::start(|_| 503).await, Disk::new());
    let config = Config { limits: Limits::default(), ..config(&sink, &folder) };
    let relay = Running::of(disk.open(&config).unwrap()).await;
    let load = Load::start(relay.address, 4);
    until(|| load.count(0, 204) >= 10).await;

    disk.faulty.stall(operation);
    let from = load.answers().len();
    // Some calls are none that anybody waits for.
    until(|| load.count(from, 503) >= 8 || load.count(from, 204) >= 200).await;
    let while_stalled = load.answers().split_off(from);
    for path in ["/healthz", "/ledger", "/metrics"] {
        let asked = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let back = raw(relay.admin, asked.as_bytes(), PATIENCE).await;
        assert_eq!(back.statuses(), [200], "{about} {path}: a stalled disk is no reason for a restart");
    }
    let scene = Scene { sink: &sink, disk: &disk, config: &config, relay, load };
    scene.everything_arrives(&mut fastrand::Rng::new(), FaultyFilesystem::unstall, &about).await;
    while_stalled.iter().map(|answered| answered.after).max().unwrap_or_default()
}

/// However many come while the disk stalls: those that wait are counted, and so are the bytes that the queue took.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_stalled_disk_is_bounded() {
    const WAITING_MAX: usize = 8;
    let (folder, sink, disk) = (tempfile::tempdir().unwrap(), Sink::start(|_| 503).await, Disk::new());
    let limits = Limits { waiting_max: WAITING_MAX, ..Limits::default() };
    let config = Config { limits, ..config(&sink, &folder) };
    let relay = Running::of(disk.open(&config).unwrap()).await;
    let accepted = || relay.relay.ledgers()[0].1.accepted;
    disk.faulty.stall(Operation::Sync);
    let mut before = accepted();
    // The first rounds fill what may wait for the disk, the later ones find it full.
    for round in 0..16 {
        let mut clients = JoinSet::new();
        for client in 0..5 * WAITING_MAX {
            let address = relay.address;
            clients.spawn(async move { post(&mut None, address, format!("{round}-{client}")).await });
        }
        let answers = clients.join_all().await;
        assert_answers(&answers, "stalled");
        let waited = answers.iter().filter(|answered| !answered.text.contains("too many requests")).count();
        // Whoever was answered made room for another.
        let slowest = answers.iter().map(|answered| answered.after).max().unwrap_or_default();
        let turns = usize::try_from(slowest.as_millis() / 800).unwrap() + 1;
        assert!(waited <= WAITING_MAX * turns, "{waited} waited, in {turns} turns");
        let now = accepted();
        assert!(now - before <= (WAITING_MAX * turns) as u64, "only those that waited were taken");
        before = now;
    }
    let bytes = before * 1_000;
    assert!(bytes > PENDING_BYTES_MAX as u64 / 2, "it came near the bound: {bytes}");
    assert!(bytes <= PENDING_BYTES_MAX as u64, "{bytes} bytes wait for the disk");
    disk.faulty.unstall();
    sink.answers(|_| 204);
    relay.delivered().await;
    assert_eq!(sink.uuids().len() as u64, before, "they were kept all the same");
    relay.end().await;
}
