//! What is asked of a datafile: the same calls to both SDKs and to posthaste.
//!
//! Decisions are forced, so that neither chance nor audiences nor traffic matter: only what events are made of does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::mutants::read;

/// One call, as the SDKs' programs read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Call {
    /// An experiment that no flag uses.
    Activate {
        experiment: String,
        variation: String,
        user: String,
        attributes: Map<String, Value>,
    },
    /// A flag's experiment, or a rule of its rollout.
    Decide {
        flag: String,
        experiment: String,
        variation: String,
        user: String,
        attributes: Map<String, Value>,
    },
    Track {
        event: String,
        user: String,
        attributes: Map<String, Value>,
        tags: Map<String, Value>,
    },
}

/// Every event, and every experiment and rule that runs and whose decision can be forced in both SDKs.
pub(crate) fn calls_of(name: &str) -> Vec<Call> {
    let datafile: Value = serde_json::from_str(&read(name)).unwrap();
    let attributes = attributes(&datafile);
    let decisions =
        decisions(&datafile).into_iter().enumerate().map(|(at, (flag, experiment, variation))| {
            let (user, attributes) = (format!("visitor-{at}"), attributes.clone());
            match flag {
                None => Call::Activate { experiment, variation, user, attributes },
                Some(flag) => Call::Decide { flag, experiment, variation, user, attributes },
            }
        });
    let tags = Map::from_iter([("revenue".to_owned(), json!(4200)), ("sku".to_owned(), json!("A1"))]);
    let events = list(&datafile, "events").iter().map(|event| Call::Track {
        event: text(event, "key"),
        user: "visitor".to_owned(),
        attributes: attributes.clone(),
        tags: tags.clone(),
    });
    decisions.chain(events).collect()
}

/// All that the datafile knows, one that is reserved, and one that it does not know.
fn attributes(datafile: &Value) -> Map<String, Value> {
    let known = list(datafile, "attributes").iter().map(|attribute| text(attribute, "key"));
    let others = ["$opt_user_agent", "no such attribute"].map(str::to_owned);
    known.chain(others).map(|key| (key, json!("x"))).collect()
}

/// Flag, experiment and variation of each decision.
fn decisions(datafile: &Value) -> Vec<(Option<String>, String, String)> {
    let experiments = list(datafile, "experiments").iter();
    let grouped = list(datafile, "groups").iter().flat_map(|group| list(group, "experiments"));
    let running: BTreeMap<String, &Value> = experiments
        .chain(grouped)
        .filter(|experiment| experiment["status"] == "Running")
        .map(|experiment| (text(experiment, "id"), experiment))
        .collect();
    let mut decisions = Vec::new();
    let mut in_flags = BTreeSet::new();
    for flag in list(datafile, "featureFlags") {
        let ids = list(flag, "experimentIds").iter().map(|id| id.as_str().unwrap());
        in_flags.extend(ids.clone());
        let own: Vec<&Value> = ids.filter_map(|id| running.get(id).copied()).collect();
        let rules = rules(datafile, &flag["rolloutId"]);
        let all: Vec<String> = own.iter().chain(&rules).flat_map(|rule| variations(rule)).collect();
        // A rule is reached only by visitors whom no experiment takes, and sent only where that was asked for.
        let reached = own.is_empty() && datafile["sendFlagDecisions"] == true;
        let rules = if reached { rules } else { Vec::new() };
        for rule in own.iter().chain(&rules) {
            // The SDKs force the first variation of a key, whichever rule of the flag has it.
            let only = |variation: &String| all.iter().filter(|other| *other == variation).count() == 1;
            let Some(variation) = variations(rule).into_iter().rev().find(only) else { continue };
            decisions.push((Some(text(flag, "key")), text(rule, "key"), variation));
        }
    }
    let free = running.iter().filter(|(id, _)| !in_flags.contains(id.as_str()));
    decisions.extend(
        free.map(|(_, experiment)| (None, text(experiment, "key"), variations(experiment).pop().unwrap())),
    );
    decisions
}

fn rules<'a>(datafile: &'a Value, rollout_id: &Value) -> Vec<&'a Value> {
    let rollout = list(datafile, "rollouts").iter().find(|rollout| rollout["id"] == *rollout_id);
    rollout.map(|rollout| list(rollout, "experiments").iter().collect()).unwrap_or_default()
}

fn variations(experiment: &Value) -> Vec<String> {
    list(experiment, "variations").iter().map(|variation| text(variation, "key")).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}
