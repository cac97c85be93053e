//! Makes the streams where they are not there, and looks at them again and again: what they promise may change while
//! events go through them.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    self, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};

use super::{
    check::{self, Kind, Part},
    connection::Core,
    error::JetStreamError,
    holders::{Connected, Holders},
    monitor,
    report::{Holds, StreamReport},
};

/// Between two looks at streams that are there.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Before the next attempt, where one has failed.
const RETRY: Duration = Duration::from_millis(500);

/// Whether streams that are not there are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    Missing,
    Nothing,
}

/// Makes and looks for as long as the connection is wanted.
pub(super) async fn keep(core: &Arc<Core>, make: Make) {
    let mut link = core.follow();
    let mut was = None;
    loop {
        if link.wait_for(|link| link.is_connected).await.is_err() {
            return;
        }
        let pause = match look(core, make).await {
            Ok(report) => {
                // Whoever only looks says himself what he sees.
                if make == Make::Missing {
                    tell(&report, was.as_ref());
                }
                was = Some(report.clone());
                core.set_report(report);
                LOOK_EVERY
            }
            Err(error) => {
                if core.link().is_connected {
                    if make == Make::Missing {
                        tracing::warn!(%error, "the stream is not to be had");
                    }
                    core.set_trouble(error);
                }
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = link.wait_for(|link| !link.is_connected) => {}
        }
    }
}

/// Says what a stream does not promise, when that is new.
fn tell(report: &StreamReport, was: Option<&StreamReport>) {
    let is_new = was.is_none_or(|was| (&was.promises, &was.findings) != (&report.promises, &report.findings));
    if !is_new {
        return;
    }
    for finding in &report.findings {
        tracing::warn!("{finding}");
    }
    for promise in report.promises.iter().filter(|promise| promise.holds != Holds::Yes) {
        let (fault, why) = (promise.fault, &promise.why);
        if promise.holds == Holds::No {
            tracing::warn!("acknowledged events may be lost if {fault}: {why}");
        } else {
            tracing::info!("nobody says whether acknowledged events are lost if {fault}: {why}");
        }
    }
}

/// Both streams as they are, made where they were not there.
pub(super) async fn look(core: &Core, make: Make) -> Result<StreamReport, JetStreamError> {
    let events = stream(core, make, events_config(core)).await?;
    let dead = match stream(core, make, dead_config(core)).await {
        Err(JetStreamError::NoStream(_)) => None,
        dead => Some(dead?),
    };
    let answers = monitor::ask(&core.options().monitors).await;
    let server = core.client().server_info();
    let connected = Connected { name: &server.server_name, id: &server.server_id };
    let holders = |info: &Info| Holders::of(info.cluster.as_ref(), connected);
    let (hold_events, hold_dead) = (holders(&events), dead.as_ref().map(holders));
    let hold_any = hold_events.with(hold_dead.as_ref());
    let of_dead = dead.as_ref().zip(hold_dead.as_ref());
    let promises = check::promises(
        &Part::new(&events.config, &hold_events, &answers),
        of_dead.map(|(dead, hold)| Part::new(&dead.config, hold, &answers)).as_ref(),
    );
    let mut findings =
        check::findings(&events.config, Kind::Events, &subjects(core.stream()), core.options().max_age);
    if let Some(dead) = &dead {
        let subjects = subjects(core.dead_stream());
        findings.extend(check::findings(&dead.config, Kind::DeadLetters, &subjects, Duration::ZERO));
    }
    findings.extend(hold_any.strangers(core.stream(), &answers));
    Ok(StreamReport {
        stream: core.stream().to_owned(),
        replicas: events.config.num_replicas,
        replicas_current: current(&events),
        server_version: server.version,
        max_payload: server.max_payload,
        messages: events.state.messages,
        bytes: events.state.bytes,
        dead_letters: dead.map_or(0, |dead| dead.state.messages),
        promises,
        syncs: hold_any.syncs(&answers),
        findings,
    })
}

pub(super) fn subjects(stream: &str) -> String {
    format!("{stream}.*")
}

fn current(info: &Info) -> usize {
    let Some(cluster) = &info.cluster else { return 1 };
    usize::from(cluster.leader.is_some()) + cluster.replicas.iter().filter(|peer| peer.current).count()
}

fn events_config(core: &Core) -> Config {
    let options = core.options();
    let max_bytes =
        if options.max_bytes == 0 { -1 } else { i64::try_from(options.max_bytes).unwrap_or(i64::MAX) };
    Config {
        name: core.stream().to_owned(),
        description: Some("events on their way to the Event API".to_owned()),
        subjects: vec![subjects(core.stream())],
        retention: RetentionPolicy::WorkQueue,
        max_bytes,
        max_age: options.max_age,
        // No longer than messages live, say the servers.
        duplicate_window: match options.max_age {
            Duration::ZERO => options.duplicate_window,
            max_age => options.duplicate_window.min(max_age),
        },
        ..common(core)
    }
}

fn dead_config(core: &Core) -> Config {
    Config {
        name: core.dead_stream().to_owned(),
        description: Some("events that will not be delivered, with the reasons".to_owned()),
        subjects: vec![subjects(core.dead_stream())],
        retention: RetentionPolicy::Limits,
        max_bytes: -1,
        ..common(core)
    }
}

fn common(core: &Core) -> Config {
    Config {
        storage: StorageType::File,
        num_replicas: core.options().replicas,
        discard: DiscardPolicy::New,
        duplicate_window: core.options().duplicate_window,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        ..Config::default()
    }
}

async fn stream(core: &Core, make: Make, config: Config) -> Result<Info, JetStreamError> {
    let name = config.name.clone();
    let context = core.context();
    match context.get_stream(&name).await {
        Ok(stream) => return Ok(stream.cached_info().clone()),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            _ => return Err(JetStreamError::refused(format!("look at the stream {name}"), error)),
        },
    }
    if make == Make::Nothing {
        return Err(JetStreamError::NoStream(name));
    }
    create(core, context, config).await
}

async fn create(core: &Core, context: &jetstream::Context, config: Config) -> Result<Info, JetStreamError> {
    let (name, replicas) = (config.name.clone(), config.num_replicas);
    let made = context.create_stream(config).await.map_err(|error| match error.kind() {
        CreateStreamErrorKind::JetStream(said) => too_few(&said, &name, replicas)
            .unwrap_or_else(|| JetStreamError::refused(format!("make the stream {name}"), said)),
        _ => JetStreamError::refused(format!("make the stream {name}"), error),
    })?;
    tracing::info!(stream = name, replicas, "made a stream");
    if replicas == 1 && name == core.stream() {
        tracing::warn!(
            stream = name,
            "the stream has 1 replica, as asked for: events are on one disk, and go with it"
        );
    }
    Ok(made.cached_info().clone())
}

/// Where there are not so many servers.
fn too_few(said: &jetstream::Error, stream: &str, replicas: usize) -> Option<JetStreamError> {
    let is_alone = said.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED;
    let is_few = matches!(said.error_code(), ErrorCode::CLUSTER_NO_PEERS | ErrorCode::INSUFFICIENT_RESOURCES);
    (is_alone || is_few && replicas > 1).then(|| JetStreamError::TooFewServers {
        stream: stream.to_owned(),
        replicas,
        is_cluster: !is_alone,
        why: said.to_string(),
    })
}
