//! A snapshot's decisions and one event of it.

use crate::{
    event::{IMPRESSION_KEY, is_whole_revenue},
    project::is_variation_id,
};
use serde_json::Value;

use super::{
    against::Against,
    checks::{list, object, optional_bool, optional_list, optional_text},
    kind::ProblemKind,
    node::{Node, quote},
    problem::PartFindings,
    project::{check_conversion, check_decision},
};

/// Milliseconds since 1970 have 13 digits from 2001 to 2286.
const MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// Clocks differ by so much without anybody's fault.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1_000;

/// Notes what is wrong with a snapshot's decisions.
pub(super) fn check_decisions(snapshot: &Node<'_>, against: Against<'_>, found: &mut PartFindings) {
    let decisions = snapshot.get("decisions");
    optional_list(&decisions, found);
    for decision in decisions.items() {
        if !object(
            &decision,
            ProblemKind::NotAnObject,
            "send campaign_id, experiment_id and variation_id",
            found,
        ) {
            continue;
        }
        for key in ["campaign_id", "experiment_id", "variation_id"] {
            optional_text(&decision.get(key), found);
        }
        check_metadata(&decision.get("metadata"), found);
        check_variation_id(&decision.get("variation_id"), found);
        if let Some(config) = against.config {
            check_decision(&decision, config, found);
        }
    }
}

/// Today's SDKs send `null` in the place of any other (PROTOCOL 1.4).
fn check_variation_id(variation: &Node<'_>, found: &mut PartFindings) {
    if variation.id().is_some_and(|id| !is_variation_id(id)) {
        found.add_with(ProblemKind::VariationIdNotDigits, |kind| {
            let problem =
                format!("{} is no string of digits, as the ids of variations are", variation.found());
            variation.problem(kind, problem, "send the variation's id, not its key; null where it has none")
        });
    }
}

/// Notes what is wrong with how a decision came about.
pub(super) fn check_metadata(metadata: &Node<'_>, found: &mut PartFindings) {
    if metadata.is_absent()
        || !object(
            metadata,
            ProblemKind::NotAnObject,
            "send flag_key, rule_key and so on, or leave it out",
            found,
        )
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
    against: Against<'_>,
    found: &mut PartFindings,
) {
    if !object(event, ProblemKind::NotAnObject, "send entity_id, key, timestamp and uuid", found) {
        return;
    }
    optional_text(&event.get("key"), found);
    optional_text(&event.get("type"), found);
    optional_text(&event.get("entity_id"), found);
    let uuid = event.get("uuid");
    if uuid.id().is_none() {
        uuid.expected_id(
            ProblemKind::UuidMissing,
            "make a random uuid once, and keep it when sending again",
            found,
        );
    }
    check_timestamp(&event.get("timestamp"), against.now_ms, found);
    check_extras(event, found);
    if is_impression(event) {
        check_campaign(event, snapshot, found);
    } else if let Some(config) = against.config {
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

fn check_timestamp(node: &Node<'_>, now_ms: Option<i64>, found: &mut PartFindings) {
    let Some(timestamp) = node.value().as_i64() else {
        node.expected(
            ProblemKind::TimestampNotAnInteger,
            "an integer",
            "send milliseconds since 1970 as a number without quotes or fraction",
            found,
        );
        return;
    };
    let wrong = wrong_time(timestamp).or_else(|| future_time(timestamp, now_ms?));
    if let Some((kind, problem, fix)) = wrong {
        found.add_with(kind, |kind| node.problem(kind, problem, fix));
    }
}

/// What is wrong with a time that should be in milliseconds since 1970, and what to do.
pub(super) fn wrong_time(timestamp: i64) -> Option<(ProblemKind, String, &'static str)> {
    if MILLISECONDS.contains(&timestamp) {
        return None;
    }
    let (kind, looks, fix) = unit_of(timestamp);
    Some((kind, format!("not milliseconds since 1970: {timestamp} {looks}"), fix))
}

/// What is odd about a time that has not come yet.
pub(super) fn future_time(timestamp: i64, now_ms: i64) -> Option<(ProblemKind, String, &'static str)> {
    let ahead = timestamp.saturating_sub(now_ms);
    if ahead <= AHEAD_MAX_MS {
        return None;
    }
    let problem = format!("{timestamp} is {} s in the future", ahead / 1_000);
    Some((
        ProblemKind::TimestampInTheFuture,
        problem,
        "send the time of the event in UTC, and mind the clocks",
    ))
}

/// What a wrong timestamp was probably meant as, by its digits.
fn unit_of(timestamp: i64) -> (ProblemKind, &'static str, &'static str) {
    use ProblemKind::{TimestampInSeconds, TimestampNotMilliseconds};
    match timestamp.checked_ilog10().map_or(0, |log| log + 1) {
        10 => (TimestampInSeconds, "looks like seconds", "multiply by 1000"),
        16 => (TimestampNotMilliseconds, "looks like microseconds", "divide by 1000"),
        19 => (TimestampNotMilliseconds, "looks like nanoseconds", "divide by 1000000"),
        _ => (
            TimestampNotMilliseconds,
            "does not have 13 digits",
            "send the time of the event in milliseconds, UTC",
        ),
    }
}

fn check_extras(event: &Node<'_>, found: &mut PartFindings) {
    let tags = event.get("tags");
    if !tags.is_absent() {
        object(&tags, ProblemKind::TagsNotAnObject, "send tags by name, or leave them out", found);
        check_tags(&tags, found);
    }
    let revenue = event.get("revenue");
    if !revenue.is_absent() && revenue.value().as_i64().is_none() {
        revenue.expected(
            ProblemKind::RevenueFieldNotAnInteger,
            "an integer",
            "send the currency's smallest unit, as 64 bits can hold",
            found,
        );
    }
    let value = event.get("value");
    if !matches!(value.value(), Value::Null | Value::Number(_)) {
        value.expected(
            ProblemKind::ValueFieldNotANumber,
            "a number",
            "send a number without quotes, or leave it out",
            found,
        );
    }
}

/// What the API makes nothing of, or not what the sender may think.
pub(super) fn check_tags(tags: &Node<'_>, found: &mut PartFindings) {
    let (revenue, value) = (tags.get("revenue"), tags.get("value"));
    if !revenue.is_absent() && !is_whole_revenue(revenue.value()) {
        let problem = format!("{} is no revenue: that is an integer", revenue.found());
        let fix = "send the currency's smallest unit, as 64 bits can hold, without quotes";
        found.add_with(ProblemKind::RevenueNotAnInteger, |kind| revenue.problem(kind, problem, fix));
    }
    if !value.is_absent() && !value.value().is_number() {
        let problem = format!("{} is no value: that is a number", value.found());
        found.add_with(ProblemKind::ValueNotANumber, |kind| {
            value.problem(kind, problem, "send a number without quotes, or leave it out")
        });
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
    found.add_with(ProblemKind::ImpressionWithoutDecision, |kind| {
        let campaigns: Vec<_> = campaigns.take(3).collect();
        entity.problem(
            kind,
            format!("{} is not a decision's campaign_id: {}", entity.found(), campaigns.join(", ")),
            "send the campaign_id of the decision that the impression reports",
        )
    });
}

/// Notes where a snapshot has no list of events. Whether it has one.
pub(super) fn check_events(snapshot: &Node<'_>, found: &mut PartFindings) -> bool {
    object(snapshot, ProblemKind::NotAnObject, "send decisions and events", found)
        && list(&snapshot.get("events"), ProblemKind::NotAList, "list the events", found)
}
