//! Disks that are full, fail, or stall while events come: 503 and no other answer but 204, nothing that got its 204 is
//! lost, and 204 comes back by itself.
//!
//! The oracle is the client's own list of answers, and what the upstream counts. No counter of the relay is asked.

mod faults;
mod stalls;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthaste::{
    SystemClock,
    queue::{Spool, SpoolOptions},
};
use posthaste_relay::{Config, Forward, Limits, Relay, StartError};
use posthaste_spool::{FaultyFilesystem, Filesystem, MemoryFilesystem};
use tokio::{net::TcpStream, task::JoinSet};

use crate::support::{PATIENCE, Running, Sink, body, exchange, until};

/// Bytes that wait for the disk, at most.
const PENDING_BYTES_MAX: usize = 64 << 10;
const STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// A disk in memory that fails as it is told, and the same disk as others see it.
#[derive(Clone)]
struct Disk {
    faulty: FaultyFilesystem,
    memory: MemoryFilesystem,
}

impl Disk {
    fn new() -> Self {
        let memory = MemoryFilesystem::new();
        Self { faulty: FaultyFilesystem::new(memory.clone()), memory }
    }

    fn open(&self, config: &Config) -> Result<Relay, StartError> {
        over(self.faulty.clone(), config)
    }
}

/// A relay over any disk. Segments are small, so that some hundred events fill several.
fn over(disk: impl Filesystem, config: &Config) -> Result<Relay, StartError> {
    let disk: Arc<dyn Filesystem> = Arc::new(disk);
    Relay::over(config.clone(), Arc::new(SystemClock), &move |folder: &Path, options: SpoolOptions| {
        let options = options
            .segment_bytes(64 << 10)
            .record_bytes_max(16 << 10)
            .pending_bytes_max(PENDING_BYTES_MAX)
            .cursor_interval(Duration::from_millis(20))
            .retry_interval(Duration::from_millis(10));
        // The relay's own folder is a real one; its spools are not in it.
        let name = folder.parent().and_then(Path::file_name).unwrap_or_default();
        Spool::open_with(Arc::clone(&disk), Path::new("/").join(name), options)
    })
}

/// The folder is for what the relay writes beside its spools.
fn config(sink: &Sink, folder: &tempfile::TempDir) -> Config {
    let forward = Forward { wait: Duration::from_millis(5), drain_rate: None, ..Forward::default() };
    let limits = Limits { store_timeout: STORE_TIMEOUT, ..Limits::default() };
    let (drain_delay, shutdown_timeout) = (Duration::ZERO, Duration::from_millis(300));
    Config { forward, limits, drain_delay, shutdown_timeout, ..Config::to(&sink.url) }.on_disk(folder.path())
}

/// One answer, as the client saw it.
#[derive(Debug, Clone)]
struct Answered {
    uuid: String,
    status: u16,
    text: String,
    after: Duration,
}

/// Clients that post one event after the other, each on a connection of its own, until they are told to stop.
struct Load {
    answers: Arc<Mutex<Vec<Answered>>>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let mut load = Self { answers: Arc::default(), is_over: Arc::default(), clients: JoinSet::new() };
        for client in 0..clients {
            let (answers, is_over) = (Arc::clone(&load.answers), Arc::clone(&load.is_over));
            load.clients.spawn(async move {
                let mut stream = None;
                for number in 0.. {
                    if is_over.load(SeqCst) {
                        return;
                    }
                    let uuid = format!("{client}-{number}");
                    let answered = post(&mut stream, address, uuid).await;
                    let is_refused = answered.status != 204;
                    answers.lock().push(answered);
                    // Retry-After is a second; a test has less time.
                    tokio::time::sleep(Duration::from_millis(if is_refused { 10 } else { 1 })).await;
                }
            });
        }
        load
    }

    fn answers(&self) -> Vec<Answered> {
        self.answers.lock().clone()
    }

    /// Answers from the one of this number on, with this status.
    fn count(&self, from: usize, status: u16) -> usize {
        self.answers.lock().iter().skip(from).filter(|answered| answered.status == status).count()
    }

    fn taken(&self) -> BTreeSet<String> {
        taken(&self.answers.lock())
    }

    /// Each client waits for the answer to what it has sent.
    async fn stop(mut self) -> Vec<Answered> {
        self.is_over.store(true, SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.answers()
    }
}

/// About 1 kB.
async fn post(stream: &mut Option<TcpStream>, address: SocketAddr, uuid: String) -> Answered {
    let body = body("1", &uuid).replacen("v-", &format!("v{}-", "x".repeat(800)), 1);
    let began = tokio::time::Instant::now();
    let answer = tokio::time::timeout(PATIENCE, exchange(stream, address, &body)).await;
    let (status, text) = answer.expect("an answer");
    Answered { uuid, status, text, after: began.elapsed() }
}

fn taken(answers: &[Answered]) -> BTreeSet<String> {
    answers.iter().filter(|answered| answered.status == 204).map(|answered| answered.uuid.clone()).collect()
}

/// Nothing but 204 and 503, which says when to try again.
fn assert_answers(answers: &[Answered], about: &str) {
    for answered in answers {
        assert!([204, 503].contains(&answered.status), "{about}: {answered:?}");
        let says_when = answered.text.contains("retry-after: 1\r\n");
        assert_eq!(says_when, answered.status == 503, "{about}: {answered:?}");
    }
}

/// Every event of `taken` has come, and none that nobody sent.
fn assert_arrived(sink: &Sink, taken: &BTreeSet<String>, sent: &[Answered], about: &str) {
    let arrived: BTreeSet<String> = sink.uuids().into_keys().collect();
    let lost: Vec<_> = taken.difference(&arrived).collect();
    assert!(lost.is_empty(), "{about}: {} of {} were lost: {lost:?}", lost.len(), taken.len());
    let sent: BTreeSet<String> = sent.iter().map(|answered| answered.uuid.clone()).collect();
    assert!(arrived.iter().all(|uuid| sent.contains(uuid)), "{about}: what nobody sent");
}

/// What a relay over this disk delivers.
async fn deliver_all(disk: impl Filesystem, config: &Config) {
    let relay = Running::of(over(disk, config).unwrap()).await;
    relay.delivered().await;
    relay.end().await;
}

/// A relay under load over a disk that has felt its faults.
struct Scene<'a> {
    sink: &'a Sink,
    disk: &'a Disk,
    config: &'a Config,
    relay: Running,
    load: Load,
}

impl Scene<'_> {
    /// The power is cut now, on a copy of the disk. Then the faults end, and events are taken again. Everything that got its
    /// 204 arrives: before the cut, from what the cut left; in all, from what the relay itself left. Returns all answers.
    async fn everything_arrives(
        self,
        rng: &mut fastrand::Rng,
        end_faults: impl FnOnce(&FaultyFilesystem),
        about: &str,
    ) -> Vec<Answered> {
        let Self { sink, disk, config, relay, load } = self;
        let (before, copy) = (load.taken(), disk.memory.crashed_copy(rng));
        end_faults(&disk.faulty);
        let from = load.answers().len();
        until(|| load.count(from, 204) >= 10).await;
        let answers = load.stop().await;
        assert_answers(&answers, about);
        relay.end().await;
        sink.answers(|_| 204);
        deliver_all(copy, config).await;
        assert_arrived(sink, &before, &answers, &format!("after a power cut: {about}"));
        deliver_all(disk.memory.clone(), config).await;
        assert_arrived(sink, &taken(&answers), &answers, about);
        answers
    }
}
