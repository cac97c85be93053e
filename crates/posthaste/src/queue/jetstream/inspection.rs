//! What is there, for whoever looks after a stream: both streams as they are, who delivers whose events, and messages as
//! they are kept. Nothing here takes a message from those who deliver.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self, consumer,
    context::GetStreamErrorKind,
    stream::{DiscardPolicy, Info, RawMessageErrorKind, RetentionPolicy, StorageType},
};
use futures_util::TryStreamExt;
use serde::Serialize;

use super::{
    connection::Core, error::JetStreamError, letters, message, report::Finding, stream::JetStream, subject,
};
use crate::batch::LogEvent;

/// How long a walk through messages may take.
const WALK_WITHIN: Duration = Duration::from_secs(30);

/// Both streams as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The stream of the events.
    pub events: StreamFacts,
    /// The stream of the dead letters, where there is one.
    pub dead: Option<StreamFacts>,
    /// Everybody who has something in one of them, or for whom somebody delivers.
    pub tenants: Vec<TenantFacts>,
    /// Consumers of the events' stream that are not posthaste's: these deliver for no tenant.
    pub foreign_consumers: Vec<ForeignConsumer>,
}

/// A consumer of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ForeignConsumer {
    /// Its name.
    pub name: String,
    /// What it takes; empty: everything.
    pub subjects: Vec<String>,
}

/// A stream as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamFacts {
    /// Its name.
    pub name: String,
    /// `file` or `memory`.
    pub storage: &'static str,
    /// `limits`, `interest` or `workqueue`.
    pub retention: &'static str,
    /// What goes where it is full: `old` or `new`.
    pub discard: &'static str,
    /// On how many servers each message is to be.
    pub replicas: usize,
    /// The server that leads; none: it is being elected, or there is but one server.
    pub leader: Option<String>,
    /// The others, and whether each has everything.
    pub followers: Vec<Follower>,
    /// Bytes that it may hold; none: as many as there is room for.
    pub bytes_max: Option<u64>,
    /// Messages that it may hold; none: any number.
    pub messages_max: Option<u64>,
    /// After how many milliseconds messages go; none: never.
    pub age_max_ms: Option<u64>,
    /// For how many milliseconds it knows the ids of messages.
    pub duplicate_window_ms: u64,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that it has ever taken. Those that are no longer in it have been delivered, or removed.
    pub taken: u64,
    /// When the oldest that is in it came: milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// A server that follows a stream's leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Follower {
    /// Its name.
    pub name: String,
    /// Whether it is there, and has everything.
    pub is_current: bool,
}

/// One tenant's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenantFacts {
    /// The name.
    pub tenant: String,
    /// Messages in the stream.
    pub messages: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// How they are delivered; none: nobody ever has.
    pub delivery: Option<DeliveryFacts>,
}

/// The consumer that all who deliver a tenant's events share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryFacts {
    /// Requests for messages that wait for some: somebody is there who would deliver more.
    pub waiting_pulls: u64,
    /// Messages that somebody has leased.
    pub leased: u64,
    /// Of those, the ones that somebody else had before.
    pub redelivered: u64,
    /// Messages that nobody has leased.
    pub waiting: u64,
    /// After how many milliseconds a lease that is not renewed ends.
    pub ack_wait_ms: u64,
}

impl TenantFacts {
    /// Whether messages wait and nobody is there to deliver them: nobody has leased one, and nobody asks for any.
    pub fn is_forsaken(&self) -> bool {
        let somebody = self.delivery.is_some_and(|facts| facts.leased + facts.waiting_pulls > 0);
        self.messages > 0 && !somebody
    }
}

/// A message of the stream as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Its place in the stream.
    pub sequence: u64,
    /// Whose it is.
    pub tenant: String,
    /// Events that it says it carries.
    pub events: usize,
    /// The request, or why it cannot be read.
    pub request: Result<LogEvent, String>,
}

impl JetStream {
    /// Both streams as they are now.
    pub fn look(&self) -> Result<Inspection, JetStreamError> {
        let core = Arc::clone(self.engine().core());
        self.run(async move { look(&core).await })
    }

    /// Messages of the stream behind this place, oldest first, at most so many; they stay where they are. Fewer than
    /// asked for: there are no more.
    pub fn read_behind(&self, place: u64, max: usize) -> Result<Vec<Kept>, JetStreamError> {
        let core = Arc::clone(self.engine().core());
        self.engine().wait_for(WALK_WITHIN, async move { read_behind(&core, place, max).await })?
    }

