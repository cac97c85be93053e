//! The stream that events wait in, where relays share one: how it is reached, how it is, and the way into it from a bridge.
//!
//! Invariant: a relay starts, and takes events where it has a bridge, whether NATS is there or not. What never passes by
//! itself (options, files) ends the start.

mod bridge;
mod message_id;

use posthaste::queue::jetstream::{
    Credentials, JetStream, JetStreamError, JetStreamOptions, JetStreamQueue, Keeper, ProcessCounts, Role,
    StreamAddress, StreamReport,
};

pub use self::bridge::ToStream;
use crate::config::{Config, Nats};

/// The connection to it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stream(JetStream);

impl Stream {
    /// The one that the config names, if it names one. It is connected to in the background.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, JetStreamError> {
        let Some(address) = &config.queue else { return Ok(None) };
        Ok(Some(Self(JetStream::start(options(address, &config.nats))?)))
    }

    /// A tenant's queue in it, which takes, hands out, or both. Books are its own, however many there are of one tenant.
    pub(crate) fn queue(
        &self,
        tenant: &str,
        accepts: bool,
        delivers: bool,
    ) -> Result<JetStreamQueue, JetStreamError> {
        let role = match (accepts, delivers) {
            (true, true) => Role::Both,
            (_, true) => Role::Deliver,
            (_, false) => Role::Accept,
        };
        self.0.queue(tenant, role)
    }

    /// Keeps what this relay counts in the stream's ledger. None: the system gives no thread for that.
    pub(crate) fn keep_ledger(
        &self,
        role: &str,
        counts: impl Fn() -> ProcessCounts + Send + Sync + 'static,
    ) -> Option<Keeper> {
        let kept = Keeper::start(&self.0, "relay", role, counts);
        kept.inspect_err(|error| tracing::warn!(%error, "the stream's ledger will not have this relay")).ok()
    }

    /// Why it cannot be used now, if it cannot.
    pub(crate) fn trouble(&self) -> Option<JetStreamError> {
        self.0.trouble()
    }

    /// What it promises, as it was seen last; none: it has not been seen yet.
    pub(crate) fn report(&self) -> Option<StreamReport> {
        self.0.report()
    }
}

/// How the library is to use it.
fn options(address: &StreamAddress, nats: &Nats) -> JetStreamOptions {
    JetStreamOptions::new(address.clone())
        .credentials(credentials(nats, |name| std::env::var(name).ok()))
        .monitors(nats.monitors.clone())
        .replicas(nats.replicas)
        .max_bytes(nats.bytes_max.unwrap_or(0))
        .duplicate_window(nats.duplicate_window)
        .ack_wait(nats.ack_wait)
        .publish_window(nats.publish_window)
}

/// What the config says goes over what the environment does.
fn credentials(nats: &Nats, variable: impl Fn(&str) -> Option<String>) -> Credentials {
    let Nats { creds_file, nkey_file, ca_file, cert_file, key_file, .. } = nats;
    let mut all = Credentials::from_env(variable);
    if let Some(path) = creds_file {
        all = all.creds_file(path);
    }
    if let Some(path) = nkey_file {
        all = all.nkey_file(path);
    }
    if let Some(path) = ca_file {
        all = all.ca_file(path);
    }
    if let (Some(cert), Some(key)) = (cert_file, key_file) {
        all = all.client_cert(cert, key);
    }
    all
}
