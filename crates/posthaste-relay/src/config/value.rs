//! A value as it stands in a file, the environment or a flag, and as it is shown again.

use std::fmt;

use serde::Serialize;

/// Letters of a value that an error quotes.
const QUOTED_MAX: usize = 80;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Truth(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
    /// Of the environment or a flag, where everything is text.
    Word(String),
    /// What no option is: a table, a date and the like, by this name.
    Foreign(&'static str),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Word(word) => word.trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn as_truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            Self::Word(word) => word.trim().parse().ok(),
            _ => None,
        }
    }

    /// A list; of words, with commas between them.
    pub(super) fn as_list(&self) -> Option<Vec<String>> {
        match self {
            Self::List(list) => Some(list.clone()),
            Self::Word(words) => {
                let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
                Some(words.map(str::to_owned).collect())
            }
            _ => None,
        }
    }
}

/// As an error names it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) | Self::Word(text) => quoted(text, f),
            Self::List(_) => f.write_str("a list"),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if text.len() <= QUOTED_MAX {
        return write!(f, "{text:?}");
    }
    let start = text.get(..text.floor_char_boundary(QUOTED_MAX)).unwrap_or_default();
    write!(f, "{start:?}…")
}

/// As TOML writes it.
pub(super) struct AsToml<'a>(pub(super) &'a Value);

impl fmt::Display for AsToml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Truth(truth) => write!(f, "{truth}"),
            Value::Number(number) => grouped(*number, f),
            Value::Text(text) | Value::Word(text) => toml_text(text, f),
            Value::List(list) => {
                f.write_str("[")?;
                for (at, one) in list.iter().enumerate() {
                    f.write_str(if at > 0 { ", " } else { "" })?;
                    toml_text(one, f)?;
                }
                f.write_str("]")
            }
            Value::Foreign(what) => toml_text(what, f),
        }
    }
}

/// With an underscore between thousands.
fn grouped(number: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = number.to_string();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            f.write_str("_")?;
        }
        write!(f, "{digit}")?;
    }
    Ok(())
}

fn toml_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            letter if letter.is_control() => write!(f, "\\u{:04X}", u32::from(letter))?,
            letter => write!(f, "{letter}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_toml_is_read_as_the_same() {
        for value in [
            Value::Truth(true),
            Value::Number(0),
            Value::Number(1_234_567),
            Value::text("a \"b\" \\ \u{1b}\n é"),
            Value::List(vec!["1".to_owned(), "a,b".to_owned()]),
            Value::List(Vec::new()),
        ] {
            let line = format!("it = {}", AsToml(&value));
            let entries = super::super::file::entries(&line).unwrap().fields;
            assert_eq!(entries.into_iter().map(|entry| entry.value).collect::<Vec<_>>(), [value], "{line}");
        }
        assert_eq!(AsToml(&Value::Number(1_234_567)).to_string(), "1_234_567");
    }

    #[test]
    fn words_are_what_is_asked_for() {
        let word = |word: &str| Value::Word(word.to_owned());
        assert_eq!(word(" 7 ").as_number(), Some(7));
        assert_eq!(word("yes").as_truth(), None);
        assert_eq!(word("a, b,,").as_list(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((Value::text("7").as_number(), Value::text("true").as_truth()), (None, None), "quoted");
        assert!(word(&"é".repeat(100)).to_string().len() < 100);
    }
}
