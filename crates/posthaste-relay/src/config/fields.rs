//! The list of options: the file, the environment, what is shown, the sample and the documentation are made from it.

use super::{
    TenantConfig,
    draft::Draft,
    kinds::{
        Address, Count, Fullness, Ids, Kind, Name, Optional, Place, Rate, Size, Time, Truth, UrlPaths, Wanted,
    },
    stream::{Monitors, Part, Stream},
    url::Upstream,
    value::Value,
};

/// An option of `T`.
pub(super) struct Field<T> {
    /// Its name in the file; what stands before a dot is a table.
    pub(super) key: &'static str,
    /// What it is for, in one line.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests hold the sample and the documentation against it")
    )]
    pub(super) about: &'static str,
    /// Sets it, or says what to give instead.
    pub(super) set: fn(&mut T, &Value) -> Result<(), Wanted>,
    /// Shows it.
    pub(super) get: fn(&T) -> Value,
}

/// What the names of variables begin with.
const ENVIRONMENT: &str = "POSTHASTE_RELAY_";

impl<T> Field<T> {
    /// The table that it is in; empty: none.
    pub(super) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    /// Its name within that.
    pub(super) fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }

    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("{ENVIRONMENT}{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

/// Whether a variable is meant for the relay. Kubernetes sets some for a service that is called posthaste-relay.
pub(super) fn is_ours(variable: &str) -> bool {
    let of_others = |rest: &str| ["PORT", "SERVICE_"].iter().any(|start| rest.starts_with(start));
    let of_the_command_line = |rest: &str| matches!(rest, "CONFIG" | "LOG_FORMAT");
    variable.strip_prefix(ENVIRONMENT).is_some_and(|rest| !of_others(rest) && !of_the_command_line(rest))
}

macro_rules! field {
    ($key:literal, $($place:ident).+, $kind:ty, $about:literal) => {
        Field {
            key: $key,
            about: $about,
            set: |it, value| {
                it.$($place).+ = <$kind as Kind>::read(value)?;
                Ok(())
            },
            get: |it| <$kind as Kind>::write(&it.$($place).+),
        }
    };
}

type Bytes<const MIN: u64> = Size<usize, MIN>;

/// The tables, in order, and what each is about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("forward", "How events go out."),
    ("outage", "What happens while an upstream is away."),
    (
        "dead_letters",
        "What is kept of events that cannot be delivered, for each tenant. The oldest go first.",
    ),
    ("repeats", "What happens to events that come again: same visitor, entity, uuid and time."),
    ("nats", "How the stream is used that `queue` names, and made where it is not there."),
    ("access", "Who may post. SIGHUP reads the files anew."),
    ("limits", "What is bounded, whatever comes."),
];

