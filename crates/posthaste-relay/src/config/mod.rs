//! What is in force: every option of the relay, as plain data that has been checked.
//!
//! Nothing in here is a secret: tokens stay in their files, and are read when the relay starts or is told to read them
//! anew. A password in the address of a stream is in that alone, which never shows it.
//!
//! ```text
//! fields     the list of options; whatever is read, shown or documented is made from it
//! kinds      the kinds of values: how each is read and shown; value, url, stream: what they share
//! settings   a config in the making: defaults, file, environment, flags
//! file       the file, taken apart into keys and values
//! draft      the options as they are given, and the config that they come to
//! check      what has to go together
//! fault      what is wrong, and where that stands
//! shown      what is in force, as TOML and JSON; for tests: the sample, and the documentation's table
//! trial      whether what a config names is there
//! ```

mod check;
mod draft;
mod fault;
mod fields;
mod file;
mod kinds;
mod limits;
mod nats;
mod settings;
mod shown;
mod stream;
mod trial;
mod url;
mod value;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

pub use fault::{ConfigError, Fault, Origin};
pub use limits::Limits;
pub use nats::{Nats, Role};
use posthaste::{Region, queue::jetstream::StreamAddress};
pub use settings::Settings;
pub use trial::Found;
pub use url::shown as upstream_shown;

/// Where every official SDK posts to.
pub const EVENTS_PATH: &str = "/v1/events";

/// What a relay does.
///
/// ```
/// use posthaste_relay::Config;
///
/// let config = Config { strict: true, ..Config::to("http://127.0.0.1:8080/v1/events") };
/// assert_eq!(config.tenants[0].name, "default");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from a default")]
pub struct Config {
    /// Where SDKs post to.
    pub listen: SocketAddr,
    /// Where the admin interface listens; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Paths that events are taken at, beside [`EVENTS_PATH`].
    pub paths: Vec<String>,
    /// Whether a body with faults is answered 400 with the list of them, instead of 204.
    pub strict: bool,
    /// Where events wait; where they wait in a stream, its bridge.
    pub store: Store,
    /// The stream that events wait in, for all relays that share it; `None`: they wait here alone.
    pub queue: Option<StreamAddress>,
    /// What part the relay has in that.
    pub role: Role,
    /// How the stream is used.
    pub nats: Nats,
    /// Who is sent what. The first takes what no other does. Never empty.
    pub tenants: Vec<TenantConfig>,
    /// How events go out.
    pub forward: Forward,
    /// What happens while an upstream is away.
    pub outage: Outage,
    /// What is kept of events that cannot be delivered.
    pub dead_letters: DeadLetterLimits,
    /// What happens to events that come again.
    pub repeats: Repeats,
    /// Who may post.
    pub access: AccessConfig,
    /// What is bounded.
    pub limits: Limits,
    /// How long a relay that was told to stop still takes events, so that load balancers notice.
    pub drain_delay: Duration,
    /// How long a relay that takes no connections any more may answer, deliver and sync before it ends.
    pub shutdown_timeout: Duration,
}

/// Where events wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a third kind is a change for everybody")]
pub enum Store {
    /// In memory: what is queued is gone with the process.
    Memory {
        /// Bytes that each tenant's queue may hold.
        bytes_max: usize,
    },
    /// On disk, below this folder.
    Disk {
        /// The folder.
        folder: PathBuf,
        /// Bytes that each tenant's queue may take there.
        bytes_max: u64,
    },
}

/// A part of the events, with a queue and a breaker of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from a default")]
pub struct TenantConfig {
    /// What it is called in folders, metrics and logs: letters, digits, `-` and `_`.
    pub name: String,
    /// Whose events it takes, by account id.
    pub accounts: Vec<String>,
    /// Whose events it takes, by project id. A project counts for more than an account.
    pub projects: Vec<String>,
    /// Where its events go: an `http` or `https` URL; empty where somebody else delivers them.
    pub upstream: String,
}

impl TenantConfig {
    /// One that takes what no other does.
    pub fn default_to(upstream: impl Into<String>) -> Self {
        Self {
            name: "default".to_owned(),
            accounts: Vec::new(),
            projects: Vec::new(),
            upstream: upstream.into(),
        }
    }
}

