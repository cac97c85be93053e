//! The events of the larkspur vectors, for each test binary that sends them.

use posthaste::{
    ProjectConfig, UserContext, UserEvent, create_conversion_user_event, create_impression_user_event,
};
use serde_json::Value;

/// An event of a line of larkspur.events.jsonl.
pub(crate) fn event(config: &ProjectConfig, line: &Value) -> UserEvent {
    let text = |key: &str| line[key].as_str().unwrap();
    let attributes = line["attributes"].as_object().unwrap();
    let user = attributes
        .iter()
        .fold(UserContext::new(text("user_id")), |user, (key, value)| user.attribute(key, value.clone()));
    let made = if text("type") == "impression" {
        let experiment = config.experiment_by_key(text("experiment")).unwrap();
        create_impression_user_event(
            config,
            experiment,
            experiment.variation_by_key(text("variation")),
            &user,
        )
    } else {
        let event = config.event_by_key(text("event")).unwrap();
        create_conversion_user_event(
            config,
            event,
            &user,
            &line["tags"].as_object().cloned().unwrap_or_default(),
        )
    };
    made.with_timestamp_ms(line["timestamp"].as_i64().unwrap()).with_uuid(text("uuid"))
}
