//! Checks of a single value's type, each one line where it is used.

use serde_json::Value;

use super::{kind::ProblemKind, node::Node, problem::PartFindings};

/// A text, possibly empty, or nothing.
pub(super) fn optional_text(node: &Node<'_>, found: &mut PartFindings) {
    if !matches!(node.value(), Value::Null | Value::String(_)) {
        node.expected(
            ProblemKind::NotAString,
            "a string",
            "put it in quotes: ids and names are strings, or leave it out",
            found,
        );
    }
}

/// True, false or nothing.
pub(super) fn optional_bool(node: &Node<'_>, found: &mut PartFindings) {
    if !matches!(node.value(), Value::Null | Value::Bool(_)) {
        node.expected(ProblemKind::NotABoolean, "a boolean", "send true or false, or leave it out", found);
    }
}

/// A list or nothing.
pub(super) fn optional_list(node: &Node<'_>, found: &mut PartFindings) {
    if !matches!(node.value(), Value::Null | Value::Array(_)) {
        node.expected(ProblemKind::NotAList, "a list", "send a list, or leave it out", found);
    }
}

/// A list. Whether it is one.
pub(super) fn list(node: &Node<'_>, kind: ProblemKind, fix: &str, found: &mut PartFindings) -> bool {
    let is_list = node.value().is_array();
    if !is_list {
        node.expected(kind, "a list", fix, found);
    }
    is_list
}

/// An object. Whether it is one.
pub(super) fn object(node: &Node<'_>, kind: ProblemKind, fix: &str, found: &mut PartFindings) -> bool {
    let is_object = node.value().is_object();
    if !is_object {
        node.expected(kind, "an object", fix, found);
    }
    is_object
}

/// Something that its object has once. Whether it is so.
pub(super) fn once(node: &Node<'_>, is_twice: bool, found: &mut PartFindings) -> bool {
    if is_twice {
        let what = "is there twice, and nobody knows which is meant";
        found.add_with(ProblemKind::ListTwice, |kind| node.problem(kind, what, "send one list of all"));
    }
    !is_twice
}
