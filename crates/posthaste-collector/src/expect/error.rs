//! What is wrong with an expectation: where, what, and what to write instead.

use std::fmt;

use posthaste::project::NearMisses;

use super::text::shown;

/// Why an expectation cannot be used. As text: `pattern 2.count: expected …, found …; give …`.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExpectationError {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// There is no such field.
    UnknownField {
        /// The object that has it.
        path: String,
        /// The field, cut where it is long.
        field: String,
        /// What may have been meant.
        near: NearMisses,
        /// All fields that there are.
        known: &'static [&'static str],
        /// Where it belongs instead, where that is known.
        instead: Option<&'static str>,
    },
    /// A value that cannot be used.
    BadValue {
        /// Where.
        path: String,
        /// The value, cut where it is long.
        found: String,
        /// What it would have to be.
        expected: String,
    },
    /// More than is looked at.
    TooMany {
        /// Where.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Nothing is expected.
    Nothing {
        /// Where.
        path: String,
    },
}

impl ExpectationError {
    pub(super) fn unknown_field(path: &str, field: &str, known: &'static [&'static str]) -> Self {
        let near = NearMisses::of(field, known.iter().copied());
        let instead = match field {
            "wait" | "settle" => Some("say the wait beside the pattern: ?wait=8s, --wait 8s"),
            "at_least" | "at_most" => Some(r#"write "count": {"at_least": 1, "at_most": 3}"#),
            "visitor_id" | "user" | "user_id" => Some(r#"the visitor's id is "visitor""#),
            "event" | "event_key" => Some(r#"the event's key is "key""#),
            "experiment_id" => Some(r#""experiment" takes a key or an id"#),
            "variation_id" => Some(r#""variation" takes a key or an id"#),
            "flag_key" => Some(r#""flag" takes a key or an id"#),
            _ => None,
        };
        Self::UnknownField { path: path.to_owned(), field: shown(field), near, known, instead }
    }

    pub(super) fn bad_value(path: &str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::BadValue { path: path.to_owned(), found: shown(&found.to_string()), expected: expected.into() }
    }

    /// Where, as `pattern 2.count`; `expectation` for the whole.
    pub fn path(&self) -> &str {
        match self {
            Self::NotJson(_) => "expectation",
            Self::UnknownField { path, .. }
            | Self::BadValue { path, .. }
            | Self::TooMany { path, .. }
            | Self::Nothing { path } => path,
        }
    }

    /// What is wrong there.
    pub fn problem(&self) -> String {
        match self {
            Self::NotJson(source) => format!("not JSON: {source}"),
            Self::UnknownField { field, .. } => format!("unknown field {field:?}"),
            Self::BadValue { found, .. } => format!("{found} cannot be used"),
            Self::TooMany { what, max, .. } => format!("more than {max} {what}"),
            Self::Nothing { .. } => "nothing is expected".to_owned(),
        }
    }

    /// How to put it right.
    pub fn fix(&self) -> String {
        match self {
            Self::NotJson(_) => r#"write {"visitor": "ann", "key": "purchase"}"#.to_owned(),
            Self::UnknownField { instead: Some(instead), .. } => (*instead).to_owned(),
            Self::UnknownField { near, known, .. } if near.keys().len() == 0 => {
                format!("the fields are {}", known.join(", "))
            }
            Self::UnknownField { near, .. } => near.to_string().trim_start_matches(": ").to_owned(),
            Self::BadValue { expected, .. } => format!("give {expected}"),
            Self::TooMany { what, .. } => format!("ask for fewer {what} at once"),
            Self::Nothing { .. } => r#"give a field such as "key", or a count, or "no_bad": true"#.to_owned(),
        }
    }
}

impl fmt::Display for ExpectationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path(), self.problem(), self.fix())
    }
}

impl std::error::Error for ExpectationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(source) => Some(source),
            _ => None,
        }
    }
}