    /// Deletes both streams and everything that was written down beside them, events that nobody has delivered included:
    /// for drills, which made them.
    pub fn delete(self) -> Result<(), JetStreamError> {
        let core = Arc::clone(self.engine().core());
        self.run(async move {
            let context = core.context();
            for name in [core.stream(), core.dead_stream(), &format!("KV_{}", notes_of(core.stream()))] {
                if let Some(stream) = find(context, name).await? {
                    let deleted = context.delete_stream(&stream.config.name).await;
                    deleted.map_err(|error| {
                        JetStreamError::refused(format!("delete the stream {name}"), error)
                    })?;
                }
            }
            Ok(())
        })
    }
}

/// The bucket of what is written down beside a stream.
pub(super) fn notes_of(stream: &str) -> String {
    format!("{stream}-notes")
}

async fn find(context: &jetstream::Context, name: &str) -> Result<Option<Info>, JetStreamError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said)
                if said.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(JetStreamError::refused(format!("look at the stream {name}"), error)),
        },
    }
}

async fn look(core: &Core) -> Result<Inspection, JetStreamError> {
    let events = find(core.context(), core.stream()).await?;
    let events = events.ok_or_else(|| JetStreamError::NoStream(core.stream().to_owned()))?;
    let dead = find(core.context(), core.dead_stream()).await?;
    let mut tenants = BTreeMap::new();
    for (tenant, messages) in by_tenant(core, core.stream()).await? {
        entry(&mut tenants, tenant).messages = messages;
    }
    if dead.is_some() {
        for (tenant, letters) in by_tenant(core, core.dead_stream()).await? {
            entry(&mut tenants, tenant).dead_letters = letters;
        }
    }
    let mut foreign_consumers = Vec::new();
    for consumer in consumers(core).await? {
        match owner_of(core.stream(), &consumer.name, &consumer.config) {
            Ok(tenant) => entry(&mut tenants, tenant).delivery = Some(delivery(&consumer)),
            Err(foreign) => foreign_consumers.push(foreign),
        }
    }
    Ok(Inspection {
        events: StreamFacts::of(&events),
        dead: dead.as_ref().map(StreamFacts::of),
        tenants: tenants.into_values().collect(),
        foreign_consumers,
    })
}

fn entry(tenants: &mut BTreeMap<String, TenantFacts>, tenant: String) -> &mut TenantFacts {
    let new = TenantFacts { tenant: tenant.clone(), messages: 0, dead_letters: 0, delivery: None };
    tenants.entry(tenant).or_insert(new)
}

async fn by_tenant(core: &Core, stream: &str) -> Result<Vec<(String, u64)>, JetStreamError> {
    let counts = letters::counts_of(core, stream, ">").await?;
    Ok(counts.into_iter().map(|(subject, count)| (tenant_of(&subject), count as u64)).collect())
}

/// Whose subject it is. One that no tenant has keeps its own name.
fn tenant_of(of_subject: &str) -> String {
    let token = of_subject.split_once('.').map(|(_, token)| token);
    token.and_then(subject::tenant).unwrap_or_else(|| of_subject.to_owned())
}

/// Consumers in the way of those who deliver.
pub(super) async fn foreign_findings(core: &Core) -> Result<Vec<Finding>, JetStreamError> {
    let events = find(core.context(), core.stream()).await?;
    if events.is_none_or(|events| events.config.retention != RetentionPolicy::WorkQueue) {
        // Elsewhere they only look on.
        return Ok(Vec::new());
    }
    let all = consumers(core).await?;
    let foreign =
        all.iter().filter_map(|consumer| owner_of(core.stream(), &consumer.name, &consumer.config).err());
    Ok(foreign.map(|foreign| foreign.finding(core.stream())).collect())
}

impl ForeignConsumer {
    fn finding(self, stream: &str) -> Finding {
        let of = if self.subjects.is_empty() { "every subject".to_owned() } else { self.subjects.join(" ") };
        Finding {
            stream: stream.to_owned(),
            setting: "consumer",
            is: self.name,
            wanted: "none but posthaste's own".to_owned(),
            why: format!(
                "it takes {of}, and a work queue has one consumer for each subject: no sender can deliver that"
            ),
        }
    }
}

/// Whose events a consumer is for. Posthaste's is named like the only subject that it takes, and is pulled from.
fn owner_of(stream: &str, name: &str, config: &consumer::Config) -> Result<String, ForeignConsumer> {
    let one = Some(&config.filter_subject).filter(|subject| !subject.is_empty());
    let subjects: Vec<String> = one.into_iter().chain(&config.filter_subjects).cloned().collect();
    let is_own = subjects == [format!("{stream}.{name}")] && config.deliver_subject.is_none();
    let tenant = subject::tenant(name).filter(|_| is_own);
    tenant.ok_or_else(|| ForeignConsumer { name: name.to_owned(), subjects })
}

