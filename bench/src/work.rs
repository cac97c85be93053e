//! The events that everybody makes: impressions of visitors with four attributes, one a line of a file that all read.

use std::{
    fs,
    io::{Error, Result},
    path::{Path, PathBuf},
};

use posthaste::{ProjectConfig, UserContext, UserEvent, create_impression_user_event};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const DATAFILE: &str = include_str!("../../crates/posthaste/tests/vectors/larkspur.json");
const VISITORS: usize = 1_024;

/// Where the work is, for every program that does it.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Files {
    /// The project's datafile.
    #[arg(long)]
    pub(crate) datafile: PathBuf,
    /// Impressions, one a line.
    #[arg(long)]
    pub(crate) events: PathBuf,
}

impl Files {
    /// Writes both into a folder.
    pub(crate) fn write(folder: &Path) -> Result<Self> {
        let files = Self { datafile: folder.join("datafile.json"), events: folder.join("events.jsonl") };
        fs::write(&files.datafile, DATAFILE)?;
        let lines: Vec<String> = (0..VISITORS).map(|n| line(n).to_string()).collect();
        fs::write(&files.events, lines.join("\n") + "\n")?;
        Ok(files)
    }
}

fn line(n: usize) -> Value {
    let attributes =
        json!({"plan": "team", "country": "NZ", "logged_in": n.is_multiple_of(2), "age": 20 + n % 60});
    let variation = if n.is_multiple_of(2) { "control" } else { "green_button" };
    json!(Line {
        user_id: format!("shopper-{n:05}"),
        experiment: "checkout_button".into(),
        variation: variation.into(),
        attributes: attributes.as_object().cloned().unwrap_or_default(),
    })
}

#[derive(Serialize, Deserialize)]
struct Line {
    user_id: String,
    experiment: String,
    variation: String,
    attributes: Map<String, Value>,
}

/// Makes the file's events, over and over.
pub(crate) struct Maker {
    config: ProjectConfig,
    // Visitors are made beforehand: they are the program's, not the event's.
    lines: Vec<(UserContext, Line)>,
}

impl Maker {
    pub(crate) fn new(files: &Files) -> Result<Self> {
        let config = ProjectConfig::from_datafile(fs::read(&files.datafile)?).map_err(Error::other)?;
        let text = fs::read_to_string(&files.events)?;
        let lines = text.lines().map(|text| {
            let line: Line = serde_json::from_str(text)?;
            let user = line.attributes.iter().fold(UserContext::new(&line.user_id), |user, (key, value)| {
                user.attribute(key, value.clone())
            });
            Ok((user, line))
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        if lines.is_empty() { Err(Error::other("there are no events")) } else { Ok(Self { config, lines }) }
    }

    pub(crate) fn make(&self, n: usize) -> UserEvent {
        let (user, line) = self.lines.get(n % self.lines.len()).expect("there are lines");
        let experiment = self.config.experiment_by_key(&line.experiment).expect("in the datafile");
        let variation = experiment.variation_by_key(&line.variation);
        create_impression_user_event(&self.config, experiment, variation, user)
    }
}
