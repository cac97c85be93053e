//! What a datafile adds: ids that the project does not have, and keys for those that it has.

use posthaste_collector::Filter;
use serde_json::{Value, json};

use crate::support::{batch, bytes, collector_of, conversion, impression, project};

const DECISION: &str = "/visitors/0/snapshots/0/decisions/0";
const CONVERSION: &str = "/visitors/1/snapshots/0/events/0";
const RENEW: &str = "look it up in the datafile, or give the collector the datafile that the sender has";

fn body() -> Value {
    batch(&[impression("ann", "u-1"), conversion("ann", "u-2")])
}

fn problems(body: &Value) -> Vec<String> {
    let config = project("larkspur.json");
    posthaste::judge::judge_batch(&bytes(body), Some(&config))
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn ids_of_another_project_are_problems() {
    let decision = "visitors[0].snapshots[0].decisions[0]";
    let conversion = "visitors[1].snapshots[0].events[0]";
    let whose = "send events of this project only, or give the collector the sender's datafile";
    let cases = [
        (
            "/account_id",
            json!("9"),
            format!("account_id: \"9\" is not the datafile's, which is \"10000001\"; {whose}"),
        ),
        (
            "/project_id",
            json!("9"),
            format!("project_id: \"9\" is not the datafile's, which is \"10000002\"; {whose}"),
        ),
        (
            &format!("{DECISION}/experiment_id"),
            json!("49999"),
            format!("{decision}.experiment_id: string \"49999\" is no experiment of the datafile; {RENEW}"),
        ),
        (
            &format!("{DECISION}/variation_id"),
            json!("79999"),
            format!(
                "{decision}.variation_id: string \"79999\" is no variation of experiment \"checkout_button\" of the datafile; {RENEW}"
            ),
        ),
        (
            &format!("{CONVERSION}/entity_id"),
            json!("39999"),
            format!("{conversion}.entity_id: string \"39999\" is no event of the datafile; {RENEW}"),
        ),
        (
            &format!("{CONVERSION}/entity_id"),
            json!(""),
            format!("{conversion}.entity_id: string \"\" is no event of the datafile; {RENEW}"),
        ),
        (
            &format!("{CONVERSION}/key"),
            json!("buy"),
            format!("{conversion}.key: string \"buy\" is not the key of event 30012: \"purchase\"; {RENEW}"),
        ),
    ];
    for (at, value, expected) in cases {
        let mut body = body();
        *body.pointer_mut(at).unwrap() = value;
        assert_eq!(problems(&body), [expected], "{body}");
    }
}

#[test]
fn a_campaign_is_the_experiments_own_or_at_least_known() {
    let place = "visitors[0].snapshots[0].decisions[0].campaign_id";
    let cases = [
        (
            "60012",
            json!("40011"),
            format!(
                "{place}: string \"60012\" is not the campaign of experiment \"checkout_button\": \"60011\"; {RENEW}"
            ),
        ),
        ("69999", json!(""), format!("{place}: string \"69999\" is no campaign of the datafile; {RENEW}")),
    ];
    for (campaign, experiment, expected) in cases {
        let mut body = body();
        *body.pointer_mut("/visitors/0/snapshots/0/events/0/entity_id").unwrap() = json!(campaign);
        let decision = body.pointer_mut(DECISION).unwrap();
        decision["campaign_id"] = json!(campaign);
        decision["experiment_id"] = experiment;
        assert_eq!(problems(&body), [expected], "{body}");
    }
}

#[test]
fn another_revision_or_a_missing_id_is_no_problem() {
    let cases = [
        ("/revision", json!("7")),
        ("/project_id", json!(null)),
        (&format!("{CONVERSION}/key"), json!(null)),
        (&format!("{DECISION}/experiment_id"), json!("")),
        (&format!("{DECISION}/variation_id"), json!(null)),
    ];
    for (at, value) in cases {
        let mut body = body();
        *body.pointer_mut(at).unwrap() = value;
        assert_eq!(problems(&body), [""; 0], "{body}");
    }
}

#[test]
fn keys_stand_beside_ids() {
    let collector = collector_of("larkspur.json");
    collector.receive(&bytes(&body()));
    let good = collector.good(&Filter::default());
    assert_eq!(good[0].experiment.as_deref(), Some("checkout_button"));
    assert_eq!(good[0].variation.as_deref(), Some("green_button"));
    assert_eq!((good[0].event.as_deref(), good[1].event.as_deref()), (None, Some("purchase")));
    for name in ["checkout_button", "40011"] {
        let filter = Filter { experiment: Some(name.to_owned()), ..Filter::default() };
        assert_eq!(collector.good(&filter).len(), 1);
    }
}
