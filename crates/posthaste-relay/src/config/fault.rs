//! What is wrong with a config, and where that stands.

use std::{fmt, path::PathBuf};

use serde::{Serialize, Serializer};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything else.
    #[default]
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0: the file as a whole.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

/// A fault: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    origin: Origin,
    text: String,
    /// Whether the value itself is wrong, and not what it names.
    is_of_value: bool,
}

/// Why there is no config: everything that is wrong, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl Fault {
    pub(super) fn new(origin: Origin, text: impl Into<String>) -> Self {
        Self { origin, text: text.into(), is_of_value: true }
    }

    /// The value is right; the file or the folder that it names is not.
    pub(super) fn of_what_is_named(origin: Origin, text: impl Into<String>) -> Self {
        Self { origin, text: text.into(), is_of_value: false }
    }

    /// Where it stands.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl ConfigError {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.origin.place());
        Self { faults }
    }

    /// Each, in the order of their places. There is at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether flags alone are wrong, or missing: that is wrong usage, and no faulty config.
    pub fn is_usage(&self) -> bool {
        self.faults.iter().all(|fault| fault.is_of_value && matches!(fault.origin, Origin::Flag(_)))
    }
}

impl Origin {
    /// In the order in which they are told: lines of the file, the environment, flags, and what is said nowhere.
    fn place(&self) -> (usize, usize) {
        match self {
            Self::File { line: 0, .. } => (3, 0),
            Self::File { line, .. } => (0, *line),
            Self::Environment(_) => (1, 0),
            Self::Flag(_) => (2, 0),
            Self::Default => (4, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Default => f.write_str(&self.text),
            _ => write!(f, "{}: {}", self.origin, self.text),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
