//! A payload in eight bytes: what makes a million events cheap to remember, and a change in one of them visible.

use std::{fmt, str::FromStr};

use serde_json::Value;

/// Eight bytes that differ where payloads do: FNV-1a, the same in every process and version. Against accidents, not
/// against forgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::BASIS.and(bytes)
    }

    /// Of a JSON value, by what it means: the order of an object's names and the way a number is written change nothing.
    pub fn of_json(value: &Value) -> Self {
        Self::BASIS.and_json(value)
    }

    const BASIS: Self = Self(0xcbf2_9ce4_8422_2325);

    fn and(self, bytes: &[u8]) -> Self {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
    }

    /// Every value begins with its kind, and says how long it is where that is not clear.
    fn and_json(self, value: &Value) -> Self {
        match value {
            Value::Null => self.and(b"n"),
            Value::Bool(is) => self.and(if *is { b"t" } else { b"f" }),
            Value::Number(number) => self.and(b"#").and(plain(number).as_bytes()).and(b";"),
            Value::String(text) => self.and(b"\"").and_text(text),
            Value::Array(values) => values.iter().fold(self.and(b"["), Self::and_json).and(b"]"),
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| *name);
                let digest = self.and(b"{");
                fields
                    .iter()
                    .fold(digest, |digest, (name, value)| digest.and_text(name).and_json(value))
                    .and(b"}")
            }
        }
    }

    fn and_text(self, text: &str) -> Self {
        self.and(&text.len().to_le_bytes()).and(text.as_bytes())
    }
}

/// `5`, `5.0` and `5e0` are one number.
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if !(number.is_i64() || number.is_u64()) => float.to_string(),
        _ => number.to_string(),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_equal_digests() {
        for (a, b) in [
            (r#"{"a":1,"b":[null,true]}"#, r#"{ "b": [null, true], "a": 1 }"#),
            ("5", "5.0"),
            ("-3", "-3e0"),
            (r#""é""#, r#""\u00e9""#),
        ] {
            let [a, b] = [a, b].map(|text| serde_json::from_str::<Value>(text).unwrap());
            assert_eq!(Digest::of_json(&a), Digest::of_json(&b), "{a} {b}");
        }
    }

    #[test]
    fn different_values_have_different_digests() {
        let values = [
            json!(null),
            json!(false),
            json!(true),
            json!(0),
            json!(1),
            json!(-1),
            json!(1.5),
            json!("1"),
            json!(""),
            json!("null"),
            json!([]),
            json!([[]]),
            json!([1, 2]),
            json!([12]),
            json!({}),
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": null}),
            json!({"ab": ""}),
            json!({"a": "b"}),
            json!(["a", "b"]),
            json!(["ab"]),
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992_u64),
        ];
        let digests: std::collections::BTreeSet<String> =
            values.iter().map(|value| Digest::of_json(value).to_string()).collect();
        assert_eq!(digests.len(), values.len());
    }

    #[test]
    fn a_digest_survives_being_written_down() {
        for digest in [Digest::of(b""), Digest::of(b"x"), Digest(0), Digest(u64::MAX)] {
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
        assert_eq!(Digest::of(b"a").to_string(), "af63dc4c8601ec8c", "FNV-1a as published");
    }
}