async fn consumers(core: &Core) -> Result<Vec<consumer::Info>, JetStreamError> {
    let refused = |error: &dyn ToString| JetStreamError::refused("list the consumers", error.to_string());
    let stream = core.context().get_stream_no_info(core.stream()).await.map_err(|error| refused(&error))?;
    stream.consumers().try_collect().await.map_err(|error| refused(&error))
}

fn delivery(consumer: &consumer::Info) -> DeliveryFacts {
    DeliveryFacts {
        waiting_pulls: consumer.num_waiting as u64,
        leased: consumer.num_ack_pending as u64,
        redelivered: consumer.num_redelivered as u64,
        waiting: consumer.num_pending,
        ack_wait_ms: millis(consumer.config.ack_wait),
    }
}

async fn read_behind(core: &Core, place: u64, max: usize) -> Result<Vec<Kept>, JetStreamError> {
    let refused = |error: &dyn ToString| JetStreamError::refused("read the messages", error.to_string());
    let stream = core.context().get_stream_no_info(core.stream()).await.map_err(|error| refused(&error))?;
    let (mut kept, mut from) = (Vec::new(), place.saturating_add(1));
    while kept.len() < max {
        let wanted = stream.raw_message_builder().sequence(from).next_by_subject(">");
        let found = match wanted.send().await {
            Ok(found) => found,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => break,
            Err(error) => return Err(refused(&error)),
        };
        from = found.sequence.saturating_add(1);
        kept.push(Kept {
            sequence: found.sequence,
            tenant: tenant_of(&found.subject),
            events: message::events(Some(&found.headers)),
            request: message::read(Some(&found.headers), &found.payload),
        });
    }
    Ok(kept)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Of a limit, which is none below one.
fn limit(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|number| *number > 0)
}

impl StreamFacts {
    /// Messages that it has taken, and has no more.
    pub(super) fn gone(&self) -> u64 {
        self.taken.saturating_sub(self.messages)
    }

    fn of(info: &Info) -> Self {
        let Info { config, state, cluster, .. } = info;
        let followers = cluster.iter().flat_map(|cluster| &cluster.replicas);
        Self {
            name: config.name.clone(),
            storage: match config.storage {
                StorageType::File => "file",
                StorageType::Memory => "memory",
            },
            retention: match config.retention {
                RetentionPolicy::Limits => "limits",
                RetentionPolicy::Interest => "interest",
                RetentionPolicy::WorkQueue => "workqueue",
            },
            discard: match config.discard {
                DiscardPolicy::Old => "old",
                DiscardPolicy::New => "new",
            },
            replicas: config.num_replicas,
            leader: cluster.as_ref().and_then(|cluster| cluster.leader.clone()),
            followers: followers
                .map(|peer| Follower { name: peer.name.clone(), is_current: peer.current && !peer.offline })
                .collect(),
            bytes_max: limit(config.max_bytes),
            messages_max: limit(config.max_messages),
            age_max_ms: Some(millis(config.max_age)).filter(|ms| *ms > 0),
            duplicate_window_ms: millis(config.duplicate_window),
            messages: state.messages,
            bytes: state.bytes,
            taken: state.last_sequence,
            oldest_ms: (state.messages > 0).then(|| millis_of(state.first_timestamp.unix_timestamp_nanos())),
        }
    }
}

fn millis_of(nanos: i128) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(subjects: &[&str]) -> consumer::Config {
        let subjects: Vec<String> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        match &subjects[..] {
            [one] => consumer::Config { filter_subject: one.clone(), ..consumer::Config::default() },
            _ => consumer::Config { filter_subjects: subjects, ..consumer::Config::default() },
        }
    }

    #[test]
    fn only_a_consumer_that_is_named_like_its_one_subject_is_posthastes() {
        for (name, subjects, owner) in [
            ("shop", &["events.shop"][..], Some("shop")),
            ("a=20b", &["events.a=20b"], Some("a b")),
            ("=", &["events.="], Some("")),
            ("reader", &["events.shop"], None),
            ("shop", &["events.*"], None),
            ("shop", &["events.shop", "events.other"], None),
            ("shop", &["other.shop"], None),
            ("shop", &[], None),
            ("=x", &["events.=x"], None),
        ] {
            let found = owner_of("events", name, &takes(subjects));
            assert_eq!(found.ok().as_deref(), owner, "{name} {subjects:?}");
        }
        let pushed =
            consumer::Config { deliver_subject: Some("elsewhere".to_owned()), ..takes(&["events.shop"]) };
        let foreign = owner_of("events", "shop", &pushed).unwrap_err();
        let finding = foreign.finding("events");
        assert_eq!((finding.setting, finding.is.as_str()), ("consumer", "shop"));
        assert!(finding.why.contains("it takes events.shop,"), "{finding}");
    }
}
