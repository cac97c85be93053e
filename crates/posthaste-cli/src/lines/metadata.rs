//! How a decision came about, as an event line says it: the six fields that today's SDKs send, and no others.

use posthaste::{DecisionMetadata, Experiment, Variation, judge::judge_metadata, project::NearMisses};
use serde_json::{Map, Value};

use super::fault::Fault;

const KEYS: [&str; 6] = ["flag_key", "rule_key", "rule_type", "variation_key", "enabled", "cmab_uuid"];
const RULE_TYPES: [&str; 4] = ["experiment", "feature-test", "rollout", "holdout"];

/// Reads it, and checks it against what the line says beside it. What is left out is empty, or false.
pub(super) fn read(
    fields: &Map<String, Value>,
    experiment: &Experiment,
    variation: Option<&Variation>,
) -> Result<DecisionMetadata, Fault> {
    if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = NearMisses::of(key, KEYS.into_iter());
        return Err(Fault::UnknownMetadata { key: key.clone(), near });
    }
    if let Some(problem) = judge_metadata(fields).into_iter().next() {
        return Err(Fault::Metadata(problem));
    }
    let (flag_key, rule_key) = (text(fields, "flag_key"), text(fields, "rule_key"));
    let (rule_type, variation_key) = (text(fields, "rule_type"), text(fields, "variation_key"));
    if !rule_type.is_empty() && !RULE_TYPES.contains(&rule_type) {
        return Err(Fault::UnknownRuleType(rule_type.to_owned()));
    }
    agrees("metadata.rule_key", rule_key, "the experiment's key", experiment.key())?;
    if let Some(variation) = variation {
        agrees("metadata.variation_key", variation_key, "the variation's key", variation.key())?;
    }
    let enabled = fields.get("enabled").and_then(Value::as_bool).unwrap_or_default();
    let mut metadata = DecisionMetadata::new(flag_key, rule_key, rule_type, variation_key, enabled);
    let cmab_uuid = text(fields, "cmab_uuid");
    metadata.cmab_uuid = (!cmab_uuid.is_empty()).then(|| cmab_uuid.to_owned());
    Ok(metadata)
}

/// Its type has been judged.
fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An empty text says nothing, and so contradicts nothing.
fn agrees(path: &'static str, found: &str, of: &'static str, expected: &str) -> Result<(), Fault> {
    if found.is_empty() || found == expected {
        return Ok(());
    }
    Err(Fault::Contradiction { path, found: found.to_owned(), of, expected: expected.to_owned() })
}
