//! Makes an event of a line: keys are looked up in the datafile.

use std::collections::BTreeMap;

use posthaste::{
    Experiment, ImpressionError, ProjectConfig, UserContext, UserEvent, Variation,
    create_impression_user_event,
    judge::{judge_tags, judge_timestamp},
};
use serde_json::{Map, Value};

use super::{
    fault::Fault,
    metadata,
    parse::{EventLine, ExperimentName, Kind, Name},
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
        if let Some(problem) = line.timestamp_ms.and_then(judge_timestamp) {
            return Err(Fault::Time(problem));
        }
        self.read_attributes(line.attributes)?;
        self.user = std::mem::take(&mut self.user).with_id(&*line.user_id);
        let mut event = match &line.kind {
            Kind::Impression { experiment, variation, metadata } => {
                self.impression(experiment, variation.as_ref(), *metadata)?
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

    fn impression(
        &self,
        experiment: &ExperimentName<'_>,
        variation: Option<&Name<'_>>,
        metadata: Option<&str>,
    ) -> Result<UserEvent, Fault> {
        let experiment = self.experiment(experiment)?;
        if experiment.id().trim_ascii().is_empty() {
            return Err(Fault::NoExperimentId);
        }
        let variation = variation.map(|name| variation_of(experiment, name)).transpose()?;
        let event = create_impression_user_event(&self.config, experiment, variation, &self.user);
        let Some(text) = metadata else { return Ok(event) };
        let fields: Map<String, Value> = read("metadata", Some(text))?;
        Ok(event.with_decision_metadata(metadata::read(&fields, experiment, variation)?))
    }

    fn experiment(&self, ExperimentName { name, flag }: &ExperimentName<'_>) -> Result<&Experiment, Fault> {
        let by_id = |id: &str| {
            let unknown = || Fault::UnknownId { kind: "experiment", id: id.to_owned() };
            self.config.experiment_by_id(id).ok_or_else(unknown)
        };
        let experiment = match (name, flag) {
            (Name::Key(key), None) => return Ok(self.config.experiment_by_key(key)?),
            (Name::Key(key), Some(flag)) => return Ok(self.config.experiment_of_flag(flag, key)?),
            (Name::Id(id) | Name::Both { id, .. }, _) => by_id(id)?,
        };
        agrees("experiment", name, experiment.key())?;
        if let Some(flag) = flag.as_deref().filter(|flag| *flag != experiment.flag_key()) {
            let (found, expected) = (flag.to_owned(), experiment.flag_key().to_owned());
            return Err(Fault::Contradiction { path: "flag", found, of: "the experiment's", expected });
        }
        Ok(experiment)
    }

    fn conversion(&self, event_key: &str, tags: Option<&str>) -> Result<UserEvent, Fault> {
        if let Some(problem) = tags.and_then(judge_tags) {
            return Err(Fault::Tags(problem));
        }
        let tags: Map<String, Value> = read("tags", tags)?;
        Ok(self.config.conversion(event_key, &self.user, &tags)?)
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

fn variation_of<'a>(experiment: &'a Experiment, name: &Name<'_>) -> Result<&'a Variation, Fault> {
    let variation = match name {
        Name::Key(key) => {
            let unknown = || ImpressionError::unknown_variation(experiment, key);
            return Ok(experiment.variation_by_key(key).ok_or_else(unknown)?);
        }
        Name::Id(id) | Name::Both { id, .. } => {
            let unknown = || Fault::UnknownId { kind: "variation of the experiment", id: id.to_string() };
            experiment.variation_by_id(id).ok_or_else(unknown)?
        }
    };
    agrees("variation", name, variation.key())?;
    Ok(variation)
}

/// Where key and id are given, they are of the same.
fn agrees(path: &'static str, name: &Name<'_>, expected: &str) -> Result<(), Fault> {
    match name {
        Name::Both { key, .. } if key != expected => Err(Fault::Contradiction {
            path,
            found: key.to_string(),
            of: "the key of what the id stands for",
            expected: expected.to_owned(),
        }),
        _ => Ok(()),
    }
}
