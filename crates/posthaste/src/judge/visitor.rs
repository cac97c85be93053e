//! A visitor of a body, without its snapshots: an id, and attributes.

use serde_json::Value;

use super::{
    against::Against,
    bot::check_bot,
    checks::{object, optional_list, optional_text},
    kind::ProblemKind,
    node::Node,
    problem::PartFindings,
    project::{CUSTOM, check_attribute as check_known},
};

/// Notes what is wrong with a visitor's id and attributes.
pub(super) fn check_visitor(visitor: &Node<'_>, against: Against<'_>, found: &mut PartFindings) {
    let id = visitor.get("visitor_id");
    // SDKs send an empty id for a user without a name, and the API counts that user.
    if !id.value().is_string() {
        id.expected(ProblemKind::VisitorIdMissing, "a string", "send the user's id, in quotes", found);
    }
    let attributes = visitor.get("attributes");
    optional_list(&attributes, found);
    for attribute in attributes.items() {
        check_attribute(&attribute, found);
        if let Some(config) = against.config {
            check_known(&attribute, config, found);
        }
    }
    check_bot(&attributes, against, found);
}

fn check_attribute(attribute: &Node<'_>, found: &mut PartFindings) {
    if !object(attribute, ProblemKind::NotAnObject, "send entity_id, key, type and value", found) {
        return;
    }
    let (entity, key, kind) = (attribute.get("entity_id"), attribute.get("key"), attribute.get("type"));
    if kind.id().is_none() {
        kind.expected_id(
            ProblemKind::AttributeTypeMissing,
            "send \"custom\", which attributes of a project are",
            found,
        );
    }
    let is_custom = kind.value() == CUSTOM;
    for name in [&entity, &key] {
        if is_custom && name.id().is_none() {
            name.expected_id(
                ProblemKind::AttributeNameMissing,
                "send the attribute's id and key as the datafile has them",
                found,
            );
        } else {
            optional_text(name, found);
        }
    }
    let value = attribute.get("value");
    if !matches!(value.value(), Value::String(_) | Value::Number(_) | Value::Bool(_)) {
        value.expected(
            ProblemKind::AttributeValueUnusable,
            "a string, a number or a boolean",
            "leave the attribute out where it has no such value",
            found,
        );
    }
}