/// How events go out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Forward {
    /// Events that share a request, at most.
    pub batch_events: usize,
    /// Bytes of a request, at most.
    pub batch_bytes: usize,
    /// How long an event waits for others, at most.
    pub wait: Duration,
    /// Requests to one upstream at the same time, at most.
    pub in_flight: usize,
    /// How long an upstream's `Retry-After` holds a request back, at most.
    pub retry_after_max: Duration,
    /// Events a second that are sent of a backlog, at most, beside the new ones; `None`: as fast as it goes.
    pub drain_rate: Option<NonZeroU32>,
    /// Bytes of events in memory that are under way or about to be, for each tenant, about.
    pub window_bytes: usize,
    /// Whether the upstream is asked to answer 400 where it would throw events away.
    pub strict: bool,
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            batch_events: 500,
            batch_bytes: 3_400_000,
            wait: Duration::from_secs(1),
            in_flight: 32,
            retry_after_max: Duration::from_mins(5),
            drain_rate: NonZeroU32::new(5_000),
            window_bytes: 16 << 20,
            strict: false,
        }
    }
}

/// What happens while an upstream is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Outage {
    /// What happens to new events once the queue is full.
    pub when_full: WhenFull,
    /// How old an event may become before it is a dead letter; `None`: as old as it takes.
    pub age_max: Option<Duration>,
}

/// What happens to new events once a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "these are the two that there are")]
pub enum WhenFull {
    /// They are refused: 503, and the client tries again, if it does.
    #[default]
    RefuseNew,
    /// The oldest become dead letters.
    DropOldest,
}

/// What is kept of events that cannot be delivered, for each tenant. The oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct DeadLetterLimits {
    /// Bytes.
    pub bytes_max: u64,
    /// How long; `None`: as long as there is room.
    pub age_max: Option<Duration>,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, age_max: Some(Duration::from_hours(30 * 24)) }
    }
}

/// What happens to events that come again: same visitor, entity, uuid and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Repeats {
    /// Events that are remembered, for each tenant; 0: none.
    pub window: usize,
    /// Whether visitors all of whose events are repeats are left out. The Event API drops them anyway.
    pub leave_out: bool,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { window: 100_000, leave_out: false }
    }
}

/// Who may post. Read anew at SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct AccessConfig {
    /// A file with a bearer token on each line; `None`: nobody needs one.
    pub tokens_file: Option<PathBuf>,
    /// Accounts whose events are taken; empty, and no file: those of all.
    pub accounts: Vec<String>,
    /// A file with an account id on each line, beside those.
    pub accounts_file: Option<PathBuf>,
}

/// Bytes that each tenant's queue may take on disk, unless told otherwise.
pub const DISK_BYTES_MAX: u64 = 10 << 30;
/// Bytes that each tenant's queue may take in memory, unless told otherwise.
pub const MEMORY_BYTES_MAX: usize = 256 << 20;

impl Config {
    /// In memory, on free ports of this machine, to this upstream: for programs and tests.
    pub fn to(upstream: impl Into<String>) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: anywhere,
            admin: Some(anywhere),
            paths: Vec::new(),
            strict: false,
            store: Store::Memory { bytes_max: MEMORY_BYTES_MAX },
            queue: None,
            role: Role::default(),
            nats: Nats::default(),
            tenants: vec![TenantConfig::default_to(upstream)],
            forward: Forward::default(),
            outage: Outage::default(),
            dead_letters: DeadLetterLimits::default(),
            repeats: Repeats::default(),
            access: AccessConfig::default(),
            limits: Limits::default(),
            drain_delay: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(20),
        }
    }

    /// The same, on disk below this folder.
    #[must_use]
    pub fn on_disk(self, folder: impl Into<PathBuf>) -> Self {
        Self { store: Store::Disk { folder: folder.into(), bytes_max: DISK_BYTES_MAX }, ..self }
    }

    /// Whether it takes events.
    pub fn accepts(&self) -> bool {
        self.queue.is_none() || self.role.accepts()
    }

    /// Whether it sends events to upstreams.
    pub fn delivers(&self) -> bool {
        self.queue.is_none() || self.role.delivers()
    }

    /// Whether it keeps events itself: those that it delivers, or those that a stream is to get.
    pub fn keeps(&self) -> bool {
        self.queue.is_none() || (self.role.accepts() && self.nats.bridge)
    }
}

/// The URL that an upstream's name stands for: `us` and `eu` are the Event API's, anything else is itself.
pub fn upstream_url(name: &str) -> String {
    Region::parse(name).map_or_else(|| name.to_owned(), |region| region.event_end_point().to_owned())
}