/// All options but those of tenants.
pub(super) const FIELDS: &[Field<Draft>] = &[
    field!(
        "listen",
        listen,
        Address,
        "Where SDKs post to: HOST:PORT, or a port of this machine; port 0 is any free one."
    ),
    field!("admin", admin, Optional<Address>, "Where the admin interface listens; \"none\": nowhere."),
    field!(
        "upstream",
        upstream,
        Optional<Upstream>,
        "Where events go that are no other tenant's: us, eu, or a URL."
    ),
    field!("data", data, Place, "The folder where events are kept until they are delivered."),
    field!(
        "memory",
        memory,
        Truth,
        "Whether events are kept in memory instead: what is queued is gone with the process."
    ),
    field!(
        "queue",
        queue,
        Optional<Stream>,
        "A stream of NATS JetStream that events wait in, for all relays that share it: nats://HOST:4222/STREAM."
    ),
    field!(
        "role",
        role,
        Part,
        "The relay's part in that: accept (puts events into it), deliver (sends what is in it), or both."
    ),
    field!("disk_bytes_max", disk_bytes_max, Size<u64, 1>, "Bytes that each tenant's queue may take on disk."),
    field!(
        "memory_bytes_max",
        memory_bytes_max,
        Bytes<1>,
        "Bytes that each tenant's queue may take in memory."
    ),
    field!("paths", paths, UrlPaths, "Paths that events are taken at, beside /v1/events."),
    field!(
        "strict",
        strict,
        Truth,
        "Whether a body with faults is answered 400 and the list of them, instead of 204."
    ),
    field!("drain_delay", drain_delay, Time<0>, "How long a relay that was told to stop still takes events."),
    field!(
        "shutdown_timeout",
        shutdown_timeout,
        Time<0>,
        "How long it may then answer, deliver and sync before it ends."
    ),
    field!("forward.batch_events", forward.batch_events, Count<1>, "Events that share a request, at most."),
    field!("forward.batch_bytes", forward.batch_bytes, Bytes<1>, "Bytes of a request, at most."),
    field!("forward.wait", forward.wait, Time<1>, "How long an event waits for others, at most."),
    field!(
        "forward.in_flight",
        forward.in_flight,
        Count<1>,
        "Requests to one upstream at the same time, at most."
    ),
    field!(
        "forward.retry_after_max",
        forward.retry_after_max,
        Time<1>,
        "How long an upstream's Retry-After holds a request back, at most."
    ),
    field!(
        "forward.drain_rate",
        forward.drain_rate,
        Optional<Rate>,
        "Events a second that are sent of a backlog, at most, beside new ones; \"none\": as fast as it goes."
    ),
    field!(
        "forward.window_bytes",
        forward.window_bytes,
        Bytes<1>,
        "Bytes of events in memory that are under way or about to be, for each tenant, about."
    ),
    field!(
        "forward.strict",
        forward.strict,
        Truth,
        "Whether the upstream is asked to answer 400 where it would throw events away."
    ),
    field!(
        "outage.when_full",
        outage.when_full,
        Fullness,
        "What happens to new events once a queue is full: refuse-new (503), or drop-oldest (dead letters)."
    ),
    field!(
        "outage.age_max",
        outage.age_max,
        Optional<Time<1_000>>,
        "How old an event may become before it is a dead letter; \"none\": as old as it takes."
    ),
    field!("dead_letters.bytes_max", dead_letters.bytes_max, Size<u64, 0>, "Bytes of dead letters."),
    field!(
        "dead_letters.age_max",
        dead_letters.age_max,
        Optional<Time<1_000>>,
        "How long they are kept; \"none\": while there is room."
    ),
    field!(
        "repeats.window",
        repeats.window,
        Count<0>,
        "Events that are remembered, for each tenant; 0: none."
    ),
    field!(
        "repeats.leave_out",
        repeats.leave_out,
        Truth,
        "Whether visitors all of whose events are repeats are left out."
    ),
    field!(
        "nats.bridge",
        nats.bridge,
        Truth,
        "Whether events wait in `data` until the stream has them, and are taken while NATS is away; else 503 then."
    ),
    field!(
        "nats.replicas",
        nats.replicas,
        Count<1>,
        "On how many servers each event is, where the stream is made: 1, 3 or 5."
    ),
    field!(
        "nats.bytes_max",
        nats.bytes_max,
        Optional<Size<u64, 1>>,
        "Bytes that the stream may hold, where it is made; \"none\": as many as there is room for."
    ),
    field!(
        "nats.duplicate_window",
        nats.duplicate_window,
        Time<10_000>,
        "How long the stream knows what it has, where it is made: what is put in again within is not stored twice."
    ),
    field!(
        "nats.ack_wait",
        nats.ack_wait,
        Time<1_000>,
        "How soon others get what a dead relay was delivering. The same for all relays."
    ),
    field!(
        "nats.publish_window",
        nats.publish_window,
        Count<1>,
        "Requests on their way into the stream at once, at most, for each tenant."
    ),
    field!(
        "nats.monitors",
        nats.monitors,
        Monitors,
        "The servers' monitoring addresses, such as http://HOST:8222: these alone say whether they sync always."
    ),
    field!(
        "nats.creds_file",
        nats.creds_file,
        Optional<Place>,
        "A file with a user's JWT and seed; \"none\": what NATS_CREDS, NATS_NKEY, NATS_TOKEN, NATS_USER say."
    ),
    field!("nats.nkey_file", nats.nkey_file, Optional<Place>, "A file with the seed of an nkey, instead."),
    field!(
        "nats.ca_file",
        nats.ca_file,
        Optional<Place>,
        "Certificates that the servers' are held against; \"none\": NATS_CA, or the system's."
    ),
    field!(
        "nats.cert_file",
        nats.cert_file,
        Optional<Place>,
        "The relay's own certificate for the servers; \"none\": NATS_CERT, if there is one."
    ),
    field!("nats.key_file", nats.key_file, Optional<Place>, "Its key; \"none\": NATS_KEY."),
    field!(
        "access.tokens_file",
        access.tokens_file,
        Optional<Place>,
        "A file with a bearer token on each line; \"none\": nobody needs one."
    ),
    field!(
        "access.accounts",
        access.accounts,
        Ids,
        "Accounts whose events are taken; none here and in the file: those of all."
    ),
    field!(
        "access.accounts_file",
        access.accounts_file,
        Optional<Place>,
        "A file with an account id on each line, beside those."
    ),
    field!(
        "limits.body_bytes_max",
        limits.body_bytes_max,
        Bytes<1>,
        "Bytes of a body as it comes. The Event API takes 3.5 MB."
    ),
    field!(
        "limits.unpacked_bytes_max",
        limits.unpacked_bytes_max,
        Bytes<1>,
        "Bytes of a body once it is unpacked."
    ),
    field!(
        "limits.unpack_ratio_max",
        limits.unpack_ratio_max,
        Count<1>,
        "How many times its size a compressed body may unpack to."
    ),
    field!(
        "limits.head_bytes_max",
        limits.head_bytes_max,
        Bytes<8_192>,
        "Bytes of a request's head. SDKs send 1 KiB."
    ),
    field!("limits.headers_max", limits.headers_max, Count<1>, "Header fields of a request. SDKs send 10."),
    field!("limits.head_timeout", limits.head_timeout, Time<1>, "How long the head of a request may take."),
    field!("limits.body_timeout", limits.body_timeout, Time<1>, "How long a body may take."),
    field!(
        "limits.rest_bytes_max",
        limits.rest_bytes_max,
        Bytes<0>,
        "Bytes of a refused request's body that are read all the same, so that its connection is kept."
    ),
    field!("limits.rest_timeout", limits.rest_timeout, Time<0>, "How long that may take."),
    field!(
        "limits.idle_timeout",
        limits.idle_timeout,
        Time<1>,
        "How long a connection may be without a request."
    ),
    field!(
        "limits.connection_age_max",
        limits.connection_age_max,
        Time<1>,
        "How long a connection may last, give or take a tenth."
    ),
    field!("limits.connections_max", limits.connections_max, Count<1>, "Connections at the same time."),
    field!(
        "limits.connections_per_address_max",
        limits.connections_per_address_max,
        Count<1>,
        "Connections at the same time from one address; a load balancer is one."
    ),
    field!(
        "limits.intake_bytes_max",
        limits.intake_bytes_max,
        Bytes<1>,
        "Bytes of bodies that are being read, or wait for the disk."
    ),
    field!("limits.waiting_max", limits.waiting_max, Count<1>, "Requests that wait for the disk."),
    field!(
        "limits.store_timeout",
        limits.store_timeout,
        Time<1>,
        "How long a request waits for the disk, or for room, before it is answered 503."
    ),
    field!(
        "limits.retry_after",
        limits.retry_after,
        Time<1_000>,
        "What a refused client is told to wait (Retry-After, in whole seconds)."
    ),
];

/// The options of a `[[tenant]]`.
pub(super) const TENANT_FIELDS: &[Field<TenantConfig>] = &[
    field!("name", name, Name, "What it is called in folders, metrics and logs: letters, digits, - and _."),
    field!("accounts", accounts, Ids, "Whose events it takes, by account id."),
    field!(
        "projects",
        projects,
        Ids,
        "Whose events it takes, by project id; that counts for more than the account."
    ),
    field!("upstream", upstream, Upstream, "Where its events go: us, eu, or a URL."),
];
