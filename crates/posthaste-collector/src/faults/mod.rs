//! Faults on a script: what a real end point does on its worst days, in an order that a test can count on.
//!
//! A script is a list of rules. Each says which requests it is for and what is done to them; the first rule that fits a
//! request decides, and the others only count it.
//!
//! ```text
//! JSON or Rules ─▶ Faults, checked ─▶ Script, which counts ─▶ what is done to this request, if anything
//! ```
//!
//! Invariants: a [`Faults`] holds nothing that cannot be done. A script says the same of the same requests in the same
//! order: what is left to chance comes from its seed. Nothing here knows sockets.

mod rule;

mod text;

mod error;

mod plan;

mod script;

mod note;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::FaultsError;
pub use note::Fault;
pub(crate) use plan::{Answer, Given, Then};
pub use rule::{End, Rule};
pub(crate) use script::{Decided, Script};
pub use script::{FaultsInForce, RuleInForce};

use plan::Plan;

/// Rules that a script may have.
pub const RULES_MAX: usize = 1_000;

/// The longest [`Rule::delay`].
pub const DELAY_MAX: std::time::Duration = std::time::Duration::from_secs(3_600);

/// A script of faults, checked; by default the empty one, which does nothing. Cheap to clone.
///
/// ```
/// use posthaste_collector::{Faults, Rule};
///
/// let text = r#"{"seed": 7, "rules": [
///     {"from": 1, "to": 3, "status": 503, "headers": {"retry-after": "1"}},
///     {"share": 0.1, "end": "reset"}
/// ]}"#;
/// let read = Faults::parse(text)?;
///
/// let made = Faults::new([
///     Rule::status(503).header("retry-after", "1").requests(1..=3),
///     Rule::reset().share(0.1),
/// ])?
/// .with_seed(7);
/// assert_eq!(read, made);
///
/// let error = Faults::parse(r#"{"rules": [{"stauts": 503}]}"#).unwrap_err();
/// assert_eq!(error.to_string(), r#"rules[0]: unknown key "stauts"; did you mean "status"?"#);
/// # Ok::<(), posthaste_collector::FaultsError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    seed: u64,
    plans: Arc<[Plan]>,
}

impl Faults {
    /// A script of these rules, in this order.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, FaultsError> {
        Ok(Self { seed: 0, plans: plan::all(rules.into_iter().collect())? })
    }

    /// Reads a script: JSON, as [`Rule`] lists it. No text at all is the empty script.
    pub fn parse(text: &str) -> Result<Self, FaultsError> {
        let (seed, rules) = text::script(text)?;
        Ok(Self::new(rules)?.with_seed(seed))
    }

    /// What is left to chance comes from this number; it is 0 untold.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether it has no rules.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.plans.iter().map(|plan| &plan.rule)
    }
}
