//! A snapshot's decisions and one event of it.

use posthaste::ProjectConfig;
use serde_json::Value;

use super::{
    checks::{list, object, optional_list, optional_text},
    node::{Node, quote},
    project::{check_conversion, check_decision},
};
use crate::problem::RecordProblems;

/// The key of every impression.
pub(super) const IMPRESSION_KEY: &str = "campaign_activated";

/// Milliseconds since 1970 have 13 digits from 2001 to 2286.
const MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// Notes what is wrong with a snapshot's decisions.
pub(super) fn check_decisions(
    snapshot: &Node<'_>,
    config: Option<&ProjectConfig>,
    problems: &mut RecordProblems,
) {
    let decisions = snapshot.get("decisions");
    optional_list(&decisions, problems);
    for decision in decisions.items() {
        if !object(&decision, "send campaign_id, experiment_id and variation_id", problems) {
            continue;
        }
        for key in ["campaign_id", "experiment_id", "variation_id"] {
            optional_text(&decision.get(key), problems);
        }
        if let Some(config) = config {
            check_decision(&decision, config, problems);
        }
    }
}

/// Notes what is wrong with an event, its snapshot's decisions at hand.
pub(super) fn check_event(
    event: &Node<'_>,
    snapshot: &Node<'_>,
    config: Option<&ProjectConfig>,
    problems: &mut RecordProblems,
) {
    if !object(event, "send entity_id, key, timestamp and uuid", problems) {
        return;
    }
    optional_text(&event.get("key"), problems);
    optional_text(&event.get("entity_id"), problems);
    let uuid = event.get("uuid");
    if uuid.id().is_none() {
        uuid.expected("a string", "make a random uuid once, and keep it when sending again", problems);
    }
    check_timestamp(&event.get("timestamp"), problems);
    check_extras(event, problems);
    if is_impression(event) {
        check_campaign(event, snapshot, problems);
    } else if let Some(config) = config {
        check_conversion(event, config, problems);
    }
}

pub(super) fn is_impression(event: &Node<'_>) -> bool {
    event.get("key").value() == IMPRESSION_KEY
}

/// The decision that an impression reports: the one of its campaign.
pub(super) fn decision_of<'a>(event: &Node<'_>, decisions: &'a Node<'a>) -> Option<Node<'a>> {
    let entity = event.get("entity_id");
    decisions.items().find(|decision| decision.get("campaign_id").id() == entity.id())
}

fn check_timestamp(node: &Node<'_>, problems: &mut RecordProblems) {
    let Some(timestamp) = node.value().as_i64() else {
        node.expected(
            "an integer",
            "send milliseconds since 1970 as a number without quotes or fraction",
            problems,
        );
        return;
    };
    if MILLISECONDS.contains(&timestamp) {
        return;
    }
    problems.add_with(|| {
        let (looks, fix) = unit_of(timestamp);
        node.problem(format!("not milliseconds since 1970: {timestamp} {looks}"), fix)
    });
}

/// What a wrong timestamp was probably meant as, by its digits.
fn unit_of(timestamp: i64) -> (&'static str, &'static str) {
    match timestamp.checked_ilog10().map_or(0, |log| log + 1) {
        10 => ("looks like seconds", "multiply by 1000"),
        16 => ("looks like microseconds", "divide by 1000"),
        19 => ("looks like nanoseconds", "divide by 1000000"),
        _ => ("does not have 13 digits", "send the time of the event in milliseconds, UTC"),
    }
}

fn check_extras(event: &Node<'_>, problems: &mut RecordProblems) {
    let tags = event.get("tags");
    if !tags.is_absent() {
        object(&tags, "send tags by name, or leave them out", problems);
    }
    let revenue = event.get("revenue");
    if !revenue.is_absent() && revenue.value().as_i64().is_none() {
        revenue.expected("an integer", "send the currency's smallest unit, as 64 bits can hold", problems);
    }
    let value = event.get("value");
    if !matches!(value.value(), Value::Null | Value::Number(_)) {
        value.expected("a number", "send a number without quotes, or leave it out", problems);
    }
}

/// Where decisions are listed, one of them is the impression's.
fn check_campaign(event: &Node<'_>, snapshot: &Node<'_>, problems: &mut RecordProblems) {
    let decisions = snapshot.get("decisions");
    if decisions.items().next().is_none() || decision_of(event, &decisions).is_some() {
        return;
    }
    let entity = event.get("entity_id");
    let campaigns = decisions.items().map(|decision| quote(decision.get("campaign_id").id().unwrap_or("")));
    problems.add_with(|| {
        let campaigns: Vec<_> = campaigns.take(3).collect();
        entity.problem(
            format!("{} is not a decision's campaign_id: {}", entity.found(), campaigns.join(", ")),
            "send the campaign_id of the decision that the impression reports",
        )
    });
}

/// Notes where a snapshot has no list of events. Whether it has one.
pub(super) fn check_events(snapshot: &Node<'_>, problems: &mut RecordProblems) -> bool {
    object(snapshot, "send decisions and events", problems)
        && list(&snapshot.get("events"), "list the events", problems)
}
