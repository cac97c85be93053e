//! How a command can end: every exit code, and every error that ends one, in one place.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf, process::ExitCode};

use posthaste::{OptionsError, queue::jetstream::JetStreamError};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is as it should be.
    Fine,
    /// Something is not; it has been said what.
    Failed,
    /// The command line asks for something that does not fit together.
    Usage,
    /// As a command that was run has ended.
    Code(u8),
}

/// The exit code after a second Ctrl-C: what shells give a program that SIGINT killed.
pub(crate) const QUIT_AT_ONCE: i32 = 130;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Code(code) => code,
            Exit::Fine => 0,
            Exit::Failed => 1,
            // As clap does for what it refuses itself.
            Exit::Usage => 2,
        })
    }
}

/// What ends a command before it has done anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("failed to read {path:?}: {source}{}", advice(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to open {path:?} for writing: {source}; check the folder and its permissions")]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to read datafile {path:?}: {source}; download it again, or `posthaste validate` it")]
    Datafile { path: PathBuf, source: posthaste::DatafileError },
    #[error("failed to read the faults in {path:?}: {source}")]
    Faults { path: PathBuf, source: posthaste_collector::FaultsError },
    /// Each of these names the folder, and says what to do.
    #[error("{0}")]
    Spool(#[from] posthaste_spool::OpenError),
    #[error("failed to read the spool: {0}")]
    Records(#[from] posthaste_spool::ReadError),
    #[error("failed to store in the spool: {0}")]
    Store(posthaste_spool::WriteError),
    #[error("failed to store in the spool: {0}")]
    Full(posthaste_spool::Refusal),
    #[error("failed to take dead letters: {0}")]
    Dead(posthaste_spool::DeadError),
    #[error("failed to write to standard output: {0}")]
    Stdout(io::Error),
    /// Each line names its place, and says what to do.
    #[error("{0}")]
    Config(#[from] posthaste_relay::config::ConfigError),
    /// What is there is not what was asked for.
    #[error("{0}")]
    Refused(String),
    #[error("failed to listen on {address}: {source}; choose another address, or port 0 for any free one")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "failed to take the sockets that LISTEN_FDS passes on: {0}; pass one that listens for TCP, or two: for events, \
         and for the admin interface"
    )]
    Inherited(String),
    #[error("failed to ask the collector at {url}: {why}; is it running, and is that its address?")]
    Collector { url: String, why: String },
    /// The code is what shells end with.
    #[error("failed to run {program:?}: {source}; check its name and your PATH")]
    Command { program: OsString, source: io::Error, code: u8 },
    #[error("{0}")]
    Remote(#[from] super::remote::RemoteError),
    /// Each says what to do.
    #[error("{0}")]
    Stream(#[from] JetStreamError),
    #[error("failed to start delivery: {0}")]
    Delivery(#[from] OptionsError),
    #[error(
        "failed to start: it takes {needed} free file descriptors, and there are {free}; raise the limit: ulimit -n 1024"
    )]
    Descriptors { free: usize, needed: usize },
    #[error(
        "failed to start: the system refuses {needed} threads: {source}; raise the limits on processes and memory"
    )]
    Threads { needed: usize, source: io::Error },
    #[error("failed to start: {0}")]
    System(#[from] io::Error),
}

/// What is wrong with a file that was opened is said with what to do.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => "",
        _ => "; check the path and its permissions",
    }
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            // Neither yes nor no.
            | Self::Collector { .. }
            // Such as two replicas.
            | Self::Stream(JetStreamError::Option { .. })
            // Numbers that do not go together, such as a batch larger than the queue.
            | Self::Delivery(OptionsError::Zero(_) | OptionsError::BatchLargerThanQueue { .. }) => Exit::Usage,
            Self::Config(error) if error.is_usage() => Exit::Usage,
            Self::Command { code, .. } => Exit::Code(*code),
            _ => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste::queue::jetstream::{JetStream, JetStreamOptions};

    use super::*;

    #[test]
    fn options_of_a_stream_that_cannot_be_are_usage_and_streams_that_are_not_there_are_not() {
        let options = JetStreamOptions::at("nats://127.0.0.1:1/events").unwrap().replicas(2);
        let error = JetStream::open(options).unwrap_err();
        assert!(matches!(error, JetStreamError::Option { option: "replicas", .. }), "{error}");
        assert_eq!(Failure::from(error).exit(), Exit::Usage);
        assert_eq!(Failure::from(JetStreamError::NoStream("events".to_owned())).exit(), Exit::Failed);
    }
}
