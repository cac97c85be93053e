//! Who looks into the streams without posthaste: what is in them, counted by the ids of messages and by the bodies.

use std::{collections::BTreeMap, future::Future, time::Duration};

use async_nats::jetstream::{self, stream};
use tokio::runtime::Runtime;

/// A look at a stream, through a connection of its own.
pub(crate) struct Oracle {
    runtime: Runtime,
    context: jetstream::Context,
}

/// A message as the stream holds it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) headers: async_nats::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Oracle {
    pub(crate) fn at(urls: &[String]) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let urls: Vec<async_nats::ServerAddr> = urls.iter().map(|url| url.parse().unwrap()).collect();
            async_nats::ConnectOptions::new().retry_on_initial_connect().connect(urls).await.unwrap()
        });
        let context = runtime.block_on(async { jetstream::new(client) });
        Self { runtime, context }
    }

    pub(crate) fn run<R>(&self, what: impl AsyncFnOnce(jetstream::Context) -> R) -> R {
        self.block_on(what(self.context.clone()))
    }

    fn block_on<R>(&self, what: impl Future<Output = R>) -> R {
        self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), what).await.unwrap() })
    }

    pub(crate) fn create(&self, config: stream::Config) {
        self.run(async |context| drop(context.create_stream(config).await.unwrap()));
    }

    pub(crate) fn info(&self, stream: &str) -> stream::Info {
        self.run(async |context| {
            loop {
                // Right after an election, nobody answers.
                match context.get_stream(stream).await {
                    Ok(stream) => return stream.cached_info().clone(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        })
    }

    pub(crate) fn count(&self, stream: &str) -> u64 {
        self.info(stream).state.messages
    }

    /// Everything in it, in order.
    pub(crate) fn messages(&self, stream: &str) -> Vec<Seen> {
        let last = self.info(stream).state.last_sequence;
        self.run(async |context| {
            let stream = context.get_stream(stream).await.unwrap();
            let mut seen = Vec::new();
            for sequence in 1..=last {
                let Ok(message) = stream.get_raw_message(sequence).await else { continue };
                let id = message.headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned());
                seen.push(Seen {
                    id: id.unwrap_or_default(),
                    subject: message.subject.to_string(),
                    headers: message.headers,
                    body: message.payload.to_vec(),
                });
            }
            seen
        })
    }

    /// How often each body is in it.
    pub(crate) fn bodies(&self, stream: &str) -> BTreeMap<String, usize> {
        let mut bodies = BTreeMap::new();
        for seen in self.messages(stream) {
            *bodies.entry(String::from_utf8(seen.body).unwrap()).or_default() += 1;
        }
        bodies
    }

    /// Puts a message into a stream that posthaste has not written.
    pub(crate) fn publish(&self, subject: &str, headers: async_nats::HeaderMap, body: &str) {
        let (subject, body) = (subject.to_owned(), body.to_owned());
        self.run(async |context| {
            let sent = context.publish_with_headers(subject, headers, body.into()).await.unwrap();
            sent.await.unwrap()
        });
    }
}
