//! Makes an event of a line: keys are looked up in the datafile.

use std::collections::BTreeMap;

use posthaste::{
    ExperimentKeyError, ProjectConfig, UserContext, UserEvent, create_conversion_user_event,
    create_impression_user_event,
};
use serde_json::{Map, Value};

use super::{
    fault::Fault,
    parse::{EventLine, Kind},
};

/// Makes events of one project. Keeps its user between lines, so that neighbours with the same attributes share the
/// work of reading them.
#[derive(Debug)]
pub(crate) struct EventMaker {
    config: ProjectConfig,
    user: UserContext,
    /// The text that the user's attributes were read from.
    attributes: String,
}

impl EventMaker {
    pub(crate) fn new(config: ProjectConfig) -> Self {
        Self { config, user: UserContext::default(), attributes: String::new() }
    }

    /// The event of this line. What the line does not say is made up: the time is now, the uuid random.
    pub(crate) fn make(&mut self, line: &EventLine<'_>) -> Result<UserEvent, Fault> {
        self.read_attributes(line.attributes)?;
        self.user = std::mem::take(&mut self.user).with_id(&*line.user_id);
        let mut event = match &line.kind {
            Kind::Impression { experiment, variation } => {
                self.impression(experiment, variation.as_deref())?
            }
            Kind::Conversion { event, tags } => self.conversion(event, *tags)?,
        };
        if let Some(timestamp_ms) = line.timestamp_ms {
            event = event.with_timestamp_ms(timestamp_ms);
        }
        if let Some(uuid) = line.uuid.as_deref() {
            event = event.with_uuid(uuid);
        }
        Ok(event)
    }

    fn impression(&self, experiment_key: &str, variation_key: Option<&str>) -> Result<UserEvent, Fault> {
        let experiment = self.config.experiment_by_key(experiment_key).map_err(|error| match error {
            ExperimentKeyError::Ambiguous { .. } => Fault::Experiment(error),
            _ => Fault::UnknownExperiment(experiment_key.to_owned()),
        })?;
        let variation = variation_key.map(|key| {
            experiment.variation_by_key(key).ok_or_else(|| Fault::UnknownVariation {
                experiment: experiment_key.to_owned(),
                variation: key.to_owned(),
            })
        });
        Ok(create_impression_user_event(&self.config, experiment, variation.transpose()?, &self.user))
    }

    fn conversion(&self, event_key: &str, tags: Option<&str>) -> Result<UserEvent, Fault> {
        let event =
            self.config.event_by_key(event_key).ok_or_else(|| Fault::UnknownEvent(event_key.to_owned()))?;
        let tags: Map<String, Value> = read("tags", tags)?;
        Ok(create_conversion_user_event(&self.config, event, &self.user, &tags))
    }

    fn read_attributes(&mut self, text: Option<&str>) -> Result<(), Fault> {
        let text = text.unwrap_or_default();
        if text == self.attributes {
            return Ok(());
        }
        let attributes: BTreeMap<String, Value> =
            read("attributes", Some(text).filter(|text| !text.is_empty()))?;
        self.user = std::mem::take(&mut self.user).with_attributes(attributes);
        text.clone_into(&mut self.attributes);
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned + Default>(key: &'static str, text: Option<&str>) -> Result<T, Fault> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_str(text).map_err(|error| Fault::Unreadable { key, message: error.to_string() })
}
