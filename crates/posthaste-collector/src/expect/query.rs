//! An expectation as query parameters: one pattern of flat fields, and the wait.

use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    ExpectationError, WAIT_MAX,
    parse::{self, Read},
    pattern::Expectation,
};
use crate::origin::{self, SessionName};

/// What a request says beside the pattern.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Beside {
    pub(super) wait: Duration,
    pub(super) session: Option<String>,
    no_bad: bool,
}

const BESIDE: &[&str] = &["wait", "session", "no_bad"];
const IN_A_QUERY: &[&str] = &[
    "visitor",
    "experiment",
    "variation",
    "flag",
    "key",
    "uuid",
    "revenue",
    "value",
    "verdict",
    "count",
    "at_least",
    "at_most",
    "session",
    "no_bad",
    "wait",
];

type Pairs = Vec<(String, String)>;

/// `GET`: everything is in the query.
pub(super) fn whole(pairs: Pairs) -> Read<(Expectation, Beside)> {
    let (beside, fields): (Pairs, Pairs) =
        pairs.into_iter().partition(|(name, _)| BESIDE.contains(&name.as_str()));
    let mut beside = self::beside(beside)?;
    let mut pattern = pattern(fields)?;
    if std::mem::take(&mut beside.no_bad) {
        pattern.insert("no_bad".to_owned(), true.into());
    }
    Ok((parse::expectation(&Value::Object(pattern))?, beside))
}

/// `POST`: the patterns are in the body.
pub(super) fn with_body(pairs: Pairs, body: &[u8]) -> Read<(Expectation, Beside)> {
    let beside = beside(pairs)?;
    let value: Value = serde_json::from_slice(body).map_err(ExpectationError::NotJson)?;
    let mut expectation = parse::expectation(&value)?;
    if beside.no_bad {
        expectation.patterns.extend(parse::pattern("no_bad", &json!({"no_bad": true}))?);
    }
    Ok((expectation, beside))
}

/// The session that is meant: of the path, the header or the query, where they agree.
pub(super) fn session(
    path: Option<String>,
    headers: &HeaderMap,
    query: Option<String>,
) -> Read<Option<SessionName>> {
    let mut named = [path, origin::session_text(headers), query].into_iter().flatten();
    let Some(first) = named.next() else { return Ok(None) };
    if let Some(other) = named.find(|other| *other != first) {
        let both = format!("{first} and {other}");
        return Err(ExpectationError::bad_value("session", both, "one session"));
    }
    let name = SessionName::new(&first);
    name.map(Some).ok_or_else(|| ExpectationError::bad_value("session", first, SessionName::EXPECTED))
}

fn beside(pairs: Pairs) -> Read<Beside> {
    let mut beside = Beside::default();
    for (name, value) in pairs {
        match name.as_str() {
            "wait" => beside.wait = wait(&value)?,
            "session" => beside.session = Some(value),
            "no_bad" => beside.no_bad = truth(&value)?,
            _ => return Err(ExpectationError::unknown_field("query", &name, BESIDE)),
        }
    }
    Ok(beside)
}

fn pattern(pairs: Pairs) -> Read<Map<String, Value>> {
    let (mut pattern, mut bounds) = (Map::new(), Map::new());
    for (name, text) in pairs {
        let value = match name.as_str() {
            "revenue" | "value" | "count" => number(&name, &text)?,
            "at_least" | "at_most" => {
                bounds.insert(name.clone(), number(&name, &text)?);
                continue;
            }
            "tags" | "attributes" => {
                return Err(ExpectationError::bad_value(
                    &format!("query.{name}"),
                    text,
                    "them in the JSON of a POST",
                ));
            }
            known if IN_A_QUERY.contains(&known) => Value::String(text),
            _ => return Err(ExpectationError::unknown_field("query", &name, IN_A_QUERY)),
        };
        if pattern.insert(name.clone(), value).is_some() {
            return Err(ExpectationError::bad_value(&format!("query.{name}"), "two of them", "one"));
        }
    }
    if !bounds.is_empty() {
        let count = Value::Object(bounds);
        if pattern.insert("count".to_owned(), count).is_some() {
            let expected = "count, or at_least and at_most";
            return Err(ExpectationError::bad_value("query.count", "both", expected));
        }
    }
    Ok(pattern)
}

fn number(name: &str, text: &str) -> Read<Value> {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let number = value.filter(|value| value.is_number() || value.is_null());
    number.ok_or_else(|| ExpectationError::bad_value(&format!("query.{name}"), text, "a number"))
}

fn truth(text: &str) -> Read<bool> {
    match text {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ExpectationError::bad_value("query.no_bad", text, "true or false")),
    }
}

/// A time as `800ms`, `8s` or `1m`; a number alone is seconds.
fn wait(text: &str) -> Read<Duration> {
    let wrong = || {
        let expected = format!("a time up to {}s, such as 500ms or 8s", WAIT_MAX.as_secs());
        ExpectationError::bad_value("query.wait", text, expected)
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let wait = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
    if wait > WAIT_MAX { Err(wrong()) } else { Ok(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Pairs {
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_query_is_the_same_as_json() {
        for (query, json) in [
            (&[("visitor", "ann*"), ("key", "buy")][..], r#"{"visitor": "ann*", "key": "buy"}"#),
            (
                &[("uuid", "1"), ("count", "2"), ("no_bad", "")],
                r#"{"uuid": "1", "count": 2, "no_bad": true}"#,
            ),
            (&[("revenue", "1200"), ("value", "null")], r#"{"revenue": 1200, "value": null}"#),
            (&[("at_least", "1"), ("at_most", "3")], r#"{"count": {"at_least": 1, "at_most": 3}}"#),
            (&[("no_bad", "1")], r#"{"no_bad": true}"#),
        ] {
            assert_eq!(whole(pairs(query)).unwrap().0, json.parse().unwrap(), "{json}");
        }
    }

    #[test]
    fn times_are_read_and_bounded() {
        for (text, millis) in
            [("8s", 8_000), ("500ms", 500), ("1m", 60_000), ("0.25", 250), ("0", 0), ("60", 60_000)]
        {
            assert_eq!(wait(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "s", "-1s", "61s", "2m", "1h", "NaN", "inf", "1e999", "8 s", "é"] {
            assert!(wait(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_what_may_have_been_meant() {
        for (query, said) in [
            (("ky", "buy"), r#"query: unknown field "ky"; did you mean "key"?"#),
            (("wit", "8s"), r#"query: unknown field "wit"; did you mean "wait"?"#),
            (("tags", "x"), "query.tags: x cannot be used; give them in the JSON of a POST"),
            (("no_bad", "yes"), "query.no_bad: yes cannot be used; give true or false"),
            (("count", "two"), "query.count: two cannot be used; give a number"),
        ] {
            assert_eq!(whole(pairs(&[query])).unwrap_err().to_string(), said);
        }
        let twice = pairs(&[("key", "a"), ("key", "b")]);
        assert_eq!(whole(twice).unwrap_err().to_string(), "query.key: two of them cannot be used; give one");
        assert!(with_body(pairs(&[("key", "a")]), b"{}").is_err());
        assert!(whole(Vec::new()).is_err());
    }
}
