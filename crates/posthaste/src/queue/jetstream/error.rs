//! Why a stream cannot be used.

use std::path::PathBuf;

/// Why a stream cannot be used, and what to do. It never holds a password, token or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JetStreamError {
    /// A file with credentials or certificates cannot be read.
    #[error("cannot read {path}: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Credentials that no server could take.
    #[error("credentials of no use: {0}")]
    Credentials(&'static str),
    /// An option that cannot be.
    #[error("{option} cannot be {is}: {why}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it was set to.
        is: String,
        /// Why that cannot be.
        why: &'static str,
    },
    /// The system gives no thread.
    #[error("cannot start the thread that talks to the servers: {0}")]
    Thread(String),
    /// None of the servers has answered.
    #[error(
        "no NATS server answers at {address}: {why}; is one running there, and are user and certificates right?"
    )]
    NotConnected {
        /// Where they should be, without user and password.
        address: String,
        /// What was said last.
        why: String,
    },
    /// There is no such stream.
    #[error("there is no stream {0}; a relay that uses it makes it, or `nats stream add` does")]
    NoStream(String),
    /// The servers would not make the stream so safe.
    #[error(
        "the stream {stream} is to be on {replicas} servers, and there are not so many with JetStream: {why}; add servers, \
         or ask for 1 replica and accept that a server's disk is one disk"
    )]
    TooFewServers {
        /// Its name.
        stream: String,
        /// On how many servers each event is to be.
        replicas: usize,
        /// Whether the servers are a cluster at all: then others may still be starting.
        is_cluster: bool,
        /// What the servers say.
        why: String,
    },
    /// The servers have refused something else.
    #[error("cannot {what}: {why}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What they say.
        why: String,
    },
    /// A tenant whose name fits into no subject.
    #[error("the tenant's name takes {0} bytes as part of a subject, and may take 180")]
    TenantTooLong(usize),
    /// The connection has been closed here.
    #[error("the connection to the stream has been closed")]
    Closed,
}

impl JetStreamError {
    /// Something was refused, for this reason.
    #[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
    pub(super) fn refused(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Refused { what: what.into(), why: why.to_string() }
    }

    /// Whether it may go by itself: servers start, elect and come back.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NotConnected { .. } | Self::Refused { .. } | Self::TooFewServers { is_cluster: true, .. }
        )
    }
}
