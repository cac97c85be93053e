//! What a stream promises, as plain data: which faults it survives, why, and which settings are not as they should be.

use std::fmt;

use serde::Serialize;

/// What can happen to the processes and machines under a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Something that accepts or delivers is killed: a relay, a sender.
    ProcessKilled,
    /// One of the servers is killed, and its disk is whole.
    ServerKilled,
    /// All servers are killed at once, and their disks are whole.
    AllServersKilled,
    /// One of the servers is lost with its disk.
    ServerLost,
    /// All servers lose power at once.
    AllLosePower,
}

impl Fault {
    /// All of them, the likely ones first.
    pub const ALL: [Self; 5] = [
        Self::ProcessKilled,
        Self::ServerKilled,
        Self::AllServersKilled,
        Self::ServerLost,
        Self::AllLosePower,
    ];

    /// Its name in JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProcessKilled => "process_killed",
            Self::ServerKilled => "server_killed",
            Self::AllServersKilled => "all_servers_killed",
            Self::ServerLost => "server_lost",
            Self::AllLosePower => "all_lose_power",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProcessKilled => "a relay or sender is killed",
            Self::ServerKilled => "a server is killed",
            Self::AllServersKilled => "all servers are killed",
            Self::ServerLost => "a server is lost with its disk",
            Self::AllLosePower => "all servers lose power",
        })
    }
}

/// Whether nothing acknowledged is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Holds {
    /// Nothing is.
    Yes,
    /// Something may be.
    No,
    /// Nobody here knows.
    Unknown,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "holds",
            Self::No => "BROKEN",
            Self::Unknown => "unknown",
        })
    }
}

/// That nothing acknowledged is lost under a fault: whether it holds, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Promise {
    /// What happens.
    pub fault: Fault,
    /// Whether the promise holds then.
    pub holds: Holds,
    /// Why, or why not.
    pub why: String,
}

impl Promise {
    pub(super) fn new(fault: Fault, holds: Holds, why: impl Into<String>) -> Self {
        Self { fault, holds, why: why.into() }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<30} {:<7}  {}", self.fault, self.holds, self.why)
    }
}

/// A setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stream that has it: the events', or that of the dead letters.
    pub stream: String,
    /// The setting, as NATS names it; `consumer` and `monitor`: one of somebody else's.
    pub setting: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be.
    pub wanted: String,
    /// What follows from that.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, setting, is, wanted, why } = self;
        write!(f, "stream {stream}: {setting} is {is}, should be {wanted}: {why}")
    }
}

/// What a stream promises, and which of its settings are not as they should be. Printed, it takes a line for each.
///
/// ```no_run
/// use posthaste::queue::jetstream::{JetStream, JetStreamOptions};
///
/// let options = JetStreamOptions::at("nats://127.0.0.1/events")?;
/// let report = JetStream::inspect(options)?;
/// print!("{report}");
/// assert!(report.findings.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamReport {
    /// The stream's name.
    pub stream: String,
    /// On how many servers each event is.
    pub replicas: usize,
    /// How many servers the stream is on that are there and in step, the leader among them.
    pub replicas_current: usize,
    /// The servers' version.
    pub server_version: String,
    /// The most bytes that a message may have.
    pub max_payload: usize,
    /// Messages in the stream.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages in the stream of the dead letters.
    pub dead_letters: u64,
    /// How each server that was asked and holds the streams syncs, by its monitoring address.
    pub syncs: Vec<ServerSync>,
    /// Settings that are not as they should be.
    pub findings: Vec<Finding>,
    /// In the order of [`Fault::ALL`].
    pub promises: Vec<Promise>,
}

impl StreamReport {
    /// Whether the promise holds under this fault.
    pub fn holds(&self, fault: Fault) -> Holds {
        let promise = self.promises.iter().find(|promise| promise.fault == fault);
        promise.map_or(Holds::Unknown, |promise| promise.holds)
    }

    /// Whether all promises hold, as far as anybody knows, and all settings are as they should be.
    pub fn is_fine(&self) -> bool {
        self.findings.is_empty() && self.promises.iter().all(|promise| promise.holds != Holds::No)
    }
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, replicas, replicas_current, server_version, messages, dead_letters, .. } = self;
        writeln!(
            f,
            "stream {stream}: {messages} messages, {dead_letters} dead letters, {replicas_current} of {replicas} replicas \
             in step, servers of version {server_version}"
        )?;
        for promise in &self.promises {
            writeln!(f, "{promise}")?;
        }
        for sync in &self.syncs {
            writeln!(f, "{sync}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// When a server writes what it has to its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerSync {
    /// Where it was asked.
    pub monitor: String,
    /// Its name; empty where it did not answer.
    pub server: String,
    /// When it syncs.
    pub sync: Syncs,
}

/// When a server writes what it has to its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Syncs {
    /// Before it acknowledges.
    Always,
    /// Once in so many milliseconds.
    EveryMs(u64),
    /// It has not said so, for this reason.
    Unknown(String),
}

impl ServerSync {
    pub(super) fn new(monitor: &str, server: impl Into<String>, sync: Syncs) -> Self {
        Self { monitor: monitor.to_owned(), server: server.into(), sync }
    }
}

impl fmt::Display for ServerSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { monitor, server, sync } = self;
        match sync {
            Syncs::Always => write!(f, "server {server} ({monitor}) syncs always"),
            Syncs::EveryMs(ms) => write!(f, "server {server} ({monitor}) syncs every {}", for_people(*ms)),
            Syncs::Unknown(why) => write!(f, "the server at {monitor} does not say when it syncs: {why}"),
        }
    }
}

/// A time in words.
pub(super) fn for_people(ms: u64) -> String {
    match ms {
        0 => "0 s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}
