//! How many attributes were left out of events, and how many tags say nothing: each is counted once, with its reason.

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

/// How many tags of a project's conversions do not say what they should. They are sent as they are.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// config.conversion("purchase", &UserContext::new("visitor-1"), [("revenue", "12.50"), ("value", "much")])?;
/// let unusable = config.unusable_tags();
/// assert_eq!((unusable.revenue, unusable.value), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UnusableTags {
    /// A `revenue` that is no integer: a float counts cut towards zero, anything else not at all.
    pub revenue: u64,
    /// A `value` that is no number: it does not count.
    pub value: u64,
}

/// The counters behind both. Written to only where something is left out.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    unknown: AtomicU64,
    invalid: AtomicU64,
    revenue: AtomicU64,
    value: AtomicU64,
}

impl Drops {
    pub(crate) fn unknown(&self, count: u64) {
        self.unknown.fetch_add(count, Relaxed);
    }

    pub(crate) fn invalid(&self, count: u64) {
        self.invalid.fetch_add(count, Relaxed);
    }

    pub(crate) fn revenue(&self) {
        self.revenue.fetch_add(1, Relaxed);
    }

    pub(crate) fn value(&self) {
        self.value.fetch_add(1, Relaxed);
    }

    pub(super) fn unusable(&self) -> UnusableTags {
        UnusableTags { revenue: self.revenue.load(Relaxed), value: self.value.load(Relaxed) }
    }

    pub(super) fn count(&self) -> DroppedAttributes {
        DroppedAttributes { unknown: self.unknown.load(Relaxed), invalid: self.invalid.load(Relaxed) }
    }
}
