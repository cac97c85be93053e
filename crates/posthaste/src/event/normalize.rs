//! Which attributes can be sent, and what `revenue` and `value` tags mean. Pure rules, one function each.
//!
//! Source: PROTOCOL 2.5 and 2.6. Where the seed's rules differ from today's official SDKs, today's are followed:
//! lists, objects, non-finite numbers and numbers beyond ±2^53 are no attribute values, and a float that no 64-bit
//! integer holds is no revenue (the seed sends the smallest integer there is).

use serde_json::{Number, Value};

/// The largest number an attribute may have, either side of zero: beyond, not every integer is a `f64`.
const ATTRIBUTE_NUMBER_MAX: u64 = 1 << 53;

/// Whether the Event API takes this as an attribute's value.
pub(super) fn is_attribute_value(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => is_attribute_number(number),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 is a f64")]
fn is_attribute_number(number: &Number) -> bool {
    if let Some(integer) = number.as_i64() {
        integer.unsigned_abs() <= ATTRIBUTE_NUMBER_MAX
    } else {
        number.as_f64().is_some_and(|float| float.abs() <= ATTRIBUTE_NUMBER_MAX as f64)
    }
}

/// The revenue that the `revenue` tag states: an integer, or a float cut towards zero. Text is no number here.
pub(super) fn revenue(tag: &Value) -> Option<i64> {
    let Value::Number(number) = tag else { return None };
    match number.as_i64() {
        Some(integer) => Some(integer),
        None if number.is_f64() => number.as_f64().and_then(truncated),
        None => None,
    }
}

/// Whether the `revenue` tag is what it should be: an integer. A float is one too many: it is cut.
pub(crate) fn is_whole_revenue(tag: &Value) -> bool {
    tag.as_i64().is_some()
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first; the fraction is to be cut")]
fn truncated(float: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    (-LIMIT..LIMIT).contains(&float).then_some(float as i64)
}

/// The value that the `value` tag states. Text is no number here.
pub(super) fn value(tag: &Value) -> Option<f64> {
    let Value::Number(number) = tag else { return None };
    number.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attribute_values_follow_the_table_of_protocol_2_5() {
        for (value, accepted) in [
            (json!(""), true),
            (json!("gold"), true),
            (json!(true), true),
            (json!(0), true),
            (json!(-0.0), true),
            (json!(12.5), true),
            (json!(5e-324), true),
            (json!(9_007_199_254_740_992_i64), true),
            (json!(-9_007_199_254_740_992_i64), true),
            (json!(9_007_199_254_740_992.0), true),
            (json!(9_007_199_254_740_993_i64), false),
            (json!(-9_007_199_254_740_993_i64), false),
            (json!(i64::MIN), false),
            (json!(u64::MAX), false),
            (json!(1e21), false),
            (json!(f64::NAN), false),
            (json!(f64::INFINITY), false),
            (json!(null), false),
            (json!([1]), false),
            (json!({"k": 1}), false),
        ] {
            assert_eq!(is_attribute_value(&value), accepted, "{value}");
        }
    }

    /// 2^63, one more than the largest integer.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;

    #[test]
    fn revenue_and_value_follow_the_table_of_protocol_2_6() {
        for (tag, revenue_expected, value_expected) in [
            (json!(5), Some(5), Some(5.0)),
            (json!(4.9), Some(4), Some(4.9)),
            (json!(-4.9), Some(-4), Some(-4.9)),
            (json!(3.7_f32), Some(3), Some(3.700_000_047_683_716)),
            (json!("5"), None, None),
            (json!(""), None, None),
            (json!(true), None, None),
            (json!(null), None, None),
            (json!(f64::NAN), None, None),
            (json!(1e30), None, Some(1e30)),
            (json!(u64::MAX), None, Some(1.844_674_407_370_955_2e19)),
            (json!(i64::MAX), Some(i64::MAX), Some(LIMIT)),
            (json!(LIMIT), None, Some(LIMIT)),
            (json!(-LIMIT), Some(i64::MIN), Some(-LIMIT)),
            (json!([5]), None, None),
            (json!({"a": 5}), None, None),
        ] {
            assert_eq!(revenue(&tag), revenue_expected, "{tag}");
            assert_eq!(value(&tag), value_expected, "{tag}");
        }
    }
}
