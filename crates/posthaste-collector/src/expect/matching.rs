//! Whether an event fits a pattern, and in which fields it does not. Pure.

use posthaste::project::NearMisses;
use serde_json::{Number, Value};

use super::{
    answer::Difference,
    pattern::{Field, Pattern, Want, Wanted, name},
    seen::Seen,
    text::shown,
};

impl Pattern {
    pub(super) fn fits(&self, seen: &Seen<'_>) -> bool {
        self.wants.iter().all(|want| want.is_met(seen))
    }

    /// What is not as it is expected.
    pub(super) fn unmet(&self, seen: &Seen<'_>) -> Vec<&Want> {
        self.wants.iter().filter(|want| !want.is_met(seen)).collect()
    }
}

impl Want {
    fn is_met(&self, seen: &Seen<'_>) -> bool {
        match &self.wanted {
            Wanted::Text(text) => seen.is_called(&self.field, |name| name == text),
            Wanted::Prefix(prefix) => seen.is_called(&self.field, |name| name.starts_with(prefix)),
            Wanted::Json(wanted) => is_within(wanted, seen.json(&self.field).as_deref()),
            Wanted::OneOf(verdicts) => verdicts.contains(&seen.verdict()),
        }
    }

    /// Whether what came looks like what is expected, so that it may have been meant.
    pub(super) fn is_near(&self, seen: &Seen<'_>) -> bool {
        match &self.wanted {
            Wanted::Text(text) | Wanted::Prefix(text) => seen.is_called(&self.field, |name| near(text, name)),
            Wanted::Json(wanted) => seen.json(&self.field).is_some_and(|came| match (wanted, &*came) {
                (Value::String(wanted), Value::String(came)) => near(wanted, came),
                // A number that was written as a text, and the other way round.
                (wanted, came) => text_of(wanted) == text_of(came),
            }),
            // What a bad event has wrong is told; all else of it is right.
            Wanted::OneOf(_) => true,
        }
    }

    /// Says what is expected of the field and what came.
    pub(super) fn difference(&self, seen: &Seen<'_>) -> Difference {
        let expected = match &self.wanted {
            Wanted::OneOf(_) => self.wanted.to_json().as_str().unwrap_or_default().to_owned(),
            Wanted::Json(Value::Null) => "nothing".to_owned(),
            wanted => shown(&wanted.to_json().to_string()),
        };
        Difference { field: shown(&self.field.to_string()), expected, came: self.came(seen) }
    }

    fn came(&self, seen: &Seen<'_>) -> String {
        match &self.wanted {
            Wanted::OneOf(_) => verdict(seen),
            Wanted::Json(_) => match seen.json(&self.field) {
                None => nothing(&self.field, &seen.siblings(&self.field)),
                Some(came) => shown(&came.to_string()),
            },
            Wanted::Text(_) | Wanted::Prefix(_) => {
                let quoted = |name: &str| Value::from(name).to_string();
                let names: Vec<String> = seen.names(&self.field).into_iter().map(quoted).collect();
                match names.split_first() {
                    None => nothing(&self.field, &[]),
                    Some((first, [])) => shown(first),
                    Some((first, others)) => shown(&format!("{first} ({})", others.join(", "))),
                }
            }
        }
    }
}

/// A slip of the pen. Mostly the first letter is right; comparing all of them would take long where much is kept.
fn near(wanted: &str, came: &str) -> bool {
    let first = |text: &str| text.chars().next().map(|letter| letter.to_ascii_lowercase());
    first(wanted) == first(came) && NearMisses::of(wanted, std::iter::once(came)).keys().len() > 0
}

fn verdict(seen: &Seen<'_>) -> String {
    let name = name(seen.verdict());
    match seen.problems().first() {
        Some(problem) => format!("{name}: {}", shown(&problem.to_string())),
        None => name.to_owned(),
    }
}

/// What is there instead, where somebody may have mistaken the name.
fn nothing(field: &Field, siblings: &[&str]) -> String {
    match (field, siblings) {
        (Field::Experiment | Field::Variation | Field::Flag, _) => {
            "nothing (only an impression has one)".to_owned()
        }
        (Field::Tag(_), []) => "nothing; it has no tags".to_owned(),
        (Field::Attribute(_), []) => "nothing; the visitor has no attributes".to_owned(),
        (Field::Tag(_) | Field::Attribute(_), names) => {
            format!("nothing; there are {}", shown(&names.join(", ")))
        }
        _ => "nothing".to_owned(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether what is wanted is in what came: of an object the keys that are wanted, of a list everything in its order,
/// of a number what it is worth. Nothing is wanted with `null`.
fn is_within(wanted: &Value, came: Option<&Value>) -> bool {
    match (wanted, came) {
        (Value::Null, None) => true,
        (_, None) => false,
        (Value::Number(wanted), Some(Value::Number(came))) => is_equal(wanted, came),
        (Value::Object(wanted), Some(Value::Object(came))) => {
            wanted.iter().all(|(key, wanted)| is_within(wanted, came.get(key)))
        }
        (Value::Array(wanted), Some(Value::Array(came))) => {
            wanted.len() == came.len()
                && wanted.iter().zip(came).all(|(wanted, came)| is_within(wanted, Some(came)))
        }
        (wanted, Some(came)) => wanted == came,
    }
}

/// 1 and 1.0 are worth the same.
fn is_equal(wanted: &Number, came: &Number) -> bool {
    wanted == came || (wanted.is_f64() || came.is_f64()) && wanted.as_f64() == came.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_in_part_and_by_what_they_are_worth() {
        for (wanted, came, within) in [
            (json!(1), json!(1.0), true),
            (json!(1), json!("1"), false),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64), false),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), true),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), false),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "c", "d": 1}}), true),
            (json!([1, 2]), json!([1, 2, 3]), false),
            (json!([{"a": 1}]), json!([{"a": 1, "b": 2}]), true),
            (json!({"a": null}), json!({}), true),
            (json!({"a": null}), json!({"a": 0}), false),
            (json!(""), json!(null), false),
        ] {
            assert_eq!(is_within(&wanted, Some(&came)), within, "{wanted} {came}");
        }
        assert!(is_within(&json!(null), None) && !is_within(&json!(0), None));
    }
}
