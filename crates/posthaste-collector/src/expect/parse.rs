//! Reads an expectation's JSON. What it does not know it refuses.

use serde_json::{Map, Value};

use super::{
    ExpectationError, PATTERN_FIELDS_MAX, PATTERNS_MAX,
    pattern::{COUNTED, Count, Expectation, Field, Pattern, Want, Wanted},
};
use crate::Verdict;

pub(super) const FIELDS: &[&str] = &[
    "visitor",
    "experiment",
    "variation",
    "flag",
    "key",
    "uuid",
    "tags",
    "attributes",
    "revenue",
    "value",
    "verdict",
    "session",
    "count",
    "no_bad",
];
const COUNT_FIELDS: &[&str] = &["exactly", "at_least", "at_most"];

pub(super) type Read<T> = Result<T, ExpectationError>;

pub(super) fn expectation(value: &Value) -> Read<Expectation> {
    let patterns: Vec<Vec<Pattern>> = match value {
        Value::Array(items) if items.is_empty() => {
            return Err(ExpectationError::Nothing { path: "expectation".to_owned() });
        }
        Value::Array(items) if items.len() > PATTERNS_MAX => {
            let path = "expectation".to_owned();
            return Err(ExpectationError::TooMany { path, what: "patterns", max: PATTERNS_MAX });
        }
        Value::Array(items) => {
            let numbered = items.iter().zip(1..);
            numbered.map(|(item, number)| pattern(&format!("pattern {number}"), item)).collect::<Read<_>>()?
        }
        _ => vec![pattern("pattern", value)?],
    };
    Ok(Expectation { patterns: patterns.into_iter().flatten().collect() })
}

/// One pattern; with `no_bad` another besides.
pub(super) fn pattern(path: &str, value: &Value) -> Read<Vec<Pattern>> {
    let Value::Object(fields) = value else {
        return Err(ExpectationError::bad_value(path, value, r#"an object such as {"key": "purchase"}"#));
    };
    let mut read = Reading { path, wants: Vec::new(), count: None, no_bad: false, any_verdict: false };
    fields.iter().try_for_each(|(name, value)| read.field(name, value))?;
    read.done(value.to_string())
}

/// A pattern of which some fields have been read.
struct Reading<'a> {
    path: &'a str,
    wants: Vec<Want>,
    count: Option<Count>,
    no_bad: bool,
    any_verdict: bool,
}

impl Reading<'_> {
    fn field(&mut self, name: &str, value: &Value) -> Read<()> {
        let path = format!("{}.{name}", self.path);
        match name {
            "visitor" => self.want(Field::Visitor, visitor(&path, value)?),
            "experiment" => self.text(Field::Experiment, &path, value)?,
            "variation" => self.text(Field::Variation, &path, value)?,
            "flag" => self.text(Field::Flag, &path, value)?,
            "key" => self.text(Field::Key, &path, value)?,
            "uuid" => self.text(Field::Uuid, &path, value)?,
            "session" => self.text(Field::Session, &path, value)?,
            "tags" => self.parts(Field::Tag, &path, value)?,
            "attributes" => self.parts(Field::Attribute, &path, value)?,
            "revenue" => self.want(Field::Revenue, number(&path, value)?),
            "value" => self.want(Field::Value, number(&path, value)?),
            "verdict" => self.verdict(&path, value)?,
            "count" => self.count = Some(count(&path, value)?),
            "no_bad" => self.no_bad = flag(&path, value)?,
            _ => return Err(ExpectationError::unknown_field(self.path, name, FIELDS)),
        }
        Ok(())
    }

    fn want(&mut self, field: Field, wanted: Wanted) {
        self.wants.push(Want { field, wanted });
    }

    fn text(&mut self, field: Field, path: &str, value: &Value) -> Read<()> {
        let text = text(path, value)?;
        self.want(field, Wanted::Text(text));
        Ok(())
    }

    fn parts(&mut self, field: fn(String) -> Field, path: &str, value: &Value) -> Read<()> {
        for (name, value) in object(path, value)? {
            self.want(field(name.clone()), Wanted::Json(value.clone()));
        }
        Ok(())
    }

    fn verdict(&mut self, path: &str, value: &Value) -> Read<()> {
        let verdicts: &[Verdict] = match value.as_str() {
            Some("good") => &[Verdict::Good],
            Some("warned") => &[Verdict::Warned],
            Some("bad") => &[Verdict::Bad],
            Some("any") => {
                self.any_verdict = true;
                return Ok(());
            }
            _ => return Err(ExpectationError::bad_value(path, value, "good, warned, bad or any")),
        };
        self.want(Field::Verdict, Wanted::OneOf(verdicts));
        Ok(())
    }

    fn done(self, written: String) -> Read<Vec<Pattern>> {
        if self.wants.is_empty() && self.count.is_none() && !self.no_bad && !self.any_verdict {
            return Err(ExpectationError::Nothing { path: self.path.to_owned() });
        }
        if self.wants.len() > PATTERN_FIELDS_MAX {
            let path = self.path.to_owned();
            return Err(ExpectationError::TooMany { path, what: "fields", max: PATTERN_FIELDS_MAX });
        }
        let no_bad = self.no_bad.then(|| self.no_bad());
        let asks = !self.no_bad || self.count.is_some() || self.any_verdict || self.describes();
        let events = asks.then(|| self.events(written));
        Ok(events.into_iter().chain(no_bad).collect())
    }

    /// Whether it says more than whose events are meant.
    fn describes(&self) -> bool {
        self.wants.iter().any(|want| !is_scope(want))
    }

    fn events(mut self, written: String) -> Pattern {
        if !self.any_verdict && !self.wants.iter().any(|want| want.field == Field::Verdict) {
            self.want(Field::Verdict, Wanted::OneOf(COUNTED));
        }
        self.wants.sort_by(|a, b| a.field.cmp(&b.field));
        let count = self.count.unwrap_or(Count::AT_LEAST_ONE);
        Pattern { wants: self.wants, count, is_no_bad: false, written }
    }

    /// None of these visitors' events is bad, or of this session's, or of all.
    fn no_bad(&self) -> Pattern {
        let bad = Want { field: Field::Verdict, wanted: Wanted::OneOf(&[Verdict::Bad]) };
        let scope = self.wants.iter().filter(|want| is_scope(want)).cloned();
        let mut written = Map::from_iter([("no_bad".to_owned(), Value::Bool(true))]);
        written.extend(scope.clone().map(|want| (want.field.to_string(), want.wanted.to_json())));
        Pattern {
            wants: std::iter::once(bad).chain(scope).collect(),
            count: Count::NONE,
            is_no_bad: true,
            written: Value::Object(written).to_string(),
        }
    }
}

