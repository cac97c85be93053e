//! A snapshot's decisions and one event of it.

use crate::{
    event::{IMPRESSION_KEY, is_whole_revenue},
    project::ProjectConfig,
};
use serde_json::Value;

use super::problem::PartFindings;
use super::{
    checks::{list, object, optional_bool, optional_list, optional_text},
    node::{Node, quote},
    project::{check_conversion, check_decision},
};

/// Milliseconds since 1970 have 13 digits from 2001 to 2286.
const MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// Notes what is wrong with a snapshot's decisions.
pub(super) fn check_decisions(snapshot: &Node<'_>, config: Option<&ProjectConfig>, found: &mut PartFindings) {
    let decisions = snapshot.get("decisions");
    optional_list(&decisions, found);
    for decision in decisions.items() {
        if !object(&decision, "send campaign_id, experiment_id and variation_id", found) {
            continue;
        }
        for key in ["campaign_id", "experiment_id", "variation_id"] {
            optional_text(&decision.get(key), found);
        }
        check_metadata(&decision.get("metadata"), found);
        if let Some(config) = config {
            check_decision(&decision, config, found);
        }
    }
}

/// Notes what is wrong with how a decision came about.
pub(super) fn check_metadata(metadata: &Node<'_>, found: &mut PartFindings) {
    if metadata.is_absent() || !object(metadata, "send flag_key, rule_key and so on, or leave it out", found)
    {
        return;
    }
    for key in ["flag_key", "rule_key", "rule_type", "variation_key", "cmab_uuid"] {
        optional_text(&metadata.get(key), found);
    }
    optional_bool(&metadata.get("enabled"), found);
}

/// Notes what is wrong with an event, its snapshot's decisions at hand.
pub(super) fn check_event(
    event: &Node<'_>,
    snapshot: &Node<'_>,
    config: Option<&ProjectConfig>,
    found: &mut PartFindings,
) {
    if !object(event, "send entity_id, key, timestamp and uuid", found) {
        return;
    }
    optional_text(&event.get("key"), found);
    optional_text(&event.get("type"), found);
    optional_text(&event.get("entity_id"), found);
    let uuid = event.get("uuid");
    if uuid.id().is_none() {
        uuid.expected_id("make a random uuid once, and keep it when sending again", found);
    }
    check_timestamp(&event.get("timestamp"), found);
    check_extras(event, found);
    if is_impression(event) {
        check_campaign(event, snapshot, found);
    } else if let Some(config) = config {
        check_conversion(event, config, found);
    }
}

/// By its type or its key; SDKs send the key, the API's guide has the type.
pub(super) fn is_impression(event: &Node<'_>) -> bool {
    ["type", "key"].into_iter().any(|name| event.get(name).value() == IMPRESSION_KEY)
}

/// The decision that an impression reports: the one of its campaign.
pub(super) fn decision_of<'a>(event: &Node<'_>, decisions: &'a Node<'a>) -> Option<Node<'a>> {
    let entity = event.get("entity_id");
    decisions.items().find(|decision| decision.get("campaign_id").id() == entity.id())
}

fn check_timestamp(node: &Node<'_>, found: &mut PartFindings) {
    let Some(timestamp) = node.value().as_i64() else {
        node.expected(
            "an integer",
            "send milliseconds since 1970 as a number without quotes or fraction",
            found,
        );
        return;
    };
    if let Some((problem, fix)) = wrong_time(timestamp) {
        found.add_with(|| node.problem(problem, fix));
    }
}

/// What is wrong with a time that should be in milliseconds since 1970, and what to do.
pub(super) fn wrong_time(timestamp: i64) -> Option<(String, &'static str)> {
    if MILLISECONDS.contains(&timestamp) {
        return None;
    }
    let (looks, fix) = unit_of(timestamp);
    Some((format!("not milliseconds since 1970: {timestamp} {looks}"), fix))
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

fn check_extras(event: &Node<'_>, found: &mut PartFindings) {
    let tags = event.get("tags");
    if !tags.is_absent() {
        object(&tags, "send tags by name, or leave them out", found);
        check_tags(&tags, found);
    }
    let revenue = event.get("revenue");
    if !revenue.is_absent() && revenue.value().as_i64().is_none() {
        revenue.expected("an integer", "send the currency's smallest unit, as 64 bits can hold", found);
    }
    let value = event.get("value");
    if !matches!(value.value(), Value::Null | Value::Number(_)) {
        value.expected("a number", "send a number without quotes, or leave it out", found);
    }
}

/// What the API makes nothing of, or not what the sender may think.
pub(super) fn check_tags(tags: &Node<'_>, found: &mut PartFindings) {
    let (revenue, value) = (tags.get("revenue"), tags.get("value"));
    if !revenue.is_absent() && !is_whole_revenue(revenue.value()) {
        let problem = format!("{} is no revenue: that is an integer", revenue.found());
        let fix = "send the currency's smallest unit, as 64 bits can hold, without quotes";
        found.warn_with(|| revenue.problem(problem, fix));
    }
    if !value.is_absent() && !value.value().is_number() {
        let problem = format!("{} is no value: that is a number", value.found());
        found.warn_with(|| value.problem(problem, "send a number without quotes, or leave it out"));
    }
}

/// Where decisions are listed, one of them is the impression's.
fn check_campaign(event: &Node<'_>, snapshot: &Node<'_>, found: &mut PartFindings) {
    let decisions = snapshot.get("decisions");
    if decisions.items().next().is_none() || decision_of(event, &decisions).is_some() {
        return;
    }
    let entity = event.get("entity_id");
    let campaigns = decisions.items().map(|decision| quote(decision.get("campaign_id").id().unwrap_or("")));
    found.add_with(|| {
        let campaigns: Vec<_> = campaigns.take(3).collect();
        entity.problem(
            format!("{} is not a decision's campaign_id: {}", entity.found(), campaigns.join(", ")),
            "send the campaign_id of the decision that the impression reports",
        )
    });
}

/// Notes where a snapshot has no list of events. Whether it has one.
pub(super) fn check_events(snapshot: &Node<'_>, found: &mut PartFindings) -> bool {
    object(snapshot, "send decisions and events", found)
        && list(&snapshot.get("events"), "list the events", found)
}
