//! Reads a script's JSON into rules. Knows kinds and keys; what goes together is checked afterwards.

use std::time::Duration;

use serde_json::Value;

use super::{End, FaultsError, Rule};

const SCRIPT_KEYS: &[&str] = &["seed", "rules"];
const RULE_KEYS: &[&str] = &[
    "name",
    "n",
    "from",
    "to",
    "every",
    "share",
    "path",
    "session",
    "body_contains",
    "times",
    "status",
    "headers",
    "body",
    "delay_ms",
    "end",
    "take",
];

type Read<T> = Result<T, FaultsError>;

/// The seed and the rules.
pub(super) fn script(text: &str) -> Read<(u64, Vec<Rule>)> {
    if text.trim().is_empty() {
        return Ok((0, Vec::new()));
    }
    let value: Value = serde_json::from_str(text).map_err(FaultsError::NotJson)?;
    let Value::Object(script) = value else {
        return Err(wrong("script".to_owned(), r#"an object with the list "rules""#, &value));
    };
    let (mut seed, mut rules) = (0, Vec::new());
    for (key, value) in script {
        match key.as_str() {
            "seed" => seed = number("seed".to_owned(), &value)?,
            "rules" => rules = list(&value)?,
            _ => return Err(FaultsError::unknown_key("script".to_owned(), &key, SCRIPT_KEYS)),
        }
    }
    Ok((seed, rules))
}

fn list(value: &Value) -> Read<Vec<Rule>> {
    let Value::Array(items) = value else {
        return Err(wrong("rules".to_owned(), "a list of rules", value));
    };
    items.iter().enumerate().map(|(at, item)| rule(&format!("rules[{at}]"), item)).collect()
}

fn rule(at: &str, value: &Value) -> Read<Rule> {
    let Value::Object(fields) = value else {
        return Err(wrong(at.to_owned(), "a rule, which is an object", value));
    };
    if fields.contains_key("n") && ["from", "to", "every"].iter().any(|key| fields.contains_key(*key)) {
        return Err(FaultsError::Contradiction {
            path: format!("{at}.n"),
            problem: "one request, and several",
            fix: "give n alone, or from, to and every without n",
        });
    }
    let mut rule = Rule::default();
    for (key, value) in fields {
        field(&mut rule, at, key, value)?;
    }
    Ok(rule)
}

fn field(rule: &mut Rule, at: &str, key: &str, value: &Value) -> Read<()> {
    let path = format!("{at}.{key}");
    match key {
        "name" => rule.name = Some(text(path, value)?),
        "n" => {
            let n = number(path, value)?;
            (rule.from, rule.to) = (Some(n), Some(n));
        }
        "from" => rule.from = Some(number(path, value)?),
        "to" => rule.to = Some(number(path, value)?),
        "every" => rule.every = Some(number(path, value)?),
        "share" => {
            let share = value.as_f64().ok_or_else(|| wrong(path, "a probability from 0 to 1", value));
            rule.share = Some(share?);
        }
        "path" => rule.path = Some(text(path, value)?),
        "session" => rule.session = Some(text(path, value)?),
        "body_contains" => rule.body_contains = Some(bytes(path, value)?),
        "times" => rule.times = Some(number(path, value)?),
        "status" => rule.status = Some(status(path, value)?),
        "headers" => rule.headers = headers(&path, value)?,
        "body" => rule.body = Some(text(path, value)?),
        "delay_ms" => rule.delay = Some(Duration::from_millis(number(path, value)?)),
        "end" => rule.end = Some(end(path, value)?),
        "take" => rule.take = Some(value.as_bool().ok_or_else(|| wrong(path, "true or false", value))?),
        _ => return Err(FaultsError::unknown_key(at.to_owned(), key, RULE_KEYS)),
    }
    Ok(())
}

fn wrong(path: String, expected: &'static str, found: &Value) -> FaultsError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "another number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    FaultsError::WrongKind { path, expected, found }
}

fn number(path: String, value: &Value) -> Read<u64> {
    value.as_u64().ok_or_else(|| wrong(path, "a whole number, 0 or more", value))
}

fn text(path: String, value: &Value) -> Read<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(path, "a text", value))
}

fn status(path: String, value: &Value) -> Read<u16> {
    let number = number(path.clone(), value)?;
    u16::try_from(number).map_err(|_| FaultsError::bad_value(path, number, super::plan::STATUSES))
}

fn end(path: String, value: &Value) -> Read<End> {
    let name = text(path.clone(), value)?;
    let found = End::ALL.iter().find(|(known, _)| *known == name);
    let expected = "reset, hang, half or answer_then_reset";
    found.map(|(_, end)| *end).ok_or_else(|| FaultsError::bad_value(path, name, expected))
}

/// A text, or the bytes one by one.
fn bytes(path: String, value: &Value) -> Read<Vec<u8>> {
    let byte = |value: &Value| value.as_u64().and_then(|number| u8::try_from(number).ok());
    let bytes = match value {
        Value::String(text) => Some(text.as_bytes().to_owned()),
        Value::Array(items) => items.iter().map(byte).collect(),
        _ => None,
    };
    bytes.ok_or_else(|| wrong(path, "a text, or a list of bytes from 0 to 255", value))
}

fn headers(path: &str, value: &Value) -> Read<Vec<(String, String)>> {
    let Value::Object(fields) = value else {
        return Err(wrong(path.to_owned(), "an object of names and texts", value));
    };
    let mut headers = Vec::new();
    for (name, value) in fields {
        for value in values(&format!("{path}.{name}"), value)? {
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}

fn values(path: &str, value: &Value) -> Read<Vec<String>> {
    let expected = "a text, or a list of texts";
    let texts = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    texts.ok_or_else(|| wrong(path.to_owned(), expected, value))
}
