//! Bodies as today's SDKs send them, where that was asked for: compared with what those SDKs sent.

use posthaste::{
    Batch, DecisionMetadata, LogEvent, ProjectConfig, UserContext, UserEvent, Visitor,
    create_impression_user_event,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{larkspur, project, read};

fn event_like(theirs: &Visitor, config: &ProjectConfig) -> Option<UserEvent> {
    let [decision] = &theirs.snapshots[0].decisions[..] else { return None };
    let experiment = config.experiment_by_id(&decision.experiment_id)?;
    let variation = decision.variation_id.as_deref().and_then(|id| experiment.variation_by_id(id));
    let user = theirs
        .attributes
        .iter()
        .filter(|attribute| attribute.key != "$opt_bot_filtering")
        .fold(UserContext::new(&*theirs.visitor_id), |user, attribute| {
            user.attribute(&*attribute.key, attribute.value.clone())
        });
    let wire = &theirs.snapshots[0].events[0];
    let event = create_impression_user_event(config, experiment, variation, &user);
    Some(event.with_timestamp_ms(wire.timestamp).with_uuid(&*wire.uuid))
}

/// Their order of attributes is the caller's, or random.
fn sorted(mut batch: Batch) -> Batch {
    for visitor in &mut batch.visitors {
        visitor.attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
    batch
}

/// A project whose experiments no flag uses: what `activate` reports in the SDKs, which knows of no flag.
fn without_flags() -> ProjectConfig {
    let mut datafile: Value = serde_json::from_str(&read("larkspur.json")).unwrap();
    datafile["featureFlags"] = json!([]);
    ProjectConfig::from_datafile(datafile.to_string()).unwrap()
}

/// The bodies of a file of requests, one for each impression of an experiment.
fn bodies(file: &str) -> Vec<Batch> {
    let single = |batch: Batch| {
        let head = Batch::clone(&batch);
        batch.visitors.into_iter().map(move |visitor| {
            let mut single = head.clone();
            single.visitors = vec![visitor];
            single
        })
    };
    let parse = |line: &str| {
        let request: Value = serde_json::from_str(line).unwrap();
        serde_json::from_str::<Batch>(request["body"].as_str().unwrap()).unwrap()
    };
    read(file).lines().map(parse).flat_map(single).collect()
}

#[test]
fn impressions_are_those_of_the_javascript_and_python_sdks() {
    for (file, client, version) in [
        ("javascript-sdk-6.6.1-node.requests.jsonl", "node-sdk", "6.6.1"),
        ("python-sdk-5.7.0.requests.jsonl", "python-sdk", "5.7.0"),
    ] {
        let todays =
            |config: ProjectConfig| config.with_client(client, version).with_decision_metadata_sent();
        let (decide, activate) = (todays(larkspur()), todays(without_flags()));
        let mut compared = (0, 0);
        for theirs in bodies(file) {
            let [decision] = &theirs.visitors[0].snapshots[0].decisions[..] else { continue };
            let is_activate = decision.metadata.as_ref().unwrap().rule_type == "experiment";
            let config = if is_activate { &activate } else { &decide };
            let Some(event) = event_like(&theirs.visitors[0], config) else { continue };
            assert_eq!(sorted(Batch::from_user_events(&[event])), sorted(theirs));
            if is_activate { compared.0 += 1 } else { compared.1 += 1 }
        }
        assert_eq!(compared, (24, 82), "{file}");
    }
}

fn go_bodies() -> Batch {
    serde_json::from_str(read("go-sdk-2.4.0.bodies.json").lines().next().unwrap()).unwrap()
}

#[test]
fn an_activation_is_that_of_the_go_sdk() {
    let config = project("datafiles/example.json").with_client("go-sdk", "2.3.0").as_todays_sdks_send();
    let mut theirs = go_bodies();
    theirs.visitors.truncate(1);
    let event = event_like(&theirs.visitors[0], &config).unwrap();
    let ours = Batch::from_user_events(&[event]);
    assert_eq!(ours.region.as_deref(), Some("US"));
    assert_eq!(sorted(ours), sorted(theirs));
}

/// The Go SDK names the flag that was asked for; the datafile cannot know it.
#[test]
fn a_holdout_is_that_of_the_go_sdk_but_for_its_flag() {
    let opaque = read("datafiles/example.json").replace("30828100001", "$opt_dummy_variation_id");
    let config = ProjectConfig::from_datafile(opaque).unwrap().as_todays_sdks_send();
    let theirs = &go_bodies().visitors[3].snapshots[0].decisions[0];
    let holdout = config.experiment_by_key("global_q3_holdout").unwrap();
    let event =
        create_impression_user_event(&config, holdout, &holdout.variations()[0], &UserContext::new("v"));
    let mut ours = Batch::from_user_events(&[event]).visitors[0].snapshots[0].decisions[0].clone();
    assert_eq!(ours.metadata.as_ref().unwrap().flag_key, "");
    ours.metadata.as_mut().unwrap().flag_key = "trust_badge".to_owned();
    assert_eq!(&ours, theirs);
}

#[test]
fn the_datafile_tells_flag_and_kind_of_rule() {
    let config = project("datafiles/example.json");
    for (id, rule_type, flag_key) in [
        ("30825100001", "experiment", ""),
        ("30825100003", "feature-test", "one_page_checkout"),
        ("30825400001", "rollout", "one_page_checkout"),
        ("default-rollout-204803-30821740512", "rollout", "trust_badge"),
        ("30828000001", "holdout", ""),
        // A holdout of one rule, and so of that rule's flag.
        ("30828000002", "holdout", "search_suggestions"),
    ] {
        let experiment = config.experiment_by_id(id).unwrap();
        assert_eq!((experiment.rule_type(), experiment.flag_key()), (rule_type, flag_key), "{id}");
    }
}

fn with_flags(flags: Value) -> ProjectConfig {
    let mut datafile: Value = serde_json::from_str(&read("larkspur.json")).unwrap();
    datafile["featureFlags"] = flags;
    ProjectConfig::from_datafile(datafile.to_string()).unwrap()
}

#[test]
fn an_experiment_of_two_flags_names_neither() {
    let flag = |key: &str| json!({"id": "1", "key": key, "experimentIds": ["40011"]});
    let config = with_flags(json!([flag("a"), flag("b"), flag("a")]));
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    assert_eq!((experiment.rule_type(), experiment.flag_key()), ("feature-test", ""));
}

/// Metadata is not worth a datafile: what events are made of is there.
#[test]
fn a_flag_that_cannot_be_read_is_a_warning() {
    let good = json!({"key": "good", "experimentIds": ["40011"]});
    for (flags, warning) in [
        (
            json!([{"key": 1}, good]),
            "featureFlags[0].key: expected string, found number: decisions do not name this flag",
        ),
        (
            json!([good, null]),
            "featureFlags[1]: expected object, found null: decisions do not name this flag",
        ),
        (
            json!([good, {"key": "x", "experimentIds": [true]}]),
            "featureFlags[1].experimentIds[0]: expected string, found boolean: decisions do not name this flag",
        ),
    ] {
        let config = with_flags(flags);
        assert_eq!(config.warnings(), [warning]);
        assert_eq!(config.experiment_by_key("checkout_button").unwrap().flag_key(), "good");
    }
    assert_eq!(with_flags(json!("none")).warnings().len(), 1);
    assert!(with_flags(Value::Null).warnings().is_empty());
}

/// What is written fast is what the wire types write; without the option nothing of it is there.
#[test]
fn the_option_is_off_unless_set() {
    let user = UserContext::new("v\"").attribute("plan", "pro");
    let plain = larkspur().impression("checkout_button", "control", &user).unwrap();
    let todays = larkspur().as_todays_sdks_send().impression("checkout_button", "control", &user).unwrap();
    assert_eq!(plain.impression().unwrap().metadata(), None);
    for (event, is_todays) in [(plain, false), (todays, true)] {
        let body = LogEvent::of_event("", &event).body().to_vec();
        assert_eq!(body, serde_json::to_vec(&Batch::from_user_events(&[event])).unwrap());
        let text = String::from_utf8(body).unwrap();
        assert_eq!((text.contains("\"metadata\""), text.contains("\"region\"")), (is_todays, is_todays));
    }
}

proptest! {
    /// The fast way and the wire types write the same bytes, whatever must be escaped.
    #[test]
    fn metadata_is_written_as_the_wire_types_write_it(
        texts in prop::array::uniform5(".{0,20}"), enabled: bool, has_uuid: bool, visitor in ".{0,20}"
    ) {
        let [flag, rule, kind, variation, uuid] = &texts;
        let mut metadata = DecisionMetadata::new(flag, rule, kind, variation, enabled);
        metadata.cmab_uuid = has_uuid.then(|| uuid.clone());
        let event = larkspur().impression("checkout_button", "control", &UserContext::new(visitor)).unwrap();
        let event = event.with_decision_metadata(metadata.clone());
        let fast = LogEvent::of_event("", &event);
        prop_assert_eq!(fast.body(), &serde_json::to_vec(&Batch::from_user_events(std::slice::from_ref(&event))).unwrap());
        let read = fast.event().unwrap();
        prop_assert_eq!(read.visitors[0].snapshots[0].decisions[0].metadata.as_ref(), Some(&metadata));
    }
}
