//! What is wrong with a script: where, what, and what to write instead.

use std::fmt;

use posthaste::project::NearMisses;

/// Letters of a text from a script that an error shows.
const SHOWN_MAX: usize = 100;

/// Why a script cannot be used. As text: `rules[2].status: 99 is none of 100 to 599; …`.
#[derive(Debug)]
#[non_exhaustive]
pub enum FaultsError {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// A value is of another kind than it has to be.
    WrongKind {
        /// Where.
        path: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// There is no such key.
    UnknownKey {
        /// The object that has it.
        path: String,
        /// The key, cut where it is long.
        key: String,
        /// What may have been meant.
        near: NearMisses,
        /// All keys that there are.
        known: &'static [&'static str],
    },
    /// A value that cannot be used.
    BadValue {
        /// Where.
        path: String,
        /// The value, cut where it is long.
        found: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// Two parts of a rule cannot both be done, or one is missing.
    Contradiction {
        /// The rule or its key.
        path: String,
        /// What does not go together.
        problem: &'static str,
        /// What to do.
        fix: &'static str,
    },
}

impl FaultsError {
    pub(super) fn bad_value(path: String, found: impl fmt::Debug, expected: &'static str) -> Self {
        Self::BadValue { path, found: cut(&format!("{found:?}")), expected }
    }

    pub(super) fn unknown_key(path: String, key: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey { path, near: NearMisses::of(key, known.iter().copied()), key: cut(key), known }
    }

    /// Where in the script, as `rules[2].status`; `script` for the whole.
    pub fn path(&self) -> &str {
        match self {
            Self::NotJson(_) => "script",
            Self::WrongKind { path, .. }
            | Self::UnknownKey { path, .. }
            | Self::BadValue { path, .. }
            | Self::Contradiction { path, .. } => path,
        }
    }

    /// What is wrong there.
    pub fn problem(&self) -> String {
        match self {
            Self::NotJson(source) => format!("not JSON: {source}"),
            Self::WrongKind { expected, found, .. } => format!("expected {expected}, found {found}"),
            Self::UnknownKey { key, .. } => format!("unknown key {key:?}"),
            Self::BadValue { found, .. } => format!("{found} cannot be used"),
            Self::Contradiction { problem, .. } => (*problem).to_owned(),
        }
    }

    /// How to put it right.
    pub fn fix(&self) -> String {
        match self {
            Self::NotJson(_) => r#"write {"rules": [{"n": 1, "status": 503}]}"#.to_owned(),
            Self::WrongKind { expected, .. } | Self::BadValue { expected, .. } => format!("give {expected}"),
            Self::UnknownKey { near, known, .. } if near.keys().len() == 0 => {
                format!("the keys are {}", known.join(", "))
            }
            Self::UnknownKey { near, .. } => near.to_string().trim_start_matches(": ").to_owned(),
            Self::Contradiction { fix, .. } => (*fix).to_owned(),
        }
    }
}

impl fmt::Display for FaultsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path(), self.problem(), self.fix())
    }
}

impl std::error::Error for FaultsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(source) => Some(source),
            _ => None,
        }
    }
}

fn cut(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(SHOWN_MAX).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}
