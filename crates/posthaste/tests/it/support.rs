//! What several tests need.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, BatchEventProcessorBuilder, LogEvent, ProjectConfig, SnapshotEvent, UserContext,
    UserEvent, create_conversion_user_event, create_impression_user_event,
    dispatch::{Answer, Response},
};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

/// A file made by running official SDKs (tests/vectors/README.md).
pub(crate) fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(vector(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn project(name: &str) -> ProjectConfig {
    ProjectConfig::from_datafile(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The larkspur project, as the Go SDK would report it.
pub(crate) fn larkspur() -> ProjectConfig {
    static LARKSPUR: LazyLock<ProjectConfig> =
        LazyLock::new(|| project("larkspur.json").with_client("go-sdk", "1.0.0-beta7"));
    LARKSPUR.clone()
}

pub(crate) fn impression(config: &ProjectConfig, visitor: &str) -> UserEvent {
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    let user = UserContext::new(visitor).attribute("plan", "pro");
    create_impression_user_event(config, experiment, experiment.variation_by_key("control"), &user)
}

pub(crate) fn conversion(config: &ProjectConfig, visitor: &str, tags: &Map<String, Value>) -> UserEvent {
    let event = config.event_by_key("purchase").unwrap();
    create_conversion_user_event(config, event, &UserContext::new(visitor), tags)
}

/// What a test in paused time works with: the processor, and the task that delivers for it.
pub(crate) struct Driven {
    pub(crate) processor: BatchEventProcessor,
    pub(crate) driver: JoinSet<()>,
}

impl Driven {
    pub(crate) fn new(builder: BatchEventProcessorBuilder) -> Self {
        let (processor, driver) = builder.build_with_driver().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        Self { processor, driver: tasks }
    }

    /// Takes these events; they must not be refused.
    pub(crate) fn take(&self, events: impl IntoIterator<Item = UserEvent>) {
        for event in events {
            self.processor.process_event(event).unwrap().forget();
        }
    }
}

/// Lets everything happen that needs no time to pass.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn uuids(events: &[SnapshotEvent]) -> Vec<String> {
    let mut uuids: Vec<String> = events.iter().map(|event| event.uuid.clone()).collect();
    uuids.sort_unstable();
    uuids
}

pub(crate) fn uuids_of(events: &[UserEvent]) -> Vec<String> {
    let mut uuids: Vec<String> = events.iter().map(|event| event.uuid().to_string()).collect();
    uuids.sort_unstable();
    uuids
}

pub(crate) fn impressions(config: &ProjectConfig, count: usize) -> Vec<UserEvent> {
    (0..count).map(|n| impression(config, &format!("visitor-{n}"))).collect()
}

/// An API that refuses every request with a visitor whose id starts with `bad`.
pub(crate) fn refuses_bad_visitors(request: &LogEvent) -> Answer {
    let batch = request.event().unwrap();
    match batch.visitors.iter().position(|visitor| visitor.visitor_id.starts_with("bad")) {
        Some(at) => Ok(Response::status(400).with_text(&format!("visitors[{at}] is bad"))),
        None => Ok(Response::status(204)),
    }
}
