//! How a stream is used, and how it is made where it is not there. The defaults stand in one place, with their reasons.

use std::time::Duration;

use super::{
    address::{StreamAddress, StreamAddressError},
    credentials::Credentials,
    error::JetStreamError,
};

/// How a stream is used, and how it is made where it is not there.
///
/// ```
/// use std::time::Duration;
/// use posthaste::queue::jetstream::JetStreamOptions;
///
/// let options = JetStreamOptions::at("nats://10.0.0.1,10.0.0.2,10.0.0.3/events")?
///     .ack_wait(Duration::from_secs(60))
///     .max_bytes(50 << 30);
/// assert_eq!(options.address().stream(), "events");
/// # Ok::<(), posthaste::queue::jetstream::StreamAddressError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct JetStreamOptions {
    pub(super) address: StreamAddress,
    pub(super) credentials: Credentials,
    pub(super) monitors: Vec<String>,
    pub(super) connect_timeout: Duration,
    /// Of the stream.
    pub(super) replicas: usize,
    pub(super) max_bytes: u64,
    pub(super) max_age: Duration,
    pub(super) duplicate_window: Duration,
    /// Of those who accept.
    pub(super) publish_window: usize,
    pub(super) publish_window_bytes: usize,
    pub(super) publish_timeout: Duration,
    /// Of those who deliver.
    pub(super) ack_wait: Duration,
    pub(super) leases_max: usize,
    pub(super) prefetch: usize,
    pub(super) prefetch_bytes: usize,
}

impl JetStreamOptions {
    /// The stream at this address (`nats://HOST:4222/STREAM`, see [`StreamAddress`]).
    pub fn at(address: &str) -> Result<Self, StreamAddressError> {
        address.parse().map(Self::new)
    }

    /// The stream at this address.
    pub fn new(address: StreamAddress) -> Self {
        Self {
            address,
            credentials: Credentials::default(),
            monitors: Vec::new(),
            // Servers that start elect a leader first, which takes a few seconds.
            connect_timeout: Duration::from_secs(10),
            // The fewest of which one can be lost with its disk.
            replicas: 3,
            // No limit is the one that drops or refuses nothing; a limit refuses (discard new).
            max_bytes: 0,
            max_age: Duration::ZERO,
            // What the servers take by default; longer than a restart, and a memory of as many message ids.
            duplicate_window: Duration::from_secs(120),
            // A round trip of a few milliseconds at tens of thousands a second.
            publish_window: 1_024,
            publish_window_bytes: 64 << 20,
            // Servers that sync always may take so long under load.
            publish_timeout: Duration::from_secs(5),
            // What the servers take by default: longer than a request takes, with its first tries.
            ack_wait: Duration::from_secs(30),
            // For all senders of a tenant: what they have in memory while their upstream is away.
            leases_max: 50_000,
            // A second's work, or less.
            prefetch: 1_000,
            prefetch_bytes: 16 << 20,
        }
    }

    /// Where it is.
    pub fn address(&self) -> &StreamAddress {
        &self.address
    }

    /// Who we are to the servers. A user or token in the address goes first.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// The servers' monitoring addresses (`http://HOST:8222`): only these say whether a server syncs always.
    pub fn monitors(self, monitors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { monitors: monitors.into_iter().map(Into::into).collect(), ..self }
    }

    /// How long [`open`](super::JetStream::open) waits for the servers. 10 seconds.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// On how many servers each event is, where the stream is made: 1, 3 or 5. 3, which takes three servers.
    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// The most bytes that the stream may hold, where it is made: beyond them it refuses. 0: no limit.
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// After how long the stream drops an event, delivered or not, where it is made. Zero: never. Anything else is a loss
    /// that was asked for; the pipeline's [`age_max`](crate::processor::QueueEventDispatcherBuilder::age_max) makes dead
    /// letters instead.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// For how long the stream knows the ids of messages, where it is made: a publish that is tried again within is not
    /// stored twice. 2 minutes.
    pub fn duplicate_window(self, duplicate_window: Duration) -> Self {
        Self { duplicate_window, ..self }
    }

