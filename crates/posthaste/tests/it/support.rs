//! What several tests need.

use std::path::{Path, PathBuf};

use posthaste::{
    ProjectConfig, UserContext, UserEvent, create_conversion_user_event, create_impression_user_event,
};
use serde_json::{Map, Value};

/// A file made by running official SDKs (tests/vectors/README.md).
pub fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

pub fn read(name: &str) -> String {
    std::fs::read_to_string(vector(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn project(name: &str) -> ProjectConfig {
    ProjectConfig::from_datafile(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The larkspur project, as the Go SDK would report it.
pub fn larkspur() -> ProjectConfig {
    project("larkspur.json").with_client("go-sdk", "1.0.0-beta7")
}

pub fn impression(config: &ProjectConfig, visitor: &str) -> UserEvent {
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    let user = UserContext::new(visitor).attribute("plan", "pro");
    create_impression_user_event(config, experiment, experiment.variation_by_key("control"), &user)
}

pub fn conversion(config: &ProjectConfig, visitor: &str, tags: &Map<String, Value>) -> UserEvent {
    let event = config.event_by_key("purchase").unwrap();
    create_conversion_user_event(config, event, &UserContext::new(visitor), tags)
}
