//! A visitor of a body, without its snapshots: an id, and attributes.

use serde_json::Value;

use super::{
    checks::{object, optional_list, optional_text},
    node::Node,
};
use crate::problem::RecordProblems;

/// Notes what is wrong with a visitor's id and attributes.
pub(super) fn check_visitor(visitor: &Node<'_>, problems: &mut RecordProblems) {
    let id = visitor.get("visitor_id");
    // SDKs send an empty id for a user without a name, and the API counts that user.
    if !id.value().is_string() {
        id.expected("a string", "send the user's id, in quotes", problems);
    }
    let attributes = visitor.get("attributes");
    optional_list(&attributes, problems);
    for attribute in attributes.items() {
        check_attribute(&attribute, problems);
    }
}

fn check_attribute(attribute: &Node<'_>, problems: &mut RecordProblems) {
    if !object(attribute, "send entity_id, key, type and value", problems) {
        return;
    }
    optional_text(&attribute.get("entity_id"), problems);
    optional_text(&attribute.get("key"), problems);
    let kind = attribute.get("type");
    if kind.value() != "custom" {
        kind.expected("\"custom\"", "send \"custom\": there is no other type", problems);
    }
    let value = attribute.get("value");
    if !matches!(value.value(), Value::String(_) | Value::Number(_) | Value::Bool(_)) {
        value.expected(
            "a string, a number or a boolean",
            "leave the attribute out where it has no such value",
            problems,
        );
    }
}
