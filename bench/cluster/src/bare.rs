//! The limit: the client that the library has too, by itself, in a stream with the same settings.

use std::{
    io::{Error, Result},
    time::Duration,
};

use async_nats::{
    HeaderMap, ServerAddr,
    jetstream::{
        self,
        consumer::{AckPolicy, PullConsumer, pull},
        message::PublishMessage,
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use futures_util::{StreamExt, TryStreamExt};
use posthaste::{EventUuid, LogEvent};

use crate::work::{WINDOW, offer};

const STREAM: &str = "bare";
const SUBJECT: &str = "bare.shop";

/// A stream of its own, and who publishes and fetches.
pub(crate) struct Bare {
    context: jetstream::Context,
    stream: jetstream::stream::Stream,
    consumer: PullConsumer,
}

/// Whether an acknowledgement is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    Said,
    Confirmed,
}

impl Bare {
    /// `servers`: HOST:PORT, with commas between.
    pub(crate) async fn open(servers: &str, replicas: usize) -> Result<Self> {
        let addresses = servers.split(',').map(|server| format!("nats://{server}").parse::<ServerAddr>());
        let addresses = addresses.collect::<std::result::Result<Vec<_>, _>>()?;
        let context = jetstream::new(async_nats::connect(addresses).await.map_err(Error::other)?);
        let stream = context.get_or_create_stream(config(replicas)).await.map_err(Error::other)?;
        let consumer = pull::Config {
            durable_name: Some("shop".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 50_000,
            filter_subject: SUBJECT.to_owned(),
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer("shop", consumer).await.map_err(Error::other)?;
        Ok(Self { context, stream, consumer })
    }

    /// Publishes bodies; with or without the headers of the library.
    pub(crate) async fn publish(&self, request: &LogEvent, has_headers: bool, seconds: f64) -> Result<u64> {
        offer(seconds, || async {
            let message = PublishMessage::build().payload(request.body().clone());
            let message = if has_headers { message.headers(headers(request)) } else { message };
            let published = self.context.send_publish(SUBJECT, message).await.map_err(Error::other)?;
            published.await.map_err(Error::other)?;
            Ok(())
        })
        .await
    }

    /// Fetches so many messages, and acknowledges them.
    pub(crate) async fn fetch(&self, count: u64, ack: Ack) -> Result<u64> {
        let messages = self.consumer.stream().max_messages_per_batch(1_000).messages().await;
        let acknowledged = messages
            .map_err(Error::other)?
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map(|message| async move {
                let message = message.map_err(Error::other)?;
                let acknowledged = match ack {
                    Ack::Said => message.ack().await,
                    Ack::Confirmed => message.double_ack().await,
                };
                acknowledged.map_err(Error::other)
            })
            .buffer_unordered(WINDOW)
            .try_fold(0, async |count, ()| Ok(count + 1))
            .await?;
        self.context.client().flush().await.map_err(Error::other)?;
        Ok(acknowledged)
    }

    pub(crate) async fn purge(&self) -> Result<()> {
        self.stream.purge().await.map_err(Error::other).map(drop)
    }
}

/// As the library makes its own.
fn config(replicas: usize) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{STREAM}.*")],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        ..Config::default()
    }
}

fn headers(request: &LogEvent) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", EventUuid::random().to_string());
    headers.insert("Posthaste-Version", "1");
    headers.insert("Posthaste-To", request.end_point());
    headers.insert("Posthaste-Events", request.events().to_string());
    headers.insert("Posthaste-Taken", "1795559589561");
    headers
}
