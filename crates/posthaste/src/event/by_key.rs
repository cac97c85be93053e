//! Makes events by key: the usual way, in one call, with errors that say what the key might have been.

use super::{
    factory::{create_conversion_user_event, create_impression_user_event},
    tags::TagValue,
    user_event::UserEvent,
};
use crate::project::{
    Event, Experiment, ExperimentKeyError, Listed, NearMisses, ProjectConfig, Quoted, UserContext, Variation,
};

/// Why [`ProjectConfig::impression`] made no event.
///
/// ```
/// use posthaste::{ImpressionError, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let user = UserContext::new("visitor-1");
///
/// let error = config.impression("chekout_button", "control", &user).unwrap_err();
/// assert!(matches!(error, ImpressionError::Experiment(_)));
/// assert_eq!(error.to_string(), r#"no experiment "chekout_button": did you mean "checkout_button"?"#);
///
/// let error = config.impression("checkout_button", "red", &user).unwrap_err();
/// let text = r#"no variation "red" of experiment "checkout_button": it has "control", "green_button""#;
/// assert_eq!(error.to_string(), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImpressionError {
    /// The key stands for no experiment, or for several.
    #[error(transparent)]
    Experiment(#[from] ExperimentKeyError),
    /// The experiment has no variation of this key.
    #[error(
        "no variation {} of experiment {}: it has {variations}{near}",
        Quoted(variation),
        Quoted(experiment)
    )]
    #[non_exhaustive]
    UnknownVariation {
        /// The experiment's key.
        experiment: String,
        /// The key that none of its variations has.
        variation: String,
        /// Keys of its variations that look like it.
        near: NearMisses,
        /// The keys of the variations that it has.
        variations: Listed,
    },
}

impl ImpressionError {
    /// For an experiment that was found in another way, and has no variation of this key.
    ///
    /// ```
    /// use posthaste::{Experiment, ImpressionError, Variation};
    ///
    /// let experiment = Experiment::new("11", "rule_ab", "21", vec![Variation::new("1101", "on")]);
    /// let error = ImpressionError::unknown_variation(&experiment, "off");
    /// assert_eq!(error.to_string(), r#"no variation "off" of experiment "rule_ab": it has "on""#);
    /// ```
    pub fn unknown_variation(experiment: &Experiment, variation_key: &str) -> Self {
        Self::UnknownVariation {
            experiment: experiment.key().to_owned(),
            variation: variation_key.to_owned(),
            near: NearMisses::of(variation_key, experiment.variations().iter().map(Variation::key)),
            variations: Listed::new(experiment.variations().iter().map(Variation::key)),
        }
    }
}

/// Why [`ProjectConfig::conversion`] made no event.
///
/// ```
/// use posthaste::{NO_TAGS, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let error = config.conversion("purchse", &UserContext::new("visitor-1"), NO_TAGS).unwrap_err();
/// assert_eq!(error.to_string(), r#"no event "purchse": did you mean "purchase"?"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversionError {
    /// The project has no event of this key.
    #[error("no event {}{near}", Quoted(event))]
    #[non_exhaustive]
    UnknownEvent {
        /// The key that no event has.
        event: String,
        /// Keys of events that look like it.
        near: NearMisses,
    },
}

impl ProjectConfig {
    /// A visitor saw this variation of this experiment, both by key.
    ///
    /// For an experiment whose key stands for several, or a decision for no variation, there is
    /// [`create_impression_user_event`]; all else is as it says.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let user = UserContext::new("visitor-1").attribute("plan", "pro");
    /// let event = config.impression("checkout_button", "control", &user)?;
    /// assert_eq!(event.impression().unwrap().experiment_id(), "40011");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn impression(
        &self,
        experiment_key: &str,
        variation_key: &str,
        user: &UserContext,
    ) -> Result<UserEvent, ImpressionError> {
        let experiment = self.experiment_by_key(experiment_key)?;
        let variation = experiment
            .variation_by_key(variation_key)
            .ok_or_else(|| ImpressionError::unknown_variation(experiment, variation_key))?;
        Ok(create_impression_user_event(self, experiment, variation, user))
    }

    /// A visitor did what this event counts, by its key.
    ///
    /// `tags` are any pairs of a key and a [`TagValue`], [`NO_TAGS`](super::NO_TAGS) for none; all else is as for
    /// [`create_conversion_user_event`].
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext, event::NO_TAGS};
    /// use serde_json::json;
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let user = UserContext::new("visitor-1");
    /// let event = config.conversion("purchase", &user, [("revenue", 4200)])?;
    /// assert_eq!(event.conversion().unwrap().revenue(), Some(4200));
    ///
    /// config.conversion("add_to_basket", &user, NO_TAGS)?;
    /// config.conversion("purchase", &user, [("revenue", json!(4200)), ("sku", json!("A1"))])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn conversion<K: AsRef<str>, V: TagValue>(
        &self,
        event_key: &str,
        user: &UserContext,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Result<UserEvent, ConversionError> {
        let event = self.event_by_key(event_key).ok_or_else(|| ConversionError::UnknownEvent {
            event: event_key.to_owned(),
            near: NearMisses::of(event_key, self.events().iter().map(Event::key)),
        })?;
        Ok(create_conversion_user_event(self, event, user, tags))
    }
}
