//! Checks of a single value's type, each one line where it is used.

use serde_json::Value;

use super::node::Node;
use crate::problem::RecordProblems;

/// A text, possibly empty, or nothing.
pub(super) fn optional_text(node: &Node<'_>, problems: &mut RecordProblems) {
    if !matches!(node.value(), Value::Null | Value::String(_)) {
        node.expected("a string", "put it in quotes: ids and names are strings, or leave it out", problems);
    }
}

/// True, false or nothing.
pub(super) fn optional_bool(node: &Node<'_>, problems: &mut RecordProblems) {
    if !matches!(node.value(), Value::Null | Value::Bool(_)) {
        node.expected("a boolean", "send true or false, or leave it out", problems);
    }
}

/// A list or nothing.
pub(super) fn optional_list(node: &Node<'_>, problems: &mut RecordProblems) {
    if !matches!(node.value(), Value::Null | Value::Array(_)) {
        node.expected("a list", "send a list, or leave it out", problems);
    }
}

/// A list. Whether it is one.
pub(super) fn list(node: &Node<'_>, fix: &str, problems: &mut RecordProblems) -> bool {
    let is_list = node.value().is_array();
    if !is_list {
        node.expected("a list", fix, problems);
    }
    is_list
}

/// An object. Whether it is one.
pub(super) fn object(node: &Node<'_>, fix: &str, problems: &mut RecordProblems) -> bool {
    let is_object = node.value().is_object();
    if !is_object {
        node.expected("an object", fix, problems);
    }
    is_object
}
