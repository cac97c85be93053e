//! What an experiment is to a flag: for the metadata of decisions.

use compact_str::CompactString;

/// What an experiment is to a flag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rule {
    pub(super) kind: RuleKind,
    /// Empty where there is no flag, or no telling which.
    pub(super) flag_key: CompactString,
}

/// `rule_type` of a decision (PROTOCOL 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum RuleKind {
    #[default]
    Experiment,
    FeatureTest,
    Rollout,
    Holdout,
}

impl RuleKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::FeatureTest => "feature-test",
            Self::Rollout => "rollout",
            Self::Holdout => "holdout",
        }
    }
}
