//! A stream that relays share: what part this one has in it, how it is reached, and how it is made.

use std::{path::PathBuf, time::Duration};

/// What part a relay has in a stream that several share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "these are the parts that there are")]
pub enum Role {
    /// It takes events, and puts them into the stream.
    Accept,
    /// It delivers what is in the stream, and takes no events.
    Deliver,
    /// Both.
    #[default]
    Both,
}

impl Role {
    /// Whether it takes events.
    pub fn accepts(self) -> bool {
        self != Self::Deliver
    }

    /// Whether it delivers what is in the stream.
    pub fn delivers(self) -> bool {
        self != Self::Accept
    }

    /// As options, logs and JSON write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Deliver => "deliver",
            Self::Both => "both",
        }
    }
}

/// How the stream is reached, used, and made where it is not there. Only where there is one
/// ([`Config::queue`](super::Config::queue)). Credentials of the environment (`NATS_CREDS`, `NATS_USER` and so on, as the
/// `nats` command reads them) count where nothing is said here; those in the stream's address count for more than either.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Nats {
    /// Whether events wait on disk here until the stream has them, so that they are taken while NATS is away.
    pub bridge: bool,
    /// On how many servers each event is, where the stream is made. 3: one may be lost with its disk.
    pub replicas: usize,
    /// Bytes that the stream may hold, where it is made; `None`: as many as there is room for.
    pub bytes_max: Option<u64>,
    /// For how long the stream knows messages' ids, where it is made. 2 min: what the servers take by default.
    pub duplicate_window: Duration,
    /// How long a lease lasts unless it is renewed: so soon others get what a dead relay had. 30 s: longer than a request.
    pub ack_wait: Duration,
    /// Requests on their way into the stream at once, at most. 1,024: a round trip of milliseconds at tens of thousands a
    /// second.
    pub publish_window: usize,
    /// The servers' monitoring addresses (`http://HOST:8222`): these alone say whether a server syncs always.
    pub monitors: Vec<String>,
    /// A file with a user's JWT and seed.
    pub creds_file: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey_file: Option<PathBuf>,
    /// Certificates of the authorities that servers' certificates are held against, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            bridge: true,
            replicas: 3,
            bytes_max: None,
            duplicate_window: Duration::from_mins(2),
            ack_wait: Duration::from_secs(30),
            publish_window: 1_024,
            monitors: Vec::new(),
            creds_file: None,
            nkey_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}
