//! The stream that is tortured: of our own, and gone in the end.

use std::{thread, time::Duration};

use posthaste::{
    Clock, SystemClock,
    queue::jetstream::{Inspection, JetStream, JetStreamError},
};

use super::{ACK_WAIT, LOOK_EVERY};
use crate::common::{
    exit::Failure,
    nats::{self, NatsArgs},
};

/// Where processes that are started find the stream: everybody may read their arguments, and an address may have a
/// password.
pub(super) const ADDRESS: &str = "POSTHASTE_TORTURE_QUEUE";

/// How long the servers may be away: somebody may kill them and start them again meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// The stream that is named, or else the environment's.
pub(super) fn address(named: Option<&str>) -> String {
    named.map(str::to_owned).or_else(|| std::env::var(ADDRESS).ok()).unwrap_or_default()
}

/// A stream in which nobody else has anything.
#[derive(Debug)]
pub(super) struct Own {
    stream: JetStream,
    /// It was not there before.
    is_made: bool,
}

impl Own {
    /// Makes it, or finds it without anything in it.
    pub(super) fn take(url: &str, nats: &NatsArgs, replicas: usize) -> Result<Self, Failure> {
        let options = nats::options("--queue", url, nats)?.replicas(replicas).ack_wait(ACK_WAIT);
        let is_made = match JetStream::attach(options.clone()) {
            Ok(stream) => {
                check(&stream.look()?)?;
                false
            }
            Err(JetStreamError::NoStream(_)) => true,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { stream: JetStream::open(options)?, is_made })
    }

    /// What there is in it, where its servers answer at once.
    pub(super) fn messages(&self) -> Option<u64> {
        self.stream.look().ok().map(|look| look.events.messages)
    }

    /// Without secrets.
    pub(super) fn address(&self) -> String {
        self.stream.options().address().to_string()
    }

    /// Deletes what was made here.
    pub(super) fn clean_up(self) -> Result<(), Failure> {
        if self.is_made { self.patiently(|stream| stream.clone().delete()) } else { Ok(()) }
    }

    /// Asks until there is an answer that stays.
    pub(super) fn patiently<T>(
        &self,
        ask: impl Fn(&JetStream) -> Result<T, JetStreamError>,
    ) -> Result<T, Failure> {
        let end = SystemClock.elapsed() + PATIENCE;
        loop {
            match ask(&self.stream) {
                Err(JetStreamError::NotConnected { .. } | JetStreamError::Refused { .. })
                    if SystemClock.elapsed() < end =>
                {
                    thread::sleep(LOOK_EVERY);
                }
                answer => return Ok(answer?),
            }
        }
    }
}

fn check(look: &Inspection) -> Result<(), Failure> {
    let stream = &look.events.name;
    let refuse = |has: &str| {
        let said =
            format!("the stream {stream} {has}; name one that is not there, or that nobody has anything in");
        Err(Failure::Refused(said))
    };
    if look.events.messages > 0 {
        return refuse("has messages in it");
    }
    if look.dead.as_ref().is_some_and(|dead| dead.messages > 0) {
        return refuse("has dead letters");
    }
    let is_delivered = look.tenants.iter().any(|tenant| tenant.delivery.is_some());
    if is_delivered || !look.foreign_consumers.is_empty() {
        return refuse("is one that somebody delivers from");
    }
    Ok(())
}
