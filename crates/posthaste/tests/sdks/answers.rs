//! What somebody makes of a datafile, in a form that can be compared.

use posthaste::{Batch, ProjectConfig, UserContext, UserEvent};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::Call;

/// Whether a datafile was taken, and what each call sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Refused(String),
    Taken(Vec<Option<Request>>),
}

/// One request, less what is different each time or says who sends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) body: Value,
}

/// A line of an SDK's program.
#[derive(Deserialize)]
struct Line {
    taken: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    sent: Vec<Option<Request>>,
}

impl Answer {
    pub(crate) fn theirs(line: &str) -> Self {
        let line: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if line.taken {
            Self::Taken(line.sent.into_iter().map(|sent| sent.map(Request::normal)).collect())
        } else {
            Self::Refused(line.reason)
        }
    }

    pub(crate) fn ours(datafile: &str, calls: &[Call]) -> Self {
        match ProjectConfig::from_datafile(datafile) {
            Err(error) => Self::Refused(error.to_string()),
            Ok(config) => {
                let config = config.as_todays_sdks_send();
                Self::Taken(calls.iter().map(|call| Request::ours(&config, call)).collect())
            }
        }
    }

    pub(crate) fn requests(&self) -> usize {
        match self {
            Self::Refused(_) => 0,
            Self::Taken(sent) => sent.iter().flatten().count(),
        }
    }
}

impl Request {
    fn ours(config: &ProjectConfig, call: &Call) -> Option<Self> {
        let event = made(config, call)?;
        let body = serde_json::to_value(Batch::from_user_events(&[event])).unwrap();
        Some(Self { url: config.region().event_end_point().to_owned(), body }.normal())
    }

    /// Left out: uuids and times, the client's name, the order of attributes, the region, which the Go SDK sends and
    /// these do not (it is in the address), and the empty list of decisions that a conversion has in the seed.
    fn normal(mut self) -> Self {
        if let Value::Object(body) = &mut self.body {
            for key in ["client_name", "client_version", "region"] {
                body.remove(key);
            }
        }
        for visitor in self.body["visitors"].as_array_mut().into_iter().flatten() {
            if let Value::Array(attributes) = &mut visitor["attributes"] {
                attributes.sort_by_key(|attribute| attribute["key"].to_string());
            }
            for snapshot in visitor["snapshots"].as_array_mut().into_iter().flatten() {
                normalize_snapshot(snapshot);
            }
        }
        self
    }
}

fn normalize_snapshot(snapshot: &mut Value) {
    for event in snapshot["events"].as_array_mut().into_iter().flatten() {
        event["uuid"] = Value::from("UUID");
        event["timestamp"] = Value::from(0);
    }
    if let Value::Object(snapshot) = snapshot {
        snapshot
            .retain(|key, value| key != "decisions" || value.as_array().is_none_or(|list| !list.is_empty()));
    }
}

fn made(config: &ProjectConfig, call: &Call) -> Option<UserEvent> {
    let user = |id: &str, attributes: &Map<String, Value>| {
        UserContext::new(id)
            .with_attributes(attributes.iter().map(|(key, value)| (key.clone(), value.clone())))
    };
    match call {
        Call::Activate { experiment, variation, user: id, attributes }
        | Call::Decide { experiment, variation, user: id, attributes, .. } => {
            config.impression(experiment, variation, &user(id, attributes)).ok()
        }
        Call::Track { event, user: id, attributes, tags } => {
            config.conversion(event, &user(id, attributes), tags).ok()
        }
    }
}
