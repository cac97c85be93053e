//! Every limit of the relay, named in one place, each default with its reason.

use std::time::Duration;

/// What the relay bounds, whatever comes.
///
/// ```
/// use posthaste_relay::Limits;
///
/// let limits = Limits { connections_max: 100, ..Limits::default() };
/// assert_eq!(limits.body_bytes_max, 3_500_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Limits {
    /// Bytes of a body as it comes. 3,500,000: what the Event API takes.
    pub body_bytes_max: usize,
    /// Bytes of a body once it is unpacked. 3,500,000, as above.
    pub unpacked_bytes_max: usize,
    /// How many times its size a compressed body may unpack to. 200: JSON of events shrinks to a twentieth.
    pub unpack_ratio_max: usize,
    /// Bytes of a request's head. 16 KiB: SDKs send 1.
    pub head_bytes_max: usize,
    /// Header fields of a request. 64: SDKs send 10.
    pub headers_max: usize,
    /// How long the head of a request may take. 10 s.
    pub head_timeout: Duration,
    /// How long a body may take. 30 s: phones are slow.
    pub body_timeout: Duration,
    /// Bytes of a body that nobody wants which are read all the same, so that the connection can be kept. 64 KiB:
    /// what SDKs send has less.
    pub rest_bytes_max: usize,
    /// How long that may take. 1 s: longer than a round trip, and shorter than a client waits.
    pub rest_timeout: Duration,
    /// How long a connection may be without a request. 75 s: longer than the load balancers in front of it wait.
    pub idle_timeout: Duration,
    /// How long a connection may last, give or take a tenth: so that clients spread over several relays. 10 min.
    pub connection_age_max: Duration,
    /// Connections at the same time. 10,000.
    pub connections_max: usize,
    /// Connections at the same time from one address. 10,000: a load balancer is one address.
    pub connections_per_address_max: usize,
    /// Bytes of bodies that are being read, or wait for the disk. 64 MiB.
    pub intake_bytes_max: usize,
    /// Requests that wait for the disk. 10,000.
    pub waiting_max: usize,
    /// How long a request waits for the disk, or for room in the queue, before it is refused. 800 ms: within a second,
    /// and long before the Go SDK's 5 s.
    pub store_timeout: Duration,
    /// What a refused client is told to wait (Retry-After). 1 s.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 3_500_000,
            unpacked_bytes_max: 3_500_000,
            unpack_ratio_max: 200,
            head_bytes_max: 16 << 10,
            headers_max: 64,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            rest_bytes_max: 64 << 10,
            rest_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(75),
            connection_age_max: Duration::from_mins(10),
            connections_max: 10_000,
            connections_per_address_max: 10_000,
            intake_bytes_max: 64 << 20,
            waiting_max: 10_000,
            store_timeout: Duration::from_millis(800),
            retry_after: Duration::from_secs(1),
        }
    }
}