fn is_scope(want: &Want) -> bool {
    matches!(want.field, Field::Visitor | Field::Session)
}

fn visitor(path: &str, value: &Value) -> Read<Wanted> {
    let text = text(path, value)?;
    Ok(text.strip_suffix('*').map(|prefix| Wanted::Prefix(prefix.to_owned())).unwrap_or(Wanted::Text(text)))
}

fn text(path: &str, value: &Value) -> Read<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| ExpectationError::bad_value(path, value, "a text"))
}

fn object<'a>(path: &str, value: &'a Value) -> Read<&'a Map<String, Value>> {
    let expected = r#"an object of what is expected in part, such as {"plan": "pro"}"#;
    value.as_object().ok_or_else(|| ExpectationError::bad_value(path, value, expected))
}

fn number(path: &str, value: &Value) -> Read<Wanted> {
    if value.is_number() || value.is_null() {
        return Ok(Wanted::Json(value.clone()));
    }
    Err(ExpectationError::bad_value(path, value, "a number, or null where there is to be none"))
}

fn flag(path: &str, value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| ExpectationError::bad_value(path, value, "true or false"))
}

fn count(path: &str, value: &Value) -> Read<Count> {
    if let Some(exactly) = value.as_u64() {
        return Ok(Count { min: exactly, max: Some(exactly) });
    }
    let expected = r#"how many: 2, 0, or {"at_least": 1, "at_most": 3}"#;
    let bounds = value.as_object().filter(|bounds| !bounds.is_empty());
    let bounds = bounds.ok_or_else(|| ExpectationError::bad_value(path, value, expected))?;
    let (mut min, mut max) = (0, None);
    for (name, bound) in bounds {
        let wrong = || ExpectationError::bad_value(&format!("{path}.{name}"), bound, "a whole number");
        let number = bound.as_u64();
        match name.as_str() {
            "at_least" => min = number.ok_or_else(wrong)?,
            "at_most" => max = Some(number.ok_or_else(wrong)?),
            "exactly" if bounds.len() == 1 => {
                min = number.ok_or_else(wrong)?;
                max = Some(min);
            }
            "exactly" => return Err(ExpectationError::bad_value(path, value, "exactly alone")),
            _ => return Err(ExpectationError::unknown_field(path, name, COUNT_FIELDS)),
        }
    }
    check(path, value, Count { min, max })
}

/// Refuses bounds that no number, or every number, is within.
pub(super) fn check(path: &str, written: &Value, count: Count) -> Read<Count> {
    match count {
        Count { min: 0, max: None } => Err(ExpectationError::bad_value(path, written, "1 at least")),
        Count { min, max: Some(max) } if min > max => {
            Err(ExpectationError::bad_value(path, written, "an at_most that is not below at_least"))
        }
        count => Ok(count),
    }
}
