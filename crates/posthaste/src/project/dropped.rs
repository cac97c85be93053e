//! How many attributes were left out of events: each is counted once, with its reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many attributes have been left out of a project's events.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let user = UserContext::new("visitor-1").attribute("no such attribute", 1).attribute("plan", vec![1, 2]);
/// config.impression("checkout_button", "control", &user)?;
/// let dropped = config.dropped_attributes();
/// assert_eq!((dropped.unknown, dropped.invalid), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DroppedAttributes {
    /// Not in the datafile, and not reserved (`$opt_…`).
    pub unknown: u64,
    /// `null`, a list, an object, a number beyond ±2^53, or not a number at all.
    pub invalid: u64,
}

/// The counters behind it. Written to only where something is left out.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    unknown: AtomicU64,
    invalid: AtomicU64,
}

impl Drops {
    pub(crate) fn unknown(&self) {
        self.unknown.fetch_add(1, Relaxed);
    }

    pub(crate) fn invalid(&self) {
        self.invalid.fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self) -> DroppedAttributes {
        DroppedAttributes { unknown: self.unknown.load(Relaxed), invalid: self.invalid.load(Relaxed) }
    }
}
