//! What today's SDKs send beyond the seed: metadata, region, a null variation; present only where asked for.

use posthaste::{
    Batch, DecisionMetadata, UserContext, create_conversion_user_event, create_impression_user_event,
};
use serde_json::{Map, Value, json};

use crate::support::{project, read};

/// The bodies that the Go package made at v2.4.0: ours, given the same times and ids.
#[test]
fn bodies_of_todays_go_package_can_be_made() {
    let config = project("datafiles/example.json").with_client("go-sdk", "2.3.0").with_region_sent();
    let theirs: Batch =
        serde_json::from_str(read("go-sdk-2.4.0.bodies.json").lines().next().unwrap()).unwrap();
    let user = UserContext::new("visitor-1 <&> é ☕")
        .attribute("tier", "gold")
        .attribute("$opt_user_agent", "UA/1")
        .attribute("cart_total", 199.5);
    let experiment = config.experiment_by_key("checkout_button_colour").unwrap();
    let mut compared = 0;
    for visitor in &theirs.visitors {
        let snapshot = &visitor.snapshots[0];
        let [decision] = &snapshot.decisions[..] else { continue };
        if decision.experiment_id != experiment.id() {
            continue;
        }
        let wire = &snapshot.events[0];
        let variation = decision.variation_id.as_deref().and_then(|id| experiment.variation_by_id(id));
        let event = create_impression_user_event(&config, experiment, variation, &user)
            .with_timestamp_ms(wire.timestamp)
            .with_uuid(wire.uuid.as_str())
            .with_decision_metadata(decision.metadata.clone().unwrap());
        let ours = Batch::from_user_events(&[event]);
        assert_eq!(ours.visitors[0].snapshots, visitor.snapshots);
        assert_eq!(sorted(&ours.visitors[0].attributes), sorted(&visitor.attributes), "Go's order is random");
        assert_eq!(
            (&ours.region, &ours.account_id, ours.anonymize_ip),
            (&theirs.region, &theirs.account_id, theirs.anonymize_ip)
        );
        compared += 1;
    }
    assert!(compared >= 2, "{compared}");
}

fn sorted(attributes: &[posthaste::VisitorAttribute]) -> Vec<String> {
    let mut texts: Vec<String> =
        attributes.iter().map(|attribute| serde_json::to_string(attribute).unwrap()).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn no_variation_is_null_and_a_conversion_takes_no_metadata() {
    let config = project("larkspur.json");
    let user = UserContext::new("v");
    let event =
        create_impression_user_event(&config, config.experiment_by_key("signup_copy").unwrap(), None, &user)
            .with_decision_metadata(DecisionMetadata::new("", "", "rollout", "", false));
    let body = serde_json::to_value(Batch::from_user_events(&[event])).unwrap();
    assert_eq!(
        body["visitors"][0]["snapshots"][0]["decisions"],
        json!([{
            "variation_id": null, "campaign_id": "60014", "experiment_id": "40014",
            "metadata": {"flag_key": "", "rule_key": "", "rule_type": "rollout", "variation_key": "", "enabled": false},
        }])
    );
    assert_eq!(body.get("region"), None);
    let event = config.event_by_key("purchase").unwrap();
    let plain = create_conversion_user_event(&config, event, &user, &Map::new());
    assert_eq!(plain.clone().with_decision_metadata(DecisionMetadata::default()), plain);
}

#[test]
fn attributes_that_cannot_be_sent_are_counted() {
    let config = project("larkspur.json");
    let user = UserContext::new("v")
        .attribute("no such attribute", 1)
        .attribute("plan", Value::Null)
        .attribute("age", json!([1]))
        .attribute("country", f64::NAN);
    let event =
        create_conversion_user_event(&config, config.event_by_key("purchase").unwrap(), &user, &Map::new());
    assert_eq!(event.attributes().len(), 1, "only $opt_bot_filtering is left");
    for counting in [config.clone(), config.with_client("the same", "project")] {
        let dropped = counting.dropped_attributes();
        assert_eq!((dropped.unknown, dropped.invalid), (1, 3));
    }
    let other = project("larkspur.json").dropped_attributes();
    assert_eq!((other.unknown, other.invalid), (0, 0), "each project counts its own");
}

/// The seed keeps the caller's map, and so changes events, or crashes, when the caller changes the map later.
#[test]
fn tags_are_the_events_own() {
    let config = project("larkspur.json");
    let mut tags = Map::from_iter([("sku".to_owned(), json!("A1"))]);
    let event = create_conversion_user_event(
        &config,
        config.event_by_key("purchase").unwrap(),
        &UserContext::new("v"),
        &tags,
    );
    tags.insert("sku".to_owned(), json!("changed"));
    assert_eq!(event.conversion().unwrap().tags()["sku"], "A1");
}

/// Where a layer is missing, an impression still has an entity of its own.
#[test]
fn an_experiment_without_a_layer_reports_its_own_id() {
    let config = project("datafiles/39_layer_null.json");
    let experiment = config.experiments().iter().find(|experiment| experiment.layer_id().is_empty()).unwrap();
    let event = create_impression_user_event(
        &config,
        experiment,
        experiment.variations().first(),
        &UserContext::new("v"),
    );
    assert_eq!(event.entity_id(), experiment.id());
}
