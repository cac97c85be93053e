//! Where an account's results live, and with them the Event API that counts its events.

use std::fmt;

/// The data region of a project (`region` in the datafile; absent means [`Region::Us`]).
///
/// ```
/// use posthaste::Region;
///
/// assert_eq!(Region::parse("eu"), Some(Region::Eu));
/// assert_eq!(Region::Eu.event_end_point(), "https://eu.logx.optimizely.com/v1/events");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Region {
    /// The United States, where every project was before regions existed.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

impl Region {
    /// The name used in datafiles and, where asked for, in request bodies: `US` or `EU`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::Eu => "EU",
        }
    }

    /// The Event API of this region (PROTOCOL: hosts of the official `OpenAPI` description).
    ///
    /// ```
    /// use posthaste::Region;
    ///
    /// assert_eq!(Region::default().event_end_point(), "https://logx.optimizely.com/v1/events");
    /// ```
    pub fn event_end_point(self) -> &'static str {
        match self {
            Self::Us => "https://logx.optimizely.com/v1/events",
            Self::Eu => "https://eu.logx.optimizely.com/v1/events",
        }
    }

    /// Reads a region's name in either case; `None` for a region that does not exist.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "US" => Some(Self::Us),
            "EU" => Some(Self::Eu),
            _ => None,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
