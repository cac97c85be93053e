//! Events keep what they are given in a form of their own: whatever it is, it comes out as it went in, and a request of
//! it is byte for byte what the wire types give.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use posthaste::{
    Batch, DecisionMetadata, Event, Experiment, LogEvent, ProjectConfig, UserContext, UserEvent, Variation,
    Visitor, VisitorAttribute, create_conversion_user_event, create_event_context,
    create_impression_user_event,
};
use proptest::{collection, option, prelude::*};
use serde_json::{Map, Value, json};

/// A project whose attributes have these keys, with names that need escapes among its ids.
fn config(attributes: &[String]) -> ProjectConfig {
    let attributes: Vec<Value> = attributes
        .iter()
        .enumerate()
        .map(|(at, key)| json!({"id": format!("i\"{at}"), "key": key}))
        .collect();
    let datafile = json!({
        "version": "4", "accountId": "1", "projectId": "2\\", "revision": "3", "botFiltering": true,
        "attributes": attributes,
        "events": [{"id": "51", "key": "buy"}, {"id": "5\"2", "key": "se\\ll"}],
        "experiments": [
            {"id": "11", "key": "a", "layerId": "21", "variations": [
                {"id": "31", "key": "on"}, {"id": "32", "key": "off"}]},
            {"id": "1\"2", "key": "b", "layerId": "", "variations": [{"id": "x", "key": "on"}]},
        ],
    });
    ProjectConfig::from_datafile(datafile.to_string()).unwrap()
}

/// One request of it, from the wire types.
fn body(event: &UserEvent) -> String {
    serde_json::to_string(&Batch::from_user_events(std::slice::from_ref(event))).unwrap()
}

/// What is so of every event.
fn check(event: &UserEvent) {
    let request = LogEvent::of_event("http://127.0.0.1/", event);
    assert_eq!(request.body(), &body(event));
    assert_eq!(LogEvent::from_body("http://127.0.0.1/", request.body().clone()).unwrap(), request);
    // It never says that a request fits which does not, and it fits where it says so.
    let bytes = request.body().len();
    assert_eq!((event.too_large_for(bytes), event.too_large_for(bytes - 1)), (None, Some(bytes)));
    // Read back from what goes out, and from there once more.
    let read = UserEvent::from_visitor(Arc::clone(event.context()), &Visitor::from(event)).unwrap();
    assert_eq!(&read, event);
    assert_eq!(body(&read), body(event));
    assert_eq!(read.why_invalid(), event.why_invalid());
    // Changed, and changed back.
    let (uuid, time) = (event.uuid(), event.timestamp_ms());
    let changed = event.clone().with_uuid("ORDER \"17\"").with_timestamp_ms(7);
    assert_ne!(&changed, event);
    assert_eq!((changed.uuid().to_string(), changed.timestamp_ms()), ("ORDER \"17\"".to_owned(), 7));
    assert_eq!(LogEvent::of_event("http://127.0.0.1/", &changed).body(), &body(&changed));
    assert_eq!(&changed.with_timestamp_ms(time).with_uuid(uuid), event);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z0-9]{0,12}",
        4 => any::<String>(),
        2 => "[\"\\\\\u{0}-\u{20}é☕]{0,20}",
        1 => (60_usize..70_000).prop_map(|length| "x".repeat(length)),
        1 => (60_usize..300).prop_map(|length| "\n".repeat(length)),
    ]
}

/// What an attribute may be, and what not.
fn attribute() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
    ]
}