    /// How many requests may be on their way into the stream at once; beyond them [`add`](crate::Queue::add) refuses.
    /// 1,024.
    pub fn publish_window(self, publish_window: usize) -> Self {
        Self { publish_window, ..self }
    }

    /// How many bytes they may have together. 64 MiB.
    pub fn publish_window_bytes(self, publish_window_bytes: usize) -> Self {
        Self { publish_window_bytes, ..self }
    }

    /// After how long without an answer a publish is tried again. 5 seconds.
    pub fn publish_timeout(self, publish_timeout: Duration) -> Self {
        Self { publish_timeout, ..self }
    }

    /// How long a lease lasts unless it is renewed, which delivery does: so soon, others get what a dead sender had.
    /// 30 seconds. All senders of a tenant should say the same; who opens last decides.
    pub fn ack_wait(self, ack_wait: Duration) -> Self {
        Self { ack_wait, ..self }
    }

    /// How many events' messages of a tenant all its senders may have leased together (`max_ack_pending`). 50,000.
    pub fn leases_max(self, leases_max: usize) -> Self {
        Self { leases_max, ..self }
    }

    /// How many messages a sender fetches before its pipeline asks for them. 1,000.
    pub fn prefetch(self, prefetch: usize) -> Self {
        Self { prefetch, ..self }
    }

    /// How many bytes these may have, one message at least. 16 MiB.
    pub fn prefetch_bytes(self, prefetch_bytes: usize) -> Self {
        Self { prefetch_bytes, ..self }
    }

    pub(super) fn check(&self) -> Result<(), JetStreamError> {
        let refuse = |option, is: String, why| Err(JetStreamError::Option { option, is, why });
        if !matches!(self.replicas, 1 | 3 | 5) {
            return refuse(
                "replicas",
                self.replicas.to_string(),
                "it is 1, 3 or 5: servers decide by majority",
            );
        }
        for (option, count) in [
            ("publish_window", self.publish_window),
            ("publish_window_bytes", self.publish_window_bytes),
            ("leases_max", self.leases_max),
            ("prefetch", self.prefetch),
            ("prefetch_bytes", self.prefetch_bytes),
        ] {
            if count == 0 {
                return refuse(option, count.to_string(), "nothing would go through");
            }
        }
        if self.ack_wait < Duration::from_secs(1) {
            return refuse(
                "ack_wait",
                format!("{:?}", self.ack_wait),
                "a lease shorter than a second is lost at once",
            );
        }
        if self.publish_timeout.is_zero() {
            return refuse(
                "publish_timeout",
                format!("{:?}", self.publish_timeout),
                "no answer would be in time",
            );
        }
        if self.duplicate_window < self.publish_timeout {
            return refuse(
                "duplicate_window",
                format!("{:?}", self.duplicate_window),
                "it is to be longer than publish_timeout, or a publish that is tried again is stored twice",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_under_which_nothing_works_are_refused_by_name() {
        let options = || JetStreamOptions::at("nats://h/E").unwrap();
        assert_eq!(options().check(), Ok(()));
        for (options, name) in [
            (options().replicas(2), "replicas"),
            (options().publish_window(0), "publish_window"),
            (options().prefetch(0), "prefetch"),
            (options().leases_max(0), "leases_max"),
            (options().ack_wait(Duration::from_millis(999)), "ack_wait"),
            (options().publish_timeout(Duration::ZERO), "publish_timeout"),
            (options().duplicate_window(Duration::from_secs(1)), "duplicate_window"),
        ] {
            let error = options.check().unwrap_err();
            assert!(matches!(error, JetStreamError::Option { option, .. } if option == name), "{error}");
        }
    }
}
