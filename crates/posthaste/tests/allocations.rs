//! What making an event costs: one allocation, and how many bytes of it are not the visitor's own. A process of its own,
//! since its allocator counts.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use allocation_counter::{AllocationInfo, measure};
use posthaste::{
    Experiment, NO_TAGS, ProjectConfig, UserContext, UserEvent, Variation, create_conversion_user_event,
    create_impression_user_event, queue::QueueItem,
};
use serde_json::json;

/// Bytes of an event beyond the visitor's own strings.
const BYTES_MAX: usize = 120;

fn config() -> ProjectConfig {
    ProjectConfig::from_datafile(include_str!("vectors/larkspur.json")).unwrap()
}

fn user(n: usize) -> UserContext {
    UserContext::new(format!("shopper-{n:05}"))
        .attribute("plan", "team")
        .attribute("country", "NZ")
        .attribute("logged_in", true)
        .attribute("age", 20 + n % 60)
}

/// As text, without quotes and punctuation.
fn bytes_of_strings(user: &UserContext) -> usize {
    let bytes = |value: &serde_json::Value| value.as_str().map_or(value.to_string().len(), str::len);
    user.id().len() + user.attributes().map(|(_, value)| bytes(value)).sum::<usize>()
}

/// Makes it until nothing is new, then counts.
fn cost(mut make: impl FnMut() -> UserEvent) -> (AllocationInfo, UserEvent) {
    for _ in 0..3 {
        drop(make());
    }
    let mut made = None;
    let info = measure(|| made = Some(make()));
    (info, made.unwrap())
}

#[track_caller]
fn assert_cheap(make: impl FnMut() -> UserEvent, own_bytes: usize) {
    let (info, event) = cost(make);
    assert_eq!(info.count_total, 1, "{info:?}");
    let bytes = usize::try_from(info.bytes_total).unwrap();
    assert!(bytes <= own_bytes + BYTES_MAX, "{bytes} bytes, {own_bytes} of them its own");
    // What it counts for in a queue is what it takes, its pointer included.
    assert_eq!(event.bytes(), bytes + size_of::<UserEvent>());
}

#[test]
fn an_impression_of_four_attributes_is_one_allocation() {
    let (config, user) = (config(), user(7));
    let make = || config.impression("checkout_button", "control", &user).unwrap();
    assert_cheap(make, bytes_of_strings(&user));
    // In glibc's steps of 16 bytes, 8 of them its own: 96 in all.
    assert!(make().bytes() - size_of::<UserEvent>() <= 88);
}

#[test]
fn so_is_one_of_a_visitor_that_nothing_is_known_of_yet() {
    let config = config();
    let mut fresh = (0..).map(user).take(4).collect::<Vec<_>>().into_iter();
    let own_bytes = bytes_of_strings(&user(3));
    assert_cheap(
        || config.impression("checkout_button", "control", &fresh.next().unwrap()).unwrap(),
        own_bytes,
    );
}

#[test]
fn a_conversion_is_one_allocation_with_its_tags() {
    let (config, user) = (config(), user(7));
    let own = bytes_of_strings(&user);
    assert_cheap(|| config.conversion("purchase", &user, NO_TAGS).unwrap(), own);
    let tags =
        [("value", json!(12.5)), ("sku", json!("A1")), ("revenue", json!(4200)), ("gift", json!(null))];
    let bytes = json!({"value": 12.5, "sku": "A1", "revenue": 4200, "gift": null}).to_string().len();
    assert_cheap(
        || config.conversion("purchase", &user, tags.iter().map(|(key, value)| (*key, value))).unwrap(),
        own + bytes,
    );
    let bytes = r#"{"coupon":"SPRING","sku":"A1"}"#.len();
    assert_cheap(
        || config.conversion("purchase", &user, [("sku", "A1"), ("coupon", "SPRING")]).unwrap(),
        own + bytes,
    );
}

#[test]
fn an_event_with_ids_of_its_own_is_one_allocation_beside_what_is_looked_up() {
    let (config, user) = (config(), UserContext::new("ann"));
    let experiment = Experiment::new("11", "mine", "21", vec![Variation::new("31", "on")]);
    let make =
        || create_impression_user_event(&config, &experiment, experiment.variation_by_key("on"), &user);
    assert_cheap(make, "ann112131".len());
    let event = posthaste::Event::new("41", "mine");
    assert_cheap(|| create_conversion_user_event(&config, &event, &user, NO_TAGS), "ann41mine".len());
}

#[test]
fn a_clone_and_whatever_is_read_of_it_allocate_nothing() {
    let config = config();
    let event = config.impression("checkout_button", "control", &user(1)).unwrap();
    let info = measure(|| {
        let clone = event.clone();
        let seen = clone.impression().unwrap();
        assert_eq!((seen.experiment_id(), clone.visitor_id()), ("40011", "shopper-00001"));
        assert_eq!((clone.why_invalid(), clone.too_large_for(3_500_000)), (None, None));
        assert_eq!(clone, event);
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}