fn tag() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        attribute(),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(text(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn attributes() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop_oneof![
        6 => collection::btree_map("[a-z\"é]{1,6}", attribute(), 0..6),
        1 => collection::btree_map("[a-z]{3,4}", attribute(), 254..300),
    ]
}

fn tags() -> impl Strategy<Value = Vec<(String, Value)>> {
    let key = prop_oneof![text(), Just("revenue".to_owned()), Just("value".to_owned())];
    collection::vec((key, tag()), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn attributes_come_out_as_they_went_in(
        visitor in text(), given in attributes(), reserved in option::of(text()), unknown in any::<bool>(),
    ) {
        let keys: Vec<String> = given.keys().cloned().collect();
        let config = config(&keys);
        let mut expected: Vec<VisitorAttribute> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| VisitorAttribute::custom(&format!("i\"{at}"), key, given[key].clone()))
            .collect();
        let mut user = UserContext::new(&*visitor).with_attributes(given);
        if let Some(reserved) = reserved {
            user = user.attribute("$opt_x", &*reserved);
            expected.push(VisitorAttribute::custom("$opt_x", "$opt_x", reserved.into()));
            expected.sort_by(|a, b| a.key.cmp(&b.key));
        }
        if unknown {
            user = user.attribute("UNKNOWN", 1).attribute("$opt_list", json!([1]));
        }
        expected.push(VisitorAttribute::bot_filtering(true));
        // The first is packed by itself; from some point on, what is kept of the others is taken.
        let events: Vec<UserEvent> = (0..4).map(|_| config.impression("a", "on", &user).unwrap()).collect();
        for event in &events {
            prop_assert_eq!(event.attributes(), expected.clone());
            prop_assert_eq!(event.visitor_id(), &visitor);
            check(event);
        }
        let dropped = config.dropped_attributes();
        let each = if unknown { 4 } else { 0 };
        prop_assert_eq!((dropped.unknown, dropped.invalid), (each, each));
        // What is kept is of no use to another project.
        let other = self::config(&[]);
        let event = other.impression("a", "on", &user).unwrap();
        let sent = event.attributes().iter().filter(|attribute| attribute.key.starts_with("$opt_")).count();
        prop_assert_eq!(event.attributes().len(), sent);
        check(&event);
    }

    #[test]
    fn tags_come_out_as_they_went_in(visitor in text(), given in tags(), is_own in any::<bool>(), id in text()) {
        let (config, user) = (config(&[]), UserContext::new(&*visitor));
        let own = Event::new(&id, "k\"");
        let event = if is_own { &own } else { config.event_by_key("se\\ll").unwrap() };
        let expected: Map<String, Value> = given.iter().cloned().collect();
        let event = create_conversion_user_event(&config, event, &user, given);
        let conversion = event.conversion().unwrap();
        prop_assert_eq!(conversion.tags(), expected.clone());
        prop_assert_eq!(conversion.value(), expected.get("value").and_then(Value::as_f64));
        let names = if is_own { (&*id, "k\"") } else { ("5\"2", "se\\ll") };
        prop_assert_eq!((conversion.entity_id(), conversion.key()), names);
        check(&event);
    }

    #[test]
    fn ids_come_out_as_they_went_in(ids in collection::vec(text(), 8), has in any::<[bool; 4]>()) {
        let config = config(&[]);
        let variations = vec![Variation::new(&ids[0], "on")];
        let own = Experiment::new(&ids[1], &ids[2], &ids[3], variations);
        let variation = has[0].then(|| own.variation_by_key("on").unwrap());
        let config = if has[1] { config.as_todays_sdks_send() } else { config.with_raw_ids_sent() };
        let event = create_impression_user_event(&config, &own, variation, &UserContext::new("ann"));
        let seen = event.impression().unwrap();
        prop_assert_eq!(seen.experiment_id(), &ids[1]);
        prop_assert_eq!(seen.metadata().is_some(), has[1]);
        if !has[1] {
            prop_assert_eq!(seen.variation_id(), has[0].then_some(&*ids[0]));
        }
        check(&event);
        let mut metadata = DecisionMetadata::new(&ids[4], &ids[5], &ids[6], "v", has[2]);
        metadata.cmab_uuid = has[3].then(|| ids[7].clone());
        for event in [event, config.impression("b", "on", &UserContext::new("ann")).unwrap()] {
            let before = event.impression().unwrap();
            let said = event.clone().with_decision_metadata(metadata.clone());
            let seen = said.impression().unwrap();
            prop_assert_eq!(seen.metadata().map(Cow::into_owned), Some(metadata.clone()));
            prop_assert_eq!((seen.experiment_id(), seen.campaign_id()), (before.experiment_id(), before.campaign_id()));
            prop_assert_eq!(seen.variation_id(), before.variation_id());
            check(&said);
        }
    }
}

/// Whose ids an impression has depends on what was passed, and not on where that stands in which datafile.
#[test]
fn an_experiment_or_variation_of_elsewhere_is_reported_by_its_own_ids() {
    let (config, other) = (config(&[]), config(&[]));
    let user = UserContext::new("ann");
    let (a, b) = (config.experiment_by_key("a").unwrap(), config.experiment_by_key("b").unwrap());
    let ids = |config: &ProjectConfig, experiment: &Experiment, variation: Option<&Variation>| {
        let event = create_impression_user_event(config, experiment, variation, &user);
        check(&event);
        let seen = event.impression().unwrap();
        [seen.campaign_id(), seen.experiment_id(), seen.variation_id().unwrap_or("none")].map(str::to_owned)
    };
    let off = a.variation_by_key("off");
    assert_eq!(ids(&config, a, off), ["21", "11", "32"]);
    assert_eq!(ids(&config, a, None), ["21", "11", "none"]);
    assert_eq!(ids(&config, b, None), ["1\"2", "1\"2", "none"]);
    assert_eq!(ids(&config, b, off), ["1\"2", "1\"2", "32"], "another's variation");
    assert_eq!(ids(&other, a, off), ["21", "11", "32"], "another's experiment");
    assert_eq!(ids(&config, a, Some(&Variation::new("39", "off"))), ["21", "11", "39"]);
    let mine = Experiment::new("11", "a", "29", a.variations().to_vec());
    assert_eq!(ids(&config, &mine, mine.variation_by_key("on")), ["29", "11", "31"]);
    assert_eq!(ids(&config.clone().with_raw_ids_sent(), b, b.variation_by_key("on")), ["1\"2", "1\"2", "x"]);
    assert_eq!(ids(&config, b, b.variation_by_key("on")), ["1\"2", "1\"2", "none"], "no string of digits");
    assert_eq!(a, other.experiment_by_key("a").unwrap(), "where it stands is no part of it");
}

/// Events of threads that each count their references elsewhere are of one context.
#[test]
fn events_of_all_threads_share_a_request() {
    let config = config(&[]);
    let make = || config.impression("a", "on", &UserContext::new("ann")).unwrap();
    let events: Vec<UserEvent> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let context = create_event_context(&config);
    assert!(events.iter().all(|event| event.context().can_batch(&context)));
    let first = &events[0];
    let alike = |event: &UserEvent| {
        event.clone().with_uuid(first.uuid()).with_timestamp_ms(first.timestamp_ms()) == *first
    };
    assert!(events.iter().all(alike));
}
