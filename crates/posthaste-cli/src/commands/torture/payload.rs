//! The events: made by posthaste, and written down by hand as they must arrive.
//!
//! What must arrive is stated here once more, field by field, instead of being asked of the code that encodes it: an
//! encoder that changes an event would change the question together with the answer.

use fastrand::Rng;
use posthaste::{
    Clock, ProjectConfig, SystemClock, UserContext, UserEvent, create_conversion_user_event,
    create_impression_user_event,
};
use posthaste_oracle::Digest;
use serde_json::{Map, Value, json};

use super::dice;
use crate::common::datafile::LARKSPUR;

/// A visitor's name is this and the event's id.
const VISITOR: &str = "tortured-";
/// Text that is easily spoilt on its way.
const AWKWARD: [&str; 4] = ["pro", "é ☕ <&>", "\"quoted\\\" \u{7f}\n", "\u{1f600}"];
/// One conversion in so many carries a lot of text, so that segments end in all places.
const LONG_ONE_IN: u8 = 8;
const LONG_BYTES: std::ops::Range<usize> = 500..6_000;

/// The project that all events belong to.
pub(super) fn project() -> ProjectConfig {
    ProjectConfig::from_datafile(LARKSPUR).expect("the built-in datafile is sound")
}

/// What an event tells.
struct Story {
    visitor: String,
    plan: &'static str,
    logged_in: bool,
    /// The tags of a conversion; an impression has none.
    tags: Option<Map<String, Value>>,
    uuid: String,
    time_ms: i64,
}

/// An event, and what must arrive of it.
pub(super) fn event(config: &ProjectConfig, seed: u64, id: u64) -> (UserEvent, Digest) {
    let story = Story::new(id, &mut dice::of_event(seed, id));
    (story.event(config), digest(&envelope(), &story.visitor()))
}

impl Story {
    fn new(id: u64, random: &mut Rng) -> Self {
        Self {
            visitor: format!("{VISITOR}{id}"),
            plan: random.choice(AWKWARD).expect("not empty"),
            logged_in: random.bool(),
            tags: random.bool().then(|| tags(random)),
            uuid: format!("{:08x}-{:04x}-4000-8000-{id:012x}", random.u32(..), random.u16(..)),
            time_ms: SystemClock.now_ms(),
        }
    }

    fn event(&self, config: &ProjectConfig) -> UserEvent {
        let user = UserContext::new(&self.visitor)
            .attribute("plan", self.plan)
            .attribute("logged_in", self.logged_in);
        let event = if let Some(tags) = &self.tags {
            let purchase = config.event_by_key("purchase").expect("in the built-in datafile");
            create_conversion_user_event(config, purchase, &user, tags)
        } else {
            let button = config.experiment_by_key("checkout_button").expect("in the built-in datafile");
            create_impression_user_event(config, button, button.variation_by_key("control"), &user)
        };
        event.with_uuid(self.uuid.as_str()).with_timestamp_ms(self.time_ms)
    }

    /// The visitor as it must arrive.
    fn visitor(&self) -> Value {
        let attribute =
            |id, key, value: Value| json!({"entity_id": id, "key": key, "type": "custom", "value": value});
        json!({
            "visitor_id": self.visitor,
            "attributes": [
                attribute("20012", "logged_in", json!(self.logged_in)),
                attribute("20010", "plan", json!(self.plan)),
                attribute("$opt_bot_filtering", "$opt_bot_filtering", json!(true)),
            ],
            "snapshots": [self.snapshot()],
        })
    }

    fn snapshot(&self) -> Value {
        let (uuid, time) = (&self.uuid, self.time_ms);
        match &self.tags {
            None => json!({
                "decisions": [{"campaign_id": "60011", "experiment_id": "40011", "variation_id": "70111"}],
                "events": [{"entity_id": "60011", "key": "campaign_activated", "timestamp": time, "uuid": uuid}],
            }),
            Some(tags) => json!({
                "decisions": [],
                "events": [{
                    "entity_id": "30012", "key": "purchase", "timestamp": time, "uuid": uuid,
                    "tags": tags, "revenue": tags["revenue"],
                }],
            }),
        }
    }
}

fn tags(random: &mut Rng) -> Map<String, Value> {
    let long = if random.u8(0..LONG_ONE_IN) == 0 { random.usize(LONG_BYTES) } else { 0 };
    Map::from_iter([
        ("revenue".to_owned(), json!(random.u32(1..100_000))),
        ("note".to_owned(), json!("x".repeat(long))),
    ])
}

/// What every request must have around its visitors.
fn envelope() -> Map<String, Value> {
    let fields = json!({
        "account_id": "10000001", "project_id": "10000002", "revision": "42", "anonymize_ip": true,
        "client_name": "posthaste", "client_version": env!("CARGO_PKG_VERSION"), "enrich_decisions": true,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn digest(envelope: &Map<String, Value>, visitor: &Value) -> Digest {
    Digest::of_json(&json!({"envelope": envelope, "visitor": visitor}))
}

/// The events of a request as it came, each with its id. `None`: it is no request, or holds something without an id.
pub(super) fn read(body: &[u8]) -> Option<Vec<(u64, Digest)>> {
    let Value::Object(mut envelope) = serde_json::from_slice(body).ok()? else { return None };
    let Value::Array(visitors) = envelope.remove("visitors")? else { return None };
    let read = |visitor: &Value| Some((id(visitor)?, digest(&envelope, visitor)));
    visitors.iter().map(read).collect()
}

fn id(visitor: &Value) -> Option<u64> {
    visitor.get("visitor_id")?.as_str()?.strip_prefix(VISITOR)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use posthaste::LogEvent;

    use super::*;

    fn body(event: &UserEvent) -> Vec<u8> {
        LogEvent::of_event("http://example.org", event).body().to_vec()
    }

    #[test]
    fn what_posthaste_encodes_is_what_was_written_down() {
        let config = project();
        for id in 1..500 {
            let (event, digest) = event(&config, 7, id);
            assert_eq!(read(&body(&event)), Some(vec![(id, digest)]), "event {id}");
        }
    }

    #[test]
    fn any_change_shows() {
        let config = project();
        for id in 1..50 {
            let (event, digest) = event(&config, 7, id);
            let later = event.clone().with_timestamp_ms(event.timestamp_ms() + 1);
            let renamed = event.clone().with_uuid("00000000-0000-4000-8000-000000000000");
            for other in [later, renamed] {
                let read = read(&body(&other)).unwrap();
                assert!(read[0].0 == id && read[0].1 != digest);
            }
            let text = String::from_utf8(body(&event)).unwrap();
            let other = read(text.replace("\"revision\":\"42\"", "\"revision\":\"43\"").as_bytes()).unwrap();
            assert_ne!(other[0].1, digest);
        }
    }

    #[test]
    fn what_has_no_id_is_no_event_of_ours() {
        for body in ["", "[]", "{}", r#"{"visitors":[{}]}"#, r#"{"visitors":[{"visitor_id":"tortured-x"}]}"#]
        {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
