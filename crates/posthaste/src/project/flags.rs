//! Which flag each experiment, rollout rule and holdout belongs to: for the metadata of decisions.
//!
//! The datafile says so from the flags' side only, and not for all: a holdout of all flags belongs to none, and an
//! experiment that several flags use could be any's. Then the flag stays empty: no guess is sent.

use compact_str::CompactString;
use rustc_hash::FxHashMap;

use super::{
    experiment::Experiment,
    rule::{Rule, RuleKind},
};

/// Where in the datafile an experiment stands.
pub(super) enum Place {
    /// Under `experiments`, or in a group.
    Experiment,
    /// A rule of this rollout.
    Rollout(CompactString),
    /// A holdout of these rules; of everything where there are none.
    Holdout(Vec<CompactString>),
}

/// A flag of the datafile.
pub(super) struct Flag {
    pub(super) key: CompactString,
    pub(super) rollout_id: CompactString,
    pub(super) experiment_ids: Vec<CompactString>,
}

/// The experiments, each with its flag.
pub(super) fn assign(found: Vec<(Experiment, Place)>, flags: &[Flag]) -> Vec<Experiment> {
    let keys = FlagKeys::new(&found, flags);
    found
        .into_iter()
        .map(|(experiment, place)| (keys.rule(&experiment, &place), experiment))
        .map(ruled)
        .collect()
}

fn ruled((rule, experiment): (Rule, Experiment)) -> Experiment {
    if rule == Rule::default() { experiment } else { experiment.ruled(rule) }
}

/// A flag's key by the id of each of its rules; empty where several flags have it.
struct FlagKeys(FxHashMap<CompactString, CompactString>);

impl FlagKeys {
    fn new(found: &[(Experiment, Place)], flags: &[Flag]) -> Self {
        let mut keys = Self(FxHashMap::default());
        let mut rollouts = Self(FxHashMap::default());
        for flag in flags {
            rollouts.add(&flag.rollout_id, &flag.key);
            flag.experiment_ids.iter().for_each(|id| keys.add(id, &flag.key));
        }
        for (experiment, place) in found {
            if let Place::Rollout(id) = place {
                keys.add(experiment.id(), rollouts.get(id).unwrap_or_default());
            }
        }
        keys
    }

    fn add(&mut self, id: &str, flag_key: &str) {
        let key = self.0.entry(id.into()).or_insert_with(|| flag_key.into());
        if *key != flag_key {
            key.clear();
        }
    }

    fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(CompactString::as_str)
    }

    fn rule(&self, experiment: &Experiment, place: &Place) -> Rule {
        let own = self.get(experiment.id());
        let (kind, flag_key) = match place {
            Place::Experiment if own.is_none() => (RuleKind::Experiment, ""),
            Place::Experiment => (RuleKind::FeatureTest, own.unwrap_or_default()),
            Place::Rollout(_) => (RuleKind::Rollout, own.unwrap_or_default()),
            Place::Holdout(rules) => (RuleKind::Holdout, self.of_all(rules)),
        };
        Rule { kind, flag_key: flag_key.into() }
    }

    /// The one flag that all of these rules belong to.
    fn of_all(&self, rules: &[CompactString]) -> &str {
        let mut keys = rules.iter().map(|id| self.get(id).unwrap_or_default());
        let first = keys.next().unwrap_or_default();
        if keys.all(|key| key == first) { first } else { "" }
    }
}
