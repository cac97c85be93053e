//! What is wrong with an experiment's key, in words that help to mend it.

use super::{
    listed::{Listed, Quoted},
    near::NearMisses,
};

/// Why a key stands for no experiment that could be reported.
///
/// ```
/// use posthaste::{ExperimentKeyError, ProjectConfig};
///
/// let datafile = r#"{"version": "4", "accountId": "1", "projectId": "2", "revision": "3", "experiments": [
///     {"id": "11", "key": "rule_ab", "layerId": "21"}, {"id": "12", "key": "rule_ab", "layerId": "22"}]}"#;
/// let config = ProjectConfig::from_datafile(datafile)?;
/// match config.experiment_by_key("rule_ab") {
///     Err(ExperimentKeyError::Ambiguous { ids, .. }) => assert_eq!(ids.to_string(), r#""11", "12""#),
///     _ => unreachable!("two experiments have this key"),
/// }
/// assert!(config.experiment_by_id("12").is_some());
/// # Ok::<(), posthaste::DatafileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentKeyError {
    /// The project has no experiment of this key.
    #[error("no experiment {}{near}", Quoted(key))]
    #[non_exhaustive]
    Unknown {
        /// The key that no experiment has.
        key: String,
        /// Keys of experiments that look like it.
        near: NearMisses,
    },
    /// Several experiments have this key, such as rules of two flags. Their ids tell them apart:
    /// [`ProjectConfig::experiment_by_id`](crate::ProjectConfig::experiment_by_id).
    #[error(
        "experiment key {} stands for several experiments: say which by its id, one of {ids}",
        Quoted(key)
    )]
    #[non_exhaustive]
    Ambiguous {
        /// The key that they share.
        key: String,
        /// Their ids, in the datafile's order.
        ids: Listed,
    },
    /// Experiments have this key, and none of them is a rule of that flag.
    #[error("experiment {} is no rule of flag {}{near}", Quoted(key), Quoted(flag))]
    #[non_exhaustive]
    OfNoSuchFlag {
        /// The experiment's key.
        key: String,
        /// The flag's key.
        flag: String,
        /// Keys of flags that look like it.
        near: NearMisses,
    },
}
