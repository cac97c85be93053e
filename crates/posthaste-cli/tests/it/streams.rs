//! Streams, made and looked at without posthaste; and requests that posthaste puts into one.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull, stream::Config};
use posthaste::{
    JetStreamQueue, LogEvent, Queue,
    queue::jetstream::{JetStream, JetStreamOptions, Role},
};
use tokio::runtime::Runtime;

use crate::nats_servers::Servers;

/// A client of the servers that is none of ours.
pub(crate) struct Outsider {
    runtime: Runtime,
    context: jetstream::Context,
}

impl Outsider {
    pub(crate) fn at(servers: &Servers) -> Self {
        let runtime = Runtime::new().unwrap();
        let connecting = async { jetstream::new(async_nats::connect(servers.urls()).await.unwrap()) };
        let context = runtime.block_on(connecting);
        Self { runtime, context }
    }

    pub(crate) fn make(&self, config: Config) {
        self.runtime.block_on(self.context.create_stream(config)).unwrap();
    }

    pub(crate) fn change(&self, config: Config) {
        self.runtime.block_on(self.context.update_stream(config)).unwrap();
    }

    /// What a stream has, and what it has ever taken. `None`: there is no such stream.
    pub(crate) fn look(&self, stream: &str) -> Option<(u64, u64)> {
        self.runtime.block_on(async {
            let stream = self.context.get_stream(stream).await.ok()?;
            let state = &stream.cached_info().state;
            Some((state.messages, state.last_sequence))
        })
    }

    /// Removes everything in it. False: that was nothing, or there is no such stream.
    pub(crate) fn purge(&self, stream: &str) -> bool {
        self.runtime.block_on(async {
            let Ok(stream) = self.context.get_stream(stream).await else { return false };
            stream.purge().await.is_ok_and(|purged| purged.purged > 0)
        })
    }

    pub(crate) fn delete(&self, stream: &str) {
        self.runtime.block_on(self.context.delete_stream(stream)).unwrap();
    }

    /// Makes a consumer for a subject, of which a work queue has one.
    pub(crate) fn claim(&self, stream: &str, name: &str, subject: &str) {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            filter_subject: subject.to_owned(),
            ..pull::Config::default()
        };
        self.runtime.block_on(self.context.create_consumer_on_stream(config, stream)).unwrap();
    }

    pub(crate) fn give_up(&self, stream: &str, name: &str) {
        self.runtime.block_on(self.context.delete_consumer_from_stream(name, stream)).unwrap();
    }

    /// Puts something there that is no request.
    pub(crate) fn publish(&self, subject: &str, body: &str) {
        self.runtime.block_on(async {
            self.context.publish(subject.to_owned(), body.to_owned().into()).await.unwrap().await.unwrap();
        });
    }
}

pub(crate) fn options(servers: &Servers, stream: &str) -> JetStreamOptions {
    let options = JetStreamOptions::at(&servers.address(stream)).unwrap();
    options.ack_wait(Duration::from_secs(2)).connect_timeout(Duration::from_secs(30))
}

/// A stream of one replica, made here.
pub(crate) fn small(servers: &Servers, stream: &str) -> JetStream {
    JetStream::open(options(servers, stream).replicas(1)).unwrap()
}

pub(crate) fn accepting(stream: &JetStream, tenant: &str) -> JetStreamQueue {
    stream.queue(tenant, Role::Accept).unwrap()
}

/// A request of so many events, to this URL.
pub(crate) fn request(url: &str, name: &str, events: usize) -> LogEvent {
    let visitor = |number| {
        format!(
            r#"{{"visitor_id":"{name}-{number}","snapshots":[{{"events":[{{"uuid":"{name}-{number}"}}]}}]}}"#
        )
    };
    let visitors: Vec<String> = (0..events).map(visitor).collect();
    let body = format!(r#"{{"account_id":"1","visitors":[{}]}}"#, visitors.join(","));
    LogEvent::from_body(url, body).unwrap()
}

/// Puts so many requests of two events into the stream.
pub(crate) fn fill(queue: &JetStreamQueue, url: &str, requests: usize) {
    let receipts: Vec<_> =
        (0..requests).map(|number| queue.add(request(url, &number.to_string(), 2)).unwrap()).collect();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
}
